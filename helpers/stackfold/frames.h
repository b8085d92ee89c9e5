/* SPDX-License-Identifier: MIT
 * From frame lines to frames.
 */
#ifndef STACKFOLD_FRAMES_H
#define STACKFOLD_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "calltree.h"
#include "linecache.h"

struct frames_options {
    bool no_kernel, inlined, annotate;
};

struct frames {
    const struct frames_options *opts;
    struct calltree *tree;
    struct linecache cache;
    uint32_t *lists; /* the frames of lines that stand for several: their count, then the outer one
                        first */
    size_t n_lists, cap_lists;
    struct buf name;
    bool merged; /* inlined frames were counted in their callers */
};

/* A line and what it stands for: a frame, nothing (0), or several. */
struct frames_line {
    const char *s;
    uint32_t len, frame;
    uint64_t hash;
};

void frames_init(struct frames *f, struct calltree *tree, const struct frames_options *opts);
void frames_free(struct frames *f);

/* Sets the frame of lines[0 .. n). Lines are looked up together: while one waits for memory, the
 * next is asked for. */
void frames_find(struct frames *f, struct frames_line *lines, size_t n);

/* The path from `at` goes on by what a line stands for. */
struct calltree_at frames_descend(struct frames *f, struct calltree_at at, uint32_t frame);

/* The hash of that path: calltree_hash() of what frames_descend() goes through. */
uint64_t frames_hash(const struct frames *f, uint64_t path, uint32_t frame);

#endif
