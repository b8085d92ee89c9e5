/* SPDX-License-Identifier: MIT */
#include "proctree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "num.h"

/* The children files of a process with that many children are still read whole. */
#define CHILDREN_MAX ((size_t)1 << 20)

/* The directory of a process, and its stat; -1 when it is not that process any more. */
static int open_same(int rootfd, struct proc_id id, struct proc_stat *st) {
    int dirfd = proc_open_pid(rootfd, id.pid);

    if (dirfd >= 0 && (!proc_read_stat(dirfd, "stat", st) || st->starttime != id.starttime)) {
        (void)close(dirfd);
        dirfd = -1;
    }
    return dirfd;
}

char proctree_state(const struct proctree *t, size_t i) {
    struct proc_stat st;
    int dirfd = open_same(t->rootfd, t->node[i].id, &st);

    if (dirfd < 0)
        return '\0';
    (void)close(dirfd);
    return st.state;
}

static void add(struct proctree *t, pid_t pid) {
    struct proc_stat st;
    int dirfd;

    for (size_t i = 0; i < t->n; i++) {
        /* Another start time is a new process on the pid of an ended one that was not taken out
         * yet. */
        if (t->node[i].id.pid == pid && proctree_state(t, i) != '\0')
            return;
    }
    dirfd = proc_open_pid(t->rootfd, pid);
    if (dirfd < 0)
        return;
    if (proc_read_stat(dirfd, "stat", &st)) {
        if (t->n == t->cap) {
            t->cap = t->cap ? 2 * t->cap : 8;
            t->node = xrealloc(t->node, t->cap * sizeof(t->node[0]));
        }
        t->node[t->n++] = (struct tree_node){.id = {.pid = pid, .starttime = st.starttime}};
    }
    (void)close(dirfd);
}

bool proctree_init(struct proctree *t, int rootfd, pid_t root) {
    *t = (struct proctree){.rootfd = rootfd};
    add(t, root);
    return t->n == 1;
}

void proctree_free(struct proctree *t) {
    free(t->node);
    buf_free(&t->text);
    *t = (struct proctree){.rootfd = -1};
}

void proctree_remove(struct proctree *t, size_t i) {
    memmove(&t->node[i], &t->node[i + 1], (t->n - i - 1) * sizeof(t->node[0]));
    t->n--;
}

struct walk {
    struct proctree *tree;
    proctree_forker *may_have_forked;
    size_t node; /* of which the threads are walked */
    pid_t pid;
    int dirfd;
    size_t lists; /* children files that could be read */
};

static bool walk_task(long tid, void *arg) {
    struct walk *w = arg;
    struct buf *text = &w->tree->text;
    char name[48];

    /* The main thread is given the children of others too: of threads and processes that end. */
    if (w->may_have_forked && tid != w->pid &&
        !w->may_have_forked(&w->tree->node[w->node], (pid_t)tid))
        return true;
    (void)snprintf(name, sizeof(name), "task/%ld/children", tid);
    if (!proc_read_all(w->dirfd, name, text, CHILDREN_MAX))
        return true;
    w->lists++;
    for (const char *p = text->data; *p != '\0';) {
        const char *before = p;
        uint64_t pid = num_read(&p);

        if (p == before)
            break;
        if (pid > 0)
            add(w->tree, (pid_t)pid);
    }
    return true;
}

struct parent {
    pid_t pid, ppid;
};

struct parents {
    int rootfd;
    struct parent *of;
    size_t n, cap;
};

static bool read_parent(long pid, void *arg) {
    struct parents *all = arg;
    struct proc_stat st;
    char name[32];

    (void)snprintf(name, sizeof(name), "%ld/stat", pid);
    if (!proc_read_stat(all->rootfd, name, &st))
        return true;
    if (all->n == all->cap) {
        all->cap = all->cap ? 2 * all->cap : 256;
        all->of = xrealloc(all->of, all->cap * sizeof(all->of[0]));
    }
    all->of[all->n++] = (struct parent){.pid = (pid_t)pid, .ppid = st.ppid};
    return true;
}

/* Without children files: the parent of every process. The loop runs on over what it adds. */
static void scan_parents(struct proctree *t) {
    struct parents all = {.rootfd = t->rootfd};

    (void)proc_each_number(t->rootfd, ".", read_parent, &all);
    for (size_t i = 0; i < t->n; i++) {
        for (size_t k = 0; k < all.n; k++) {
            if (all.of[k].ppid == t->node[i].id.pid)
                add(t, all.of[k].pid);
        }
    }
    free(all.of);
}

/* The last field of loadavg is the newest pid (of a process or a thread) in this pid namespace. */
static bool pids_were_given_out(struct proctree *t) {
    char text[128], last[16];
    ssize_t n = proc_read(t->rootfd, "loadavg", text, sizeof(text));
    const char *p = n > 0 ? strrchr(text, ' ') : NULL;

    if (!p)
        return true;
    (void)snprintf(last, sizeof(last), "%s", p + 1);
    if (strcmp(last, t->last_pid) != 0) {
        memcpy(t->last_pid, last, sizeof(last));
        /* One scan more than this one: a process has its pid some microseconds before it is
         * somebody's child. */
        t->scans_due = 2;
    }
    return t->scans_due > 0;
}

size_t proctree_scan(struct proctree *t, bool quick, proctree_forker *may_have_forked) {
    struct walk w = {.tree = t, .may_have_forked = may_have_forked};
    struct proc_stat st;
    size_t before = t->n;

    if (!pids_were_given_out(t) && quick)
        return 0;
    if (t->scans_due > 0)
        t->scans_due--;
    for (size_t i = 0; i < t->n; i++) {
        w.dirfd = open_same(t->rootfd, t->node[i].id, &st);
        if (w.dirfd < 0)
            continue;
        w.node = i;
        w.pid = t->node[i].id.pid;
        (void)proc_each_number(w.dirfd, "task", walk_task, &w);
        (void)close(w.dirfd);
    }
    if (w.lists == 0)
        scan_parents(t);
    return t->n - before;
}
