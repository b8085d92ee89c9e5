/* SPDX-License-Identifier: MIT
 * Files of collapsed stacks, line by line: docs/formats/collapsed-stacks.md. In short, one stack a
 * line, `frame;frame;frame WEIGHT`, outermost frame first; the weight is the number after the last
 * blank, whole or with decimals. A difference has two of them, baseline and candidate. A line `#
 * key: value` describes the file.
 */
#ifndef LIB_STACKFILE_H
#define LIB_STACKFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "mapped.h"
#include "units.h"

enum { WEIGHT_MICRO = 1000000 }; /* decimals are kept to six places */

/* A weight as it is written. */
struct weight {
    uint64_t whole;
    uint32_t micro; /* 0 to 999999 */
};

struct stackfile {
    bool diff;           /* lines have two weights */
    uint64_t lines;      /* all lines that were read */
    uint64_t stacks;     /* lines that were stacks */
    uint64_t bad;        /* lines that were neither stacks, comments nor blank */
    uint64_t bad_line;   /* the first of them, counted from 1, */
    struct buf bad_text; /* and how it begins */
    /* Where files are mapped to, so that the text of stacks stays until that is freed; NULL: they
     * are read, and it does not. */
    struct mapped_files *maps;
    bool stays;          /* the stack at hand does */
    const char *name;    /* of the file that is read, for messages */
    struct units *units; /* told what the weights are; NULL: nobody asks */
    /* Called for each stack, with one weight, or two in a difference. Any bytes may be in it, a
     * newline excepted. */
    void (*each)(void *arg, const char *stack, size_t len, const struct weight w[2]);
    void *arg;
};

void stackfile_free(struct stackfile *f);

/* Reads a file, or standard input where `path` is "-". One that cannot be read ends the program
 * (exit 3), as does a difference where lines have one weight. */
void stackfile_read(struct stackfile *f, const char *path);

/* Takes one line (without its newline); one that is no stack is counted. */
void stackfile_line(struct stackfile *f, const char *line, size_t len);

/* Takes a line that is a comment: what it says of the weights, `# unit: us`, counts, other words
 * say nothing. */
void stackfile_comment(struct stackfile *f, const char *line, size_t len);

/* Says how many lines were no stacks, and which was the first. Nothing where there was none. */
void stackfile_report_bad(const struct stackfile *f);

/* Takes the weights, one or two, off the end of a line. False when it has none, or one above 2^64
 * - 1. */
bool stackfile_split(const char *line, size_t len, bool diff, size_t *stack_len,
                     struct weight w[2]);

/* In 1/scale units, scale being 1 or WEIGHT_MICRO; one too large ends the program. */
uint64_t weight_scaled(struct weight w, uint64_t scale);

/* Adds to a sum; one above 2^64 - 1 ends the program. */
void weight_add(uint64_t *sum, uint64_t weight);

/* The same weight in WEIGHT_MICRO units, when it was in whole ones; a sum too large ends the
 * program. */
uint64_t weight_to_micro(uint64_t weight);

/* Appends a weight: whole, or with up to six decimals where `scale` is WEIGHT_MICRO. */
void weight_put(struct buf *b, uint64_t weight, uint64_t scale);

#endif
