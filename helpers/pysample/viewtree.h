/* SPDX-License-Identifier: MIT
 * One view as a tree of stacks: a node is a text below its parent, and has a time.
 */
#ifndef PYSAMPLE_VIEWTREE_H
#define PYSAMPLE_VIEWTREE_H

#include <stdint.h>

enum { MEMO_BITS = 14 };

struct node {
    uint32_t parent, text;
    uint64_t ns;
};

struct memo {
    uint64_t key;
    uint32_t node;
};

/* Part of a sample's weight: units / UNIT of the time. */
#define UNIT ((uint64_t)1 << 40)
struct share {
    uint32_t node;
    uint64_t units;
};

struct view {
    struct node *nodes; /* node 0 is the root of all stacks */
    uint32_t n, cap;
    uint32_t *hash, bits;
    struct memo *memo;
    struct share *shares; /* of the sample not yet summed */
    uint32_t nshares, cap_shares;
    uint64_t total_ns;
};

void view_open(struct view *v);
void view_close(struct view *v);

/* The node of `text` below `parent`, made if need be; `parent` itself when there is no room. */
uint32_t view_child(struct view *v, uint32_t parent, uint32_t text);

/* Gives a node a share of the sample being read. */
void view_give(struct view *v, uint32_t node, uint64_t units);

#endif
