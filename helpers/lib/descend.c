/* SPDX-License-Identifier: MIT */
#include "descend.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "buf.h"
#include "proc.h"

/* The children file of a process with that many bytes of children is still read whole. */
#define CHILDREN_MAX ((size_t)1 << 20)
/* Longer than any chain of parents; ends the climb in a recorded tree that has a loop. */
#define DEPTH_MAX 4096

void pids_add(struct pids *p, pid_t pid) {
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 16;
        p->pid = xrealloc(p->pid, p->cap * sizeof(p->pid[0]));
    }
    p->pid[p->n++] = pid;
}

bool pids_have(const struct pids *p, pid_t pid) {
    for (size_t i = 0; i < p->n; i++) {
        if (p->pid[i] == pid)
            return true;
    }
    return false;
}

size_t pids_count(const struct pids *p, pid_t pid) {
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++)
        n += p->pid[i] == pid;
    return n;
}

void pids_free(struct pids *p) {
    free(p->pid);
    *p = (struct pids){0};
}

struct walk {
    int dirfd;
    size_t lists; /* children files that could be read */
    struct buf text;
    struct pids *out;
};

static bool add_children_of_task(long tid, void *arg) {
    struct walk *w = arg;
    char name[48];
    char *end;

    (void)snprintf(name, sizeof(name), "task/%ld/children", tid);
    if (!proc_read_all(w->dirfd, name, &w->text, CHILDREN_MAX))
        return true;
    w->lists++;
    for (char *p = w->text.data; *p != '\0'; p = end) {
        long pid = strtol(p, &end, 10);

        if (end == p)
            break;
        if (pid > 0)
            pids_add(w->out, (pid_t)pid);
    }
    return true;
}

void descend(int rootfd, pid_t root, struct pids *out) {
    struct walk w = {.out = out};

    out->n = 0;
    /* The list grows while it is walked; the root is no part of it. */
    for (size_t i = 0; i <= out->n && i < CHILDREN_MAX; i++) {
        w.dirfd = proc_open_pid(rootfd, i == 0 ? root : out->pid[i - 1]);
        if (w.dirfd < 0)
            continue;
        (void)proc_each_number(w.dirfd, "task", add_children_of_task, &w);
        (void)close(w.dirfd);
    }
    buf_free(&w.text);
    if (w.lists == 0)
        descend_by_parent(rootfd, root, out);
}

pid_t proc_parent(int rootfd, pid_t pid) {
    struct proc_stat st;
    char name[32];

    (void)snprintf(name, sizeof(name), "%d/stat", pid);
    return proc_read_stat(rootfd, name, &st) ? st.ppid : 0;
}

struct parents {
    int rootfd;
    struct pids pid, ppid;
};

static bool add_parent(long pid, void *arg) {
    struct parents *all = arg;

    pids_add(&all->pid, (pid_t)pid);
    pids_add(&all->ppid, proc_parent(all->rootfd, (pid_t)pid));
    return true;
}

void descend_by_parent(int rootfd, pid_t root, struct pids *out) {
    struct parents all = {.rootfd = rootfd};

    out->n = 0;
    (void)proc_each_number(rootfd, ".", add_parent, &all);
    for (size_t i = 0; i <= out->n && i <= all.pid.n; i++) {
        pid_t parent = i == 0 ? root : out->pid[i - 1];

        for (size_t k = 0; k < all.pid.n; k++) {
            if (all.ppid.pid[k] == parent)
                pids_add(out, all.pid.pid[k]);
        }
    }
    pids_free(&all.pid);
    pids_free(&all.ppid);
}

bool descends_from(int rootfd, pid_t pid, pid_t root) {
    for (int depth = 0; depth < DEPTH_MAX && pid > 0; depth++) {
        if (pid == root)
            return true;
        pid = proc_parent(rootfd, pid);
    }
    return false;
}
