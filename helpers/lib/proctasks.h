/* SPDX-License-Identifier: MIT
 * The threads of one process: what each one uses, and the sums, in which ended threads stay.
 */
#ifndef LIB_PROCTASKS_H
#define LIB_PROCTASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum proctask_value {
    TASK_ONCPU,         /* ns on a CPU: field 1 of schedstat */
    TASK_RUN_DELAY,     /* ns runnable but waiting for a CPU: field 2 of schedstat */
    TASK_CTX_VOLUNTARY, /* context switches: status */
    TASK_CTX_INVOLUNTARY,
    TASK_VALUES,
};

struct proctask {
    pid_t tid;
    char comm[65];
    char state; /* letter of status: R S D T t Z X I; '\0' when it could not be read */
    int64_t value[TASK_VALUES]; /* -1: not known */
};

struct proctask_sums {
    int64_t value[TASK_VALUES];             /* -1: known of no thread */
    int64_t running, sleeping, disk, other; /* threads in state R; S and I; D; any other */
};

struct proctasks;

struct proctasks *proctasks_new(void);
void proctasks_free(struct proctasks *t);

/* Reads task/TID/schedstat and task/TID/status of each thread below `dirfd`, a /proc/PID;
 * descriptors below `keep_below` are kept for the next time. With `only_ran` status, the dearer
 * one, is read only of threads that were awake last time or have been on a CPU since: exact, but
 * that a thread which slept all the while and was woken this moment still counts as sleeping. What
 * an ended thread used up to its last reading stays in the sums. False when `task` cannot be read.
 * A kernel that does not count (schedstat absent, or "0 0 0" for all): -1. */
bool proctasks_read(struct proctasks *t, int dirfd, int keep_below, bool only_ran,
                    struct proctask_sums *sums);

/* False when the thread has not been on a CPU between the last reading and the one before, so that
 * it cannot have forked. */
bool proctasks_ran(struct proctasks *t, pid_t tid);

/* The thread of the last reading that `*at` stands at (0 is the first), which is moved on; NULL
 * behind the last. */
const struct proctask *proctasks_next(const struct proctasks *t, size_t *at);

#endif
