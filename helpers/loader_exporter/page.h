/* SPDX-License-Identifier: MIT
 * One page of metrics, in Prometheus' text format 0.0.4 or in OpenMetrics 1.0. Families are
 * collected by name, so that what several loaders say under one name stands together, as both
 * formats demand.
 */
#ifndef EXPORTER_PAGE_H
#define EXPORTER_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"
#include "buf.h"
#include "map.h"

enum page_format { PAGE_TEXT, PAGE_OPENMETRICS };

enum page_type { PAGE_COUNTER, PAGE_GAUGE, PAGE_HISTOGRAM, PAGE_SUMMARY, PAGE_INFO };

/* The HELP and TYPE lines, and the help and type that they were made of. */
struct page_head {
    struct buf text, help;
    enum page_type type;
};

/* A name that samples have, and who may write it. */
struct page_claim {
    struct page_family *owner;
};

struct page_family {
    struct page_family *next;
    const char *name; /* without _total, _info */
    size_t name_len;
    enum page_type type;
    struct page_claim *claim[5];
    size_t claims;
    struct page_head head[2]; /* by format */
    struct buf line;          /* its samples */
    bool used;
};

struct page {
    enum page_format format;
    struct page_family *first, *last; /* in the order in which they first came */
    size_t n;
    struct map by_name, claims;
    struct arena memory;
};

/* Starts a page anew; what the last one allocated is used again. */
void page_begin(struct page *p, enum page_format format);
void page_free(struct page *p);

/* The family of that name, which is added when it is new; `help` is the first one's. NULL when the
 * page has it under another type, or its samples' names in another family: a reader would take the
 * page for broken. */
struct page_family *page_family(struct page *p, const char *name, size_t name_len,
                                enum page_type type, const char *help, size_t help_len);

/* Adds a sample to a family: its name and `suffix`, labels ("a=\"b\"" as page_label writes them, or
 * none), value. */
void page_sample(struct page_family *f, const char *suffix, const char *labels, double value);
/* The same with all but the value ready made: `name{labels} `. */
void page_line(struct page_family *f, const char *start, size_t len, double value);

/* Appends `,name="value"`, without the comma when `labels` is empty; the value escaped. */
void page_label(struct buf *labels, const char *name, size_t name_len, const char *value,
                size_t value_len);

/* Room for a number with its NUL. */
#define PAGE_NUMBER_MAX 40

/* Writes a number as prometheus_client writes it: 1.0, 0.005, 1e+06, +Inf, NaN. Returns its length.
 */
size_t page_number(char *text, double value);

/* Appends the whole page to `out`. */
void page_render(const struct page *p, struct buf *out);

#endif
