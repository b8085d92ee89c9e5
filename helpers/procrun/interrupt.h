/* SPDX-License-Identifier: MIT
 * One SIGINT for each process of the tree, though some of them pass theirs on.
 */
#ifndef PROCRUN_INTERRUPT_H
#define PROCRUN_INTERRUPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "descend.h"

struct interrupt {
    int rootfd;        /* /proc */
    uint64_t grace_ns; /* nobody is passed over for more than half of it */
    bool or_term;      /* SIGTERM for those that ignore SIGINT */

    uint64_t began;        /* monotonic ns */
    struct target *target; /* whose turn has not come */
    size_t targets;
    struct pids interrupted; /* who has got one */
};

/* Begins to interrupt the descendants that there are now, but those in the process group `but` (0:
 * none), which have got it from elsewhere.
 *
 * A process that handles SIGINT and has one child is passed over, unless it is a shell or make: uv
 * and timeout would pass it on, so that the child got two, and Python's subprocess.call would kill
 * the child. When its child has ended it has two seconds to end by itself. */
bool interrupt_begin(struct interrupt *t, pid_t but);

/* Goes on with it. Both return true while some are passed over. */
bool interrupt_more(struct interrupt *t);

void interrupt_free(struct interrupt *t);

#endif
