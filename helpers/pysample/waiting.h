/* SPDX-License-Identifier: MIT
 * Waiting for the moment to sample at, and for what comes before it: a write to a file that is
 * followed, a signal, the end of a launched command.
 */
#ifndef PYSAMPLE_WAITING_H
#define PYSAMPLE_WAITING_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct waiting {
    pid_t command;   /* 0 = none was launched */
    int exit_status; /* of the command, -1 = none, or not ended: 128 + N for signal N */
    int follow_fd;   /* inotify, -1 = none: SIGIO when the file followed was written to */
    bool forwarded;  /* a signal was passed on to the command: the next one ends the sampling */
};

/* Takes over SIGINT, SIGTERM, SIGHUP, SIGCHLD and SIGIO. `follow_file`, NULL = none: another
 * sampler's file, which it writes to once a sample; one that cannot be watched ends the program
 * (exit 3). */
void waiting_open(struct waiting *w, pid_t command, const char *follow_file);
void waiting_close(struct waiting *w);

enum wakeup {
    WAKEUP_DUE,
    WAKEUP_WRITTEN, /* to the file followed, before it was due */
    WAKEUP_STOPPED, /* by a signal that ends the sampling */
    WAKEUP_ENDED,   /* the command; `exit_status` says how */
};

/* Waits until `at`, in ns of CLOCK_MONOTONIC. A first signal to end is passed on to the command. */
enum wakeup waiting_until(struct waiting *w, uint64_t at);

/* Waits for the end of the command, when there is one whose end is not known yet. */
void waiting_reap(struct waiting *w);

#endif
