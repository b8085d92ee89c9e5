/* SPDX-License-Identifier: MIT
 * All loaders of one exporter: those named on the command line, and those of a watched folder,
 * which come and go.
 *
 * A watched folder holds one folder a loader, whose name is the loader's:
 *
 *     DIR/NAME/multiproc/     PROMETHEUS_MULTIPROC_DIR of the loader
 *     DIR/NAME/pid            `pid starttime`, as procrun writes it
 *     DIR/NAME/result.tsv     as procrun writes it when the loader has ended
 */
#ifndef EXPORTER_FLEET_H
#define EXPORTER_FLEET_H

#include <stdbool.h>
#include <stddef.h>

#include "loader.h"

#define FLEET_MAX 64

struct fleet {
    const struct process_config *process;
    uid_t uid[8];
    size_t uids;
    const char *watch; /* NULL: none */
    struct loader *loader[FLEET_MAX];
    size_t n, fixed; /* the first `fixed` are not of the watched folder */
};

/* Adds a loader of the command line. */
void fleet_add(struct fleet *f, const struct loader_config *config);
void fleet_free(struct fleet *f);

/* Looks which loaders there are and whether they run. True when one has come to its end in this
 * call. */
bool fleet_update(struct fleet *f);
/* True when the watched folder can be read. */
bool fleet_can_watch(const struct fleet *f);
/* True when every loader has ended for good. Never with a watched folder. */
bool fleet_is_final(const struct fleet *f);

#endif
