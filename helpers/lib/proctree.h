/* SPDX-License-Identifier: MIT
 * A process and all that descends from it, followed over time by (pid, start time): a process stays
 * in the tree when its parent ends and another one adopts it. Prints nothing.
 *
 * Children are read of every thread (task/TID/children): those that a second thread forked are not
 * in the main thread's list. A kernel without these files is asked for the parent of every process
 * instead. A process that is forked and loses its parent between two scans is not found, unless
 * something in the tree adopts orphans.
 */
#ifndef LIB_PROCTREE_H
#define LIB_PROCTREE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "proc.h"

struct tree_node {
    struct proc_id id;
    void *user; /* the caller's */
};

struct proctree {
    int rootfd;
    struct tree_node *node; /* the root first, as long as it lives */
    size_t n, cap;
    char last_pid[16]; /* the newest pid of the machine at the last scan */
    unsigned scans_due;
    struct buf text; /* of children files */
};

/* False for a thread of the process that cannot have forked since the last scan. */
typedef bool proctree_forker(const struct tree_node *node, pid_t tid);

/* Begins a tree of one process; false when there is none. `rootfd` must outlive the tree. */
bool proctree_init(struct proctree *t, int rootfd, pid_t root);
void proctree_free(struct proctree *t);

/* Looks for new descendants and adds them behind the others, `user` NULL; returns how many. With
 * `quick`, does nothing when no pid was given out on the whole machine since the last scan (loadavg
 * says so). The children of other threads than the main one are read only where
 * `may_have_forked`, which may be NULL. */
size_t proctree_scan(struct proctree *t, bool quick, proctree_forker *may_have_forked);

/* Takes a process out, keeping the order of the others. */
void proctree_remove(struct proctree *t, size_t i);

/* The state letter of the process of node `i`, 'Z' for a zombie; '\0' when it is gone. */
char proctree_state(const struct proctree *t, size_t i);

#endif
