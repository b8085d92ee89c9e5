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
 * descriptors below `keep_below` are kept for the next time. What an ended thread used up to its
 * last reading stays in the sums. False when `task` cannot be read. A kernel that does not count
 * (schedstat absent, or "0 0 0" for all): -1. */
bool proctasks_read(struct proctasks *t, int dirfd, int keep_below, struct proctask_sums *sums);

/* The thread of the last reading that `*at` stands at (0 is the first), which is moved on; NULL
 * behind the last. */
const struct proctask *proctasks_next(const struct proctasks *t, size_t *at);

#endif
