/* SPDX-License-Identifier: MIT
 * What the process trees of one loader use, by /proc.
 *
 * Nothing is read more often than ten times a second. What needs two files of every thread (context
 * switches, run-queue delay, thread states), and a look for new processes, come at most once a
 * second; PSS and the limits less often. In between they stand on the pages as they were.
 */
#ifndef EXPORTER_PROCESS_H
#define EXPORTER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "proc_limits.h"
#include "procmeter.h"

struct process_config {
    struct meter_host host;
    const char *cgroup;    /* where control groups are mounted */
    int64_t pss_every_ns;  /* PSS and USS: at most that often; 0 never */
    int64_t read_every_ns; /* anything at all */
    int64_t full_every_ns; /* threads, new processes */
};

/* What the last reading found. */
struct process_values {
    size_t trees;
    size_t alive;              /* processes */
    bool root_alive;           /* a tree whose root has ended may have processes yet */
    double start;              /* of the first root, Unix seconds; 0: not known */
    uid_t uid;                 /* of the first root */
    int64_t sum[METER_VALUES]; /* in the units of enum meter_value; METER_UNKNOWN */
    struct limits limits;      /* of the first root */
};

struct process;

struct process *process_new(const struct process_config *config);
void process_free(struct process *p);

/* Adds a tree by its root. `starttime` 0: whoever has the pid. False when there is no such process.
 */
bool process_add(struct process *p, struct proc_id root);
/* Forgets all trees and what they used. */
void process_clear(struct process *p);

/* Reads all trees, or leaves the last reading when it is fresh. */
void process_read(struct process *p);
/* The next reading is a full one, however fresh the last one is. */
void process_refresh(struct process *p);

/* What was counted for the whole run, where that is more: CPU seconds, KiB of the largest process;
 * -1: not known. */
void process_final(struct process *p, double user_s, double system_s, double peak_rss_kib);

const struct process_values *process_values(const struct process *p);

#endif
