/* SPDX-License-Identifier: MIT
 * The qdrant_loader_process_ families of a page.
 */
#ifndef EXPORTER_PROCESS_PAGE_H
#define EXPORTER_PROCESS_PAGE_H

#include "page.h"
#include "process.h"

struct process_page;

/* `labels` of all series: "loader=\"a\"", or "". */
struct process_page *process_page_new(const char *labels);
void process_page_free(struct process_page *pp);

/* `snapshot`: without what is true only now. */
void process_page_write(const struct process_page *pp, const struct process_values *v,
                        struct page *page, bool snapshot);

#endif
