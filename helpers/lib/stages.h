/* SPDX-License-Identifier: MIT
 * Stages of a program, by patterns for the frames of its stacks. Format of the file:
 * docs/formats/stages-map.md. In short, `pattern<TAB>stage`, the first line that matches a frame is
 * its stage, and the innermost frame that has one decides for the stack. Always there, and last:
 * `waiting`, for stacks whose innermost frame waits and none has a stage, and `other`.
 */
#ifndef LIB_STAGES_H
#define LIB_STAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "calltree.h"

enum { STAGES_MAX = 30 };

struct stages_line {
    size_t pattern, len; /* in text */
    int stage;           /* STAGES_NOTHING: the frame says nothing */
};

struct stages {
    struct buf text;
    struct stages_line *lines;
    size_t n, cap;
    char *names[STAGES_MAX + 2];
    int count; /* of the names, with waiting and other */
};

enum { STAGES_NOTHING = -1 };

/* Reads the file; one that cannot be read, or has a line of another form, ends the program (exit
 * 3). */
void stages_read(struct stages *s, const char *path);
void stages_free(struct stages *s);

static inline int stages_waiting(const struct stages *s) {
    return s->count - 2;
}
static inline int stages_other(const struct stages *s) {
    return s->count - 1;
}

/* The stage of a frame, or STAGES_NOTHING. */
int stages_match(const struct stages *s, const char *frame, size_t len);

/* out[node] = stage of the stack that ends at that node. `waits`: innermost frames in brackets mean
 * waiting. The caller frees it. */
uint8_t *stages_of_nodes(const struct stages *s, const struct calltree *t, bool waits);

#endif
