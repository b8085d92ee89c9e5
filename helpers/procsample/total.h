/* SPDX-License-Identifier: MIT
 * The sum over a process tree, in which what ended processes used stays.
 */
#ifndef PROCSAMPLE_TOTAL_H
#define PROCSAMPLE_TOTAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "procmeter.h"

struct total {
    int64_t ended[METER_CUMULATIVE]; /* used by processes that have ended */
    bool known[METER_CUMULATIVE];    /* of any process, ever */
    size_t live;                     /* processes in `sum` */
    struct meter_reading sum;
};

/* Begins the sum of one point in time. */
void total_begin(struct total *t);

/* Adds a process: a live one for this point in time, one that has ended or is gone for good. */
void total_add(struct total *t, enum meter_life life, const struct meter_reading *r);

/* The sum, in `t->sum`. A value is unknown when it is unknown of a live process, or of all that
 * ever were; cumulative ones never fall. The peak is the highest resident size that the sum or a
 * single process was seen to have. */
void total_end(struct total *t);

#endif
