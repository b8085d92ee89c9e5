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

static void forget(struct page *p) {
    for (size_t i = 0; i < p->n; i++) {
        buf_free(&p->family[i]->help);
        buf_free(&p->family[i]->line);
    }
    map_free(&p->by_name);
    map_free(&p->claims);
    arena_free(&p->memory);
    p->n = 0;
}

void page_begin(struct page *p, enum page_format format) {
    size_t used = 0;

    for (size_t i = 0; i < p->n; i++)
        used += p->family[i]->used;
    if (p->n > 2 * used + FORGET_ABOVE)
        forget(p);
    for (size_t i = 0; i < p->n; i++) {
        p->family[i]->used = false;
        p->family[i]->line.len = 0;
        /* What one large page needed is not held for ever. */
        if (p->family[i]->line.cap > (1u << 20))
            buf_free(&p->family[i]->line);
    }
    p->format = format;
}

void page_free(struct page *p) {
    forget(p);
    free(p->family);
    *p = (struct page){0};
}

static void escape(struct buf *out, const char *s, size_t len, bool quote) {
    size_t done = 0;

    for (size_t i = 0; i < len; i++) {
        if (s[i] != '\n' && s[i] != '\\' && (s[i] != '"' || !quote))
            continue;
        buf_add(out, s + done, i - done);
        buf_addc(out, '\\');
        buf_addc(out, s[i] == '\n' ? 'n' : s[i]);
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
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 64;
        p->family = xrealloc(p->family, p->cap * sizeof(p->family[0]));
    }
    p->family[p->n++] = f;
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
    f->help.len = 0;
    escape(&f->help, help, help_len, p->format == PAGE_OPENMETRICS);
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

/* Whole numbers and those with up to nine places, which most are: a decimal of at most 15 digits
 * that reads back as the number is the shortest one. Returns 0 when it is none of these. */
static size_t short_decimal(double value, char *digits, int *exponent) {
    double scaled = value == floor(value) ? value : round(value * 1e9);
    size_t n;

    if (!(scaled >= 1 && scaled < 1e15) || (scaled != value && scaled / 1e9 != value))
        return 0;
    n = digits_of((uint64_t)scaled, digits, exponent);
    *exponent -= scaled == value ? 1 : 10;
    return n;
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
    *exponent = atoi(strchr(text, 'e') + 1);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

static void add_exponent(struct buf *out, const char *digits, size_t n, int exponent) {
    buf_add(out, digits, 1);
    if (n > 1) {
        buf_addc(out, '.');
        buf_add(out, digits + 1, n - 1);
    }
    buf_printf(out, "e%+03d", exponent);
}

/* Python's repr() of a float, with Go's exponents for positive numbers from a million on. */
static void add_number(struct buf *out, double value) {
    char digits[32];
    int exponent;
    size_t n = shortest(fabs(value), digits, &exponent);

    if (signbit(value))
        buf_addc(out, '-');
    if (exponent < -4 || exponent >= 16 || (value > 0 && exponent >= 6)) {
        add_exponent(out, digits, n, exponent);
        return;
    }
    if (exponent < 0) {
        buf_adds(out, "0.");
        for (int i = exponent; i < -1; i++)
            buf_addc(out, '0');
        buf_add(out, digits, n);
        return;
    }
    for (int i = 0; i <= exponent; i++)
        buf_addc(out, (size_t)i < n ? digits[i] : '0');
    buf_addc(out, '.');
    if (n > (size_t)exponent + 1)
        buf_add(out, digits + exponent + 1, n - (size_t)exponent - 1);
    else
        buf_addc(out, '0');
}

void page_number(struct buf *out, double value) {
    if (isnan(value)) {
        buf_adds(out, "NaN");
    } else if (isinf(value)) {
        buf_adds(out, value > 0 ? "+Inf" : "-Inf");
    } else if (value >= 0 && value < 1e6 && value == floor(value) && !signbit(value)) {
        /* Most are small counts. */
        char text[16], *p = text + sizeof(text);
        uint32_t v = (uint32_t)value;

        *--p = '0';
        *--p = '.';
        do
            *--p = (char)('0' + v % 10);
        while ((v /= 10) > 0);
        buf_add(out, p, (size_t)(text + sizeof(text) - p));
    } else {
        add_number(out, value);
    }
}

void page_line(struct page_family *f, const char *start, size_t len, double value) {
    buf_add(&f->line, start, len);
    page_number(&f->line, value);
    buf_addc(&f->line, '\n');
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

static void add_head(struct buf *out, const char *what, const struct page_family *f,
                     enum page_format format) {
    buf_adds(out, what);
    buf_add(out, f->name, f->name_len);
    if (format == PAGE_TEXT)
        buf_adds(out, type_of[f->type].suffix);
    buf_addc(out, ' ');
}

void page_render(const struct page *p, struct buf *out) {
    for (size_t i = 0; i < p->n; i++) {
        const struct page_family *f = p->family[i];

        if (!f->used)
            continue;
        add_head(out, "# HELP ", f, p->format);
        buf_add(out, f->help.data ? f->help.data : "", f->help.len);
        buf_addc(out, '\n');
        add_head(out, "# TYPE ", f, p->format);
        buf_adds(out, p->format == PAGE_TEXT ? type_of[f->type].text_name
                                             : type_of[f->type].openmetrics_name);
        buf_addc(out, '\n');
        buf_add(out, f->line.data ? f->line.data : "", f->line.len);
    }
    if (p->format == PAGE_OPENMETRICS)
        buf_adds(out, "# EOF\n");
}
