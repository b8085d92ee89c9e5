/* SPDX-License-Identifier: MIT */
#include "stop.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

enum { TRY_NS = 50000 };

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
    /* It stops when it next leaves the kernel or is given a processor. Until then it is not held
     * up, and could not be detached from. Asking again tells whether it still lives. */
    for (int i = 0; ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0; i++) {
        if (take_stop(s, tid))
            return true;
        if (i > 2)
            (void)nanosleep(&pause, NULL);
    }
    return false;
}

void stop_release(struct stopped *s) {
    if (s->tid)
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): how ptrace takes a signal */
        (void)ptrace(PTRACE_DETACH, s->tid, NULL, (void *)(long)s->signal);
    s->tid = 0;
}
