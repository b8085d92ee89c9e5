/* SPDX-License-Identifier: MIT */
#include "scan.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The kernel's own limit of argv is a quarter of the stack limit, 2 MiB by default. */
#define CMDLINE_MAX ((size_t)4 << 20)

static const char interpreter[] = "python";

pid_t search_self(int rootfd) {
    char text[16];

    return proc_readlink(rootfd, "self", text, sizeof(text)) > 0 ? (pid_t)strtol(text, NULL, 10)
                                                                 : 0;
}

void search_init(struct search *s, const char *proc) {
    s->rootfd = proc_open_root(proc);
    for (pid_t pid = search_self(s->rootfd); pid > 0; pid = proc_parent(s->rootfd, pid))
        pids_add(&s->ancestors, pid);
}

static void found_free(struct found *f) {
    free(f->exe);
    free(f->cwd);
    free(f->workspace);
    free(f->argv);
    buf_free(&f->cmdline);
}

static void forget_all(struct search *s) {
    while (s->n > 0)
        found_free(&s->found[--s->n]);
}

void search_free(struct search *s) {
    forget_all(s);
    free(s->found);
    pids_free(&s->excluded);
    pids_free(&s->ancestors);
    (void)close(s->rootfd);
}

/* True when ROOT/NAME, a link to an executable, leads to a Python interpreter. */
static bool is_python(int dirfd, const char *name, char *path, size_t cap) {
    const char *slash;

    if (proc_readlink(dirfd, name, path, cap) < 0)
        return false;
    slash = strrchr(path, '/');
    return strncmp(slash ? slash + 1 : path, interpreter, sizeof(interpreter) - 1) == 0;
}

static void split_cmdline(struct found *f) {
    const struct buf *b = &f->cmdline;
    size_t cap = 8;

    f->argv = xmalloc(cap * sizeof(f->argv[0]));
    for (size_t at = 0; at < b->len; at += strlen(b->data + at) + 1) {
        if (f->argc == cap)
            f->argv = xrealloc(f->argv, (cap *= 2) * sizeof(f->argv[0]));
        f->argv[f->argc++] = b->data + at;
    }
}

/* The first number of a line of status, as of "\nTgid:\t7\n"; -1 when it is not there. */
static long status_number(const char *status, const char *key) {
    const char *at = strstr(status, key);

    return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

static char *link_text(int dirfd, const char *name) {
    char path[PATH_MAX];

    return proc_readlink(dirfd, name, path, sizeof(path)) < 0 ? NULL : xstrdup(path);
}

/* What a `--workspace` of argv means, seen from the directory of the process. */
static char *workspace_of_argv(const struct found *f) {
    const char *w = loader_workspace(f->argv, f->argc);
    struct buf path = {0};

    if (!w || (w[0] != '/' && !f->cwd))
        return NULL;
    if (w[0] != '/')
        buf_adds(&path, f->cwd);
    if (w[0] != '/' && strcmp(w, ".") != 0)
        buf_addc(&path, '/');
    if (strcmp(w, ".") != 0)
        buf_adds(&path, w);
    return path.data;
}

/* Fills `f` from the open directory of one process; false when it is not what is asked for. */
static bool examine(const struct search *s, int dirfd, pid_t pid, struct found *f) {
    char path[PATH_MAX], status[4096];
    struct proc_stat st;

    if (!is_python(dirfd, "exe", path, sizeof(path)) || !proc_read_stat(dirfd, "stat", &st) ||
        st.state == 'Z' || st.state == 'X' ||
        !proc_read_all(dirfd, "cmdline", &f->cmdline, CMDLINE_MAX))
        return false;
    if (proc_read(dirfd, "status", status, sizeof(status)) < 0)
        status[0] = '\0';
    /* /proc also answers to the ids of threads, though it does not list them. */
    if (status_number(status, "\nTgid:") > 0 && status_number(status, "\nTgid:") != pid)
        return false;
    split_cmdline(f);
    f->exe = xstrdup(path);
    f->by_argv = loader_argv(f->argv, f->argc) == ARGV_INGEST;
    f->files = loader_files(dirfd, path, sizeof(path));
    if (!s->any_python && !f->by_argv && f->files != FILES_HELD)
        return false;
    f->id = (struct proc_id){.pid = pid, .starttime = st.starttime};
    f->ppid = st.ppid;
    f->uid = (uid_t)status_number(status, "\nUid:");
    f->cwd = link_text(dirfd, "cwd");
    f->workspace = f->files == FILES_HELD ? xstrdup(path) : workspace_of_argv(f);
    return true;
}

static void look(struct search *s, pid_t pid) {
    struct found f = {0};
    char path[PATH_MAX], name[32];
    int dirfd;

    (void)snprintf(name, sizeof(name), "%d/exe", pid);
    if (!is_python(s->rootfd, name, path, sizeof(path)) || pids_have(&s->excluded, pid))
        return;
    if (pid != s->root && pids_have(&s->ancestors, pid))
        return;
    dirfd = proc_open_pid(s->rootfd, pid);
    if (dirfd < 0)
        return;
    if (examine(s, dirfd, pid, &f)) {
        if (s->n == s->cap)
            s->found = xrealloc(s->found, (s->cap = 2 * s->cap + 4) * sizeof(s->found[0]));
        s->found[s->n++] = f;
    } else {
        found_free(&f);
    }
    (void)close(dirfd);
}

static bool look_at_each(long pid, void *arg) {
    look(arg, (pid_t)pid);
    return true;
}

static void drop(struct search *s, size_t i) {
    found_free(&s->found[i]);
    memmove(&s->found[i], &s->found[i + 1], (s->n - i - 1) * sizeof(s->found[0]));
    s->n--;
}

/* A process that is forked but runs its own program not yet, or never will, still shows the
 * executable and the argv of its parent: it is the loader's own short-lived helper, not another
 * loader. */
static bool is_fork_of(const struct found *child, const struct found *parent) {
    return child->ppid == parent->id.pid && child->cmdline.len == parent->cmdline.len &&
           memcmp(child->cmdline.data, parent->cmdline.data, child->cmdline.len) == 0;
}

static void drop_forks(struct search *s) {
    /* From the end, so that a fork of a fork still has its parent to compare with. */
    for (size_t i = s->n; i-- > 0;) {
        for (size_t k = 0; k < s->n; k++) {
            if (k != i && is_fork_of(&s->found[i], &s->found[k])) {
                drop(s, i);
                break;
            }
        }
    }
}

static void look_in_tree(struct search *s) {
    struct pids tree = {0};

    look(s, s->root);
    if (s->n > 0 && s->root_first)
        return;
    descend(s->rootfd, s->root, &tree);
    for (size_t i = 0; i < tree.n; i++)
        look(s, tree.pid[i]);
    pids_free(&tree);
}

size_t search_all(struct search *s) {
    forget_all(s);
    if (s->root > 0)
        look_in_tree(s);
    if (s->n == 0) {
        /* A children list may lack one while the tree changes: the parents tell for sure. */
        (void)proc_each_number(s->rootfd, ".", look_at_each, s);
        for (size_t i = s->n; i-- > 0 && s->root > 0;) {
            if (!descends_from(s->rootfd, s->found[i].id.pid, s->root))
                drop(s, i);
        }
    }
    drop_forks(s);
    return s->n;
}

size_t search_one(struct search *s, pid_t pid) {
    forget_all(s);
    look(s, pid);
    if (s->n > 0 && s->root > 0 && !descends_from(s->rootfd, pid, s->root))
        forget_all(s);
    return s->n;
}

struct miss_walk {
    struct search *search;
    struct misses *misses;
};

static bool count_miss(long pid, void *arg) {
    struct miss_walk *w = arg;
    const struct search *s = w->search;
    int dirfd = proc_open_pid(s->rootfd, (pid_t)pid);
    char path[PATH_MAX];
    struct found f = {0};
    bool python, hidden;
    struct stat st;

    if (dirfd < 0)
        return true;
    errno = 0;
    python = is_python(dirfd, "exe", path, sizeof(path));
    hidden = !python && errno == EACCES;
    if ((python || hidden) && !pids_have(&s->ancestors, (pid_t)pid) &&
        proc_read_all(dirfd, "cmdline", &f.cmdline, CMDLINE_MAX)) {
        enum loader_argv kind;

        split_cmdline(&f);
        kind = loader_argv(f.argv, f.argc);
        /* What runs outside of the tree is no miss of it; the root itself is the one to name. */
        if (s->root > 0 && !descends_from(s->rootfd, (pid_t)pid, s->root))
            kind = ARGV_OTHER;
        if (python && kind == ARGV_NAMED) {
            w->misses->named++;
            w->misses->named_pid = (pid_t)pid;
        } else if (hidden && kind == ARGV_INGEST &&
                   (w->misses->unreadable++ == 0 || w->misses->unreadable_pid != s->root)) {
            w->misses->unreadable_pid = (pid_t)pid;
            w->misses->unreadable_own =
                geteuid() == 0 || (fstat(dirfd, &st) == 0 && st.st_uid == geteuid());
        }
    }
    found_free(&f);
    (void)close(dirfd);
    return true;
}

void search_misses(struct search *s, struct misses *m) {
    struct miss_walk w = {.search = s, .misses = m};

    *m = (struct misses){0};
    (void)proc_each_number(s->rootfd, ".", count_miss, &w);
}
