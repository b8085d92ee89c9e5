/* SPDX-License-Identifier: MIT
 * Collapsed stacks as they are read by what draws and counts them: any number of files into one
 * tree of calls. Format: docs/formats/collapsed-stacks.md. In short, one stack a line,
 * `frame;frame;frame WEIGHT`, outermost frame first; the weight is the number after the last blank,
 * whole or with decimals. A difference has two of them, baseline and candidate. A line `# key:
 * value` describes the file.
 */
#ifndef LIB_STACKS_H
#define LIB_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "calltree.h"
#include "collapsed.h"

enum { STACKS_MICRO = 1000000 }; /* decimals are kept to six places */

/* A weight as it is written. */
struct stacks_weight {
    uint64_t whole;
    uint32_t micro; /* 0 to 999999 */
};

struct stacks {
    struct calltree
        tree;       /* weights in 1/scale units: those of the only column, or the candidate's */
    uint64_t scale; /* 1, or STACKS_MICRO once a weight had decimals */
    bool diff;      /* lines have two weights */
    uint64_t *base; /* diff: the baseline's own weight of each node; by stacks_base() */
    uint32_t base_cap;
    uint64_t base_total;
    uint64_t lines;      /* all lines that were read */
    uint64_t stacks;     /* lines that were stacks */
    uint64_t bad;        /* lines that were neither stacks, comments nor blank */
    uint64_t bad_line;   /* the first of them, counted from 1, */
    struct buf bad_text; /* and how it begins */
    struct buf meta;     /* "key\0value\0" of all comments that have that form */
    struct collapsed path;
};

void stacks_init(struct stacks *s, bool diff);
void stacks_free(struct stacks *s);

/* Reads a file, or standard input where `path` is "-". One that cannot be read ends the program
 * (exit 3). */
void stacks_read(struct stacks *s, const char *path);

/* Adds one line (without its newline); a comment is remembered, a line that is no stack counted. */
void stacks_line(struct stacks *s, const char *line, size_t len);

/* Says how many lines were no stacks, and which was the first. Nothing where there was none. */
void stacks_report_bad(const struct stacks *s);

/* The value of the last line `# key: value`, or NULL. */
const char *stacks_meta(const struct stacks *s, const char *key);

/* The baseline's own weight of each node of the tree. */
const uint64_t *stacks_base(struct stacks *s);

/* Takes the weights, one or two, off the end of a line. False when it has none, or one above 2^64
 * - 1. */
bool stacks_split(const char *line, size_t len, bool diff, size_t *stack_len,
                  struct stacks_weight w[2]);

/* Appends a weight: whole, or with up to six decimals where `scale` is STACKS_MICRO. */
void stacks_put_weight(struct buf *b, uint64_t weight, uint64_t scale);

/* Sums up: out[node] = own weights of the node and of all beneath it. `own` NULL: those of the
 * tree. The caller frees it. */
uint64_t *stacks_totals(const struct calltree *t, const uint64_t *own);

/* What a thread or task waits for, as samplers write it: an innermost frame in brackets,
 * `[waiting]`, `[gil]`, `[sleep(0.5s)]`. Not `[running]`, nor how perf and py-spy name code without
 * symbols: `[unknown]`, `[libc.so.6]`, `[[vdso]]`. */
bool stacks_is_wait(const char *frame, size_t len);

#endif
