/* SPDX-License-Identifier: MIT */
#include "reap.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "descend.h"
#include "proc.h"

#define MS 1000000L

static double seconds(clockid_t clock) {
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Start times in stat are clock ticks since boot. */
static double epoch_of_ticks(uint64_t ticks) {
    return seconds(CLOCK_REALTIME) - seconds(CLOCK_BOOTTIME) +
           (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static void reap_one(struct reaper *r, pid_t pid) {
    struct ended e = {.pid = pid, .started = -1};
    struct proc_stat st;
    char name[32];

    /* A zombie keeps its stat, though nothing of its memory. */
    (void)snprintf(name, sizeof(name), "%d/stat", pid);
    if (proc_read_stat(r->rootfd, name, &st)) {
        e.comm = st.comm;
        e.started = epoch_of_ticks(st.starttime);
    }
    if (wait4(pid, &e.wait_status, __WALL, &e.used) != pid)
        return;
    if (pid == r->command) {
        e.is_command = true;
        e.argv0 = r->argv0;
        e.started = (double)r->started / 1e9;
        r->command_ended = true;
        r->command_status = e.wait_status;
    }
    r->reaped++;
    result_row(r->result, &e);
}

bool reap_ended(struct reaper *r) {
    for (;;) {
        siginfo_t info = {0};

        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0) {
            if (errno == EINTR)
                continue;
            return false;
        }
        if (info.si_pid == 0)
            return true;
        reap_one(r, info.si_pid);
    }
}

void signal_descendants(const struct reaper *r, int sig, pid_t group, bool group_has_it) {
    struct pids all = {0};

    /* Listed first: what a parent leaves behind when it dies of the signal is in no list for a
     * moment. */
    descend(r->rootfd, getpid(), &all);
    if (group > 0 && !group_has_it)
        (void)kill(-group, sig);
    for (size_t i = 0; i < all.n; i++) {
        if (group == 0 || getpgid(all.pid[i]) != group)
            (void)kill(all.pid[i], sig);
    }
    pids_free(&all);
}

bool kill_descendants(struct reaper *r, uint64_t for_ns) {
    double until = seconds(CLOCK_MONOTONIC) + (double)for_ns / 1e9;
    struct timespec pause = {.tv_nsec = 20 * MS};
    sigset_t child_ended;

    (void)sigemptyset(&child_ended);
    (void)sigaddset(&child_ended, SIGCHLD);
    /* Again and again: what was forked meanwhile has been adopted by us when its parent is dead. */
    while (reap_ended(r)) {
        if (seconds(CLOCK_MONOTONIC) > until)
            return false;
        signal_descendants(r, SIGKILL, 0, false);
        (void)sigtimedwait(&child_ended, NULL, &pause);
    }
    return true;
}
