/* SPDX-License-Identifier: MIT
 * The descendants of a process at one moment. Prints nothing.
 */
#ifndef LIB_DESCEND_H
#define LIB_DESCEND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pids {
    pid_t *pid;
    size_t n, cap;
};

void pids_add(struct pids *p, pid_t pid);
bool pids_have(const struct pids *p, pid_t pid);
size_t pids_count(const struct pids *p, pid_t pid);
void pids_free(struct pids *p);

/* Replaces `out` by the descendants of `root` (not itself), parents before their children. Reads
 * the children file of every thread: what a second thread forked is not in the main thread's.
 * Quick, but it may miss one while the tree changes. */
void descend(int rootfd, pid_t root, struct pids *out);

/* The same by the parent of every process on the machine: slow and sure, and for kernels without
 * children files. */
void descend_by_parent(int rootfd, pid_t root, struct pids *out);

/* The parent of `pid`, or 0 when it is gone. */
pid_t proc_parent(int rootfd, pid_t pid);

/* True when `pid` is `root` or its parents lead there. */
bool descends_from(int rootfd, pid_t pid, pid_t root);

#endif
