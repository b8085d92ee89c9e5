/* SPDX-License-Identifier: MIT
 * Reading /proc: bounded whole-file reads relative to a directory fd, so that all that is read of
 * one process is of the same process. Formats: proc(5).
 *
 * A process that vanishes is data: these functions return false or a negative value, and print
 * nothing.
 */
#ifndef LIB_PROC_H
#define LIB_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"

/* The identity of a process: a pid alone is reused. */
struct proc_id {
    pid_t pid;
    uint64_t starttime; /* clock ticks since boot: field 22 of stat */
};

/* What is used of /proc/PID/stat and /proc/PID/task/TID/stat. Times in clock ticks, rss in pages.
 */
struct proc_stat {
    pid_t pid;
    char comm[65]; /* may hold spaces and parentheses; kernel threads exceed 15 characters */
    char state;
    pid_t ppid;
    uint64_t minflt, majflt;
    uint64_t utime, stime;
    long num_threads;
    uint64_t starttime;
    uint64_t vsize; /* bytes */
    int64_t rss;
};

/* Opens `root` ("/proc" or a recorded tree); exits 3 with a message where it is none. */
int proc_open_root(const char *root);

/* Opens ROOT/PID as a directory, or returns -1. */
int proc_open_pid(int rootfd, pid_t pid);

/* Reads the file `name` below `dirfd` whole, at most `cap - 1` bytes, NUL after them. Returns the
 * bytes read, or -1. A file longer than that is cut. */
ssize_t proc_read(int dirfd, const char *name, char *text, size_t cap);

/* Reads the file `name` below `dirfd` whole, of any size up to `max` bytes (for cmdline, maps,
 * environ). */
bool proc_read_all(int dirfd, const char *name, struct buf *out, size_t max);

/* Parses the text of a stat file. comm ends at the LAST ')'. False when it is not one. */
bool proc_parse_stat(const char *text, struct proc_stat *st);

/* proc_read + proc_parse_stat of `name` ("stat", "task/12/stat"). */
bool proc_read_stat(int dirfd, const char *name, struct proc_stat *st);

/* Calls `each` with every number that names an entry of the directory `name` below `dirfd` (pids,
 * tids, fds) until it returns false. Returns how many it was called with, or -1 when the directory
 * cannot be read. */
long proc_each_number(int dirfd, const char *name, bool (*each)(long number, void *arg), void *arg);

/* What the link `name` below `dirfd` points at, NUL-terminated and cut at cap - 1; -1 when it
 * cannot be read. */
ssize_t proc_readlink(int dirfd, const char *name, char *text, size_t cap);

#endif
