/* SPDX-License-Identifier: MIT
 * The loader_exporter_ families: what the exporter itself costs and cannot read.
 */
#ifndef EXPORTER_SELF_H
#define EXPORTER_SELF_H

#include <stdint.h>

#include "fleet.h"
#include "http.h"
#include "page.h"

#define EXPORTER_VERSION "1.0.0"

struct self {
    double start; /* Unix seconds */
    uint64_t pages;
    double read_s; /* what reading the sources for this page took */
    int statm_fd;  /* /proc/self/statm */
};

/* `http` may be NULL. */
void self_write(const struct self *self, const struct fleet *fleet, const struct http_stats *http,
                struct page *page);

#endif
