/* SPDX-License-Identifier: MIT
 * The open connections of the HTTP front: who has until when, and who is closed when there are too
 * many. Times are CLOCK_MONOTONIC ns.
 */
#ifndef EXPORTER_CONNECTIONS_H
#define EXPORTER_CONNECTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct connection {
    struct connection *prev, *next; /* the newest first */
    int fd;
    int64_t deadline_ns;
    bool answering;    /* a request is being answered */
    bool idle;         /* one was answered, and the line of the next is not there */
    uint64_t received; /* bytes until the last answer */
    bool unread;       /* something had come when idle connections were looked at last */
    bool dropped;
};

struct connections {
    struct connection *first, *last;
    unsigned n, max;
    int64_t deadline_ns; /* time for a request and its answer */
    int64_t sweep_ns;    /* when to look at idle connections */
    uint64_t dropped_deadline, dropped_crowd;
};

/* A new one. Above `max`, the oldest other one that has no request yet is dropped, or else the
 * oldest that waits. */
struct connection *connection_opened(struct connections *open, int fd);
void connection_closed(struct connections *open, struct connection *c);

/* The line of a request has come; its answer has been sent, or given up. */
void connection_asked(const struct connections *open, struct connection *c, int64_t now);
void connection_answered(struct connection *c);

/* Makes room for another answer, on `but`: drops the oldest that its client does not take. */
void connections_drop_reader(struct connections *open, const struct connection *but);

/* When connections_run is to be called: the first deadline, at the latest `next`. */
int64_t connections_next(const struct connections *open, int64_t next);
/* Drops those whose time is over. */
void connections_run(struct connections *open, int64_t now);

#endif
