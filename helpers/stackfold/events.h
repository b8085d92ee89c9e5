/* SPDX-License-Identifier: MIT
 * The events of a recording, which of them are wanted, and what a sample of them weighs.
 */
#ifndef STACKFOLD_EVENTS_H
#define STACKFOLD_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perftext.h"

struct events_options {
    bool periods;     /* a sample weighs its period, and not 1 */
    const char *name; /* of the event that is wanted; NULL: all */
    uint64_t since; /* ns of the recording's clock: earlier samples of a perf.data are not wanted */
};

struct event {
    char *name;
    size_t len;
    bool wanted;
    uint64_t samples, period;
};

struct events {
    /* What was seen of an event. */
    struct event *list;
    size_t n, last;
    uint64_t early; /* samples before the time that is wanted */
};

void events_free(struct events *e);

/* Counts the sample; returns its weight, 0 when it is not wanted. One that has no period where it
 * is asked for ends the program. */
uint64_t events_weigh(struct events *e, const struct events_options *opts,
                      const struct perf_header *h);

#endif
