/* SPDX-License-Identifier: MIT */
#include "diff.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "frametext.h"
#include "textsort.h"

enum { FLUSH = 1 << 18 };

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

/* Whether the newest stack goes on the run's order, which is then as of a sorted file. */
static void check_order(struct diff *d) {
    uint32_t n = d->table.n;
    struct text_key last, now;

    if (!d->sorted[d->run] || n - 1 <= d->first[d->run])
        return;
    last = stacktable_key(&d->table, n - 2);
    now = stacktable_key(&d->table, n - 1);
    d->sorted[d->run] = textsort_compare(&last, &now) < 0;
}

static void add(void *arg, const char *stack, size_t len, const struct weight w[2]) {
    struct diff *d = arg;
    struct stacktable_stack *s;
    uint32_t known = d->table.n;
    bool stays = d->file[d->run].stays;

    if (d->merge_lines) {
        stays = false;
        merge_lines(d, stack, len);
        stack = d->merged.data;
        len = d->merged.len;
    }
    s = stacktable_find(&d->table, stack, len, stays);
    if (d->table.n > known)
        check_order(d);
    stacktable_add(&d->table, s, d->run, w[0]);
}

void diff_init(struct diff *d) {
    *d = (struct diff){.run = 0};
    stacktable_init(&d->table);
    for (int run = 0; run < 2; run++) {
        d->sorted[run] = true;
        d->file[run].each = add;
        d->file[run].arg = d;
        d->file[run].units = &d->units;
        d->file[run].maps = &d->table.files;
    }
}

void diff_free(struct diff *d) {
    stacktable_free(&d->table);
    free(d->order);
    buf_free(&d->merged);
    buf_free(&d->normalized);
    stackfile_free(&d->file[0]);
    stackfile_free(&d->file[1]);
    units_free(&d->units);
}

struct stackfile *diff_begin(struct diff *d, int run) {
    d->run = run;
    d->first[run] = d->table.n;
    return &d->file[run];
}

void diff_read(struct diff *d, const char *path, int run) {
    struct stackfile *f = diff_begin(d, run);

    stackfile_read(f, path);
    stackfile_report_bad(f);
}

void diff_sort(struct diff *d) {
    struct text_key *all = xcalloc(d->table.n, sizeof(*all)), *merged;
    uint32_t middle = d->first[1], a = 0, b = middle;

    for (uint32_t i = 0; i < d->table.n; i++)
        all[i] = stacktable_key(&d->table, i);
    if (!d->sorted[0] || !d->sorted[1]) {
        textsort(all, d->table.n);
        d->order = all;
        return;
    }
    merged = xcalloc(d->table.n, sizeof(*merged));
    for (uint32_t i = 0; i < d->table.n; i++) {
        bool left = b == d->table.n || (a < middle && textsort_compare(&all[a], &all[b]) < 0);

        merged[i] = all[left ? a++ : b++];
    }
    free(all);
    d->order = merged;
}

/* Weights of the candidate and its total in millionths, so that the baseline's small ones are seen
 * beside them. Where that is more than a browser counts exactly, whole weights are fine enough. */
static void refine(struct diff *d) {
    const uint64_t most = (UINT64_C(1) << 53) / WEIGHT_MICRO;

    if (d->table.scale > 1 || d->table.total[1] > most)
        return;
    d->table.scale = WEIGHT_MICRO;
    d->table.total[1] *= WEIGHT_MICRO;
    for (uint32_t i = 0; i < d->table.n; i++)
        d->table.stacks[i].weight[1] *= WEIGHT_MICRO;
}

bool diff_normalize(struct diff *d) {
    struct stacktable_stack *stacks = d->table.stacks, *largest = stacks;
    uint64_t from = d->table.total[0], to, before = 0, added = 0;
    unsigned __int128 sum = 0;

    if (from == 0 || d->table.total[1] == 0)
        return false;
    buf_adds(&d->normalized, "baseline ");
    weight_put(&d->normalized, from, d->table.scale);
    buf_adds(&d->normalized, " scaled to ");
    weight_put(&d->normalized, d->table.total[1], d->table.scale);
    refine(d);
    to = d->table.total[1];
    /* The sums are rounded and not the weights, so that the last sum is exact. */
    for (uint32_t i = 0; i < d->table.n; i++) {
        struct stacktable_stack *s = &stacks[d->order[i].id];
        bool was_there = s->weight[0] > 0;
        uint64_t now;

        sum += s->weight[0];
        now = (uint64_t)((sum * to + from / 2) / from);
        s->weight[0] = now - before;
        before = now;
        /* A stack that was there is not one that is new. */
        if (was_there && s->weight[0] == 0) {
            s->weight[0] = 1;
            added++;
        }
        if (s->weight[0] > largest->weight[0])
            largest = s;
    }
    if (added < largest->weight[0]) {
        largest->weight[0] -= added;
        added = 0;
    }
    d->table.total[0] = to + added;
    return true;
}

void diff_write(struct diff *d, FILE *out) {
    const char *unit = units_common(&d->units);
    const struct text_key *order = d->order;
    struct buf b = {0};

    buf_adds(&b, "# weights: baseline candidate\n");
    if (unit)
        buf_printf(&b, "# unit: %s\n", unit);
    if (d->normalized.len > 0)
        buf_printf(&b, "# normalized: %s\n", d->normalized.data);
    for (uint32_t i = 0; i < d->table.n; i++) {
        const struct stacktable_stack *s = &d->table.stacks[order[i].id];

        stacktable_prefetch(order, d->table.n, i);
        if (d->normalized.len > 0 && s->weight[0] == 0 && s->weight[1] == 0)
            continue;
        buf_add(&b, order[i].s, order[i].len);
        for (int run = 0; run < 2; run++) {
            buf_addc(&b, ' ');
            weight_put(&b, s->weight[run], d->table.scale);
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
