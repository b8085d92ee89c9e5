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

/* Stops a thread (our number for it); waits for at most 5 ms. False: it did not stop, and goes on.
 */
bool stop_thread(struct stopped *s, pid_t tid);
void stop_release(struct stopped *s);

#endif
