/* SPDX-License-Identifier: MIT */
#include "negotiate.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct span {
    const char *p;
    size_t len;
};

/* One item of a header: `name;version=V;q=Q`. */
struct item {
    struct span name, version;
    double q;
};

static bool is(struct span s, const char *text) {
    return s.len == strlen(text) && strncasecmp(s.p, text, s.len) == 0;
}

static struct span trim(const char *from, const char *to) {
    while (from < to && (*from == ' ' || *from == '\t' || *from == '"'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '"'))
        to--;
    return (struct span){.p = from, .len = (size_t)(to - from)};
}

/* Digits and one dot, between 0 and 1; anything else counts as 0, "not this one". */
static double quality(struct span s) {
    char text[8] = "";

    if (s.len == 0 || s.len >= sizeof(text) || strspn(s.p, "0123456789.") < s.len)
        return 0;
    memcpy(text, s.p, s.len);
    return strtod(text, NULL);
}

/* Reads the item that the header begins with and returns what is behind its comma, NULL at the end.
 */
static const char *next_item(const char *header, struct item *item) {
    size_t len = strcspn(header, ",");
    const char *end = header + len, *p = header;

    *item = (struct item){.q = 1};
    for (bool first = true; p <= end; first = false) {
        const char *stop = memchr(p, ';', (size_t)(end - p));
        const char *equals;

        if (!stop)
            stop = end;
        equals = memchr(p, '=', (size_t)(stop - p));
        if (first)
            item->name = trim(p, stop);
        else if (equals && is(trim(p, equals), "q"))
            item->q = quality(trim(equals + 1, stop));
        else if (equals && is(trim(p, equals), "version"))
            item->version = trim(equals + 1, stop);
        p = stop + 1;
    }
    return *end == ',' ? end + 1 : NULL;
}

enum page_format negotiate_format(const char *accept, const char **content_type) {
    double text = 0, openmetrics = 0, old_openmetrics = 0;
    struct item item;

    for (const char *rest = accept; rest;) {
        rest = next_item(rest, &item);
        if (is(item.name, "application/openmetrics-text")) {
            if (item.version.len == 0 || is(item.version, "1.0.0"))
                openmetrics = item.q > openmetrics ? item.q : openmetrics;
            else if (is(item.version, "0.0.1"))
                old_openmetrics = item.q > old_openmetrics ? item.q : old_openmetrics;
        } else if (is(item.name, "text/plain") &&
                   (item.version.len == 0 || is(item.version, "0.0.4"))) {
            text = item.q > text ? item.q : text;
        }
    }
    if (openmetrics > 0 && openmetrics >= text && openmetrics >= old_openmetrics) {
        *content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        return PAGE_OPENMETRICS;
    }
    if (old_openmetrics > 0 && old_openmetrics >= text) {
        *content_type = "application/openmetrics-text; version=0.0.1; charset=utf-8";
        return PAGE_OPENMETRICS;
    }
    *content_type = TEXT_TYPE;
    return PAGE_TEXT;
}

bool negotiate_gzip(const char *accept_encoding) {
    double gzip = -1, any = 0;
    struct item item;

    for (const char *rest = accept_encoding; rest;) {
        rest = next_item(rest, &item);
        if (is(item.name, "gzip") || is(item.name, "x-gzip"))
            gzip = item.q;
        else if (is(item.name, "*"))
            any = item.q;
    }
    return gzip >= 0 ? gzip > 0 : any > 0;
}
