/* SPDX-License-Identifier: MIT */
#include "stacks.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "input.h"

enum { META_MAX = 1 << 20, BAD_TEXT = 60 };

void stacks_init(struct stacks *s, bool diff) {
    *s = (struct stacks){.scale = 1, .diff = diff};
    calltree_init(&s->tree);
    collapsed_init(&s->path, &s->tree);
}

void stacks_free(struct stacks *s) {
    collapsed_free(&s->path);
    calltree_free(&s->tree);
    free(s->base);
    buf_free(&s->bad_text);
    buf_free(&s->meta);
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
static bool parse_weight(const char *s, size_t len, struct stacks_weight *w) {
    uint64_t unit = STACKS_MICRO, micro = 0;
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
    if (micro == STACKS_MICRO) {
        micro = 0;
        if (__builtin_add_overflow(w->whole, 1U, &w->whole))
            return false;
    }
    w->micro = (uint32_t)micro;
    return i == len && len > 0 && s[0] != '.' && s[len - 1] != '.';
}

bool stacks_split(const char *line, size_t len, bool diff, size_t *stack_len,
                  struct stacks_weight w[2]) {
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

/* From now on weights are in millionths. */
static void rescale(struct stacks *s) {
    bool over = __builtin_mul_overflow(s->tree.total, (uint64_t)STACKS_MICRO, &s->tree.total) ||
                __builtin_mul_overflow(s->base_total, (uint64_t)STACKS_MICRO, &s->base_total);

    if (over)
        die(EX_FAIL, "the sum of the weights is above 2^64 millionths; weights so large must be "
                     "whole numbers");
    for (uint32_t i = 0; i < s->tree.n; i++)
        s->tree.nodes[i].weight *= STACKS_MICRO;
    for (uint32_t i = 0; i < s->base_cap; i++)
        s->base[i] *= STACKS_MICRO;
    s->scale = STACKS_MICRO;
}

static uint64_t scaled(struct stacks *s, struct stacks_weight w) {
    uint64_t v;

    if (w.micro && s->scale == 1)
        rescale(s);
    if (__builtin_mul_overflow(w.whole, s->scale, &v) ||
        __builtin_add_overflow(v, s->scale > 1 ? w.micro : 0U, &v))
        die(EX_FAIL, "a weight is above 2^64 millionths; weights so large must be whole numbers");
    return v;
}

/* Makes room for the baseline of `n` nodes. */
static void grow_base(struct stacks *s, uint32_t n) {
    uint32_t cap = s->tree.cap > n ? s->tree.cap : n;

    if (n <= s->base_cap)
        return;
    s->base = xrealloc(s->base, cap * sizeof(*s->base));
    memset(s->base + s->base_cap, 0, (cap - s->base_cap) * sizeof(*s->base));
    s->base_cap = cap;
}

const uint64_t *stacks_base(struct stacks *s) {
    grow_base(s, s->tree.n);
    return s->base;
}

static void add_base(struct stacks *s, uint32_t node, uint64_t weight) {
    if (__builtin_add_overflow(s->base_total, weight, &s->base_total))
        die(EX_FAIL, "the sum of the weights is above 2^64 - 1");
    grow_base(s, node + 1);
    s->base[node] += weight;
}

/* Keeps "# key: value"; a comment of another form says nothing. */
static void add_meta(struct stacks *s, const char *line, size_t len) {
    size_t end = trimmed(line, len), key = 2, value;

    while (key < end && (isalnum((unsigned char)line[key]) || line[key] == '_' || line[key] == '-'))
        key++;
    if (key == 2 || key + 2 >= end || line[0] != '#' || line[key] != ':' || line[key + 1] != ' ')
        return;
    for (value = key + 2; line[value] == ' '; value++)
        continue;
    if (memchr(line, '\0', end) || s->meta.len > META_MAX)
        return;
    buf_add(&s->meta, line + 2, key - 2);
    buf_addc(&s->meta, '\0');
    buf_add(&s->meta, line + value, end - value);
    buf_addc(&s->meta, '\0');
}

const char *stacks_meta(const struct stacks *s, const char *key) {
    const char *found = NULL;

    for (size_t i = 0; i < s->meta.len;) {
        const char *k = s->meta.data + i, *v = k + strlen(k) + 1;

        if (strcmp(k, key) == 0)
            found = v;
        i = (size_t)(v - s->meta.data) + strlen(v) + 1;
    }
    return found;
}

void stacks_line(struct stacks *s, const char *line, size_t len) {
    struct stacks_weight w[2] = {{0, 0}, {0, 0}};
    size_t stack_len;
    uint32_t node;

    s->lines++;
    if (collapsed_is_blank(line, len)) {
        add_meta(s, line, len);
        return;
    }
    if (!stacks_split(line, len, s->diff, &stack_len, w)) {
        if (s->bad++ == 0) {
            s->bad_line = s->lines;
            buf_add_json(&s->bad_text, line, len < BAD_TEXT ? len : BAD_TEXT);
        }
        return;
    }
    s->stacks++;
    /* py-spy writes a stack of which it could read no frame as its weight alone. */
    node = stack_len > 0 ? collapsed_node(&s->path, line, stack_len)
                         : collapsed_node(&s->path, "(no frames)", 11);
    if (s->diff) {
        add_base(s, node, scaled(s, w[0]));
        w[0] = w[1];
    }
    calltree_add(&s->tree, node, scaled(s, w[0]));
}

void stacks_read(struct stacks *s, const char *path) {
    struct input in;

    input_open(&in, path);
    while (input_fill(&in)) {
        const char *nl;

        while ((nl = memchr(in.data + in.pos, '\n', in.len - in.pos)) != NULL) {
            size_t len = (size_t)(nl - in.data) - in.pos;

            stacks_line(s, in.data + in.pos, len);
            in.pos += len + 1;
        }
    }
    input_close(&in);
}

void stacks_report_bad(const struct stacks *s) {
    if (s->bad > 0)
        warn("%" PRIu64 " of %" PRIu64
             " lines left out, which have no %s at their end; the first is line %" PRIu64 ": '%s'",
             s->bad, s->lines, s->diff ? "two weights" : "weight", s->bad_line, s->bad_text.data);
}

void stacks_put_weight(struct buf *b, uint64_t weight, uint64_t scale) {
    char text[32];
    int n = snprintf(text, sizeof(text), "%" PRIu64, weight / scale);

    if (weight % scale) {
        n += snprintf(text + n, sizeof(text) - (size_t)n, ".%06" PRIu64, weight % scale);
        while (text[n - 1] == '0')
            n--;
    }
    buf_add(b, text, (size_t)n);
}

uint64_t *stacks_totals(const struct calltree *t, const uint64_t *own) {
    uint64_t *sum = xcalloc(t->n, sizeof(*sum));

    for (uint32_t i = 0; i < t->n; i++)
        sum[i] = own ? own[i] : t->nodes[i].weight;
    /* A parent stands before its children. */
    for (uint32_t i = t->n - 1; i > 0; i--)
        sum[t->nodes[i].parent] += sum[i];
    return sum;
}

bool stacks_is_wait(const char *frame, size_t len) {
    static const char *const code[] = {"[running]", "[unknown]", "[kernel",  "[vdso",
                                       "[vsyscall", "[heap]",    "[stack",   "[anon",
                                       "[jit",      "[[",        "[deleted", "[module"};

    if (len < 3 || frame[0] != '[' || memmem(frame, len, ".so", 3))
        return false;
    for (size_t i = 0; i < sizeof(code) / sizeof(code[0]); i++) {
        size_t n = strlen(code[i]);

        if (len >= n && memcmp(frame, code[i], n) == 0)
            return false;
    }
    return true;
}
