/* SPDX-License-Identifier: MIT
 * The exporter itself: pages on demand, and what happens when the loaders have ended.
 */
#ifndef EXPORTER_EXPORTER_H
#define EXPORTER_EXPORTER_H

#include <stdbool.h>
#include <stdint.h>

#include "fleet.h"
#include "gzip.h"
#include "http.h"
#include "page.h"
#include "self.h"

struct exporter_config {
    const char *telemetry_path;
    bool no_self;      /* leave out the loader_exporter_ families */
    int64_t linger_ns; /* serve for that long after the end; -1: until told to stop */
    unsigned scrapes;  /* or until so many scrapes were answered that began after the end; 0: does
                          not count */
    const char *snapshot; /* these may be NULL */
    const char *file_sd;
    const char *ready_file;
    struct buf sd_labels; /* ,"name":"value" … */
};

struct exporter {
    const struct exporter_config *config;
    const struct http_config *http_config;
    struct fleet fleet;
    struct http *http; /* NULL: pages for standard output only */
    struct page page;
    struct gzip *gzip;
    struct self self;
    bool final; /* every loader has ended */
    int64_t final_ns;
    unsigned scraped;               /* scrapes answered that began after that */
    bool failed;                    /* a file could not be written */
    struct buf sd_text, ready_text; /* what was written into these files */
    int sd_fd;                      /* keeps the first one this exporter's */
};

/* Appends a page to `out`. */
void exporter_page(struct exporter *x, enum page_format format, bool snapshot, struct buf *out);

/* Writes a snapshot of what there is now. */
void exporter_once(struct exporter *x);

/* Begins to serve, and says where. */
void exporter_open(struct exporter *x, struct http_config *http);
/* Writes the snapshot if there is none of the end yet, takes the files back that say where it
 * serves. */
void exporter_close(struct exporter *x);

/* Looks after the loaders, and writes the snapshot when all have ended. */
void exporter_update(struct exporter *x);
/* When to call exporter_update again: CLOCK_MONOTONIC ns. */
int64_t exporter_next(const struct exporter *x, int64_t now);
/* True when the last values were shown often or long enough. */
bool exporter_is_done(const struct exporter *x, int64_t now);

#endif
