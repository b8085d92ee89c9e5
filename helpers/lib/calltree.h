/* SPDX-License-Identifier: MIT
 * Stacks as one tree: a node is a frame beneath the path of its callers, and a stack is the node of
 * its innermost frame. Equal stacks are one node, so folding is adding to a number, and nothing but
 * the tree is kept.
 */
#ifndef LIB_CALLTREE_H
#define LIB_CALLTREE_H

#include <stdint.h>

#include "hash.h"
#include "intern.h"

struct calltree_node {
    uint32_t parent, frame;
    uint64_t weight; /* of the stack that ends here; 0: none does */
};

struct calltree_slot {
    uint32_t parent, frame, node, hash; /* node 0: free */
};

struct calltree {
    struct intern frames;
    /* A parent stands before its children; 0 is the root, which has no frame. */
    struct calltree_node *nodes;
    uint32_t n, cap;
    /* Nodes by the hash of their path. Parent and frame stand here again: a lookup reads this
     * alone. */
    struct calltree_slot *slots;
    uint64_t mask;
    uint64_t total; /* sum of all weights */
};

/* A node with the hash of its path, which finding its children takes. */
struct calltree_at {
    uint32_t node;
    uint64_t hash;
};

void calltree_init(struct calltree *t);
void calltree_free(struct calltree *t);

/* Where all stacks begin. */
static inline struct calltree_at calltree_root(const struct calltree *t) {
    return (struct calltree_at){0, t->frames.seed};
}

static inline uint64_t calltree_hash(uint64_t path, uint32_t frame) {
    uint64_t h = (path ^ frame) * HASH_K0;

    return h ^ h >> 29;
}

/* The place in `slots` where a path is looked for: asked for early, it is in the cache when it is
 * needed. */
static inline void calltree_prefetch(const struct calltree *t, uint64_t path) {
    __builtin_prefetch(&t->slots[(path >> 32) & t->mask]);
}

/* The child of `at` with this frame; made when there is none yet. */
struct calltree_at calltree_child(struct calltree *t, struct calltree_at at, uint32_t frame);

/* Adds to the weight of the stack that ends at `node`. A sum above 2^64 - 1 ends the program with a
 * message. */
void calltree_add(struct calltree *t, uint32_t node, uint64_t weight);

/* Calls `each` for all nodes, callers before what they called, siblings in the order of their
 * frames' bytes. `depth` is 1 for the outermost frame. */
void calltree_walk(const struct calltree *t,
                   void (*each)(void *arg, uint32_t depth, uint32_t frame, uint64_t weight),
                   void *arg);

#endif
