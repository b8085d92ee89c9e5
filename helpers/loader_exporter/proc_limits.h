/* SPDX-License-Identifier: MIT
 * How much a process may use: the smallest limit of its control groups (v2 and v1), and of the
 * machine.
 */
#ifndef EXPORTER_PROC_LIMITS_H
#define EXPORTER_PROC_LIMITS_H

#include <stdint.h>

/* -1: not known. */
struct limits {
    double memory_bytes;
    double cpus;  /* cores */
    double files; /* open files: the soft limit */
};

/* Reads them of the process whose /proc directory is `dirfd`. `procfd` is /proc, `cgroup` where
 * control groups are mounted. */
void limits_read(int procfd, int dirfd, const char *cgroup, struct limits *l);

#endif
