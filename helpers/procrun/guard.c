/* SPDX-License-Identifier: MIT */
#include "procrun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "proc.h"

struct guard {
    const struct options *o;
    struct record *r;
    pid_t command;
    bool command_ended;
    int status; /* of the command, as wait4 gives it */
    int asked;  /* how far the ending has come: 0 not asked, then an index into `ladder` + 1 */
    uint64_t deadline; /* of the step, CLOCK_MONOTONIC in ns; 0 = none */
};

/* SIGINT first: on SIGTERM the loader leaves by os._exit after 3 s and loses profile.out. */
static const int ladder[] = {SIGINT, SIGTERM, SIGKILL};
enum { STEPS = sizeof(ladder) / sizeof(ladder[0]) };

static uint64_t now(void) {
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* In the new process: becomes the command, or writes errno to `report` and ends. */
static void become(const struct options *o, int report, bool foreground) {
    sigset_t none;
    int e;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setpgid(0, 0);
    if (foreground)
        (void)tcsetpgrp(STDIN_FILENO, getpid()); /* SIGTTOU is blocked here */
    for (int s = 1; s < NSIG; s++)
        (void)signal(s, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* Nothing but 0, 1 and 2 goes to the command; `report` closes with the exec. */
    (void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    if (!o->cwd || chdir(o->cwd) == 0)
        (void)execvp(o->command[0], o->command);
    e = errno;
    if (write(report, &e, sizeof(e)) != sizeof(e))
        _exit(126);
    _exit(e == ENOENT ? 127 : 126);
}

static pid_t start(const struct options *o) {
    bool foreground = isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
    int report[2], e = 0;
    pid_t pid;

    if (pipe2(report, O_CLOEXEC) != 0)
        die(EX_FAIL, "pipe:");
    pid = fork();
    if (pid < 0)
        die(EX_FAIL, "fork:");
    if (pid == 0)
        become(o, report[1], foreground);
    (void)close(report[1]);
    (void)setpgid(pid, pid); /* whoever of the two comes first */
    if (read(report[0], &e, sizeof(e)) == sizeof(e)) {
        errno = e;
        warn("%s:", o->command[0]);
    }
    (void)close(report[0]);
    return pid;
}

/* `pid starttime`, by rename, so that a reader never sees half of it. */
static void write_pid_file(const char *path, pid_t pid) {
    int root = proc_open_root("/proc");
    struct proc_stat st = {0};
    char name[4096];
    FILE *f;

    (void)snprintf(name, sizeof(name), "%d/stat", pid);
    (void)proc_read_stat(root, name, &st);
    (void)close(root);
    if ((size_t)snprintf(name, sizeof(name), "%s.new", path) >= sizeof(name))
        die(EX_FAIL, "%s: name too long", path);
    f = fopen(name, "we");
    if (!f || fprintf(f, "%d %llu\n", pid, (unsigned long long)st.starttime) < 0 ||
        fclose(f) != 0 || rename(name, path) != 0)
        die(EX_FAIL, "%s:", path);
}

/* Takes the next step of the ending: the command's group as a terminal would, then all that
 * descends from it. */
static void end_step(struct guard *g) {
    int sig = ladder[g->asked < STEPS ? g->asked : STEPS - 1];

    if (g->asked < STEPS)
        g->asked++;
    if (sig == SIGINT && !g->command_ended)
        (void)kill(-g->command, sig);
    else
        (void)tree_signal(sig);
    g->deadline = now() + g->o->grace_ns;
}

/* A signal that the user, or the front for the user, sent to procrun. */
static void on_signal(struct guard *g, int sig) {
    if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP)
        end_step(g);
    else if (sig == SIGTSTP)
        (void)kill(-g->command, SIGSTOP);
    else
        (void)kill(-g->command, sig);
}

/* Reaps all that have ended. Their names are read first, while they are zombies. False when there
 * is no child left. */
static bool reap(struct guard *g) {
    int root = proc_open_root("/proc");
    siginfo_t info = {0};
    bool left = true;

    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
        struct proc_stat st = {.comm = "n/a"};
        struct rusage usage = {0};
        char name[32];
        int status = 0;

        (void)snprintf(name, sizeof(name), "%d/stat", info.si_pid);
        (void)proc_read_stat(root, name, &st);
        if (wait4(info.si_pid, &status, 0, &usage) != info.si_pid)
            break;
        record_row(g->r, info.si_pid, st.comm, st.starttime, status, &usage);
        if (info.si_pid == g->command) {
            g->command_ended = true;
            g->status = status;
            record_end(g->r, status);
        }
        info.si_pid = 0;
    }
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD)
        left = false;
    (void)close(root);
    return left;
}

static int wait_ms(const struct guard *g) {
    uint64_t t = now();

    if (g->deadline == 0)
        return -1;
    return g->deadline <= t ? 0 : (int)((g->deadline - t) / 1000000u) + 1;
}

int guard(const struct options *o, struct record *r, int life) {
    struct guard g = {.o = o, .r = r};
    struct signalfd_siginfo got;
    struct pollfd fds[2];
    sigset_t all;

    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    fds[0] =
        (struct pollfd){.fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK), .events = POLLIN};
    fds[1] = (struct pollfd){.fd = life, .events = POLLIN};
    if (fds[0].fd < 0)
        die(EX_FAIL, "signalfd:");
    g.command = start(o);
    record_begin(r, g.command);
    if (o->pid_file)
        write_pid_file(o->pid_file, g.command);
    for (;;) {
        if (!reap(&g))
            break;
        /* The command is over and something of it is left. */
        if (g.command_ended && g.asked == 0 && !o->wait_all)
            end_step(&g);
        if (poll(fds, 2, wait_ms(&g)) < 0 && errno != EINTR)
            die(EX_FAIL, "poll:");
        if (fds[1].revents != 0) { /* the front is gone */
            tree_kill();
            return 137;
        }
        while (read(fds[0].fd, &got, sizeof(got)) == (ssize_t)sizeof(got)) {
            if (got.ssi_signo != SIGCHLD)
                on_signal(&g, (int)got.ssi_signo);
        }
        if (g.deadline != 0 && now() >= g.deadline)
            end_step(&g);
    }
    if (!record_close(r)) {
        warn("%s: could not be written. Is the disk full?", o->result);
        return EX_FAIL;
    }
    return WIFSIGNALED(g.status) ? 128 + WTERMSIG(g.status) : WEXITSTATUS(g.status);
}
