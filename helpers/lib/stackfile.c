/* SPDX-License-Identifier: MIT */
#include "stackfile.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "collapsed.h"
#include "err.h"
#include "input.h"

enum { BAD_TEXT = 60 };

void stackfile_free(struct stackfile *f) {
    buf_free(&f->bad_text);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static size_t trimmed(const char *s, size_t len) {
    while (len > 0 && is_blank(s[len - 1]))
        len--;
    return len;
}

/* Parses s[0 .. len) as digits, with decimals after a point; more than six are rounded. */
static bool parse_weight(const char *s, size_t len, struct weight *w) {
    uint64_t unit = WEIGHT_MICRO, micro = 0;
    size_t i = 0;

    w->whole = 0;
    for (; i < len && s[i] >= '0' && s[i] <= '9'; i++) {
        if (__builtin_mul_overflow(w->whole, 10U, &w->whole) ||
            __builtin_add_overflow(w->whole, (uint64_t)(s[i] - '0'), &w->whole))
            return false;
    }
    if (i < len && s[i] == '.') {
        for (i++; i < len && s[i] >= '0' && s[i] <= '9'; i++) {
            uint64_t digit = (uint64_t)(s[i] - '0');

            if (unit == 1)
                micro += digit >= 5;
            unit /= 10;
            micro += unit * digit;
        }
    }
    if (micro == WEIGHT_MICRO) {
        micro = 0;
        if (__builtin_add_overflow(w->whole, 1U, &w->whole))
            return false;
    }
    w->micro = (uint32_t)micro;
    return i == len && len > 0 && s[0] != '.' && s[len - 1] != '.';
}

bool stackfile_split(const char *line, size_t len, bool diff, size_t *stack_len,
                     struct weight w[2]) {
    size_t end = trimmed(line, len), at;

    for (int column = diff ? 1 : 0; column >= 0; column--) {
        for (at = end; at > 0 && !is_blank(line[at - 1]); at--)
            continue;
        if (at == 0 || !parse_weight(line + at, end - at, &w[column]))
            return false;
        end = trimmed(line, at);
    }
    *stack_len = end;
    return true;
}

static bool is_key(const char *line, size_t key, const char *s) {
    return key - 2 == strlen(s) && memcmp(line + 2, s, key - 2) == 0;
}

void stackfile_comment(struct stackfile *f, const char *line, size_t len) {
    const char *name = f->name ? f->name : "the input";
    size_t end = trimmed(line, len), key = 2, value;

    while (key < end && (isalnum((unsigned char)line[key]) || line[key] == '_' || line[key] == '-'))
        key++;
    if (key == 2 || key + 2 >= end || line[0] != '#' || line[key] != ':' || line[key + 1] != ' ')
        return;
    for (value = key + 2; line[value] == ' '; value++)
        continue;
    if (memchr(line, '\0', end))
        return;
    if (!f->diff && is_key(line, key, "weights"))
        die(EX_FAIL,
            "%s: it is a difference, with two weights a line, and no profile: draw it with "
            "`flamegraph --diff`, or give the files that it was made of",
            name);
    if (f->units && is_key(line, key, "unit"))
        units_say(f->units, name, line + value, end - value);
}

void stackfile_line(struct stackfile *f, const char *line, size_t len) {
    struct weight w[2] = {{0, 0}, {0, 0}};
    size_t stack_len;

    f->lines++;
    if (collapsed_is_blank(line, len)) {
        stackfile_comment(f, line, len);
        return;
    }
    if (!stackfile_split(line, len, f->diff, &stack_len, w)) {
        if (f->bad++ == 0) {
            f->bad_line = f->lines;
            buf_add_json(&f->bad_text, line, len < BAD_TEXT ? len : BAD_TEXT);
        }
        return;
    }
    f->stacks++;
    /* py-spy writes a stack of which it could read no frame as its weight alone. */
    if (stack_len > 0)
        f->each(f->arg, line, stack_len, w);
    else
        f->each(f->arg, "(no frames)", 11, w);
}

/* Takes the whole lines of a text; returns how long they are. */
static size_t take_lines(struct stackfile *f, const char *text, size_t len) {
    const char *s = text, *end = text + len, *nl;

    for (; (nl = memchr(s, '\n', (size_t)(end - s))) != NULL; s = nl + 1)
        stackfile_line(f, s, (size_t)(nl - s));
    return (size_t)(s - text);
}

void stackfile_read(struct stackfile *f, const char *path) {
    uint64_t before = f->stacks;
    const char *mapped;
    struct input in;
    size_t len;
    bool more;

    input_open(&in, path);
    f->name = in.name;
    more = input_fill(&in);
    if (f->maps && (mapped = input_map(&in, f->maps, &len)) != NULL) {
        f->stays = true;
        (void)take_lines(f, mapped, len);
        f->stays = false;
        more = input_fill(&in);
    }
    for (; more; more = input_fill(&in))
        in.pos += take_lines(f, in.data + in.pos, in.len - in.pos);
    if (f->units)
        units_end(f->units, f->name, f->stacks > before);
    input_close(&in);
}

void stackfile_report_bad(const struct stackfile *f) {
    if (f->bad > 0)
        warn("%" PRIu64 " of %" PRIu64
             " lines left out, which have no %s at their end; the first is line %" PRIu64 ": '%s'",
             f->bad, f->lines, f->diff ? "two weights" : "weight", f->bad_line, f->bad_text.data);
}

uint64_t weight_to_micro(uint64_t weight) {
    uint64_t v;

    if (__builtin_mul_overflow(weight, (uint64_t)WEIGHT_MICRO, &v))
        die(EX_FAIL,
            "the weights are above 2^64 millionths; weights so large must be whole numbers");
    return v;
}

uint64_t weight_scaled(struct weight w, uint64_t scale) {
    uint64_t v = scale == 1 ? w.whole : weight_to_micro(w.whole);

    if (scale > 1)
        weight_add(&v, w.micro);
    return v;
}

void weight_add(uint64_t *sum, uint64_t weight) {
    if (__builtin_add_overflow(*sum, weight, sum))
        die(EX_FAIL, "the sum of the weights is above 2^64 - 1");
}

void weight_put(struct buf *b, uint64_t weight, uint64_t scale) {
    uint64_t part = weight % scale;
    char decimals[6];
    size_t n = sizeof(decimals);

    buf_addu(b, weight / scale);
    if (part == 0)
        return;
    for (size_t i = n; i > 0; part /= 10)
        decimals[--i] = (char)('0' + part % 10);
    while (decimals[n - 1] == '0')
        n--;
    buf_addc(b, '.');
    buf_add(b, decimals, n);
}
