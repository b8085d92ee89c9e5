/* SPDX-License-Identifier: MIT
 * Stacks as whole lines of text, each once: what is merged or compared asks nothing about frames.
 */
#ifndef LIB_STACKTABLE_H
#define LIB_STACKTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mapped.h"
#include "stackfile.h"
#include "textsort.h"

struct stacktable_block {
    char *data;
    size_t size;
};

struct stacktable_stack {
    const char *s;
    uint32_t len, hash;
    uint64_t weight[2]; /* of two runs, where there are two; in 1/scale units */
};

struct stacktable {
    struct stacktable_block *blocks; /* of text; stacks never move */
    uint32_t n_blocks;
    size_t used;                     /* of the last block */
    struct stacktable_stack *stacks; /* in the order of first sight */
    uint32_t n, cap;
    uint32_t *slots; /* place in `stacks` plus 1 by hash; 0: free */
    uint32_t mask;
    struct mapped_files files; /* whose text stands in `stacks` where it is */
    uint64_t seed;
    uint64_t total[2], scale; /* scale: 1, or WEIGHT_MICRO once a weight had decimals */
};

void stacktable_init(struct stacktable *t);
void stacktable_free(struct stacktable *t);

/* The place of a stack, a new one where it was not seen yet. Its text is copied, or (`stays`) used
 * where it is, for as long as the table is. Stacks are shorter than 4 GiB, else the program ends.
 */
struct stacktable_stack *stacktable_find(struct stacktable *t, const char *stack, size_t len,
                                         bool stays);

/* Adds to the weight of a stack in a run, 0 or 1. A sum too large ends the program. */
void stacktable_add(struct stacktable *t, struct stacktable_stack *stack, int run, struct weight w);

/* The sorting key of a stack; its id is the place. */
struct text_key stacktable_key(const struct stacktable *t, uint32_t i);

/* Asks memory for the text of order[i + 4]: sorted ones are anywhere. */
static inline void stacktable_prefetch(const struct text_key *order, uint32_t n, uint32_t i) {
    for (size_t at = 0; i + 4 < n && at < order[i + 4].len && at < 1024; at += 64)
        __builtin_prefetch(order[i + 4].s + at);
}

#endif
