/* SPDX-License-Identifier: MIT */
#include "diff.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "frametext.h"
#include "hash.h"
#include "pages.h"
#include "textsort.h"

enum { FIRST_SLOTS = 4096, FLUSH = 1 << 18, BLOCK = 4 << 20 };

/* Keeps a text. The first block is small, the others are of large pages. */
static const char *keep(struct diff *d, const char *s, size_t len) {
    struct diff_block *last = d->n_blocks > 0 ? &d->blocks[d->n_blocks - 1] : NULL;
    char *p;

    if (!last || last->size - d->used < len) {
        size_t size = last ? BLOCK : BLOCK / 64;

        d->blocks = xrealloc(d->blocks, (d->n_blocks + 1) * sizeof(*d->blocks));
        last = &d->blocks[d->n_blocks++];
        last->size = len > size ? len : size;
        last->data = pages_alloc(last->size);
        d->used = 0;
    }
    p = last->data + d->used;
    memcpy(p, s, len);
    d->used += len;
    return p;
}

static void grow(struct diff *d) {
    if (d->n >= UINT32_MAX / 4)
        die(EX_FAIL, "more than %u different stacks", d->n);
    d->cap *= 2;
    d->mask = d->mask * 2 + 1;
    d->stacks = xrealloc(d->stacks, d->cap * sizeof(*d->stacks));
    free(d->slots);
    d->slots = xcalloc((size_t)d->mask + 1, sizeof(*d->slots));
    for (uint32_t i = 0; i < d->n; i++) {
        uint32_t slot = d->stacks[i].hash & d->mask;

        while (d->slots[slot])
            slot = (slot + 1) & d->mask;
        d->slots[slot] = i + 1;
    }
}

static struct text_key key_of(const struct diff *d, uint32_t i) {
    return (struct text_key){.s = d->stacks[i].s, .len = d->stacks[i].len, .id = i};
}

/* The place of a stack, a new one where it was not seen yet. */
static struct diff_stack *find(struct diff *d, const char *stack, size_t len) {
    uint32_t hash = (uint32_t)hash_bytes(stack, len, d->seed), slot, at;

    if (d->n == d->cap)
        grow(d);
    for (slot = hash & d->mask; (at = d->slots[slot]) != 0; slot = (slot + 1) & d->mask) {
        struct diff_stack *s = &d->stacks[at - 1];

        if (s->hash == hash && s->len == len && memcmp(s->s, stack, len) == 0)
            return s;
    }
    if (len > UINT32_MAX)
        die(EX_FAIL, "a stack is longer than 4 GiB");
    d->stacks[d->n] =
        (struct diff_stack){.s = keep(d, stack, len), .len = (uint32_t)len, .hash = hash};
    d->slots[slot] = ++d->n;
    if (d->sorted[d->run] && d->n - 1 > d->first[d->run]) {
        struct text_key last = key_of(d, d->n - 2), now = key_of(d, d->n - 1);

        d->sorted[d->run] = textsort_compare(&last, &now) < 0;
    }
    return &d->stacks[d->n - 1];
}

/* From now on weights are in millionths. */
static void rescale(struct diff *d) {
    for (int run = 0; run < 2; run++) {
        d->total[run] = weight_to_micro(d->total[run]);
        for (uint32_t i = 0; i < d->n; i++)
            d->stacks[i].weight[run] *= WEIGHT_MICRO;
    }
    d->scale = WEIGHT_MICRO;
}

/* Copies a stack to d->merged, `f (a.py:12);g` as `f (a.py);g`. */
static void merge_lines(struct diff *d, const char *stack, size_t len) {
    d->merged.len = 0;
    for (size_t from = 0; from <= len;) {
        const char *semicolon = memchr(stack + from, ';', len - from);
        size_t n = (semicolon ? (size_t)(semicolon - stack) : len) - from, at;

        if (frame_line_number(stack + from, n, &at) > 0) {
            buf_add(&d->merged, stack + from, at);
            buf_addc(&d->merged, ')');
        } else {
            buf_add(&d->merged, stack + from, n);
        }
        if (semicolon)
            buf_addc(&d->merged, ';');
        from += n + 1;
    }
}

static void add(void *arg, const char *stack, size_t len, const struct weight w[2]) {
    struct diff *d = arg;
    struct diff_stack *s;
    uint64_t weight;

    if (d->merge_lines) {
        merge_lines(d, stack, len);
        stack = d->merged.data;
        len = d->merged.len;
    }
    s = find(d, stack, len);
    if (w[0].micro && d->scale == 1)
        rescale(d);
    weight = weight_scaled(w[0], d->scale);
    weight_add(&d->total[d->run], weight);
    s->weight[d->run] += weight;
}

void diff_init(struct diff *d) {
    *d = (struct diff){
        .cap = FIRST_SLOTS / 2, .mask = FIRST_SLOTS - 1, .scale = 1, .seed = hash_seed()};
    d->stacks = xcalloc(d->cap, sizeof(*d->stacks));
    d->slots = xcalloc(FIRST_SLOTS, sizeof(*d->slots));
    for (int run = 0; run < 2; run++) {
        d->sorted[run] = true;
        d->file[run].each = add;
        d->file[run].arg = d;
    }
}

void diff_free(struct diff *d) {
    free(d->stacks);
    free(d->slots);
    for (uint32_t i = 0; i < d->n_blocks; i++)
        pages_free(d->blocks[i].data, d->blocks[i].size);
    free(d->blocks);
    free(d->order);
    buf_free(&d->merged);
    stackfile_free(&d->file[0]);
    stackfile_free(&d->file[1]);
}

struct stackfile *diff_begin(struct diff *d, int run) {
    d->run = run;
    d->first[run] = d->n;
    return &d->file[run];
}

void diff_read(struct diff *d, const char *path, int run) {
    struct stackfile *f = diff_begin(d, run);

    stackfile_read(f, path);
    stackfile_report_bad(f);
}

void diff_sort(struct diff *d) {
    struct text_key *all = xcalloc(d->n, sizeof(*all)), *merged;
    uint32_t middle = d->first[1], a = 0, b = middle;

    for (uint32_t i = 0; i < d->n; i++)
        all[i] = key_of(d, i);
    if (!d->sorted[0] || !d->sorted[1]) {
        textsort(all, d->n);
        d->order = all;
        return;
    }
    merged = xcalloc(d->n, sizeof(*merged));
    for (uint32_t i = 0; i < d->n; i++) {
        bool left = b == d->n || (a < middle && textsort_compare(&all[a], &all[b]) < 0);

        merged[i] = all[left ? a++ : b++];
    }
    free(all);
    d->order = merged;
}

void diff_normalize(struct diff *d) {
    unsigned __int128 sum = 0;
    uint64_t from = d->total[0], to = d->total[1], before = 0;

    if (from == 0 || to == 0)
        return;
    /* The sums are rounded and not the weights, so that the last sum is exact. */
    for (uint32_t i = 0; i < d->n; i++) {
        uint64_t now;

        sum += d->stacks[d->order[i].id].weight[0];
        now = (uint64_t)((sum * to + from / 2) / from);
        d->stacks[d->order[i].id].weight[0] = now - before;
        before = now;
    }
    d->total[0] = to;
}

/* "# key: value", where the file has it. */
static void put_meta(struct buf *b, const char *key, const char *value) {
    if (!value)
        return;
    buf_printf(b, "# %s: ", key);
    (void)frame_put(b, value, strlen(value), 0);
    buf_addc(b, '\n');
}

void diff_write(struct diff *d, FILE *out) {
    const char *unit = stackfile_meta(&d->file[0], "unit"),
               *other = stackfile_meta(&d->file[1], "unit");
    const struct text_key *order = d->order;
    struct buf b = {0};

    buf_adds(&b, "# weights: baseline candidate\n");
    put_meta(&b, "unit", unit && other && strcmp(unit, other) == 0 ? unit : NULL);
    for (uint32_t i = 0; i < d->n; i++) {
        const struct diff_stack *s = &d->stacks[order[i].id];

        /* The next ones are anywhere in memory. */
        for (size_t at = 0; i + 4 < d->n && at < order[i + 4].len && at < 1024; at += 64)
            __builtin_prefetch(order[i + 4].s + at);
        buf_add(&b, order[i].s, order[i].len);
        for (int run = 0; run < 2; run++) {
            buf_addc(&b, ' ');
            weight_put(&b, s->weight[run], d->scale);
        }
        buf_addc(&b, '\n');
        if (b.len > FLUSH) {
            (void)fwrite(b.data, 1, b.len, out);
            b.len = 0;
        }
    }
    if (b.len > 0)
        (void)fwrite(b.data, 1, b.len, out);
    buf_free(&b);
}
