/* SPDX-License-Identifier: MIT
 * Folding: the samples of `perf script` text become paths of a call tree.
 *
 * Samples of a thread come one after the other, and most of their callers are the same. So the text
 * of the last stack of a thread is kept with the node that each of its lines led to: what a new
 * stack has in common with it, counted from the outermost frame, is found by comparing bytes, and
 * only the lines before that are looked up.
 */
#ifndef STACKFOLD_FOLD_H
#define STACKFOLD_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calltree.h"
#include "linecache.h"
#include "perf.h"

enum { THREADS = 64 };

struct fold_options {
    bool pid, tid, no_kernel, inlined, annotate, periods;
    const char *event; /* NULL: all */
};

/* What is known of the event of a name. */
struct fold_event {
    char *name;
    size_t len;
    bool wanted;
    uint64_t samples, period;
};

struct fold {
    const struct fold_options *opts;
    struct calltree *tree;
    struct linecache lines;
    struct fold_thread *threads;
    struct fold_event *events;
    size_t n_events, last_event;
    struct fold_line *at; /* the lines of the sample at hand, innermost frame first */
    size_t n, cap;
    uint32_t *lists; /* frames of lines that stand for more than one: count, then frames */
    size_t n_lists, cap_lists;
    struct buf name;
    bool merged;          /* inlined frames were counted in their callers */
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
 * take. With `eof` the last one is complete; the text then ends with a newline. */
size_t fold_perf(struct fold *f, const char *s, size_t len, bool eof);

/* Counts a line that was not understood. */
void fold_odd(struct fold *f, const char *line, size_t len);

#endif
