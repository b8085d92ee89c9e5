/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "interrupt.h"
#include "now.h"
#include "reap.h"
#include "start.h"

/* A process that is passed over while its child lives is looked at so often: ever more seldom. */
#define PAUSE_NS UINT64_C(10000000)
#define PAUSE_MAX_NS UINT64_C(1000000000)

/* What was done so far to end the command. */
enum stage { STAGE_RUN, STAGE_INT, STAGE_TERM, STAGE_KILL };

struct guardian {
    struct run *run;
    struct reaper reaper;
    struct interrupt interrupt;
    pid_t group; /* the command's */
    enum stage stage;
    bool recorded;      /* the end of the command */
    bool leftovers;     /* the command has ended, and what it left behind is being ended */
    bool alone;         /* the front is gone */
    uint64_t deadline;  /* when the next stage begins, monotonic ns; 0: not by itself */
    uint64_t next_look; /* when the tree is interrupted further, monotonic ns; 0: all of it is */
    uint64_t pause;     /* ns from one such look to the next */
    uint64_t began;     /* monotonic ns */
    int status;         /* ours, when it is not the command's */
};

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

/* After a round of SIGINT: those that were passed over are looked at again, ever more seldom. */
static void after_interrupt(struct guardian *g, bool passed_over) {
    if (g->pause < PAUSE_MAX_NS)
        g->pause *= 2;
    g->next_look = passed_over ? now_ns() + g->pause : 0;
}

static void begin_interrupt(struct guardian *g, bool delivered) {
    g->pause = PAUSE_NS;
    after_interrupt(g, interrupt_begin(&g->interrupt, delivered ? g->group : 0));
    /* A stopped process handles no signal. */
    signal_tree(g, SIGCONT, false);
}

/* The next, harder stage. */
static void escalate(struct guardian *g) {
    g->next_look = 0;
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
    begin_interrupt(g, n->delivered);
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
    g->leftovers = g->interrupt.or_term = true;
    if (g->stage == STAGE_KILL)
        return;
    /* Who has got a SIGINT gets no second one: it may be a loader that is writing its profile, and
     * its wrapper died. */
    begin_interrupt(g, false);
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
    uint64_t now = now_ns(), until = g->deadline, rest;
    struct timespec t;

    if (g->next_look > 0 && (until == 0 || g->next_look < until))
        until = g->next_look;
    rest = until > now ? until - now : 0;
    t = (struct timespec){.tv_sec = (time_t)(rest / 1000000000),
                          .tv_nsec = (long)(rest % 1000000000)};
    (void)ppoll(fds, 2, until > 0 ? &t : NULL, NULL);
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
        if (g->next_look > 0 && now_ns() >= g->next_look)
            after_interrupt(g, interrupt_more(&g->interrupt));
        if (g->deadline > 0 && now_ns() >= g->deadline)
            escalate(g);
    }
}

int guard(struct run *run, int notes) {
    struct guardian g = {.run = run};
    struct started started;
    int signals = signalfd(-1, &run->ours, SFD_NONBLOCK | SFD_CLOEXEC);

    (void)prctl(PR_SET_NAME, "procrun-guard");
    /* Out of the process group of the front: who kills that group kills the front, and we end the
     * tree. */
    (void)setpgid(0, 0);
    if (signals < 0 || fcntl(notes, F_SETFL, O_NONBLOCK) != 0 ||
        prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        die(EX_FAIL, "cannot hold a tree of processes:");
    started = start_command(run);
    g.status = started.status;
    if (started.pid == 0)
        return g.status;
    g.group = started.group;
    g.interrupt = (struct interrupt){.rootfd = run->rootfd, .grace_ns = run->grace_ns};
    g.began = started.began;
    g.reaper = (struct reaper){.result = &run->result,
                               .rootfd = run->rootfd,
                               .command = started.pid,
                               .argv0 = run->command[0],
                               .started = started.epoch};
    hold_tree(&g, notes, signals);
    finish(&g);
    interrupt_free(&g.interrupt);
    return g.status;
}
