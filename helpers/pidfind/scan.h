/* SPDX-License-Identifier: MIT
 * Looking through /proc for the processes that are asked for.
 */
#ifndef PIDFIND_SCAN_H
#define PIDFIND_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "buf.h"
#include "descend.h"
#include "loader.h"
#include "proc.h"

struct found {
    struct proc_id id;
    pid_t ppid;
    uid_t uid;
    bool by_argv;
    enum loader_files files;
    char *exe, *cwd; /* cwd is NULL when it cannot be read */
    char *workspace; /* NULL when neither files nor argv tell */
    struct buf cmdline;
    char **argv; /* into cmdline */
    size_t argc;
};

struct search {
    int rootfd;
    bool any_python;
    pid_t root;      /* only it and its descendants; 0: everything */
    bool root_first; /* the root alone when it is the one itself */
    struct pids excluded;
    struct pids ancestors; /* of this process, and itself; empty in a recorded tree */

    struct found *found;
    size_t n, cap;
};

/* Opens the tree `proc`; exits 3 when it is none. */
void search_init(struct search *s, const char *proc);
void search_free(struct search *s);

/* Our own pid as this tree counts it, or 0 when the tree is not the one that we run in. */
pid_t search_self(int rootfd);

/* Finds all there are now; returns how many. */
size_t search_all(struct search *s);

/* Finds `pid` if it is one; for a pid that has just begun to run a program. */
size_t search_one(struct search *s, pid_t pid);

/* Python interpreters of the tree that are no match, for the message when none was found. */
struct misses {
    size_t named;         /* name the loader, run no ingest */
    pid_t named_pid;      /* one of them */
    size_t unreadable;    /* would match, but exe cannot be read */
    pid_t unreadable_pid; /* one of them: the root, if it is one */
    bool unreadable_own;  /* it runs as our own user, or we are root, but it has rights
                              that we lack */
};

void search_misses(struct search *s, struct misses *m);

#endif
