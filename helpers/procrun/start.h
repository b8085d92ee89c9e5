/* SPDX-License-Identifier: MIT
 * Starting the command.
 */
#ifndef PROCRUN_START_H
#define PROCRUN_START_H

#include <stdint.h>
#include <sys/types.h>

#include "guard.h"

struct started {
    pid_t pid;      /* 0: it could not be executed */
    pid_t group;    /* its process group */
    int64_t epoch;  /* when, ns */
    uint64_t began; /* the same by the monotonic clock, ns */
    int status;     /* our exit status when something failed, else 0 */
};

/* Starts the command, and writes pid file and head of the result file when it is executed. */
struct started start_command(struct run *run);

#endif
