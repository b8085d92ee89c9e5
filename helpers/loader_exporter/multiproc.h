/* SPDX-License-Identifier: MIT
 * One PROMETHEUS_MULTIPROC_DIR: its files read and added up, bad ones left out and counted.
 *
 * What was learnt of a file stays: a reading compares the keys with the last one's and parses only
 * what came behind them. A file that is no longer the same, or another set of files, starts the
 * folder anew.
 */
#ifndef EXPORTER_MULTIPROC_H
#define EXPORTER_MULTIPROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mmapdb.h"
#include "model.h"

#define MULTIPROC_FILES_MAX 4096
#define MULTIPROC_BYTES_MAX (256u << 20) /* of all files together */

struct multiproc;

struct multiproc_stats {
    bool readable; /* the folder could be read last time */
    bool has_shim;
    size_t ok, empty, bad; /* files of the last reading */
    size_t series;
    /* Since the start, one for each reading that met it. */
    uint64_t file_fault[DB_FAULTS];
    uint64_t entry_fault[ENTRY_FAULTS];
    uint64_t refused; /* families whose names the page had already, or are the exporter's */
};

/* `loader`: value of the label `loader` of all series, or NULL. `procfd`: /proc, to tell dead
 * processes, or -1. Both strings are copied. */
struct multiproc *multiproc_new(const char *dir, const char *loader, int procfd);
void multiproc_free(struct multiproc *mp);

/* Files of this user are read too. */
void multiproc_allow(struct multiproc *mp, uid_t uid);

/* Reads all files. False when the folder cannot be read; there are no series then. */
bool multiproc_read(struct multiproc *mp);

/* Takes `data` for the file `name`, as a reading does; for fuzzing. */
void multiproc_feed(struct multiproc *mp, const char *name, const char *data, size_t len);

/* Writes the series of the last reading; `snapshot` as in model_write. */
void multiproc_write(struct multiproc *mp, struct page *page, bool snapshot);

/* Says that Prometheus has got the last page: live* gauges of processes that were dead in it are
 * left out when that was so `enough` times. */
void multiproc_shown(struct multiproc *mp, unsigned enough);
/* Counts those times anew. */
void multiproc_shown_anew(struct multiproc *mp);

const struct multiproc_stats *multiproc_stats(const struct multiproc *mp);

#endif
