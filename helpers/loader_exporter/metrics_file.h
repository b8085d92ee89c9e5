/* SPDX-License-Identifier: MIT
 * One file of a metrics folder: its entries, each parsed once and then only read again.
 *
 * A file is no longer the same when another one stands under its name, or when an entry that is
 * known is no longer where it was.
 */
#ifndef EXPORTER_METRICS_FILE_H
#define EXPORTER_METRICS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "live.h"
#include "mmapdb.h"
#include "model.h"

struct metrics_entry;

struct metrics_file {
    char *name;
    struct db_name db;
    bool name_is_good;
    int fd; /* kept open, or -1 */
    dev_t dev;
    ino_t ino;
    uid_t owner;
    double created; /* Unix seconds; 0: the file system does not say */
    struct metrics_entry *entry;
    size_t n, cap;
    struct buf seen; /* the bytes up to the last entry, as they were when it was parsed */
    struct live live;
};

/* A file of which nothing is known but its name, which is copied. */
void metrics_file_init(struct metrics_file *f, const char *name);
void metrics_file_free(struct metrics_file *f);

/* Closes the file, if it is open; what was learnt of it stays. */
void metrics_file_close(struct metrics_file *f);
/* Forgets what was learnt of it, but for its name and process. */
void metrics_file_forget(struct metrics_file *f);

/* Reads the file, which stays open, into `data`; nothing where *fault says that it cannot be read.
 * False when it is no longer the same. */
bool metrics_file_read(struct metrics_file *f, const struct db_folder *folder, struct buf *data,
                       enum db_fault *fault);

/* True when the entries that are known still stand in the `len` bytes of `data`. */
bool metrics_file_is_same(const struct metrics_file *f, const char *data, size_t len);

/* Parses the entries behind those that are known, each with its slot in `m`. DB_ENTRY: one does not
 * fit; DB_LIMIT: `m` has MODEL_SERIES_MAX series. What came before that is kept. */
enum db_fault metrics_file_parse(struct metrics_file *f, struct model *m, struct buf *scratch,
                                 const char *data, size_t len);

/* Counts the values of the entries that are known into their slots, and those left out, by reason,
 * into `entry_fault`. */
void metrics_file_count(const struct metrics_file *f, const char *data,
                        uint64_t entry_fault[ENTRY_FAULTS]);

#endif
