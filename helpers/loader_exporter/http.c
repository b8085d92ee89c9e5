/* SPDX-License-Identifier: MIT */
#include "http.h"

#include <microhttpd.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "clock.h"
#include "connections.h"
#include "err.h"

/* Of request headers; libmicrohttpd answers 431 above. */
#define CONNECTION_MEMORY ((size_t)24 << 10)
struct request {
    struct http_request public;
    unsigned status;
    bool has_headers;
    bool counted; /* among those being answered */
};

struct http {
    const struct http_config *config;
    struct http_app app;
    struct MHD_Daemon *daemon[HTTP_ADDRESSES_MAX];
    struct connections open;
    struct auth *auth;
    unsigned requests; /* being answered */
    struct http_stats stats;
};

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what) {
    struct http *h = arg;
    const union MHD_ConnectionInfo *info;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = connection_opened(&h->open, info ? info->connect_fd : -1);
    } else if (*context) {
        connection_closed(&h->open, *context);
        *context = NULL;
    }
}

static struct connection *connection_of(struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

/* Called with the request line; what it returns is the context of the request. */
static void *on_request_line(void *arg, const char *uri, struct MHD_Connection *mhd) {
    struct http *h = arg;
    struct connection *c = connection_of(mhd);
    struct request *r = xcalloc(1, sizeof(*r));

    (void)uri;
    r->public.start_ns = monotonic_ns();
    if (c)
        connection_asked(&h->open, c, r->public.start_ns);
    return r;
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode how) {
    struct http *h = arg;
    struct request *r = *context;
    struct connection *c = connection_of(mhd);

    if (c)
        connection_answered(c);
    if (!r)
        return;
    if (r->counted) {
        h->requests--;
        if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
            h->app.answered(h->app.arg, &r->public, r->status);
    }
    free(r);
    *context = NULL;
}

static void plain(struct http_answer *a, unsigned status, const char *text) {
    a->status = status;
    a->content_type = "text/plain; charset=utf-8";
    buf_adds(&a->body, text);
}

static enum auth_verdict check_user(const struct http *h, struct MHD_Connection *mhd) {
    enum auth_verdict verdict;
    char *password = NULL, *user;

    if (!h->auth)
        return AUTH_OK;
    user = MHD_basic_auth_get_username_password(mhd, &password);
    verdict = auth_check(h->auth, user, password);
    if (password)
        explicit_bzero(password, strlen(password));
    MHD_free(password);
    MHD_free(user);
    return verdict;
}

static bool is_get(const char *method) {
    return strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

static const char *header(struct MHD_Connection *mhd, const char *name) {
    return MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, name);
}

/* True when the client has closed its end: it has given up, as a scrape does at its timeout. */
static bool has_left(const struct connection *c) {
    struct pollfd end = {.fd = c->fd, .events = POLLRDHUP};

    return poll(&end, 1, 0) > 0;
}

static void decide(struct http *h, struct MHD_Connection *mhd, const char *url, const char *method,
                   struct request *r, struct http_answer *a) {
    const struct connection *c = connection_of(mhd);
    enum auth_verdict verdict;

    /* Those that are dropped are gone only after this run. */
    if (h->requests > 2 * h->config->max_requests) {
        plain(a, MHD_HTTP_SERVICE_UNAVAILABLE, "too many requests at the same time\n");
        return;
    }
    if (!is_get(method)) {
        plain(a, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        return;
    }
    verdict = check_user(h, mhd);
    if (verdict == AUTH_BUSY) {
        plain(a, MHD_HTTP_TOO_MANY_REQUESTS, "too many passwords to check, come again\n");
    } else if (verdict == AUTH_WRONG) {
        plain(a, MHD_HTTP_UNAUTHORIZED, "Unauthorized\n");
    } else {
        r->public.path = url;
        r->public.accept = header(mhd, MHD_HTTP_HEADER_ACCEPT);
        r->public.accept_encoding = header(mhd, MHD_HTTP_HEADER_ACCEPT_ENCODING);
        /* A HEAD has the same answer, and nothing of it reaches the client. */
        r->public.is_scrape = strcmp(method, MHD_HTTP_METHOD_GET) == 0 &&
                              header(mhd, "X-Prometheus-Scrape-Timeout-Seconds") != NULL &&
                              (!c || !has_left(c));
        h->app.answer(h->app.arg, &r->public, a);
        r->public.is_page = a->is_page;
        /* libmicrohttpd's strings end with the request. */
        r->public.path = r->public.accept = r->public.accept_encoding = NULL;
    }
}

/* The body becomes libmicrohttpd's, which frees it. */
static enum MHD_Result send_answer(struct MHD_Connection *mhd, const struct http_answer *a) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(a->body.len, a->body.data, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result = MHD_NO;

    if (!response) {
        free(a->body.data);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, a->content_type);
    if (a->gzip)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    if (a->status == MHD_HTTP_OK)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
    if (a->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    if (a->status == MHD_HTTP_UNAUTHORIZED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic");
    result = MHD_queue_response(mhd, a->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context) {
    struct http *h = arg;
    struct request *r = *context;
    struct connection *c = connection_of(mhd);
    struct http_answer a = {0};

    (void)version;
    (void)upload;
    if (!r || r->counted) {
        *upload_size = 0;
        return MHD_YES;
    }
    /* The first call comes with the headers; an answer to it would end the connection, which is
     * right only for a request that may have a body. Nobody wants a body. */
    if (is_get(method) && (!r->has_headers || *upload_size > 0)) {
        r->has_headers = true;
        *upload_size = 0;
        return MHD_YES;
    }
    r->counted = true;
    h->requests++;
    if (c)
        c->answering = true;
    if (h->requests > h->config->max_requests)
        connections_drop_reader(&h->open, c);
    decide(h, mhd, url, method, r, &a);
    r->status = a.status;
    h->stats.requests[a.status < 600 ? a.status : 0]++;
    return send_answer(mhd, &a);
}

/* What libmicrohttpd complains of are the clients' mistakes. */
static void no_log(void *arg, const char *fmt, va_list ap) {
    (void)arg;
    (void)fmt;
    (void)ap;
}

static struct MHD_Daemon *start(struct http *h, int listen_fd) {
    const struct web_config *web = h->config->web;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_KEY, 0, web->key},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, web->cert},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, web->priorities},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_EPOLL | MHD_USE_ERROR_LOG | (web->cert ? MHD_USE_TLS : 0u);

    if (!web->cert)
        tls[0].option = MHD_OPTION_END;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, no_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
        /* Above the cap that is kept here: a connection that was dropped is gone only after the
           next run. */
        MHD_OPTION_CONNECTION_LIMIT, 2 * h->config->max_connections + 16,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        h, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, h, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

struct http *http_open(struct http_config *config, const struct http_app *app) {
    struct http *h = xcalloc(1, sizeof(*h));

    h->config = config;
    h->open.max = config->max_connections;
    h->open.deadline_ns = config->deadline_ns;
    h->app = *app;
    h->auth = auth_new(config->web);
    if (config->web->cert && MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        die(EX_FAIL, "this libmicrohttpd is built without TLS; put a reverse proxy in front "
                     "(docs/monitoring/reverse-proxy.md)");
    for (size_t i = 0; i < config->addresses; i++) {
        h->daemon[i] = start(h, address_listen(&config->address[i]));
        if (!h->daemon[i] && config->web->cert)
            die(EX_FAIL,
                "cannot serve TLS: are cert_file and key_file PEM files that belong together?");
        if (!h->daemon[i])
            die(EX_FAIL, "cannot start the HTTP server");
    }
    return h;
}

void http_close(struct http *h) {
    for (size_t i = 0; i < h->config->addresses; i++)
        MHD_stop_daemon(h->daemon[i]);
    auth_free(h->auth);
    free(h);
}

void http_check_tls(const struct web_config *web) {
    struct http_config config = {.address = {{.host = "127.0.0.1", .port = "0"}},
                                 .addresses = 1,
                                 .max_connections = 1,
                                 .web = web};

    if (web->cert)
        http_close(http_open(&config, &(struct http_app){0}));
}

size_t http_fds(const struct http *h, int *fd) {
    for (size_t i = 0; i < h->config->addresses; i++)
        fd[i] = MHD_get_daemon_info(h->daemon[i], MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return h->config->addresses;
}

int64_t http_next(const struct http *h) {
    int64_t next = INT64_MAX;

    for (size_t i = 0; i < h->config->addresses; i++) {
        MHD_UNSIGNED_LONG_LONG ms;

        if (MHD_get_timeout(h->daemon[i], &ms) == MHD_YES) {
            int64_t at = monotonic_ns() + (int64_t)ms * 1000000;

            next = at < next ? at : next;
        }
    }
    return connections_next(&h->open, next);
}

void http_run(struct http *h) {
    for (size_t i = 0; i < h->config->addresses; i++)
        (void)MHD_run(h->daemon[i]);
    connections_run(&h->open, monotonic_ns());
}

const struct http_stats *http_stats(struct http *h) {
    h->stats.connections = h->open.n;
    h->stats.dropped_deadline = h->open.dropped_deadline;
    h->stats.dropped_crowd = h->open.dropped_crowd;
    return &h->stats;
}
