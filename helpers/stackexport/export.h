/* SPDX-License-Identifier: MIT
 * What the writers of stackexport share.
 */
#ifndef STACKEXPORT_EXPORT_H
#define STACKEXPORT_EXPORT_H

#include <stdint.h>

#include "buf.h"
#include "calltree.h"

struct export_options {
    const char *unit; /* of the weights */
    const char *type; /* what they measure; NULL: from the unit */
    const char *name; /* title */
};

/* `name (file.py:12)`; file is empty and line 0 where a frame has none. */
struct frame {
    const char *name, *file;
    size_t name_len, file_len;
    uint32_t line;
};

struct frame frame_of(const struct calltree *tree, uint32_t id);

/* Weights become whole numbers by rounding their sums, so that what they add up to is right. */
struct rounding {
    unsigned __int128 sum;
    uint64_t before;
};

/* The path of frames to the node at hand. */
struct walk {
    const struct calltree *tree;
    uint64_t scale; /* the tree's weights are in 1/scale units */
    struct rounding samples, times;
    void (*stack)(struct walk *w, uint64_t weight);
    uint32_t *path;
    uint32_t depth;
    size_t cap;
    uint64_t period; /* nanoseconds that one sample stands for; 0: unknown */
    const struct export_options *opts;
    struct buf out, more; /* what is being written */
};

/* Calls `stack` for each stack of the tree. */
void walk_stacks(struct walk *w, void (*stack)(struct walk *, uint64_t));

/* A weight times `factor` as a whole number. */
uint64_t walk_round(const struct walk *w, struct rounding *r, uint64_t weight, uint64_t factor);

/* Write the tree to standard output. The total times `period` is no more than the format takes. */
void write_speedscope(struct walk *w);
void write_pprof(struct walk *w);

#endif
