/* SPDX-License-Identifier: MIT
 * The families and series of one metrics folder, added up over its files as prometheus_client's
 * MultiProcessCollector does it.
 */
#ifndef EXPORTER_MODEL_H
#define EXPORTER_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "key.h"
#include "map.h"
#include "mmapdb.h"
#include "page.h"

/* Series of one folder; a file that wants more is read no further. */
#define MODEL_SERIES_MAX 50000

/* Why an entry of a file is left out. */
enum entry_fault {
    ENTRY_OK,
    ENTRY_JSON, /* as enum key_fault */
    ENTRY_SHAPE,
    ENTRY_NAME,
    ENTRY_LABEL,
    ENTRY_LE,       /* the bound of a bucket is no number */
    ENTRY_CONFLICT, /* the family has another type in an earlier file */
    ENTRY_LIMIT,
    ENTRY_FAULTS,
};

extern const char *const entry_fault_name[ENTRY_FAULTS];

/* One number of the page. */
struct slot {
    double value;
    double time; /* of a mostrecent gauge */
    bool set;
    const char *line; /* `name{labels} ` */
    size_t line_len;
};

struct model_family;

struct model {
    const char *loader; /* value of the label `loader` of all series, or NULL */
    struct model_family *first, *last;
    size_t series;
    bool has_shim; /* a family whose name begins with SHIM_PREFIX */
    struct map families, groups;
    struct arena memory;
    struct buf scratch, labels;
};

/* What the sitecustomize shim counts. */
#define SHIM_PREFIX "qdrant_loader_stage_"

/* Drops all families and series. */
void model_clear(struct model *m);
void model_free(struct model *m);

/* The slot that the entry with this key in a file of that name counts into; made when it is new.
 * NULL, and *fault, when the entry is left out. `created` is when the file was made, in Unix
 * seconds, or 0. Changes the key. */
struct slot *model_slot(struct model *m, const struct db_name *db, struct key *key, double created,
                        enum entry_fault *fault);

/* Sets all slots back, before the files are read anew. */
void model_reset(struct model *m);
/* Counts one value of a file of that name into its slot. */
void model_count(struct slot *slot, const struct db_name *db, double value, double time);

/* Writes what was counted; in a `snapshot`, which is read long after, without gauges of what is
 * only now: those of live modes, and the loader's own of queues and of the machine. Returns how
 * many families the page refused. */
size_t model_write(const struct model *m, struct page *page, bool snapshot);

#endif
