/* SPDX-License-Identifier: MIT
 * What `pysample --samples` wrote: the Python stack of each thread at each moment it was sampled.
 * Format: docs/formats/pysample-samples.md.
 */
#ifndef STACKJOIN_TIMELINE_H
#define STACKJOIN_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "intern.h"
#include "tids.h"

struct pystack {
    size_t first; /* its frames in `frames`, outermost first */
    uint32_t n;
    size_t first_entry; /* in `entries`: which of its frames C code called, rising */
    uint32_t n_entries;
};

enum {
    STACK_NONE = 0,               /* the thread has no Python frame, or is not there */
    STACK_UNREADABLE = UINT32_MAX /* it changed while it was read */
};

struct change {
    size_t moment;  /* from this on */
    uint32_t stack; /* a number, or one of STACK_* */
};

struct pythread {
    int64_t tid;
    struct change *changes;
    size_t n, cap;
};

struct timeline {
    uint64_t *moments; /* CLOCK_MONOTONIC, ns, rising */
    size_t n, cap;
    struct pythread *threads; /* by place in `tids` */
    struct tids tids;
    size_t n_threads, cap_threads;
    struct pystack *stacks; /* by number; 0 is unused */
    size_t n_stacks, cap_stacks;
    uint32_t *frames; /* ids in `names` */
    size_t n_frames, cap_frames;
    uint32_t *entries;
    size_t n_entries, cap_entries;
    struct intern *names;
    uint64_t odd; /* lines that were not understood */
};

void timeline_init(struct timeline *t, struct intern *names);
void timeline_free(struct timeline *t);

/* Takes one line, without its newline. */
void timeline_line(struct timeline *t, const char *line, size_t len);

/* Reads a file; one that cannot be read ends the program (exit 3). */
void timeline_read(struct timeline *t, const char *path);

/* How many moments are not after `ns`: the last of them is the one before that number. */
size_t timeline_until(const struct timeline *t, uint64_t ns);

/* The thread, or NULL when it was never seen. Valid until the next line is taken. */
const struct pythread *timeline_thread(const struct timeline *t, int64_t tid);

/* The stack a thread had at a moment: a number, or one of STACK_*. */
uint32_t timeline_stack(const struct pythread *th, size_t moment);

#endif
