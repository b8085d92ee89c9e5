/* SPDX-License-Identifier: MIT
 * Holding one thread still for as long as its stack is read: ptrace(2), seize and interrupt, no
 * signal sent.
 */
#ifndef PYSAMPLE_STOP_H
#define PYSAMPLE_STOP_H

#include <stdbool.h>
#include <sys/types.h>

struct stopped {
    pid_t tid;  /* 0 = none */
    int signal; /* to deliver when it goes on */
};

/* Stops a thread (our number for it). Waits until it leaves the kernel, or is given a processor on
 * a busy machine, which does not hold it up. False: not permitted, or it has ended. */
bool stop_thread(struct stopped *s, pid_t tid);
void stop_release(struct stopped *s);

#endif
