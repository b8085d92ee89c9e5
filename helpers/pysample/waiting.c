/* SPDX-License-Identifier: MIT */
#include "waiting.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "now.h"

static const uint64_t NS = 1000000000;

/* In the order in which they are taken when several have arrived. */
static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGCHLD, SIGIO};
enum { SIGNALS = sizeof(signals) / sizeof(signals[0]) };

/* Of the program as a whole, as signals are. */
static volatile sig_atomic_t arrived[SIGNALS];
static volatile sig_atomic_t from_kernel[SIGNALS];
static volatile struct timespec deadline;

/* A deadline that has passed ends the wait also where that is only about to begin: no signal is
 * slept through. (A handler and clock_nanosleep cost less than sigtimedwait, in each sample.) */
static void note(int sig, siginfo_t *info, void *context) {
    (void)context;
    for (int i = 0; i < SIGNALS; i++) {
        if (signals[i] != sig)
            continue;
        arrived[i] = 1;
        from_kernel[i] = info->si_code == SI_KERNEL;
    }
    deadline.tv_sec = 0;
}

static void handle_signals(void) {
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART};

    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigfillset(&action.sa_mask);
    for (int i = 0; i < SIGNALS; i++) {
        (void)sigaddset(&set, signals[i]);
        (void)sigaction(signals[i], &action, NULL);
    }
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int follow(const char *path) {
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd < 0 || inotify_add_watch(fd, path, IN_MODIFY) < 0)
        die(EX_FAIL, "%s:", path);
    if (fcntl(fd, F_SETOWN, getpid()) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC) != 0)
        die(EX_FAIL, "%s: fcntl:", path);
    return fd;
}

void waiting_open(struct waiting *w, pid_t command, const char *follow_file) {
    *w = (struct waiting){.command = command, .follow_fd = -1, .exit_status = -1};
    handle_signals();
    if (follow_file)
        w->follow_fd = follow(follow_file);
}

void waiting_close(struct waiting *w) {
    if (w->follow_fd >= 0)
        (void)close(w->follow_fd);
    w->follow_fd = -1;
}

static void drain(int fd) {
    char events[4096];

    while (read(fd, events, sizeof(events)) > 0)
        continue;
}

/* Takes the end of the command; false when it has none, or has not ended. */
static bool reap(struct waiting *w, int flags) {
    int status;

    if (!w->command || waitpid(w->command, &status, flags) != w->command)
        return false;
    w->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

/* Waits until `at` or a signal; its number, 0 = none. `kernel`: it is not from a process. */
static int next_signal(uint64_t at, bool *kernel) {
    /* Not volatile for the kernel, which reads it at once. */
    const struct timespec *until = (const struct timespec *)&deadline;

    for (;;) {
        deadline.tv_nsec = (long)(at % NS);
        deadline.tv_sec = (time_t)(at / NS);
        for (int i = 0; i < SIGNALS; i++) {
            if (!arrived[i])
                continue;
            *kernel = from_kernel[i];
            arrived[i] = 0;
            return signals[i];
        }
        if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, until, NULL) == 0 &&
            deadline.tv_sec != 0)
            return 0;
    }
}

enum wakeup waiting_until(struct waiting *w, uint64_t at) {
    for (;;) {
        bool kernel = false;
        int sig = next_signal(at, &kernel);

        if (sig == 0)
            return WAKEUP_DUE;
        if (sig == SIGIO) {
            drain(w->follow_fd);
            return WAKEUP_WRITTEN;
        }
        if (sig == SIGCHLD) {
            if (reap(w, WNOHANG))
                return WAKEUP_ENDED;
            continue;
        }
        if (!w->command || w->forwarded)
            return WAKEUP_STOPPED;
        /* A launched command gets the signal too, and is sampled to its end; one typed at the
         * terminal it has got already. */
        w->forwarded = true;
        if (!kernel)
            (void)kill(w->command, sig);
    }
}

void waiting_reap(struct waiting *w) {
    if (w->exit_status < 0)
        (void)reap(w, 0);
}
