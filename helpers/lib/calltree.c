/* SPDX-License-Identifier: MIT */
#include "calltree.h"

#include <stdlib.h>

#include "buf.h"
#include "err.h"
#include "pages.h"

#ifndef CALLTREE_FIRST_SLOTS /* fuzzing begins with few, so that it comes to grow() */
#define CALLTREE_FIRST_SLOTS (1 << 17)
#endif

enum {
    FIRST_SLOTS = CALLTREE_FIRST_SLOTS, /* one large page: starting smaller costs page faults */
    FULL = 5,                           /* eighths of the slots */
};

void calltree_init(struct calltree *t) {
    *t = (struct calltree){.n = 1, .cap = FIRST_SLOTS / 8 * FULL, .mask = FIRST_SLOTS - 1};
    intern_init(&t->frames);
    t->nodes = pages_alloc(t->cap * sizeof(*t->nodes));
    t->slots = pages_alloc(FIRST_SLOTS * sizeof(*t->slots));
}

void calltree_free(struct calltree *t) {
    intern_free(&t->frames);
    pages_free(t->nodes, t->cap * sizeof(*t->nodes));
    pages_free(t->slots, (t->mask + 1) * sizeof(*t->slots));
    *t = (struct calltree){0};
}

static struct calltree_slot *free_slot(const struct calltree *t, uint32_t hash) {
    uint64_t i = hash & t->mask;

    while (t->slots[i].node)
        i = (i + 1) & t->mask;
    return &t->slots[i];
}

static void grow(struct calltree *t) {
    struct calltree_slot *old = t->slots;
    size_t n = t->mask + 1;

    if (t->n >= UINT32_MAX / 2)
        die(EX_FAIL, "more than %u different call paths", t->n);
    t->slots = pages_alloc(2 * n * sizeof(*t->slots));
    t->mask = 2 * n - 1;
    for (size_t i = 0; i < n; i++) {
        if (old[i].node)
            *free_slot(t, old[i].hash) = old[i];
    }
    pages_free(old, n * sizeof(*old));
    t->nodes = pages_grow(t->nodes, t->cap * sizeof(*t->nodes), 2 * sizeof(*t->nodes) * t->cap);
    t->cap *= 2;
}

struct calltree_at calltree_child(struct calltree *t, struct calltree_at at, uint32_t frame) {
    uint64_t path = calltree_hash(at.hash, frame), i = (path >> 32) & t->mask;
    struct calltree_slot *slot = &t->slots[i];

    while (slot->node) {
        if (slot->parent == at.node && slot->frame == frame)
            return (struct calltree_at){slot->node, path};
        i = (i + 1) & t->mask;
        slot = &t->slots[i];
    }
    if (t->n == t->cap) {
        grow(t);
        slot = free_slot(t, (uint32_t)(path >> 32));
    }
    t->nodes[t->n] = (struct calltree_node){at.node, frame, 0};
    *slot = (struct calltree_slot){at.node, frame, t->n, (uint32_t)(path >> 32)};
    return (struct calltree_at){t->n++, path};
}

void calltree_add(struct calltree *t, uint32_t node, uint64_t weight) {
    /* No node's sum can overflow when the total does not. */
    if (__builtin_add_overflow(t->total, weight, &t->total))
        die(EX_FAIL, "the sum of the weights is above 2^64 - 1");
    t->nodes[node].weight += weight;
}

/* Node ids sorted by their frame's rank (a counting sort). */
static uint32_t *by_rank(const struct calltree *t) {
    uint32_t *rank = intern_ranks(&t->frames), *order = xcalloc(t->n, sizeof(*order));
    uint32_t *start = xcalloc((size_t)t->frames.n + 2, sizeof(*start));

    for (uint32_t i = 1; i < t->n; i++)
        start[rank[t->nodes[i].frame] + 1]++;
    for (uint32_t r = 1; r <= t->frames.n; r++)
        start[r] += start[r - 1];
    for (uint32_t i = 1; i < t->n; i++)
        order[start[rank[t->nodes[i].frame]]++] = i;
    free(start);
    free(rank);
    return order;
}

void calltree_walk(const struct calltree *t,
                   void (*each)(void *arg, uint32_t depth, uint32_t frame, uint64_t weight),
                   void *arg) {
    uint32_t *order = by_rank(t), *first = xcalloc(t->n, sizeof(*first)),
             *next = xcalloc(t->n, sizeof(*next));
    uint32_t depth = 1, node;

    /* From the last to the first, each put in front of its siblings: the lists come out sorted. */
    for (uint32_t i = t->n - 1; i > 0; i--) {
        node = order[i - 1];
        next[node] = first[t->nodes[node].parent];
        first[t->nodes[node].parent] = node;
    }
    free(order);
    for (node = first[0]; node;) {
        each(arg, depth, t->nodes[node].frame, t->nodes[node].weight);
        if (first[node]) {
            node = first[node];
            depth++;
            continue;
        }
        while (node && !next[node]) {
            node = t->nodes[node].parent;
            depth--;
        }
        node = next[node]; /* the root has no sibling: 0 ends the walk */
    }
    free(first);
    free(next);
}
