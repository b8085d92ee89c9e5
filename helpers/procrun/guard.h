/* SPDX-License-Identifier: MIT
 * The two processes of procrun.
 *
 * The front is the one that was started: it passes signals on and exits as the command does. The
 * guardian, its child, starts the command, adopts the orphans of its tree, reaps them all and ends
 * what is left. Each adopts orphans, so that whichever of the two is killed, the other one still
 * holds the whole tree and ends it.
 */
#ifndef PROCRUN_GUARD_H
#define PROCRUN_GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "output.h"
#include "result.h"

struct run {
    char **command;
    uint64_t grace_ns;
    bool wait_all;
    bool foreground;        /* the command stays in our process group */
    pid_t starter;          /* who started us */
    int cwd;                /* a directory for the command; -1: ours */
    struct output pid_file; /* its name is NULL: none */
    struct result result;
    int rootfd; /* /proc */

    sigset_t ours; /* the signals that we handle; blocked, and read */

    /* As they were when we were started; the command gets them back. */
    sigset_t mask;
    struct sigaction hup, pipe;
};

/* What the front tells the guardian about a signal. */
struct note {
    int sig;
    bool delivered; /* the terminal has sent it to the command already */
};

/* How long a killed process may take to be gone, before we say that it will not go. */
#define KILL_NS UINT64_C(5000000000)

/* The guardian: starts the command, and returns the exit status of procrun when nothing is left of
 * its tree. `notes` brings a `struct note` for each signal; its end means that the front is gone.
 */
int guard(struct run *run, int notes);

#endif
