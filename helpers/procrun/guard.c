/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "proc.h"
#include "reap.h"

/* What was done so far to end the command. */
enum stage { STAGE_RUN, STAGE_INT, STAGE_TERM, STAGE_KILL };

struct guardian {
    struct run *run;
    struct reaper reaper;
    pid_t group; /* the command's */
    enum stage stage;
    bool recorded;     /* the end of the command */
    bool leftovers;    /* the command has ended, and what it left behind is being ended */
    bool alone;        /* the front is gone */
    uint64_t deadline; /* when the next stage begins, monotonic ns; 0: not by itself */
    uint64_t began;    /* monotonic ns */
    int status;        /* ours, when it is not the command's */
};

static uint64_t now_ns(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- Starting the command ---- */

/* All but standard input, output and error: those that we opened are closed anyway, those that we
 * were given are not. */
static void close_at_exec(void) {
    long max = sysconf(_SC_OPEN_MAX);

    if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    /* Linux before 5.11, or a sandbox that does not know the call. */
    for (int fd = STDERR_FILENO + 1; fd < max && fd < 1 << 16; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* In the child: becomes the command, or tells errno to `failure` and ends. */
static _Noreturn void become_command(const struct run *run, pid_t guardian, pid_t group,
                                     int failure) {
    struct sigaction normal = {.sa_handler = SIG_DFL};
    static const int reset[] = {SIGINT, SIGQUIT, SIGTERM, SIGTTOU};

    /* Should the guardian be killed the command goes with it, even when nobody is left to end it.
     */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != guardian)
        _exit(EX_FAIL);
    (void)setpgid(0, group);
    /* A job that a script starts in the background ignores SIGINT, and a Python program would then
     * never get a KeyboardInterrupt, with which it writes its profile. */
    for (size_t i = 0; i < sizeof(reset) / sizeof(reset[0]); i++)
        (void)sigaction(reset[i], &normal, NULL);
    (void)sigaction(SIGHUP, &run->hup, NULL);
    (void)sigaction(SIGPIPE, &run->pipe, NULL);
    (void)sigprocmask(SIG_SETMASK, &run->mask, NULL);
    if (run->cwd < 0 || fchdir(run->cwd) == 0) {
        close_at_exec();
        (void)execvp(run->command[0], run->command);
    }
    (void)!write(failure, &errno, sizeof(errno));
    _exit(EX_FAIL);
}

static void write_pid_file(struct guardian *g) {
    const struct run *run = g->run;
    struct proc_stat st;
    char name[32];

    if (run->pid_fd < 0)
        return;
    (void)snprintf(name, sizeof(name), "%d/stat", g->reaper.command);
    if (!proc_read_stat(run->rootfd, name, &st) ||
        dprintf(run->pid_fd, "%d %" PRIu64 "\n", g->reaper.command, st.starttime) < 0 ||
        rename(run->pid_file_new, run->pid_file) != 0) {
        warn("--pid-file %s: %s: the command goes on", run->pid_file, strerror(errno));
        (void)unlink(run->pid_file_new);
        g->status = EX_FAIL;
    }
    (void)close(run->pid_fd);
}

/* False, with the exit status set, when the command cannot be executed. */
static bool start_command(struct guardian *g) {
    struct run *run = g->run;
    pid_t self = getpid(), group = run->foreground ? getpgid(getppid()) : 0, child;
    int failure[2], reason = 0;

    if (pipe2(failure, O_CLOEXEC) != 0)
        die(EX_FAIL, "pipe:");
    g->reaper.started = epoch_ns();
    g->began = now_ns();
    child = fork();
    if (child < 0)
        die(EX_FAIL, "%s: cannot start a process:", run->command[0]);
    if (child == 0)
        become_command(run, self, group, failure[1]);
    /* Both of us do it, so that it is done whoever comes first. */
    g->group = group ? group : child;
    (void)setpgid(child, g->group);
    (void)close(failure[1]);
    if (read(failure[0], &reason, sizeof(reason)) != (ssize_t)sizeof(reason))
        reason = 0;
    (void)close(failure[0]);
    g->reaper.command = child;
    result_time(&run->result, "started", g->reaper.started);
    if (reason == 0) {
        write_pid_file(g);
        result_key(&run->result, "pid", "%d", child);
        result_columns(&run->result);
        return true;
    }
    (void)waitpid(child, NULL, 0);
    warn("%s: %s: %s", run->command[0], strerror(reason),
         reason == ENOENT ? "is it installed, and on PATH?"
                          : "give a program that can be executed");
    g->status = reason == ENOENT ? 127 : 126;
    result_key(&run->result, "error", "%s: %s", run->command[0], strerror(reason));
    result_key(&run->result, "exit_status", "%d", g->status);
    if (run->pid_fd >= 0)
        (void)unlink(run->pid_file_new);
    return false;
}

/* ---- Signals ---- */

/* `delivered`: the terminal has sent it to the command's process group. */
static void signal_tree(struct guardian *g, int sig, bool delivered) {
    pid_t group = g->group;

    /* The group of a command that has been reaped may be a stranger's by now; in the foreground it
     * is ours too. */
    if (g->reaper.command_ended || (g->run->foreground && !delivered))
        group = 0;
    signal_descendants(&g->reaper, sig, group, delivered);
}

static void set_deadline(struct guardian *g, bool timed) {
    g->deadline = timed ? now_ns() + g->run->grace_ns : 0;
}

/* The next, harder stage. */
static void escalate(struct guardian *g) {
    if (g->stage == STAGE_INT && !g->leftovers) {
        g->stage = STAGE_TERM;
        warn("%s: has not ended; sending SIGTERM", g->run->command[0]);
        signal_tree(g, SIGTERM, false);
        signal_tree(g, SIGCONT, false);
        set_deadline(g, true);
        return;
    }
    if (g->stage != STAGE_KILL)
        warn("%s: %s; sending SIGKILL", g->run->command[0],
             g->leftovers ? "what it left behind has not ended" : "has not ended");
    g->stage = STAGE_KILL;
    g->deadline = 0;
}

/* SIGINT first: on SIGTERM Python writes no profile. Who asks by SIGINT waits as long as it takes,
 * or asks again. */
static void ask_to_end(struct guardian *g, const struct note *n) {
    if (g->stage != STAGE_RUN) {
        escalate(g);
        return;
    }
    g->stage = STAGE_INT;
    signal_tree(g, SIGINT, n->delivered);
    signal_tree(g, SIGCONT, false);
    set_deadline(g, n->sig != SIGINT);
}

static void pass_on(struct guardian *g, const struct note *n) {
    switch (n->sig) {
    case SIGINT:
    case SIGTERM:
    case SIGHUP:
        ask_to_end(g, n);
        break;
    case SIGUSR1:
    case SIGUSR2:
        /* Most programs die of these: only the command itself can mean them. */
        if (!g->reaper.command_ended)
            (void)kill(g->reaper.command, n->sig);
        break;
    default:
        signal_tree(g, n->sig, n->delivered);
    }
}

/* ---- The end of the command ---- */

static void record_end(struct guardian *g) {
    struct result *r = &g->run->result;
    uint64_t wall = now_ns() - g->began;
    int status = g->reaper.command_status;

    if (WIFSIGNALED(status))
        result_key(r, "signal", "%d", WTERMSIG(status));
    else
        result_key(r, "exit_status", "%d", WEXITSTATUS(status));
    result_time(r, "ended", epoch_ns());
    result_time(r, "wall_s", (int64_t)wall);
}

static void begin_leftovers(struct guardian *g) {
    g->leftovers = true;
    if (g->stage == STAGE_KILL)
        return;
    /* A wrapper that dies of SIGINT leaves a loader behind that is writing its profile: not a
     * second SIGINT for it. */
    ask_descendants_to_end(&g->reaper);
    g->stage = STAGE_TERM;
    set_deadline(g, true);
}

/* Says it where a background program waits for the terminal: it looks like a program that hangs. */
static void look_for_stop(struct guardian *g) {
    siginfo_t info = {0};

    if (g->reaper.command_ended || g->run->foreground ||
        waitid(P_PID, (id_t)g->reaper.command, &info, WSTOPPED | WNOHANG) != 0 || info.si_pid == 0)
        return;
    if (info.si_status == SIGTTIN || info.si_status == SIGTTOU)
        warn("%s: is stopped, since it wants the terminal: end it and use --foreground",
             g->run->command[0]);
}

static void finish(struct guardian *g) {
    struct result *r = &g->run->result;
    struct rusage all;
    int status = g->reaper.command_status;

    (void)getrusage(RUSAGE_CHILDREN, &all);
    result_key(r, "processes", "%llu", g->reaper.reaped);
    result_key(r, "cpu_user_s", "%lld.%06ld", (long long)all.ru_utime.tv_sec,
               (long)all.ru_utime.tv_usec);
    result_key(r, "cpu_system_s", "%lld.%06ld", (long long)all.ru_stime.tv_sec,
               (long)all.ru_stime.tv_usec);
    result_key(r, "maxrss_kib", "%ld", all.ru_maxrss);
    if (g->alone)
        result_key(r, "error", "procrun was killed, and its tree with it");
    result_key(r, "complete", "%s", g->alone || g->status != 0 ? "no" : "yes");
    if (g->status == 0 && r->failed)
        g->status = EX_FAIL;
    if (g->status == 0)
        g->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- The loop ---- */

/* Reads what the front and the kernel tell. */
static void take_notes(struct guardian *g, int notes, int signals) {
    struct signalfd_siginfo info;
    struct note n;
    ssize_t got = read(notes, &n, sizeof(n));

    if (got == (ssize_t)sizeof(n)) {
        pass_on(g, &n);
    } else if (got == 0) {
        g->alone = true;
        g->stage = STAGE_KILL;
    }
    while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        n = (struct note){.sig = (int)info.ssi_signo};
        /* Meant for us, from someone who took the guardian for procrun. */
        if (n.sig == SIGINT || n.sig == SIGTERM || n.sig == SIGHUP)
            pass_on(g, &n);
    }
}

static void wait_for_news(const struct guardian *g, int notes, int signals) {
    struct pollfd fds[2] = {{.fd = notes, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    struct timespec t = {0};

    if (g->deadline > 0) {
        uint64_t now = now_ns(), rest = g->deadline > now ? g->deadline - now : 0;

        t.tv_sec = (time_t)(rest / 1000000000);
        t.tv_nsec = (long)(rest % 1000000000);
    }
    (void)ppoll(fds, 2, g->deadline > 0 ? &t : NULL, NULL);
}

/* Writes down the end of the command, once, and turns to what it left behind. */
static void note_end(struct guardian *g, bool children_left) {
    if (!g->reaper.command_ended || g->recorded)
        return;
    g->recorded = true;
    record_end(g);
    if (children_left && !g->run->wait_all)
        begin_leftovers(g);
}

static void hold_tree(struct guardian *g, int notes, int signals) {
    for (;;) {
        bool children_left = reap_ended(&g->reaper);

        note_end(g, children_left);
        if (!children_left)
            return;
        if (g->stage == STAGE_KILL) {
            if (!kill_descendants(&g->reaper, KILL_NS)) {
                warn("%s: a process of it cannot be killed: look for it below pid %d with ps",
                     g->run->command[0], getpid());
                g->status = EX_FAIL;
                return;
            }
            continue;
        }
        look_for_stop(g);
        wait_for_news(g, notes, signals);
        take_notes(g, notes, signals);
        if (g->deadline > 0 && now_ns() >= g->deadline)
            escalate(g);
    }
}

int guard(struct run *run, int notes) {
    struct guardian g = {.run = run};
    int signals = signalfd(-1, &run->ours, SFD_NONBLOCK | SFD_CLOEXEC);

    g.reaper =
        (struct reaper){.result = &run->result, .rootfd = run->rootfd, .argv0 = run->command[0]};
    (void)prctl(PR_SET_NAME, "procrun-guard");
    /* Out of the process group of the front: who kills that group kills the front, and we end the
     * tree. */
    (void)setpgid(0, 0);
    if (signals < 0 || fcntl(notes, F_SETFL, O_NONBLOCK) != 0 ||
        prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        die(EX_FAIL, "cannot hold a tree of processes:");
    if (!start_command(&g))
        return g.status;
    hold_tree(&g, notes, signals);
    finish(&g);
    pids_free(&g.reaper.interrupted);
    return g.status;
}
