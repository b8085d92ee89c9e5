/* SPDX-License-Identifier: MIT
 * Folding: the samples of `perf script` text become paths of a call tree.
 *
 * Samples of a thread come one after the other, and most of their callers are the same. So the text
 * of the last stack of a thread is kept with the node that each of its lines led to: what a new
 * stack has in common with it, counted from the outermost frame, is found by comparing bytes, and
 * only the lines before that are looked up. Samples are gathered first and looked up together,
 * because looking up is waiting for memory.
 */
#ifndef STACKFOLD_FOLD_H
#define STACKFOLD_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calltree.h"
#include "events.h"
#include "frames.h"

struct fold_options {
    bool pid, tid;
    struct events_options events;
    struct frames_options frames;
};

struct fold {
    const struct fold_options *opts;
    struct calltree *tree;
    struct frames frames;
    struct fold_thread *threads;
    struct events events;
    /* What is gathered and not looked up yet. */
    struct fold_sample *samples;
    size_t n_samples;
    struct frames_line *lines;
    size_t n_lines, cap_lines;
    struct buf name;
    const char *file;     /* at hand, for messages */
    bool named;           /* it has samples whose header is a name or a period alone */
    bool blank;           /* the line before was blank: a stack without a header may begin */
    uint64_t lost;        /* samples that perf says it lost */
    uint64_t odd;         /* lines that were not understood */
    struct buf first_odd; /* the first of them */
};

void fold_init(struct fold *f, struct calltree *tree, const struct fold_options *opts);
void fold_free(struct fold *f);

/* True when a file that starts with this line (comments and blank lines aside) is perf script text.
 */
bool fold_is_perf(const char *line, size_t len);

/* Folds the complete samples in s[0 .. len), which begins at a line; returns how many bytes they
 * take. With `eof` the last one is complete; the text then ends with a newline, which the file does
 * not have if `cut`. */
size_t fold_perf(struct fold *f, const char *s, size_t len, bool eof, bool cut);

/* The first frame of a sample's stack. */
struct calltree_at fold_root(struct fold *f, const struct perf_header *h);

/* Adds to the weight of the stack that ends at `at`. */
void fold_count(struct fold *f, struct calltree_at at, uint64_t weight);

#endif
