/* SPDX-License-Identifier: MIT
 * Which frames are drawn, and where: wide enough ones, row by row. Among siblings those that are
 * drawn stand first, by name; what is left free to their right is their caller's own weight and
 * what is too narrow to draw.
 */
#include <stdlib.h>
#include <string.h>

#include "flamegraph.h"

enum {
    MARGINS = 20,
    ROW_PX = 1, /* a row that is narrower in all is not drawn, nor what stands on it */
};

static uint32_t add(struct picture *p, uint32_t node, uint32_t parent) {
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 4096;
        p->frames = xrealloc(p->frames, p->cap * sizeof(*p->frames));
    }
    p->frames[p->count] = (struct frame){.node = node,
                                         .parent = parent,
                                         .weight = p->total[node],
                                         .own = p->own[node],
                                         .base = p->base_total ? p->base_total[node] : 0};
    return p->count++;
}

/* The weight that is so wide; at least 1, since what has no weight has no width. */
static uint64_t least_weight(const struct picture *p, double px) {
    double least = px * (double)p->all / (p->opts->width - MARGINS);
    uint64_t w = (uint64_t)least;

    return (double)w < least || w == 0 ? w + 1 : w;
}

/* What a frame is sorted by: its caller's place, then its name. */
struct key {
    uint32_t parent, rank, node;
};

static int by_key(const void *a, const void *b) {
    const struct key *x = a, *y = b;

    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static void add_row(struct picture *p, struct key *keys, uint32_t n) {
    qsort(keys, n, sizeof(*keys), by_key);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = add(p, keys[i].node, keys[i].parent);
        struct frame *parent = &p->frames[keys[i].parent];

        p->frames[at].start = parent->start + parent->used;
        parent->used += p->frames[at].weight;
    }
}

/* One stack of hundreds of frames that was seen once would make a picture several times as high as
 * what there is to see in it. Rows grow narrower with their depth. */
static void cut_rows(struct picture *p, uint32_t *depth) {
    const struct calltree *t = &p->stacks->tree;
    uint64_t *width = xcalloc(p->rows, sizeof(*width)), least = least_weight(p, ROW_PX);
    uint32_t rows = 1;

    for (uint32_t i = 1; i < t->n; i++) {
        if (depth[i] > 0)
            width[depth[i]] += p->total[i];
    }
    while (rows < p->rows && width[rows] >= least)
        rows++;
    for (uint32_t i = 1; i < t->n && rows < p->rows; i++) {
        if (depth[i] < rows)
            continue;
        depth[i] = 0;
        p->hidden++;
        p->hidden_weight += p->own[i];
    }
    p->cut = rows < p->rows;
    p->rows = rows;
    free(width);
}

void layout(struct picture *p) {
    const struct calltree *t = &p->stacks->tree;
    uint32_t *rank = intern_ranks(&t->frames), *depth = xcalloc(t->n, sizeof(*depth));
    uint32_t *place = xcalloc(t->n, sizeof(*place)), *filled;
    uint64_t least;
    struct key *keys;

    p->all = p->total[0];
    least = least_weight(p, p->opts->minwidth / 100.0);
    p->rows = 1;
    /* First how many there are in each row, then the rows one after the other. A parent stands
     * before its children. */
    p->row = xcalloc((size_t)p->opts->max_depth + 2, sizeof(*p->row));
    p->row[1] = 1;
    for (uint32_t i = 1; i < t->n; i++) {
        uint32_t above = t->nodes[i].parent;

        if (p->total[i] >= least && (above == 0 || depth[above] > 0) &&
            depth[above] + 1 < p->opts->max_depth) {
            depth[i] = depth[above] + 1;
            p->row[depth[i] + 1]++;
            p->rows = depth[i] + 1 > p->rows ? depth[i] + 1 : p->rows;
        } else if (p->total[i] > 0) {
            p->hidden++;
            p->hidden_weight += p->own[i];
        }
    }
    if (p->opts->minwidth > 0)
        cut_rows(p, depth);
    for (uint32_t r = 1; r <= p->rows; r++)
        p->row[r] += p->row[r - 1];
    keys = xcalloc(p->row[p->rows], sizeof(*keys));
    filled = xcalloc(p->rows, sizeof(*filled));
    for (uint32_t i = 1; i < t->n; i++) {
        if (depth[i] > 0)
            keys[p->row[depth[i]] + filled[depth[i]]++] =
                (struct key){t->nodes[i].parent, rank[t->nodes[i].frame], i};
    }
    (void)add(p, 0, 0);
    for (uint32_t r = 1; r < p->rows; r++) {
        for (uint32_t i = p->row[r]; i < p->row[r + 1]; i++)
            keys[i].parent = place[keys[i].parent];
        add_row(p, keys + p->row[r], p->row[r + 1] - p->row[r]);
        for (uint32_t i = p->row[r]; i < p->row[r + 1]; i++)
            place[p->frames[i].node] = i;
    }
    free(filled);
    free(keys);
    free(place);
    free(depth);
    free(rank);
}

void layout_free(struct picture *p) {
    free(p->frames);
    free(p->row);
}
