/* SPDX-License-Identifier: MIT */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "buf.h"
#include "proc.h"

enum { FDS_SPARE = 32, FDS_WANTED = 65536 }; /* spare: for all but the threads' files */

static const struct {
    int call;
    const char *marker;
} markers[] = {
    {SYS_read, "[io: read]"},
    {SYS_write, "[io: write]"},
    {SYS_readv, "[io: readv]"},
    {SYS_writev, "[io: writev]"},
    {SYS_pread64, "[io: pread64]"},
    {SYS_pwrite64, "[io: pwrite64]"},
    {SYS_openat, "[io: openat]"},
    {SYS_close, "[io: close]"},
    {SYS_newfstatat, "[io: newfstatat]"},
    {SYS_getdents64, "[io: getdents64]"},
    {SYS_fsync, "[io: fsync]"},
    {SYS_fdatasync, "[io: fdatasync]"},
    {SYS_poll, "[io: poll]"},
    {SYS_ppoll, "[io: ppoll]"},
    {SYS_select, "[io: select]"},
    {SYS_pselect6, "[io: pselect6]"},
    {SYS_epoll_wait, "[io: epoll_wait]"},
    {SYS_epoll_pwait, "[io: epoll_wait]"},
    {SYS_connect, "[io: connect]"},
    {SYS_accept, "[io: accept]"},
    {SYS_accept4, "[io: accept4]"},
    {SYS_sendto, "[io: sendto]"},
    {SYS_recvfrom, "[io: recvfrom]"},
    {SYS_sendmsg, "[io: sendmsg]"},
    {SYS_recvmsg, "[io: recvmsg]"},
    {SYS_io_uring_enter, "[io: io_uring_enter]"},
    {SYS_futex, "[blocked: futex]"},
    {SYS_flock, "[blocked: flock]"},
    {SYS_fcntl, "[blocked: fcntl]"},
    {SYS_nanosleep, "[blocked: nanosleep]"},
    {SYS_clock_nanosleep, "[blocked: clock_nanosleep]"},
    {SYS_wait4, "[blocked: wait4]"},
    {SYS_waitid, "[blocked: waitid]"},
    {SYS_pause, "[blocked: pause]"},
    {SYS_rt_sigtimedwait, "[blocked: rt_sigtimedwait]"},
    {SYS_mmap, "[blocked: mmap]"},
    {SYS_munmap, "[blocked: munmap]"},
    {SYS_madvise, "[blocked: madvise]"},
    {SYS_mprotect, "[blocked: mprotect]"},
    {-1, "[blocked: page fault]"},
    {-2, "[blocked]"},
};

const char *os_marker(int call, char *space, size_t cap) {
    for (size_t i = 0; i < sizeof(markers) / sizeof(markers[0]); i++) {
        if (markers[i].call == call)
            return markers[i].marker;
    }
    (void)snprintf(space, cap, "[blocked: syscall %d]", call);
    return space;
}

int os_ns_pids(int dirfd, const char *name, pid_t *last) {
    char status[8192];
    const char *p;
    int n = 0;

    if (proc_read(dirfd, name, status, sizeof(status)) <= 0 ||
        (p = strstr(status, "\nNSpid:")) == NULL)
        return 0;
    p += strlen("\nNSpid:");
    while (*p == '\t' || *p == ' ') {
        char *end;
        long v = strtol(p, &end, 10);

        if (end == p)
            break;
        *last = (pid_t)v;
        n++;
        p = end;
    }
    return n;
}

void os_open(struct os *o, int procfd) {
    struct rlimit lim;
    pid_t last;

    *o = (struct os){.procfd = procfd, .cap = 64};
    o->threads = xcalloc(o->cap, sizeof(*o->threads));
    o->foreign_ns = os_ns_pids(procfd, "status", &last) > 1;
    /* Two files a thread. */
    if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
        return;
    if (lim.rlim_cur < lim.rlim_max && lim.rlim_cur < FDS_WANTED) {
        struct rlimit more = lim;

        more.rlim_cur = lim.rlim_max < FDS_WANTED ? lim.rlim_max : FDS_WANTED;
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            lim = more;
    }
    if (lim.rlim_cur > FDS_SPARE)
        o->fds_max = lim.rlim_cur < FDS_WANTED ? (uint32_t)lim.rlim_cur - FDS_SPARE : FDS_WANTED;
}

static void drop_file(struct os *o, int *fd) {
    if (*fd < 0)
        return;
    (void)close(*fd);
    *fd = -1;
    o->fds--;
}

static void forget(struct os *o, struct os_thread *t) {
    drop_file(o, &t->fd_syscall);
    drop_file(o, &t->fd_sched);
    free(t->ring);
    t->ring = NULL;
}

void os_close(struct os *o) {
    for (uint32_t i = 0; i < o->n; i++)
        forget(o, &o->threads[i]);
    free(o->threads);
    *o = (struct os){0};
}

struct search {
    int procfd;
    pid_t want, found;
};

static bool match_ns(long number, void *arg) {
    struct search *s = arg;
    char name[64];
    pid_t last;

    (void)snprintf(name, sizeof(name), "task/%ld/status", number);
    if (os_ns_pids(s->procfd, name, &last) > 0 && last == s->want) {
        s->found = (pid_t)number;
        return false;
    }
    return true;
}

static int open_of(const struct os *o, pid_t host, const char *file) {
    char name[64];

    (void)snprintf(name, sizeof(name), "task/%d/%s", host, file);
    return openat(o->procfd, name, O_RDONLY | O_CLOEXEC);
}

static void keep_file(struct os *o, int *kept, int fd) {
    *kept = fd;
    o->fds += fd >= 0;
}

/* Reads a file of a thread, by the one that is kept open where there is one. */
static ssize_t read_of(const struct os *o, const struct os_thread *t, int kept, const char *file,
                       char *text, size_t cap) {
    int fd = kept >= 0 ? kept : open_of(o, t->host, file);
    ssize_t n = fd >= 0 ? pread(fd, text, cap - 1, 0) : -1;

    if (fd >= 0 && fd != kept) {
        int error = errno;

        (void)close(fd);
        errno = error;
    }
    if (n > 0)
        text[n] = '\0';
    return n;
}

struct os_thread *os_thread(struct os *o, pid_t tid, uint32_t sample) {
    struct os_thread *t;

    for (uint32_t k = 0; k < o->n; k++) {
        t = &o->threads[(o->last + k) % o->n];
        if (t->tid == tid) {
            o->last = (uint32_t)(t - o->threads) + 1;
            t->seen = sample;
            return t;
        }
    }
    if (o->n == o->cap) {
        o->cap *= 2;
        o->threads = xrealloc(o->threads, o->cap * sizeof(*o->threads));
    }
    t = &o->threads[o->n++];
    *t = (struct os_thread){.tid = tid, .host = tid, .seen = sample, .call = -2};
    if (o->foreign_ns) {
        struct search s = {.procfd = o->procfd, .want = tid};

        (void)proc_each_number(o->procfd, "task", match_ns, &s);
        t->host = s.found;
    }
    t->fd_syscall = t->fd_sched = -1;
    if (o->fds + 2 <= o->fds_max) {
        keep_file(o, &t->fd_syscall, open_of(o, t->host, "syscall"));
        keep_file(o, &t->fd_sched, open_of(o, t->host, "schedstat"));
    }
    return t;
}

/* By the state letter of stat: where the kernel has no syscall file or does not let us read it, and
 * of a thread in no system call. `call` is then what it is blocked in. */
static void state_by_letter(const struct os *o, struct os_thread *t, int call) {
    struct proc_stat st;
    char name[64];

    (void)snprintf(name, sizeof(name), "task/%d/stat", t->host);
    t->call = call;
    t->state = OS_GONE;
    if (!proc_read_stat(o->procfd, name, &st) || st.state == 'Z' || st.state == 'X')
        return;
    if (st.state == 'T' || st.state == 't')
        t->state = OS_STOPPED;
    else
        t->state = st.state == 'R' ? OS_RUN : OS_BLOCKED;
}

void os_read_state(struct os *o, struct os_thread *t) {
    char text[256];
    ssize_t n = read_of(o, t, t->fd_syscall, "syscall", text, sizeof(text));
    char *end;

    t->arg0 = 0;
    if (n <= 0) {
        if (n < 0 && errno == ESRCH)
            t->state = OS_GONE;
        else
            state_by_letter(o, t, -2);
        return;
    }
    if (text[0] == 'r') {
        t->state = OS_RUN;
        return;
    }
    t->state = OS_BLOCKED;
    t->call = (int)strtol(text, &end, 10);
    if (t->call >= 0)
        t->arg0 = strtoull(end, NULL, 16);
    else
        state_by_letter(o, t, t->call);
}

/* A decimal number, and the blank behind it. */
static uint64_t take_number(const char **p) {
    uint64_t v = 0;

    for (; **p >= '0' && **p <= '9'; (*p)++)
        v = v * 10 + (uint64_t)(**p - '0');
    if (**p == ' ')
        (*p)++;
    return v;
}

bool os_read_sched(const struct os *o, struct os_thread *t) {
    char text[96];
    ssize_t n = read_of(o, t, t->fd_sched, "schedstat", text, sizeof(text));
    const char *p = text;

    if (n <= 0)
        return false;
    (void)take_number(&p);
    t->run_delay = take_number(&p);
    t->switches = take_number(&p);
    return t->switches != 0;
}

void os_sweep(struct os *o, uint32_t sample) {
    uint32_t kept = 0;

    for (uint32_t i = 0; i < o->n; i++) {
        if (sample - o->threads[i].seen > 64)
            forget(o, &o->threads[i]);
        else
            o->threads[kept++] = o->threads[i];
    }
    o->n = kept;
    o->last = 0;
}
