/* SPDX-License-Identifier: MIT
 * One loader: its metrics folder, its processes, and whether it runs.
 */
#ifndef EXPORTER_LOADER_H
#define EXPORTER_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "multiproc.h"
#include "page.h"
#include "process.h"

#define LOADER_PIDS_MAX 16

/* Strings may be NULL. */
struct loader_config {
    const char *name; /* value of the label `loader`; NULL: no such label */
    const char *multiproc_dir;
    pid_t pid[LOADER_PIDS_MAX];
    size_t pids;
    const char *pid_file;   /* `pid` or `pid starttime`, as procrun writes it */
    const char *run_result; /* as procrun writes it */
    const char *tasks;      /* counted by somebody else: tasks.h */
};

enum loader_state {
    LOADER_UNKNOWN, /* it has not been seen, and nothing says that it has ended */
    LOADER_RUNNING,
    LOADER_ENDED,
};

struct loader;

/* Copies the configuration. `uids`: whose files are read besides the folder's owner's. Exits 1 when
 * a pid is none. */
struct loader *loader_new(const struct loader_config *config, const struct process_config *process,
                          const uid_t *uid, size_t uids);
void loader_free(struct loader *l);

/* Looks whether it runs. True when it has ended since the last call, and all that is to be known of
 * its end is known. */
bool loader_update(struct loader *l);
enum loader_state loader_state(const struct loader *l);
/* True when it has ended and the last call of loader_update knew all of it. */
bool loader_is_final(const struct loader *l);
/* A descriptor that becomes readable when its process ends, or -1. */
int loader_fd(const struct loader *l);

/* Reads all sources. */
void loader_read(struct loader *l);
/* Writes what was read. `snapshot`: for a file that is read long after, so without what is true
 * only now. */
void loader_write(struct loader *l, struct page *page, bool snapshot);
/* Says that Prometheus has got the last page, which is to have the last values of what is dead
 * `enough` times. */
void loader_shown(struct loader *l, unsigned enough);

/* Sources, for the exporter's own metrics. */
enum source { SOURCE_MULTIPROCESS, SOURCE_SHIM, SOURCE_PROC, SOURCE_TASKS, SOURCES };

extern const char *const source_name[SOURCES];

bool loader_source_up(const struct loader *l, enum source s);
/* False for a source that is shown only where it was asked for. */
bool loader_has_source(const struct loader *l, enum source s);
/* NULL when it has no metrics folder. */
const struct multiproc_stats *loader_files(const struct loader *l);
const char *loader_labels(const struct loader *l);
const char *loader_name(const struct loader *l);

#endif
