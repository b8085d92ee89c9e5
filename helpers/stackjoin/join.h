/* SPDX-License-Identifier: MIT
 * Joining: each native stack of `perf script` text beneath the Python stack that its thread had at
 * that moment.
 *
 * The native stack tells by itself how many times C code called the interpreter (a frame of
 * _PyEval_EvalFrameDefault each), or, under `-X perf`, which Python function was innermost. The
 * Python stack that was sampled next before and next after it must agree with that; where it is
 * deeper, the calls have returned meanwhile and are cut off. Where it names a function that neither
 * has, a path to it out of another sample is taken, and where there is none, what both neighbours
 * have in common.
 */
#ifndef STACKJOIN_JOIN_H
#define STACKJOIN_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calltree.h"
#include "perftext.h"
#include "paths.h"
#include "tids.h"
#include "timeline.h"

struct join_options {
    uint64_t max_distance_ns;
    bool periods; /* weights are periods, not 1 */
    bool off_cpu; /* weights are us from a sample to the thread's next switch in */
};

struct join_counts {
    uint64_t samples, weight;
    /* Weights; they add up. */
    uint64_t whole;   /* joined with a Python stack that agrees */
    uint64_t cut;     /* joined, and calls that have returned were cut off */
    uint64_t guessed; /* no stack near fits: a path to the function seen in another sample */
    uint64_t partly;  /* nor is there one: what the neighbours have in common */
    uint64_t outside; /* the thread runs no Python at that moment */
    uint64_t alone;   /* no Python sample near enough, or an unreadable one */
    /* Of those joined. */
    uint64_t same;         /* the Python stack was the same before and after */
    uint64_t named;        /* perf itself names the innermost Python function */
    uint64_t short_native; /* the native stack is cut short, and says nothing of the callers */
    uint64_t lost;         /* samples that perf says it lost */
    uint64_t odd;          /* lines that were not understood */
};

struct native_frame {
    uint32_t name; /* id */
    enum native_kind { N_OTHER, N_EVAL, N_PYTHON, N_ROOT } kind;
};

/* A sample: a thread's native stack, innermost frame first. */
struct native {
    int64_t tid;
    uint64_t ns, period;
    uint32_t comm;
    bool runnable; /* off-CPU: it was put off the processor, and did not wait */
    bool used;
    struct native_frame *frames;
    size_t n, cap;
};

struct join {
    const struct join_options *opts;
    struct calltree *tree;
    const struct timeline *timeline;
    struct paths *paths;
    struct join_counts counts;
    struct native now;      /* the sample that is read */
    bool open;              /* its frames follow */
    struct native *waiting; /* off-CPU: the last sample of each thread, by its place in: */
    struct tids waiting_tids;
    size_t n_waiting, cap_waiting;
    uint64_t last_ns;    /* the newest time */
    uint64_t left_ns;    /* off-CPU: below a microsecond, carried on */
    uint64_t *distances; /* ns, of samples joined */
    size_t n_distances, cap_distances;
    struct buf name;
};

void join_init(struct join *j, const struct join_options *opts, struct calltree *tree,
               struct paths *paths);
void join_free(struct join *j);

/* Puts a sample into the tree. `end`: until then its thread keeps the stack, ns. */
void join_place(struct join *j, const struct native *s, uint64_t end, uint64_t weight);

/* Takes one line of perf script text, without its newline. */
void join_line(struct join *j, const char *line, size_t len);

/* Takes what the last lines left open. */
void join_end(struct join *j);

/* Sorts the distances; the median and the largest, in ns. False: nothing was joined. */
bool join_distance(struct join *j, uint64_t *median, uint64_t *max);

#endif
