/* SPDX-License-Identifier: MIT
 * What the kernel says of the target's threads: running, blocked and in which system call, how
 * often scheduled. Sources: /proc/PID/task/TID/syscall, schedstat, stat and status (proc(5)). The
 * files of as many threads are kept open as the limit on open files leaves room for; those of the
 * others are opened for each reading.
 */
#ifndef PYSAMPLE_OS_H
#define PYSAMPLE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum os_state {
    OS_UNKNOWN,
    OS_RUN,     /* on a processor or waiting for one */
    OS_BLOCKED, /* in a system call, or a page fault (call -1) */
    OS_STOPPED, /* by a signal or a debugger */
    OS_GONE,
};

/* Neither runs nor wants to. */
static inline bool os_rests(enum os_state s) {
    return s == OS_BLOCKED || s == OS_STOPPED;
}

struct run_ring;

struct os_thread {
    pid_t tid, host;          /* as the target's namespace and as ours number it */
    int fd_syscall, fd_sched; /* -1 = not kept open */
    uint32_t seen;            /* sample */
    enum os_state state;
    int call;                     /* system call number, -1 = none, -2 = not told */
    uint64_t arg0;                /* its first argument */
    uint64_t run_delay, switches; /* ns waited for a processor; times put on one */
    uint64_t run_delay_before;    /* in the sample before */
    bool counted;                 /* the kernel tells the two */
    uint32_t read;                /* sample in which state was read */
    uint64_t waited;              /* ns of run_delay that no sample's time was yet taken for */
    uint64_t asleep_switches;     /* switches as of the sleep it was seen in; 0: it ran since */
    bool woken;                   /* from that sleep, but on no processor since */
    uint64_t woken_ns;            /* time of samples that showed it so */
    struct run_ring *ring;        /* of the views: samples in which it ran or waited to run */
};

struct os {
    int procfd;      /* /proc/PID */
    bool foreign_ns; /* thread numbers need NSpid */
    struct os_thread *threads;
    uint32_t n, cap;
    uint32_t last;         /* where the search begins: threads come in the same order */
    uint32_t fds, fds_max; /* files kept open */
};

/* How many numbers a process or thread has, one a pid namespace, outermost first: "NSpid:" of the
 * status file `name` below `dirfd`; *last is set to the innermost. 0, and *last unset, when the
 * file cannot be read or has none. */
int os_ns_pids(int dirfd, const char *name, pid_t *last);

/* `procfd`: /proc/PID, which must stay open. Raises the soft limit on open files. */
void os_open(struct os *o, int procfd);
void os_close(struct os *o);

/* The entry for a thread number of the target's own namespace. Valid until the next call. */
struct os_thread *os_thread(struct os *o, pid_t tid, uint32_t sample);

/* Reads state, call and argument. */
void os_read_state(struct os *o, struct os_thread *t);
/* Reads run_delay and switches; false when the kernel does not say. */
bool os_read_sched(const struct os *o, struct os_thread *t);

/* Closes the files of threads not seen for a while. */
void os_sweep(struct os *o, uint32_t sample);

/* "[io: epoll_wait]", "[blocked: futex]"; static or in `space`. */
const char *os_marker(int call, char *space, size_t cap);

#endif
