/* SPDX-License-Identifier: MIT */
#include "interrupt.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "now.h"
#include "proc.h"
#include "result.h"

/* How long a wrapper whose child has ended may take to end by itself. */
#define PATIENCE_NS UINT64_C(2000000000)

/* What a process does on SIGINT: the lines SigIgn and SigCgt of status are hexadecimal masks, bit 0
 * for signal 1. */
static bool on_sigint(int rootfd, pid_t pid, const char *line) {
    char name[32], text[4096];
    const char *mask;

    (void)snprintf(name, sizeof(name), "%d/status", pid);
    if (proc_read(rootfd, name, text, sizeof(text)) < 0 || !(mask = strstr(text, line)))
        return false;
    return (strtoull(mask + strlen(line), NULL, 16) >> (SIGINT - 1) & 1) != 0;
}

/* Programs that run one command after another: without a SIGINT of their own they would go on with
 * the next one. They wait for the one that runs, and pass nothing on to it. */
static bool is_shell(int rootfd, pid_t pid) {
    static const char *const shells[] = {"sh",  "dash", "bash",    "ash",  "ksh",
                                         "zsh", "fish", "busybox", "make", "gmake"};
    char name[32], path[4096];
    const char *base;

    (void)snprintf(name, sizeof(name), "%d/exe", pid);
    if (proc_readlink(rootfd, name, path, sizeof(path)) < 0)
        return false;
    base = strrchr(path, '/');
    base = base ? base + 1 : path;
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (strcmp(base, shells[i]) == 0)
            return true;
    }
    return false;
}

struct target {
    pid_t pid;
    bool passed_over;
    uint64_t childless; /* since when, monotonic ns; 0: it has one */
};

/* The parents of `all`; 0 for one that does not hold its parent up: a zombie, or what ignores
 * SIGINT, as the resource tracker of Python's multiprocessing does. */
static void list_parents(const struct interrupt *t, const struct pids *all, struct pids *parents) {
    for (size_t i = 0; i < all->n; i++) {
        struct proc_stat st;
        char name[32];

        (void)snprintf(name, sizeof(name), "%d/stat", all->pid[i]);
        if (!proc_read_stat(t->rootfd, name, &st) || st.state == 'Z' ||
            on_sigint(t->rootfd, all->pid[i], "\nSigIgn:"))
            st.ppid = 0;
        pids_add(parents, st.ppid);
    }
}

bool interrupt_begin(struct interrupt *t, pid_t but) {
    struct pids all = {0};

    descend(t->rootfd, getpid(), &all);
    t->began = now_ns();
    t->target = xrealloc(t->target, all.n * sizeof(t->target[0]));
    t->targets = 0;
    for (size_t i = 0; i < all.n; i++) {
        if (pids_have(&t->interrupted, all.pid[i]))
            continue;
        if (but > 0 && getpgid(all.pid[i]) == but)
            pids_add(&t->interrupted, all.pid[i]);
        else
            t->target[t->targets++] = (struct target){.pid = all.pid[i]};
    }
    pids_free(&all);
    return interrupt_more(t);
}

/* True when its turn has come: it is no wrapper, or was passed over for long enough. */
static bool is_due(const struct interrupt *t, struct target *one, const struct pids *parents) {
    uint64_t now = now_ns(), half = t->grace_ns / 2;

    if (now - t->began >= half)
        return true;
    if (pids_count(parents, one->pid) == 1 && on_sigint(t->rootfd, one->pid, "\nSigCgt:") &&
        !is_shell(t->rootfd, one->pid)) {
        one->passed_over = true;
        one->childless = 0;
        return false;
    }
    if (one->childless == 0)
        one->childless = now;
    return !one->passed_over || now - one->childless >= PATIENCE_NS;
}

bool interrupt_more(struct interrupt *t) {
    struct pids all = {0}, parents = {0};
    size_t left = 0;

    descend(t->rootfd, getpid(), &all);
    list_parents(t, &all, &parents);
    for (size_t i = 0; i < t->targets; i++) {
        struct target one = t->target[i];
        int sig = SIGINT;

        if (!pids_have(&all, one.pid))
            continue;
        if (!is_due(t, &one, &parents)) {
            t->target[left++] = one;
            continue;
        }
        if (on_sigint(t->rootfd, one.pid, "\nSigIgn:")) {
            if (!t->or_term)
                continue;
            sig = SIGTERM;
        }
        (void)kill(one.pid, sig);
        pids_add(&t->interrupted, one.pid);
    }
    t->targets = left;
    pids_free(&parents);
    pids_free(&all);
    return left > 0;
}

void interrupt_free(struct interrupt *t) {
    free(t->target);
    pids_free(&t->interrupted);
}
