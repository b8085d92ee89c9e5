/* SPDX-License-Identifier: MIT */
#include "stop.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

enum { TRIES = 100, TRY_NS = 50000 };

/* Takes the stop of a thread, whenever it comes; true when it is stopped now. */
static bool take_stop(struct stopped *s, pid_t tid) {
    int status;
    pid_t got = waitpid(tid, &status, __WALL | WNOHANG);

    if (got != tid || !WIFSTOPPED(status))
        return false;
    s->tid = tid;
    /* A signal that came first is passed on; the stop that we asked for (an event) carries none. */
    s->signal = status >> 16 == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(status);
    return true;
}

bool stop_thread(struct stopped *s, pid_t tid) {
    const struct timespec pause = {.tv_nsec = TRY_NS};

    *s = (struct stopped){0};
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0)
        return false;
    if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0) {
        for (int i = 0; i < TRIES; i++) {
            if (take_stop(s, tid))
                return true;
            if (i > 2)
                (void)nanosleep(&pause, NULL);
        }
    }
    /* Not stopped in time, in the kernel for long: it can be detached from only once it stops,
     * which the interrupt makes certain. */
    while (!take_stop(s, tid) && ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0)
        (void)nanosleep(&pause, NULL);
    stop_release(s);
    return false;
}

void stop_release(struct stopped *s) {
    if (s->tid)
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): how ptrace takes a signal */
        (void)ptrace(PTRACE_DETACH, s->tid, NULL, (void *)(long)s->signal);
    s->tid = 0;
}
