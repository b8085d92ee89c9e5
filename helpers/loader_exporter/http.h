/* SPDX-License-Identifier: MIT
 * The HTTP front, on libmicrohttpd: GET and HEAD, an absolute deadline for every request, caps on
 * connections, requests and memory. Runs in the caller's thread and loop.
 *
 * libmicrohttpd's own timeout starts anew with every byte, so that a client which sends one byte a
 * second is never dropped. Here a connection has until its deadline for a whole request and its
 * answer, and when there are too many, the one that has been without a finished request for longest
 * is closed, so that a new one is always taken.
 */
#ifndef EXPORTER_HTTP_H
#define EXPORTER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "listen.h"
#include "web_config.h"

#define HTTP_ADDRESSES_MAX 8

struct http_config {
    struct address address[HTTP_ADDRESSES_MAX];
    size_t addresses;
    unsigned max_connections;
    unsigned max_requests; /* answered at the same time; above, the oldest is closed */
    int64_t deadline_ns;   /* for a request and its answer */
    const struct web_config *web;
};

struct http_request {
    const char *path;   /* without the query */
    const char *accept; /* these may be NULL */
    const char *accept_encoding;
    bool is_scrape;   /* a GET by Prometheus or an agent of its kind: has its header with the
                         scrape's timeout */
    uint64_t number;  /* of the request, counted from 1 */
    int64_t start_ns; /* CLOCK_MONOTONIC */
    bool is_page;     /* as the answer said */
};

struct http_answer {
    unsigned status;
    const char *content_type;
    bool gzip;       /* the body is compressed */
    bool is_page;    /* the application's note, for `answered` */
    struct buf body; /* not empty; becomes the front's */
};

struct http_stats {
    uint64_t requests[600]; /* answers by status */
    uint64_t dropped_deadline, dropped_crowd;
    unsigned connections;
};

/* What the exporter says to a request, and what it hears when the client has got the whole answer.
 */
struct http_app {
    void (*answer)(void *arg, const struct http_request *r, struct http_answer *a);
    void (*answered)(void *arg, const struct http_request *r, unsigned status);
    void *arg;
};

struct http;

/* Opens the addresses, whose ports are set in `config`; exits 3 when one cannot be had. `config`
 * must outlive it. */
struct http *http_open(struct http_config *config, const struct http_app *app);
void http_close(struct http *h);

/* Ends the program as http_open does when its TLS files are no good. Opens none of the addresses.
 */
void http_check_tls(const struct web_config *web);

/* The descriptors to poll for reading; at most HTTP_ADDRESSES_MAX. Returns how many. */
size_t http_fds(const struct http *h, int *fd);
/* When http_run must be called at the latest: CLOCK_MONOTONIC ns, or INT64_MAX. */
int64_t http_next(const struct http *h);
/* Does what there is to do, without waiting. */
void http_run(struct http *h);

const struct http_stats *http_stats(struct http *h);

#endif
