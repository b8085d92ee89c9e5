/* SPDX-License-Identifier: MIT */
#include "exporter.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "announce.h"
#include "clock.h"
#include "err.h"
#include "negotiate.h"
#include "outfile.h"

/* Smaller pages cost more to pack than to send. */
#define GZIP_FROM ((size_t)16 << 10)
/* How often the loaders are looked at when nobody asks. What a process used is known up to that,
 * even if it is killed. */
#define LOOK_NS (INT64_C(1) * 1000000000)
/* The same while a loader has ended and its result is still to come. */
#define LOOK_SOON_NS (INT64_C(50) * 1000000)

void exporter_page(struct exporter *x, enum page_format format, bool snapshot, struct buf *out) {
    struct fleet *fleet = &x->fleet;
    int64_t start = monotonic_ns();

    page_begin(&x->page, format);
    for (size_t i = 0; i < fleet->n; i++)
        loader_read(fleet->loader[i]);
    x->self.read_s = (double)(monotonic_ns() - start) / 1e9;
    x->self.pages++;
    for (size_t i = 0; i < fleet->n; i++)
        loader_write(fleet->loader[i], &x->page, snapshot);
    if (!snapshot && !x->config->no_self)
        self_write(&x->self, fleet, x->http ? http_stats(x->http) : NULL, &x->page);
    page_render(&x->page, out);
}

static void plain(struct http_answer *a, unsigned status, const char *text) {
    a->status = status;
    a->content_type = "text/plain; charset=utf-8";
    buf_adds(&a->body, text);
}

static void landing_page(const struct exporter *x, struct http_answer *a) {
    a->status = 200;
    a->content_type = "text/html; charset=utf-8";
    buf_printf(
        &a->body,
        "<!doctype html><html lang=\"en\"><head><title>loader_exporter</title></head><body>\n"
        "<h1>loader_exporter</h1><p>Metrics of QDrant Loaders, read from outside their "
        "processes.</p>\n"
        "<p><a href=\"%s\">Metrics</a> &middot; <a href=\"/-/healthy\">healthy</a> &middot; "
        "<a href=\"/-/ready\">ready</a></p></body></html>\n",
        x->config->telemetry_path);
}

static void metrics(struct exporter *x, const struct http_request *r, struct http_answer *a) {
    struct buf page = {0};
    enum page_format format = negotiate_format(r->accept, &a->content_type);

    a->status = 200;
    a->is_page = true;
    exporter_update(x);
    exporter_page(x, format, false, &page);
    if (page.len > GZIP_FROM && negotiate_gzip(r->accept_encoding) &&
        gzip_pack(x->gzip, &page, &a->body)) {
        a->gzip = true;
        buf_free(&page);
        return;
    }
    buf_free(&a->body);
    a->body = page;
}

static bool is_ready(struct exporter *x) {
    exporter_update(x);
    for (size_t i = 0; i < x->fleet.n; i++) {
        loader_read(x->fleet.loader[i]);
        /* One that has ended is shown to its end. */
        if (loader_state(x->fleet.loader[i]) == LOADER_ENDED ||
            loader_source_up(x->fleet.loader[i], SOURCE_PROC) ||
            loader_source_up(x->fleet.loader[i], SOURCE_MULTIPROCESS))
            return true;
    }
    return fleet_can_watch(&x->fleet);
}

static void answer(void *arg, const struct http_request *r, struct http_answer *a) {
    struct exporter *x = arg;

    if (strcmp(r->path, x->config->telemetry_path) == 0)
        metrics(x, r, a);
    else if (strcmp(r->path, "/") == 0)
        landing_page(x, a);
    else if (strcmp(r->path, "/-/healthy") == 0)
        plain(a, 200, "healthy\n");
    else if (strcmp(r->path, "/-/ready") != 0)
        plain(a, 404, "not found\n");
    else if (is_ready(x))
        plain(a, 200, "ready\n");
    else
        plain(a, 503, "no source of a loader can be read yet\n");
}

/* How many scrapes are to have the last values of a process that is dead: as many as the exporter
 * waits for. */
static unsigned enough_scrapes(const struct exporter_config *c) {
    if (c->linger_ns < 0)
        return 1;
    return c->scrapes > 0 ? c->scrapes : UINT_MAX;
}

static void answered(void *arg, const struct http_request *r, unsigned status) {
    struct exporter *x = arg;

    /* What a person looks at is not stored by anybody. */
    if (status != 200 || !r->is_page || !r->is_scrape)
        return;
    for (size_t i = 0; i < x->fleet.n; i++)
        loader_shown(x->fleet.loader[i], enough_scrapes(x->config));
    if (x->final && r->start_ns > x->final_ns)
        x->scraped++;
}

/* Takes the files back that say where it serves. */
static void retract(struct exporter *x) {
    if (x->sd_text.len > 0)
        announce_end(x->sd_fd, x->config->file_sd, x->sd_text.data, x->sd_text.len);
    if (x->ready_text.len > 0)
        outfile_remove(x->config->ready_file, x->ready_text.data, x->ready_text.len);
    buf_free(&x->sd_text);
    buf_free(&x->ready_text);
}

static void write_ready(struct exporter *x, const char *where, const char *scheme) {
    const struct address *a = &x->http_config->address[0];
    struct buf *text = &x->ready_text;

    buf_adds(text, "{\"url\":\"");
    buf_printf(text, "%s://", scheme);
    buf_add_json(text, where, strlen(where));
    buf_add_json(text, x->config->telemetry_path, strlen(x->config->telemetry_path));
    buf_printf(text, "\",\"port\":%s,\"pid\":%d}\n", a->port, (int)getpid());
    if (!outfile_write(x->config->ready_file, text->data, text->len)) {
        /* Announced, and not to come. */
        retract(x);
        exit(EX_FAIL);
    }
}

/* One target group for Prometheus' file_sd_configs. */
static void write_file_sd(struct exporter *x, const char *scheme) {
    struct buf *text = &x->sd_text;

    buf_adds(text, "[{\"targets\":[");
    for (size_t i = 0; i < x->http_config->addresses; i++) {
        char where[300];

        address_print(&x->http_config->address[i], where, sizeof(where));
        buf_adds(text, i > 0 ? ",\"" : "\"");
        buf_add_json(text, where, strlen(where));
        buf_addc(text, '"');
    }
    buf_printf(text, "],\"labels\":{\"__scheme__\":\"%s\",\"__metrics_path__\":\"", scheme);
    buf_add_json(text, x->config->telemetry_path, strlen(x->config->telemetry_path));
    buf_addc(text, '"');
    buf_add(text, x->config->sd_labels.data, x->config->sd_labels.len);
    buf_adds(text, "}}]\n");
    x->sd_fd = announce(x->config->file_sd, text->data, text->len);
}

/* Once, for the first address that others reach. */
static void warn_of_open(const struct http_config *http) {
    char where[300];
    size_t i = 0;

    while (i < http->addresses && http->address[i].is_local)
        i++;
    if (i == http->addresses)
        return;
    address_print(&http->address[i], where, sizeof(where));
    /* TLS alone keeps nobody out. */
    if (http->web->users == 0)
        warn("%s: everybody who reaches this address can read the metrics: name users in "
             "--web.config.file, or listen on 127.0.0.1",
             where);
    else if (!http->web->cert)
        warn("%s: passwords cross the network in clear: give --web.config.file a tls_server_config "
             "too, or put a reverse proxy in front (docs/monitoring/reverse-proxy.md)",
             where);
}

void exporter_open(struct exporter *x, struct http_config *http) {
    const struct http_app app = {.answer = answer, .answered = answered, .arg = x};
    const char *scheme = http->web->cert ? "https" : "http";
    char where[300];

    /* Told now, and not when the last values are to be written. */
    if (x->config->snapshot && !outfile_can_write(x->config->snapshot))
        exit(EX_FAIL);
    if (x->fleet.watch && !fleet_can_watch(&x->fleet))
        warn("--watch %s: %s: not ready until it can be read", x->fleet.watch, strerror(errno));
    /* Left by one that was killed: nobody shall take them for this one's. */
    if (x->config->ready_file)
        (void)unlink(x->config->ready_file);
    x->http_config = http;
    x->gzip = gzip_new();
    x->http = http_open(http, &app);
    exporter_update(x);
    /* Refused if it is another's: nothing is said to be served before. */
    if (x->config->file_sd)
        write_file_sd(x, scheme);
    for (size_t i = 0; i < http->addresses; i++) {
        address_print(&http->address[i], where, sizeof(where));
        warn("serving %s://%s%s", scheme, where, x->config->telemetry_path);
    }
    warn_of_open(http);
    address_print(&http->address[0], where, sizeof(where));
    if (x->config->ready_file)
        write_ready(x, where, scheme);
}

static void write_snapshot(struct exporter *x) {
    struct buf page = {0};

    if (!x->config->snapshot)
        return;
    exporter_page(x, PAGE_TEXT, true, &page);
    if (!outfile_write(x->config->snapshot, page.data ? page.data : "", page.len))
        x->failed = true;
    buf_free(&page);
}

void exporter_once(struct exporter *x) {
    exporter_update(x);
    /* The end of all has written it already. */
    if (!x->final)
        write_snapshot(x);
}

void exporter_close(struct exporter *x) {
    if (!x->final)
        exporter_once(x);
    retract(x);
    http_close(x->http);
    fleet_free(&x->fleet);
    page_free(&x->page);
    gzip_free(x->gzip);
}

void exporter_update(struct exporter *x) {
    bool final;

    (void)fleet_update(&x->fleet);
    final = fleet_is_final(&x->fleet);
    if (final && !x->final) {
        x->final_ns = monotonic_ns();
        x->scraped = 0;
        write_snapshot(x);
    }
    x->final = final;
}

int64_t exporter_next(const struct exporter *x, int64_t now) {
    int64_t next = now + LOOK_NS;

    for (size_t i = 0; i < x->fleet.n; i++) {
        if (loader_state(x->fleet.loader[i]) == LOADER_ENDED &&
            !loader_is_final(x->fleet.loader[i]))
            next = now + LOOK_SOON_NS;
    }
    if (x->final && x->config->linger_ns >= 0 && x->final_ns + x->config->linger_ns < next)
        next = x->final_ns + x->config->linger_ns;
    return next;
}

bool exporter_is_done(const struct exporter *x, int64_t now) {
    const struct exporter_config *c = x->config;

    if (!x->final || c->linger_ns < 0)
        return false;
    return now - x->final_ns >= c->linger_ns || (c->scrapes > 0 && x->scraped >= c->scrapes);
}
