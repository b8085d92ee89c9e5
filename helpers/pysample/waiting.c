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

static void block_signals(sigset_t *set) {
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGHUP);
    (void)sigaddset(set, SIGCHLD);
    (void)sigaddset(set, SIGIO);
    (void)sigprocmask(SIG_BLOCK, set, NULL);
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
    block_signals(&w->set);
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

enum wakeup waiting_until(struct waiting *w, uint64_t at) {
    for (;;) {
        uint64_t now = now_ns(), left = at > now ? at - now : 0;
        struct timespec ts = {.tv_sec = (time_t)(left / NS), .tv_nsec = (long)(left % NS)};
        siginfo_t info;
        int sig = sigtimedwait(&w->set, &info, &ts);

        if (sig < 0 && errno == EAGAIN)
            return WAKEUP_DUE;
        if (sig < 0)
            continue;
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
        if (info.si_code != SI_KERNEL)
            (void)kill(w->command, sig);
    }
}

void waiting_reap(struct waiting *w) {
    if (w->exit_status < 0)
        (void)reap(w, 0);
}
