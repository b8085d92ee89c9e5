/* SPDX-License-Identifier: MIT
 * What one process uses: one reading of /proc/PID into a struct. Files are kept open and read again
 * with pread, which costs a quarter of open + read + close. Formats: proc(5). Prints nothing.
 *
 * Below a recorded tree (any directory that is no procfs) nothing is kept open: each reading looks
 * the files up anew.
 */
#ifndef LIB_PROCMETER_H
#define LIB_PROCMETER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc.h"
#include "proctasks.h"

#define METER_UNKNOWN INT64_C(-1)

enum meter_value {
    /* Since the start of the process. These never fall from one reading to the next. */
    METER_CPU_USER,   /* ns, in whole clock ticks: stat */
    METER_CPU_SYSTEM, /* ns, in whole clock ticks: stat */
    METER_ONCPU, /* ns: the CPU clock of the process; in a recorded tree schedstat of all threads */
    METER_RUN_DELAY,     /* ns runnable but waiting for a CPU: schedstat of all threads, with
                            METER_TASKS */
    METER_MINFLT,        /* faults without I/O: stat */
    METER_MAJFLT,        /* faults with I/O */
    METER_IO_READ,       /* bytes from storage: io, with METER_DETAIL as all from here on */
    METER_IO_WRITE,      /* bytes to storage */
    METER_IO_RCHAR,      /* bytes of read calls, cached or not */
    METER_IO_WCHAR,      /* bytes of write calls */
    METER_CTX_VOLUNTARY, /* context switches: status of all threads with METER_TASKS, else of the
                            main thread with METER_DETAIL */
    METER_CTX_INVOLUNTARY,
    METER_PEAK_RSS,   /* KiB: VmHWM of status, with METER_DETAIL */
    METER_CUMULATIVE, /* how many there are */

    /* Of now. */
    METER_RSS = METER_CUMULATIVE, /* KiB: VmRSS of status, or stat */
    METER_PSS,                    /* KiB: smaps_rollup, with METER_PSS_USS */
    METER_USS,                    /* KiB: its Private_ lines */
    METER_RSS_ANON,               /* KiB: status, with METER_DETAIL */
    METER_RSS_FILE,
    METER_RSS_SHMEM,
    METER_SWAP,
    METER_THREADS,          /* stat */
    METER_THREADS_RUNNING,  /* state R: status of all threads, with METER_TASKS */
    METER_THREADS_SLEEPING, /* S and I */
    METER_THREADS_DISK,     /* D */
    METER_THREADS_OTHER,    /* stopped, traced, dead */
    METER_FDS,              /* entries of fd */
    METER_SOCKETS,          /* those that are sockets, with METER_SOCKET_FDS */
    METER_VALUES,
};

/* What costs extra and is read only when asked for. */
enum {
    METER_TASKS = 1,      /* two files of every thread */
    METER_PSS_USS = 2,    /* holds up mmap and munmap of the process for some ms a GiB of RSS */
    METER_SOCKET_FDS = 4, /* one readlink a descriptor */
    METER_DETAIL = 8,    /* status and io, two thirds of what the files of a process cost: parts and
                            peak of RSS, swap, switches of the main thread, bytes read and written */
    METER_STAT_RSS = 16, /* not dear: RSS of stat even with METER_DETAIL. The kernel adds it up
                            less exactly there, so that readings of both are not to be mixed */
    METER_TASKS_RAN = 32, /* with METER_TASKS: `only_ran` of proctasks_read */
};

enum meter_life {
    METER_ALIVE,
    METER_ENDED, /* a zombie: cumulative values are final, those of now are 0 */
    METER_GONE,  /* no such process any more: cumulative values are those of the last reading, the
                    others unknown */
};

struct meter_reading {
    char comm[65];
    char state;                  /* letter of stat: R S D Z T …; '\0' when gone */
    int64_t value[METER_VALUES]; /* METER_UNKNOWN: not known */
    uint64_t pss_ns,
        sockets_ns; /* what METER_PSS_USS and METER_SOCKET_FDS took, for a caller that bounds it */
};

/* Where processes are read from. */
struct meter_host {
    int rootfd;
    int keep_below; /* a descriptor from this number on is closed after the reading; 0 in a recorded
                       tree */
    bool own_pids;  /* a procfs of this process's own pid namespace, so that system calls know its
                       pids */
    int64_t ns_per_tick; /* of the times in stat */
    int64_t kib_per_page;
};

struct procmeter;

/* Exits 3 with a message when `root` is no directory. Raises the soft limit of open files to the
 * hard one. */
void meter_host_open(struct meter_host *host, const char *root);

/* NULL when there is no such process. `host` must outlive the meter. */
struct procmeter *meter_open(const struct meter_host *host, pid_t pid);
void meter_close(struct procmeter *m);

struct proc_id meter_id(const struct procmeter *m);

/* `want` is the sum of METER_TASKS and its like. A file that is absent or forbidden leaves its
 * values unknown. A process of the same pid with another start time is GONE. */
enum meter_life meter_read(struct procmeter *m, unsigned want, struct meter_reading *r);

/* True when io or fd was refused in the last reading: another user's process. */
bool meter_refused(const struct procmeter *m);

/* Its threads, up to date after a reading with METER_TASKS. */
const struct proctasks *meter_tasks(const struct procmeter *m);
/* proctasks_ran of them. */
bool meter_task_ran(const struct procmeter *m, pid_t tid);

#endif
