/* SPDX-License-Identifier: MIT
 * Files of collapsed stacks (stackfile.h) as one tree of calls, for what draws and counts them.
 */
#ifndef LIB_STACKS_H
#define LIB_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calltree.h"
#include "collapsed.h"
#include "stackfile.h"

struct stacks {
    struct calltree
        tree;       /* weights in 1/scale units: those of the only column, or the candidate's */
    uint64_t scale; /* 1, or WEIGHT_MICRO once a weight had decimals */
    uint64_t *base; /* of a difference: the baseline's own weight of each node; by stacks_base() */
    uint32_t base_cap;
    uint64_t base_total;
    struct stackfile file; /* counts of lines */
    struct units units;
    struct collapsed path;
};

/* The struct must stay where it is until it is freed. */
void stacks_init(struct stacks *s, bool diff);
void stacks_free(struct stacks *s);

/* Reads all files up to a NULL, standard input where there is none. Says how many lines were no
 * stacks. */
void stacks_read_all(struct stacks *s, char *const *paths);

/* The baseline's own weight of each node of the tree. */
const uint64_t *stacks_base(struct stacks *s);

/* Sums up: out[node] = own weights of the node and of all beneath it. `own` NULL: those of the
 * tree. The caller frees it. */
uint64_t *stacks_totals(const struct calltree *t, const uint64_t *own);

/* What a thread or task waits for, as samplers write it: an innermost frame in brackets,
 * `[waiting]`, `[gil]`, `[sleep 0.5s]`. Not `[running]`, nor how perf and py-spy name code without
 * symbols: `[unknown]`, `[libc.so.6]`, `[[vdso]]`, nor what stackjoin says: `[no Python frame]`. */
bool stacks_is_wait(const char *frame, size_t len);

#endif
