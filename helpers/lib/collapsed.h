/* SPDX-License-Identifier: MIT
 * Reading collapsed stacks: one stack a line, `frame;frame;frame WEIGHT`, the outermost frame
 * first. The weight is the whole number after the last space. Lines that begin with "# " are
 * comments. Written by every stackcollapse-*.pl, inferno, py-spy (--format raw), austin and
 * async-profiler.
 */
#ifndef LIB_COLLAPSED_H
#define LIB_COLLAPSED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "buf.h"
#include "calltree.h"

struct collapsed_step {
    size_t end; /* of this frame in `last` */
    struct calltree_at at;
};

/* A reader that adds stacks to a tree. It keeps the last stack: sorted files begin each line as the
 * one before. */
struct collapsed {
    struct calltree *tree;
    struct buf last;
    struct collapsed_step *steps;
    size_t n, cap;
};

void collapsed_init(struct collapsed *c, struct calltree *tree);
void collapsed_free(struct collapsed *c);

/* Splits a line (without its newline) into the stack, whose length is set, and its weight. False
 * when it is neither a stack nor its weight a number below 2^64. py-spy writes a stack of which it
 * could read no frame as a blank and its weight: its length is 0. */
bool collapsed_split(const char *line, size_t len, size_t *stack_len, uint64_t *weight);

/* The node of a stack without its weight, made when the tree has none yet. Frames are taken as they
 * are, even empty ones. */
uint32_t collapsed_node(struct collapsed *c, const char *stack, size_t stack_len);

/* Adds a line to the tree; false when it is no stack. Frames are taken as they are, even empty
 * ones; a stack without frames is `(no frames)`. */
bool collapsed_add(struct collapsed *c, const char *line, size_t len);

/* True for lines that say nothing: blank ones and comments. */
bool collapsed_is_blank(const char *line, size_t len);

/* Calls `each` for all stacks of a tree that have a weight, sorted by the bytes of their frames.
 * The text is there until it returns, which may add to it. */
void collapsed_each(const struct calltree *tree,
                    void (*each)(void *arg, struct buf *stack, uint64_t weight), void *arg);

/* Writes all stacks of a tree that have a weight, sorted by the bytes of their frames. Sets the
 * stream's buffer: nothing may have been written to it before. */
void collapsed_write(const struct calltree *tree, FILE *to);

#endif
