/* SPDX-License-Identifier: MIT
 * Python functions by name and file, and the call paths that lead to them in what was sampled.
 */
#ifndef STACKJOIN_PATHS_H
#define STACKJOIN_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "intern.h"
#include "perftext.h"
#include "timeline.h"

struct place {
    uint32_t stack, at;
};

struct paths {
    const struct timeline *timeline;
    struct intern functions; /* "name\0file" */
    uint32_t *of_frame;      /* function by the frame's id, 0: none */
    uint32_t n_frames;
    /* Where functions stand in stacks: places[first[f] .. first[f + 1]) */
    struct place *places;
    size_t *first;
    uint32_t n_functions;
    struct buf key;
};

/* Reads the timeline, which does not change any more. */
void paths_init(struct paths *p, const struct timeline *timeline);
void paths_free(struct paths *p);

/* The function that a perf map calls `py::NAME:PATH`. Directories are not compared, since paths of
 * frames are shortened. 0: it is in no stack. */
uint32_t paths_function(struct paths *p, struct text map);

/* How many frames of a stack, counted from the outermost, lead to the innermost call of the
 * function; 0: it is not in it. */
uint32_t paths_within(const struct paths *p, uint32_t stack, uint32_t function);

/* How many functions two stacks have in common from the outermost on, whatever their lines. */
uint32_t paths_common(const struct paths *p, uint32_t a, uint32_t b);

/* The stack seen anywhere that calls the function and has most in common with `like` before it:
 * its number and how many of its frames lead to the call; `shared` is what they have in common.
 * False: no stack with anything in common. */
bool paths_like(const struct paths *p, uint32_t function, uint32_t like, uint32_t *stack,
                uint32_t *keep, uint32_t *shared);

/* Appends `py::NAME:PATH` as `NAME (PATH)`, the path from its package on, as pysample writes it. */
void paths_text(struct text map, struct buf *out);

#endif
