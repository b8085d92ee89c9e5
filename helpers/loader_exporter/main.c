/* SPDX-License-Identifier: MIT
 * loader_exporter: serves the metrics of QDrant Loaders to Prometheus, read from outside their
 * processes.
 *
 * Input: the files that prometheus_client writes below PROMETHEUS_MULTIPROC_DIR, /proc, and
 * procrun's result. Output, for GET /metrics on 127.0.0.1:9464:
 *
 *     # HELP qdrant_ingested_documents_total Total number of documents ingested
 *     # TYPE qdrant_ingested_documents_total counter
 *     qdrant_ingested_documents_total 1024.0
 *     # HELP qdrant_loader_process_cpu_seconds_total CPU time used.
 *     # TYPE qdrant_loader_process_cpu_seconds_total counter
 *     qdrant_loader_process_cpu_seconds_total{mode="user"} 12.34
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "exporter.h"
#include "options.h"

/* SIGINT and SIGHUP are not for a program that was started to outlive them: by nohup, or by a shell
 * without job control in the background. */
static int open_signals(void) {
    static const int asked[] = {SIGINT, SIGHUP};
    struct sigaction now;
    sigset_t set;
    int fd;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        if (sigaction(asked[i], NULL, &now) != 0 || now.sa_handler != SIG_IGN)
            (void)sigaddset(&set, asked[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        die(EX_FAIL, "signalfd:");
    return fd;
}

/* Milliseconds from now on, rounded up. */
static int timeout_of(int64_t at, int64_t now) {
    int64_t ms = at <= now ? 0 : (at - now + 999999) / 1000000;

    return ms > 60000 ? 60000 : (int)ms;
}

/* Serves until a signal comes or the last values were shown. */
static void serve(struct exporter *x, int signals) {
    int64_t look_at = monotonic_ns(), now = look_at;

    while (!exporter_is_done(x, now)) {
        struct pollfd fds[1 + HTTP_ADDRESSES_MAX + FLEET_MAX] = {{.fd = signals, .events = POLLIN}};
        int http[HTTP_ADDRESSES_MAX];
        size_t https = http_fds(x->http, http), n = 1, pidfds;
        int64_t http_at = http_next(x->http);

        for (size_t i = 0; i < https; i++)
            fds[n++] = (struct pollfd){.fd = http[i], .events = POLLIN};
        pidfds = n;
        for (size_t i = 0; i < x->fleet.n; i++)
            fds[n++] = (struct pollfd){.fd = loader_fd(x->fleet.loader[i]), .events = POLLIN};
        (void)poll(fds, (nfds_t)n, timeout_of(http_at < look_at ? http_at : look_at, now));
        if (fds[0].revents)
            return;
        now = monotonic_ns();
        for (size_t i = pidfds; i < n; i++) {
            if (fds[i].revents)
                look_at = now;
        }
        /* First, so that a scrape which is answered below shows the end. */
        if (now >= look_at) {
            exporter_update(x);
            look_at = exporter_next(x, now);
        }
        http_run(x->http);
        now = monotonic_ns();
    }
}

/* A page on standard output, or a snapshot in its file. */
static int print_once(struct exporter *x, enum page_format format) {
    struct buf page = {0};

    if (x->config->snapshot) {
        exporter_once(x);
    } else {
        exporter_update(x);
        exporter_page(x, format, false, &page);
        (void)fwrite(page.data, 1, page.len, stdout);
    }
    buf_free(&page);
    fleet_free(&x->fleet);
    page_free(&x->page);
    return x->failed ? EX_FAIL : out_close(EX_DONE);
}

int main(int argc, char **argv) {
    struct options opts;
    struct exporter x = {.config = &opts.exporter, .self.start = unix_now()};
    int status = EX_DONE, signals;

    err_name("loader_exporter");
    options_parse(&opts, argc, argv);
    if (opts.config_check) {
        http_check_tls(&opts.web);
        options_free(&opts);
        return EX_DONE;
    }
    x.fleet.process = &opts.process;
    for (size_t i = 0; i < opts.uids; i++)
        x.fleet.uid[x.fleet.uids++] = opts.uid[i];
    x.fleet.watch = opts.watch;
    x.self.statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    meter_host_open(&opts.process.host, opts.proc);
    for (size_t i = 0; i < opts.loaders; i++)
        fleet_add(&x.fleet, &opts.loader[i]);
    if (opts.once)
        return print_once(&x, opts.format);
    signals = open_signals();
    exporter_open(&x, &opts.http);
    serve(&x, signals);
    if (x.final && opts.exporter.linger_ns >= 0 && x.scraped < opts.exporter.scrapes) {
        warn("the last values were scraped %u of %u times before the end of --linger", x.scraped,
             opts.exporter.scrapes);
        status = EX_NONE;
    }
    exporter_close(&x);
    options_free(&opts);
    return x.failed ? EX_FAIL : status;
}
