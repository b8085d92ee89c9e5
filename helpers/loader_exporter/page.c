/* SPDX-License-Identifier: MIT */
#include "page.h"

#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Families that no page has used for a while are forgotten when there are that many more than used
 * ones. */
#define FORGET_ABOVE 256

static const struct {
    const char *text_name, *openmetrics_name;
    const char *suffix;   /* of the family's name in the text format; OpenMetrics has it in the
                             samples only */
    const char *names[5]; /* suffixes of all names that are the family's */
} type_of[] = {
    [PAGE_COUNTER] = {"counter", "counter", "_total", {"", "_total", "_created"}},
    [PAGE_GAUGE] = {"gauge", "gauge", "", {""}},
    [PAGE_HISTOGRAM] = {"histogram",
                        "histogram",
                        "",
                        {"", "_bucket", "_count", "_sum", "_created"}},
    [PAGE_SUMMARY] = {"summary", "summary", "", {"", "_count", "_sum", "_created"}},
    [PAGE_INFO] = {"gauge", "info", "_info", {"", "_info"}},
};

static const char openmetrics_end[] = "# EOF\n";

static void forget(struct page *p) {
    for (struct page_family *f = p->first; f; f = f->next) {
        for (int format = 0; format < 2; format++) {
            buf_free(&f->head[format].text);
            buf_free(&f->head[format].help);
        }
        buf_free(&f->line);
    }
    map_free(&p->by_name);
    map_free(&p->claims);
    arena_free(&p->memory);
    p->first = p->last = NULL;
    p->n = 0;
}

void page_begin(struct page *p, enum page_format format) {
    size_t used = 0;

    for (const struct page_family *f = p->first; f; f = f->next)
        used += f->used;
    if (p->n > 2 * used + FORGET_ABOVE)
        forget(p);
    for (struct page_family *f = p->first; f; f = f->next) {
        f->used = false;
        f->line.len = 0;
        /* What one large page needed is not held for ever. */
        if (f->line.cap > (1u << 20))
            buf_free(&f->line);
    }
    p->format = format;
}

void page_free(struct page *p) {
    forget(p);
}

static void escape(struct buf *out, const char *s, size_t len, bool quote) {
    size_t done = 0;

    for (size_t i = 0; i < len; i++) {
        if (s[i] != '\n' && s[i] != '\\' && (s[i] != '"' || !quote))
            continue;
        buf_add(out, s + done, i - done);
        buf_addc(out, '\\');
        buf_add(out, s[i] == '\n' ? "n" : &s[i], 1);
        done = i + 1;
    }
    buf_add(out, s + done, len - done);
}

static struct page_family *find_or_add(struct page *p, const char *name, size_t len) {
    void **at = map_at(&p->by_name, &p->memory, name, len);
    struct page_family *f = *at;

    if (f)
        return f;
    f = arena_alloc(&p->memory, sizeof(*f));
    f->name = arena_copy(&p->memory, name, len);
    f->name_len = len;
    *at = f;
    if (p->last)
        p->last->next = f;
    else
        p->first = f;
    p->last = f;
    p->n++;
    return f;
}

/* Looks up the names that a family of this type has. */
static void set_type(struct page *p, struct page_family *f, enum page_type type) {
    struct buf name = {0};

    f->type = type;
    for (f->claims = 0; f->claims < 5 && type_of[type].names[f->claims]; f->claims++) {
        void **at;

        name.len = 0;
        buf_add(&name, f->name, f->name_len);
        buf_adds(&name, type_of[type].names[f->claims]);
        at = map_at(&p->claims, &p->memory, name.data, name.len);
        if (!*at)
            *at = arena_alloc(&p->memory, sizeof(struct page_claim));
        f->claim[f->claims] = *at;
    }
    buf_free(&name);
}

static bool claim_names(struct page_family *f) {
    for (size_t i = 0; i < f->claims; i++) {
        const struct page_family *owner = f->claim[i]->owner;

        if (owner && owner != f && owner->used)
            return false;
    }
    for (size_t i = 0; i < f->claims; i++)
        f->claim[i]->owner = f;
    return true;
}

static void add_head(struct buf *out, const char *what, const struct page_family *f,
                     enum page_format format) {
    buf_adds(out, what);
    buf_add(out, f->name, f->name_len);
    if (format == PAGE_TEXT)
        buf_adds(out, type_of[f->type].suffix);
    buf_addc(out, ' ');
}

/* Most pages have the heads of the one before. */
static void make_head(struct page_family *f, enum page_format format, const char *help,
                      size_t help_len) {
    struct page_head *head = &f->head[format];

    if (head->text.len > 0 && head->type == f->type && head->help.len == help_len &&
        memcmp(head->help.data, help, help_len) == 0)
        return;
    head->type = f->type;
    head->help.len = head->text.len = 0;
    buf_add(&head->help, help, help_len);
    add_head(&head->text, "# HELP ", f, format);
    escape(&head->text, help, help_len, format == PAGE_OPENMETRICS);
    buf_addc(&head->text, '\n');
    add_head(&head->text, "# TYPE ", f, format);
    buf_adds(&head->text,
             format == PAGE_TEXT ? type_of[f->type].text_name : type_of[f->type].openmetrics_name);
    buf_addc(&head->text, '\n');
}

struct page_family *page_family(struct page *p, const char *name, size_t name_len,
                                enum page_type type, const char *help, size_t help_len) {
    struct page_family *f = find_or_add(p, name, name_len);

    if (f->used)
        return f->type == type ? f : NULL;
    if (f->claims == 0 || f->type != type)
        set_type(p, f, type);
    if (!claim_names(f))
        return NULL;
    f->used = true;
    make_head(f, p->format, help, help_len);
    return f;
}

void page_label(struct buf *labels, const char *name, size_t name_len, const char *value,
                size_t value_len) {
    if (labels->len > 0)
        buf_addc(labels, ',');
    buf_add(labels, name, name_len);
    buf_adds(labels, "=\"");
    escape(labels, value, value_len, true);
    buf_addc(labels, '"');
}

/* Writes the digits of `v` without zeros at the end; `*length` is how many there are with them. */
static size_t digits_of(uint64_t v, char *digits, int *length) {
    char reversed[20];
    int n = 0;
    size_t zeros = 0;

    do
        reversed[n++] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    *length = n;
    while (zeros + 1 < (size_t)n && reversed[zeros] == '0')
        zeros++;
    for (int i = 0; i < n - (int)zeros; i++)
        digits[i] = reversed[n - 1 - i];
    return (size_t)n - zeros;
}

/* Whole numbers, and those with few places, which most are: a decimal of at most 15 digits that
 * reads back as the number is the shortest one. Returns 0 when it is none of these. */
static size_t short_decimal(double value, char *digits, int *exponent) {
    static const struct {
        double below, scale;
        int places;
    } steps[] = {{1e6, 1e9, 9}, {1e9, 1e6, 6}, {1e12, 1e3, 3}};
    size_t n;

    if (value >= 1 && value < 1e15 && value == floor(value)) {
        n = digits_of((uint64_t)value, digits, exponent);
        --*exponent;
        return n;
    }
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        double scaled = round(value * steps[i].scale);

        if (value >= steps[i].below)
            continue;
        if (scaled < 1 || scaled / steps[i].scale != value)
            return 0;
        n = digits_of((uint64_t)scaled, digits, exponent);
        *exponent -= 1 + steps[i].places;
        return n;
    }
    return 0;
}

/* The shortest decimal digits that read back as `value` >= 0, and the exponent of the first one. */
static size_t shortest(double value, char *digits, int *exponent) {
    char text[40];
    size_t n = short_decimal(value, digits, exponent);

    if (n > 0)
        return n;
    for (int precision = 14; precision <= 16; precision++) {
        (void)snprintf(text, sizeof(text), "%.*e", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    for (const char *c = text; *c != 'e'; c++) {
        if (*c != '.')
            digits[n++] = *c;
    }
    *exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

static char *put(char *to, const char *from, size_t n) {
    memcpy(to, from, n);
    return to + n;
}

static char *put_exponent(char *to, const char *digits, size_t n, int exponent) {
    to = put(to, digits, 1);
    if (n > 1) {
        *to++ = '.';
        to = put(to, digits + 1, n - 1);
    }
    *to++ = 'e';
    *to++ = exponent < 0 ? '-' : '+';
    exponent = abs(exponent);
    if (exponent >= 100)
        *to++ = (char)('0' + exponent / 100);
    *to++ = (char)('0' + exponent / 10 % 10);
    *to++ = (char)('0' + exponent % 10);
    return to;
}

/* Python's repr() of a float, with Go's exponents for positive numbers from a million on. */
static char *put_number(char *to, double value) {
    char digits[32];
    int exponent;
    size_t n = shortest(fabs(value), digits, &exponent);

    if (signbit(value))
        *to++ = '-';
    if (exponent < -4 || exponent >= 16 || (value > 0 && exponent >= 6))
        return put_exponent(to, digits, n, exponent);
    if (exponent < 0) {
        to = put(to, "0.000", (size_t)(1 - exponent));
        return put(to, digits, n);
    }
    for (int i = 0; i <= exponent; i++)
        to = put(to, (size_t)i < n ? &digits[i] : "0", 1);
    *to++ = '.';
    if (n > (size_t)exponent + 1)
        return put(to, digits + exponent + 1, n - (size_t)exponent - 1);
    *to++ = '0';
    return to;
}

size_t page_number(char *text, double value) {
    char *end = text;

    if (isnan(value)) {
        end = put(end, "NaN", 3);
    } else if (isinf(value)) {
        end = put(end, value > 0 ? "+Inf" : "-Inf", 4);
    } else if (value >= 0 && value < 10 && value == floor(value) && !signbit(value)) {
        *end++ = (char)('0' + (int)value);
        end = put(end, ".0", 2);
    } else {
        end = put_number(end, value);
    }
    *end = '\0';
    return (size_t)(end - text);
}

void page_line(struct page_family *f, const char *start, size_t len, double value) {
    char *to;

    buf_reserve(&f->line, len + PAGE_NUMBER_MAX);
    to = put(f->line.data + f->line.len, start, len);
    to += page_number(to, value);
    *to++ = '\n';
    *to = '\0';
    f->line.len = (size_t)(to - f->line.data);
}

void page_sample(struct page_family *f, const char *suffix, const char *labels, double value) {
    buf_add(&f->line, f->name, f->name_len);
    buf_adds(&f->line, suffix);
    if (labels && *labels) {
        buf_addc(&f->line, '{');
        buf_adds(&f->line, labels);
        buf_addc(&f->line, '}');
    }
    page_line(f, " ", 1, value);
}

void page_render(const struct page *p, struct buf *out) {
    size_t size = 0;

    for (const struct page_family *f = p->first; f; f = f->next) {
        if (f->used)
            size += f->head[p->format].text.len + f->line.len;
    }
    buf_reserve(out, size + sizeof(openmetrics_end));
    for (const struct page_family *f = p->first; f; f = f->next) {
        if (!f->used)
            continue;
        buf_add(out, f->head[p->format].text.data, f->head[p->format].text.len);
        buf_add(out, f->line.data ? f->line.data : "", f->line.len);
    }
    if (p->format == PAGE_OPENMETRICS)
        buf_adds(out, openmetrics_end);
}
