/* SPDX-License-Identifier: MIT */
#include "self.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "buf.h"

static struct page_family *family(struct page *page, const char *name, enum page_type type,
                                  const char *help) {
    return page_family(page, name, strlen(name), type, help, strlen(help));
}

static void counter(const struct self *self, struct page *page, struct page_family *f,
                    const char *labels, double value) {
    if (!f)
        return;
    page_sample(f, "_total", labels, value);
    if (page->format == PAGE_OPENMETRICS)
        page_sample(f, "_created", labels, self->start);
}

/* Sets `text` to one label and those of the loader. */
static const char *with(struct buf *text, const char *name, const char *value, const char *labels) {
    text->len = 0;
    page_label(text, name, strlen(name), value, strlen(value));
    if (*labels) {
        buf_addc(text, ',');
        buf_adds(text, labels);
    }
    return text->data;
}

static void write_sources(const struct fleet *fleet, struct page *page, struct buf *text) {
    struct page_family *f = family(page, "loader_exporter_source_up", PAGE_GAUGE,
                                   "1 when the source could be read for this page.");

    for (size_t i = 0; f && i < fleet->n; i++) {
        for (int s = 0; s < SOURCES; s++) {
            if (loader_has_source(fleet->loader[i], (enum source)s))
                page_sample(f, "",
                            with(text, "source", source_name[s], loader_labels(fleet->loader[i])),
                            loader_source_up(fleet->loader[i], (enum source)s));
        }
    }
}

static void write_files(const struct fleet *fleet, struct page *page, struct buf *text) {
    struct page_family *files = family(page, "loader_exporter_multiprocess_files", PAGE_GAUGE,
                                       "Files of the metrics folder: read, just created, or bad.");
    struct page_family *series = family(page, "loader_exporter_multiprocess_series", PAGE_GAUGE,
                                        "Series found in the metrics folder.");

    for (size_t i = 0; files && series && i < fleet->n; i++) {
        const struct multiproc_stats *stats = loader_files(fleet->loader[i]);
        const char *labels = loader_labels(fleet->loader[i]);

        if (!stats)
            continue;
        page_sample(files, "", with(text, "state", "ok", labels), (double)stats->ok);
        page_sample(files, "", with(text, "state", "empty", labels), (double)stats->empty);
        page_sample(files, "", with(text, "state", "bad", labels), (double)stats->bad);
        page_sample(series, "", labels, (double)stats->series);
    }
}

static void write_faults(const struct self *self, const struct fleet *fleet, struct page *page,
                         struct buf *text) {
    struct page_family *files =
        family(page, "loader_exporter_bad_files", PAGE_COUNTER,
               "Readings that met a file which is not read, or not to its end.");
    struct page_family *entries = family(page, "loader_exporter_bad_entries", PAGE_COUNTER,
                                         "Readings that met an entry which is left out.");
    struct page_family *refused = family(
        page, "loader_exporter_refused_families", PAGE_COUNTER,
        "Families left out because their name was on the page already, or is the exporter's.");

    for (size_t i = 0; i < fleet->n; i++) {
        const struct multiproc_stats *stats = loader_files(fleet->loader[i]);
        const char *labels = loader_labels(fleet->loader[i]);

        if (!stats)
            continue;
        for (int r = DB_BAD_NAME; r < DB_FAULTS; r++)
            counter(self, page, files, with(text, "reason", db_fault_name[r], labels),
                    (double)stats->file_fault[r]);
        for (int r = ENTRY_JSON; r < ENTRY_FAULTS; r++)
            counter(self, page, entries, with(text, "reason", entry_fault_name[r], labels),
                    (double)stats->entry_fault[r]);
        counter(self, page, refused, labels, (double)stats->refused);
    }
}

static void write_http(const struct self *self, const struct http_stats *http, struct page *page,
                       struct buf *text) {
    struct page_family *requests = family(page, "loader_exporter_http_requests", PAGE_COUNTER,
                                          "HTTP requests answered, by status.");
    struct page_family *dropped =
        family(page, "loader_exporter_http_dropped_connections", PAGE_COUNTER,
               "Connections closed: at the deadline of a request, or to make room for a new one.");
    struct page_family *connections =
        family(page, "loader_exporter_http_connections", PAGE_GAUGE, "Open connections.");

    for (int code = 0; code < 600; code++) {
        char name[12];

        if (http->requests[code] == 0 && code != 200)
            continue;
        (void)snprintf(name, sizeof(name), "%d", code);
        counter(self, page, requests, with(text, "code", name, ""), (double)http->requests[code]);
    }
    counter(self, page, dropped, "reason=\"deadline\"", (double)http->dropped_deadline);
    counter(self, page, dropped, "reason=\"crowd\"", (double)http->dropped_crowd);
    if (connections)
        page_sample(connections, "", "", http->connections);
}

static double resident_bytes(const struct self *self) {
    char text[128] = "", *end;

    if (pread(self->statm_fd, text, sizeof(text) - 1, 0) <= 0)
        return -1;
    (void)strtoull(text, &end, 10);
    return (double)strtoull(end, NULL, 10) * (double)sysconf(_SC_PAGESIZE);
}

static void gauge(struct page *page, const char *name, const char *help, double value) {
    struct page_family *f = value >= 0 ? family(page, name, PAGE_GAUGE, help) : NULL;

    if (f)
        page_sample(f, "", "", value);
}

static void write_cost(const struct self *self, struct page *page) {
    struct rusage use;

    (void)getrusage(RUSAGE_SELF, &use);
    counter(
        self, page,
        family(page, "loader_exporter_cpu_seconds", PAGE_COUNTER, "CPU time used by the exporter."),
        "",
        (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
            (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
    counter(self, page,
            family(page, "loader_exporter_scrapes", PAGE_COUNTER, "Pages of metrics made."), "",
            (double)self->pages);
    gauge(page, "loader_exporter_resident_memory_bytes", "Resident memory of the exporter.",
          resident_bytes(self));
    gauge(page, "loader_exporter_start_time_seconds",
          "When the exporter was started, in Unix time.", self->start);
    gauge(page, "loader_exporter_read_duration_seconds",
          "What reading all sources for this page took.", self->read_s);
}

void self_write(const struct self *self, const struct fleet *fleet, const struct http_stats *http,
                struct page *page) {
    struct page_family *build =
        family(page, "loader_exporter_build", PAGE_INFO, "What this exporter is; always 1.");
    struct buf text = {0};

    page_label(&text, "version", strlen("version"), EXPORTER_VERSION, strlen(EXPORTER_VERSION));
    page_label(&text, "libmicrohttpd", strlen("libmicrohttpd"), MHD_get_version(),
               strlen(MHD_get_version()));
    if (build)
        page_sample(build, "_info", text.data, 1);
    write_sources(fleet, page, &text);
    write_files(fleet, page, &text);
    write_faults(self, fleet, page, &text);
    if (http)
        write_http(self, http, page, &text);
    write_cost(self, page);
    buf_free(&text);
}
