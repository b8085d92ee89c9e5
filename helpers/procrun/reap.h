/* SPDX-License-Identifier: MIT
 * Children and what descends from them: reaped into the result file, signalled, ended. Both
 * processes of procrun use it.
 */
#ifndef PROCRUN_REAP_H
#define PROCRUN_REAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "result.h"

struct reaper {
    struct result *result;
    int rootfd;        /* /proc */
    pid_t command;     /* 0: not ours to reap */
    const char *argv0; /* of the command */
    int64_t started;   /* of the command, ns since the epoch */
    bool command_ended;
    int command_status; /* of wait4 */
    unsigned long long reaped;
};

/* Reaps every child that has ended, a row each. False when no child is left, ended or not. */
bool reap_ended(struct reaper *r);

/* Sends `sig` to every descendant, once: to the process group `group` (0: none) as a whole, as a
 * terminal does, unless `group_has_it`, and to each one outside of it. */
void signal_descendants(const struct reaper *r, int sig, pid_t group, bool group_has_it);

/* Kills every descendant and reaps them, for up to `for_ns`; SIGCHLD must be blocked. False when
 * one would not die. */
bool kill_descendants(struct reaper *r, uint64_t for_ns);

#endif
