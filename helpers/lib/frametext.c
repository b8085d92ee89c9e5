/* SPDX-License-Identifier: MIT */
#include "frametext.h"

#include <stdbool.h>
#include <string.h>

#include "utf8.h"

enum { TAIL_MIN = 8 };

static const char ELLIPSIS[] = "\xe2\x80\xa6", REPLACED[] = "\xef\xbf\xbd";

/* Length of the character that s begins with, if it may be shown; else 0, and *skip bytes are
 * replaced. */
static size_t shown_len(const char *s, size_t len, size_t *skip) {
    const unsigned char *p = (const unsigned char *)s;
    size_t n = utf8_len(s, len);

    *skip = n > 0 ? n : 1;
    if (n == 1 && (p[0] < 0x20 || p[0] == 0x7f))
        return 0;
    if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) /* U+0080 to U+009F */
        return 0;
    if (n == 3 && p[0] == 0xe2 && p[1] == 0x80 &&
        (p[2] >= 0xa8 || (p[2] >= 0x8b && p[2] <= 0x8f)) && p[2] <= 0xae)
        return 0; /* zero width, direction marks and overrides, line separators */
    if (n == 3 && p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa0 && p[2] <= 0xaf)
        return 0; /* isolates and invisible operators */
    if (n == 3 && p[0] == 0xef &&
        ((p[1] == 0xbb && p[2] == 0xbf) || (p[1] == 0xbf && p[2] >= 0xbe)))
        return 0; /* U+FEFF, U+FFFE, U+FFFF: the last two are no XML */
    return n;
}

static size_t columns_of(const char *s, size_t len) {
    size_t n = 0;

    for (size_t i = 0, skip; i < len; i += skip, n++)
        (void)shown_len(s + i, len - i, &skip);
    return n;
}

static const char *xml_entity(char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

static size_t put(struct buf *b, const char *s, size_t len, size_t columns, bool xml) {
    size_t n = 0, limit = columns > 0 ? columns : SIZE_MAX;
    /* Only text that is longer in bytes can be longer in characters. */
    bool cut = len > limit && columns_of(s, len) > limit;

    for (size_t i = 0, skip; i < len && n < (cut ? limit - 1 : limit); i += skip, n++) {
        size_t shown = shown_len(s + i, len - i, &skip);
        char c = s[i];

        if (shown == 0)
            buf_adds(b, REPLACED);
        else if (xml && xml_entity(c))
            buf_adds(b, xml_entity(c));
        else if (shown == 1)
            buf_addc(b, c);
        else
            buf_add(b, s + i, shown);
    }
    if (cut)
        buf_adds(b, ELLIPSIS);
    return n + cut;
}

size_t frame_put(struct buf *b, const char *s, size_t len, size_t columns) {
    return put(b, s, len, columns, false);
}

size_t frame_put_xml(struct buf *b, const char *s, size_t len, size_t columns) {
    return put(b, s, len, columns, true);
}

void frame_put_fit(struct buf *b, const char *s, size_t len, size_t columns) {
    size_t open = 0, slash = 0;

    for (size_t i = 0; i + 1 < len; i++) {
        if (s[i] == ' ' && s[i + 1] == '(')
            open = i + 2;
        else if (s[i] == '/')
            slash = i;
    }
    if (open > 0 && slash > open && columns_of(s, len) > columns &&
        columns_of(s, open) + 1 + columns_of(s + slash, len - slash) <= columns) {
        /* As much of the path's end as there is room for, from a slash on. */
        for (size_t at = slash; at > open; at--) {
            if (s[at] == '/' && columns_of(s, open) + 1 + columns_of(s + at, len - at) <= columns)
                slash = at;
        }
        frame_put(b, s, open, 0);
        buf_adds(b, ELLIPSIS);
        frame_put(b, s + slash, len - slash, 0);
        return;
    }
    /* Not even the file's name: as much of its end as there is room for, the line above all. */
    if (open > 0 && s[len - 1] == ')' && columns_of(s, len) > columns &&
        columns_of(s, open) + 1 + TAIL_MIN <= columns) {
        size_t at = len, used = columns_of(s, open) + 1;

        for (size_t i = len; i-- > open && used + columns_of(s + i, len - i) <= columns;) {
            if ((s[i] & 0xc0) != 0x80)
                at = i;
        }
        frame_put(b, s, open, 0);
        buf_adds(b, ELLIPSIS);
        frame_put(b, s + at, len - at, 0);
        return;
    }
    frame_put(b, s, len, columns);
}

size_t frame_line_number(const char *s, size_t len, size_t *at) {
    size_t i = len > 0 ? len - 1 : 0;

    if (len < 4 || s[len - 1] != ')')
        return 0;
    while (i > 0 && s[i - 1] >= '0' && s[i - 1] <= '9')
        i--;
    if (i == len - 1 || i < 2 || s[i - 1] != ':')
        return 0;
    *at = i - 1;
    return len - 1 - *at;
}

void put_grouped(struct buf *b, uint64_t n) {
    uint64_t thousands = 1;

    while (n / thousands >= 1000)
        thousands *= 1000;
    buf_addu(b, n / thousands);
    for (thousands /= 1000; thousands > 0; thousands /= 1000) {
        buf_addc(b, ',');
        for (uint64_t digit = 100; digit > 0; digit /= 10)
            buf_addc(b, (char)('0' + n / thousands % 1000 / digit % 10));
    }
}
