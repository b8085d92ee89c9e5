/* SPDX-License-Identifier: MIT */
#include "calltree.h"

#include <stdlib.h>

#include "buf.h"
#include "err.h"

enum { FIRST_SLOTS = 4096 };

void calltree_init(struct calltree *t) {
    *t = (struct calltree){.n = 1, .cap = FIRST_SLOTS / 2, .mask = FIRST_SLOTS - 1};
    intern_init(&t->frames);
    t->nodes = xcalloc(t->cap, sizeof(*t->nodes));
    t->slots = xcalloc(FIRST_SLOTS, sizeof(*t->slots));
}

void calltree_free(struct calltree *t) {
    intern_free(&t->frames);
    free(t->nodes);
    free(t->slots);
    *t = (struct calltree){0};
}

static void grow(struct calltree *t) {
    uint64_t mask = t->mask * 2 + 1, *slots;

    if (t->n >= UINT32_MAX / 2)
        die(EX_FAIL, "more than %u different call paths", t->n);
    slots = xcalloc(mask + 1, sizeof(*slots));
    for (uint64_t i = 0; i <= t->mask; i++) {
        uint64_t j = (t->slots[i] >> 32) & mask;

        if (!t->slots[i])
            continue;
        while (slots[j])
            j = (j + 1) & mask;
        slots[j] = t->slots[i];
    }
    free(t->slots);
    t->slots = slots;
    t->mask = mask;
    t->cap *= 2;
    t->nodes = xrealloc(t->nodes, t->cap * sizeof(*t->nodes));
}

struct calltree_at calltree_child(struct calltree *t, struct calltree_at at, uint32_t frame) {
    uint64_t path = calltree_hash(at.hash, frame), tag = path >> 32, slot, i;
    uint32_t node;

    for (i = tag & t->mask; (slot = t->slots[i]) != 0; i = (i + 1) & t->mask) {
        node = (uint32_t)slot;
        if (slot >> 32 == tag && t->nodes[node].parent == at.node && t->nodes[node].frame == frame)
            return (struct calltree_at){node, path};
    }
    if (t->n == t->cap) {
        grow(t);
        for (i = tag & t->mask; t->slots[i]; i = (i + 1) & t->mask)
            continue;
    }
    node = t->n++;
    t->nodes[node] = (struct calltree_node){at.node, frame, 0};
    t->slots[i] = tag << 32 | node;
    return (struct calltree_at){node, path};
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
