/* SPDX-License-Identifier: MIT */
#include "connections.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "buf.h"
#include "clock.h"

/* A client that keeps its connection open begins its next request by then. Longer than any scrape
 * interval in use. */
#define IDLE_NS (INT64_C(600) * 1000000000)
/* How often idle connections are looked at. */
#define SWEEP_NS (INT64_C(1) * 1000000000)

/* Bytes that have come over a connection so far; 0 where the kernel does not say. */
static uint64_t received(const struct connection *c) {
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);

    return getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received
                                                                       : 0;
}

static void expire_by(struct connection *c, int64_t deadline_ns) {
    if (c->deadline_ns > deadline_ns)
        c->deadline_ns = deadline_ns;
}

/* libmicrohttpd sees the end of the connection at its next run, and closes it. */
static void drop(struct connection *c, uint64_t *count) {
    if (c->dropped)
        return;
    c->dropped = true;
    ++*count;
    (void)shutdown(c->fd, SHUT_RDWR);
}

/* Makes room for a new connection, `but`: drops the oldest other one that has no request yet, or
 * else the oldest that waits. */
static void drop_one(struct connections *open, const struct connection *but) {
    struct connection *waiting = NULL;

    for (struct connection *c = open->last; c; c = c->prev) {
        if (c->dropped || c->answering || c == but)
            continue;
        if (!c->idle) {
            drop(c, &open->dropped_crowd);
            return;
        }
        if (!waiting)
            waiting = c;
    }
    if (waiting)
        drop(waiting, &open->dropped_crowd);
}

void connections_drop_reader(struct connections *open, const struct connection *but) {
    struct connection *oldest = NULL;

    for (struct connection *c = open->last; c; c = c->prev) {
        if (c->answering && !c->dropped && c != but &&
            (!oldest || c->deadline_ns < oldest->deadline_ns))
            oldest = c;
    }
    if (oldest)
        drop(oldest, &open->dropped_crowd);
}

struct connection *connection_opened(struct connections *open, int fd) {
    struct connection *c = xcalloc(1, sizeof(*c));

    c->fd = fd;
    c->deadline_ns = monotonic_ns() + open->deadline_ns;
    c->next = open->first;
    if (open->first)
        open->first->prev = c;
    else
        open->last = c;
    open->first = c;
    open->n++;
    if (open->n > open->max)
        drop_one(open, c);
    return c;
}

void connection_closed(struct connections *open, struct connection *c) {
    if (c->prev)
        c->prev->next = c->next;
    else
        open->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        open->last = c->prev;
    open->n--;
    free(c);
}

void connection_asked(const struct connections *open, struct connection *c, int64_t now) {
    c->idle = false;
    /* The first request's time began with the connection, that of others with a first byte. */
    expire_by(c, now + open->deadline_ns);
}

void connection_answered(struct connection *c) {
    c->answering = false;
    c->idle = true;
    c->unread = false;
    c->received = received(c);
    c->deadline_ns = monotonic_ns() + IDLE_NS;
}

int64_t connections_next(const struct connections *open, int64_t next) {
    for (const struct connection *c = open->first; c; c = c->next) {
        if (!c->dropped && c->deadline_ns < next)
            next = c->deadline_ns;
    }
    return next;
}

/* The time of a next request begins with its first byte, which libmicrohttpd does not tell. Also it
 * waits for edges, and misses the end of some clients that spoke nonsense: what has come and is not
 * read within a sweep is not read at all. */
static void sweep(struct connections *open, int64_t now) {
    for (struct connection *c = open->first; c; c = c->next) {
        char byte;
        bool unread =
            c->idle && !c->answering && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;

        if (unread && c->unread)
            drop(c, &open->dropped_deadline);
        c->unread = unread;
        if (c->idle && received(c) > c->received)
            expire_by(c, now + open->deadline_ns);
    }
}

void connections_run(struct connections *open, int64_t now) {
    for (struct connection *c = open->first; c; c = c->next) {
        if (c->deadline_ns <= now)
            drop(c, &open->dropped_deadline);
    }
    if (now >= open->sweep_ns) {
        open->sweep_ns = now + SWEEP_NS;
        sweep(open, now);
    }
}
