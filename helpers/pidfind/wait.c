/* SPDX-License-Identifier: MIT */
#include "wait.h"

#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "now.h"
#include "proc.h"

#define MS UINT64_C(1000000)
#define POLL_NS (MS / 4)
/* A forked process is watched for so long for the program that it is going to run. */
#define YOUNG_NS (1000 * MS)
#define YOUNG_MAX 512
/* More pids than this between two polls: looking at all processes is cheaper. */
#define BURST_MAX 1024

/* ---- Kernel events ---- */

/* Asks for process events. The second word names the one event wanted; kernels before 6.6 know no
 * such request and ignore it, so that the plain request must come first. */
static bool subscribe(int fd, size_t words) {
    union {
        struct nlmsghdr head;
        char bytes[NLMSG_SPACE(sizeof(struct cn_msg) + 2 * sizeof(uint32_t))];
    } m = {0};
    struct cn_msg *cn = NLMSG_DATA(&m.head);
    uint32_t ask[2] = {PROC_CN_MCAST_LISTEN, PROC_EVENT_EXEC};

    m.head.nlmsg_len = (uint32_t)NLMSG_LENGTH(sizeof(*cn) + words * sizeof(ask[0]));
    m.head.nlmsg_type = NLMSG_DONE;
    cn->id = (struct cb_id){.idx = CN_IDX_PROC, .val = CN_VAL_PROC};
    cn->len = (uint16_t)(words * sizeof(ask[0]));
    memcpy(cn->data, ask, words * sizeof(ask[0]));
    return send(fd, m.bytes, m.head.nlmsg_len, 0) == (ssize_t)m.head.nlmsg_len;
}

/* Reads one event. False when there is none waiting, or errno is ENOBUFS: some were lost. */
static bool read_event(int fd, struct proc_event *event) {
    union {
        struct nlmsghdr head;
        char bytes[4096];
    } m;
    struct sockaddr_nl from = {0};
    socklen_t size = sizeof(from);
    ssize_t n =
        recvfrom(fd, m.bytes, sizeof(m.bytes), MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    const struct cn_msg *cn = NLMSG_DATA(&m.head);

    if (n < 0)
        return false;
    memset(event, 0, sizeof(*event));
    /* Only the kernel, port 0, is believed. */
    if (from.nl_pid != 0 || (size_t)n < NLMSG_LENGTH(sizeof(*cn)) || cn->id.idx != CN_IDX_PROC)
        return true;
    n -= (ssize_t)NLMSG_LENGTH(sizeof(*cn));
    memcpy(event, cn->data, (size_t)n < sizeof(*event) ? (size_t)n : sizeof(*event));
    return true;
}

/* A socket that gets the exec events, or -1 where the kernel gives none. */
static int events_open(void) {
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    int fd = socket(PF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_CONNECTOR);
    int size = 1 << 20;
    struct proc_event ack;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    /* The answer is there when send returns; without one (inside of a namespace) no events will
     * come either. */
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && subscribe(fd, 1)) {
        while (read_event(fd, &ack)) {
            if (ack.what != PROC_EVENT_NONE)
                continue;
            if (ack.event_data.ack.err != 0)
                break;
            (void)subscribe(fd, 2);
            return fd;
        }
    }
    (void)close(fd);
    return -1;
}

/* ---- Polling ---- */

struct young {
    int rootfd;
    long last; /* the newest pid at the last poll; -1: not known */
    size_t n;
    struct {
        pid_t pid;
        uint64_t until;
    } pid[YOUNG_MAX];
};

/* The last field of loadavg: the newest id of a process or thread in our pid namespace; -1 when not
 * known. */
static long newest_pid(int rootfd) {
    char text[128];
    const char *at =
        proc_read(rootfd, "loadavg", text, sizeof(text)) > 0 ? strrchr(text, ' ') : NULL;

    return at ? strtol(at, NULL, 10) : -1;
}

/* True when `pid` is a process that lives, and not a thread of one. */
static bool is_process(int rootfd, pid_t pid) {
    char name[32], text[4096];
    const char *tgid;

    (void)snprintf(name, sizeof(name), "%d/status", pid);
    if (proc_read(rootfd, name, text, sizeof(text)) < 0 || !(tgid = strstr(text, "\nTgid:")))
        return false;
    return strtol(tgid + 6, NULL, 10) == pid;
}

/* Adds the pids given out since the last poll. False when they are too many, or have begun again
 * at 1. */
static bool note_new_pids(struct young *y, uint64_t now) {
    long last = newest_pid(y->rootfd), from = y->last;

    y->last = last;
    if (last == from || from < 0)
        return true;
    if (last < from || last - from > BURST_MAX || y->n + (size_t)(last - from) > YOUNG_MAX)
        return false;
    while (++from <= last) {
        if (!is_process(y->rootfd, (pid_t)from))
            continue;
        y->pid[y->n].pid = (pid_t)from;
        y->pid[y->n++].until = now + YOUNG_NS;
    }
    return true;
}

static bool look_at_young(struct young *y, uint64_t now, bool (*look)(pid_t, void *), void *arg) {
    size_t kept = 0;

    for (size_t i = 0; i < y->n; i++) {
        char name[32], text[8];

        (void)snprintf(name, sizeof(name), "%d/exe", y->pid[i].pid);
        if (proc_readlink(y->rootfd, name, text, sizeof(text)) < 0)
            continue;
        if (look(y->pid[i].pid, arg))
            return true;
        if (y->pid[i].until > now)
            y->pid[kept++] = y->pid[i];
    }
    y->n = kept;
    return false;
}

/* ---- Both ---- */

struct state {
    const struct waiting *w;
    bool (*look)(pid_t pid, void *arg);
    void *arg;
    int events;
    struct young young;
    uint64_t next_scan;
};

/* Looks at all processes, and sets when to do so again: so seldom that it takes a twentieth of a
 * CPU at most. */
static bool scan(struct state *s) {
    uint64_t before = now_ns(), after, pause;
    bool found = s->look(0, s->arg);

    after = now_ns();
    pause = 20 * (after - before);
    if (pause < (s->events < 0 ? 20 : 100) * MS)
        pause = (s->events < 0 ? 20 : 100) * MS;
    if (pause > 500 * MS)
        pause = 500 * MS;
    s->next_scan = after + pause;
    return found;
}

static bool take_events(struct state *s) {
    struct proc_event event;

    for (errno = 0; read_event(s->events, &event); errno = 0) {
        if (event.what == PROC_EVENT_EXEC && s->look(event.event_data.exec.process_tgid, s->arg))
            return true;
    }
    return errno == ENOBUFS && scan(s);
}

static bool take_polled(struct state *s) {
    uint64_t now = now_ns();

    if (!note_new_pids(&s->young, now) && scan(s))
        return true;
    return look_at_young(&s->young, now, s->look, s->arg);
}

static enum wait_end run(struct state *s) {
    uint64_t deadline = now_ns() + s->w->for_ns;

    if (scan(s))
        return WAIT_FOUND;
    for (;;) {
        struct pollfd fds[2] = {{.fd = s->w->root_pidfd, .events = POLLIN},
                                {.fd = s->events, .events = POLLIN}};
        uint64_t now = now_ns(), wake = s->next_scan < deadline ? s->next_scan : deadline, rest;
        struct timespec t;

        if (now >= deadline)
            return scan(s) ? WAIT_FOUND : WAIT_DEADLINE;
        rest = wake > now ? wake - now : 0;
        if (s->events < 0 && rest > POLL_NS)
            rest = POLL_NS;
        t = (struct timespec){.tv_sec = (time_t)(rest / (1000 * MS)),
                              .tv_nsec = (long)(rest % (1000 * MS))};
        (void)ppoll(fds, 2, &t, NULL);
        if (s->events < 0 ? take_polled(s) : take_events(s))
            return WAIT_FOUND;
        if (fds[0].revents != 0)
            return scan(s) ? WAIT_FOUND : WAIT_ROOT_ENDED;
        if (now_ns() >= s->next_scan && scan(s))
            return WAIT_FOUND;
    }
}

enum wait_end wait_for(const struct waiting *w, bool (*look)(pid_t pid, void *arg), void *arg) {
    struct state s = {.w = w, .look = look, .arg = arg, .young = {.rootfd = w->rootfd}};
    enum wait_end end;

    /* Else the kernel may wake us 50 us later each time. */
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    /* Before the first look, so that nothing starts unseen between the two. */
    s.events = w->poll_only ? -1 : events_open();
    s.young.last = newest_pid(w->rootfd);
    end = run(&s);
    if (s.events >= 0)
        (void)close(s.events);
    return end;
}
