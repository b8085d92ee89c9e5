/* SPDX-License-Identifier: MIT
 * One file of /proc read again and again, and the values in its lines.
 */
#ifndef LIB_PROCFILE_H
#define LIB_PROCFILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Longest file read: status of a process with 1000 supplementary groups. */
#define PROCFILE_MAX 16384

/* Reads the file `name` below `dirfd` whole with one pread, at most `cap - 1` bytes, NUL after
 * them. `*fd` is the descriptor kept from the last reading, or -1; it stays open when it reads well
 * and is below `keep_below`, and is closed and -1 otherwise. Returns the bytes read, or -1 and
 * errno: ESRCH when the process is gone. */
ssize_t procfile_read(int dirfd, const char *name, int *fd, int keep_below, char *text, size_t cap);

/* The number after `key` ("\nVmHWM:", the line break included) in a text of `key: value` lines, or
 * -1. `*hint` is where it was found last time: lines seldom move from one reading to the next. */
int64_t procfile_value(const char *text, size_t len, const char *key, size_t *hint);

#endif
