/* SPDX-License-Identifier: MIT
 * Is the process of a live* gauge dead? The library's answer is mark_process_dead(), which deletes
 * the file; nobody calls it in a process that is killed.
 */
#ifndef EXPORTER_LIVE_H
#define EXPORTER_LIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mmapdb.h"

struct live {
    uint64_t starttime; /* of the process, when it was seen alive; clock ticks since boot */
    bool seen, dead, over;
    unsigned shown; /* pages since it was dead */
};

/* True when the gauges are to be left out: the process was seen alive, is dead, and its last values
 * were shown often enough since. A process that was never seen may live in another pid namespace,
 * so it counts as alive. */
bool live_is_over(struct live *live, int procfd, const struct db_name *db, uid_t owner,
                  double created);

/* The last values were shown to Prometheus, which is to have them `enough` times. */
void live_shown(struct live *live, unsigned enough);
/* From now on they are counted anew, as what is shown of the end. */
void live_shown_anew(struct live *live);

#endif
