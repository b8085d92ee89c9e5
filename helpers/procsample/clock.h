/* SPDX-License-Identifier: MIT
 * The slots of a sampling rate on the monotonic clock, and readings that may take only a share of
 * the time.
 */
#ifndef PROCSAMPLE_CLOCK_H
#define PROCSAMPLE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Slot k is at start + k / rate: each is computed from the start, so that no error adds up. */
struct slots {
    uint64_t start;  /* ns, monotonic */
    double rate;     /* Hz */
    uint64_t next;   /* the slot to be sampled */
    uint64_t end;    /* the last slot there is */
    uint64_t missed; /* slots that passed while an earlier one was sampled */
};

/* ns from the start to the next slot. */
uint64_t slots_next(const struct slots *s);

/* Waits for it; false when a signal came first. */
bool slots_wait(const struct slots *s);

/* The slot was sampled: moves on to the one that is due now, late or not, and counts those that
 * were passed over. Stands behind `end` when there is none left. */
void slots_done(struct slots *s);

/* A reading that is too dear for every slot. Times in ns since the start. */
struct pace {
    uint64_t interval; /* least time from one to the next; 0: never */
    uint64_t due;
    uint64_t spent; /* in all */
    uint64_t first, last;
    uint64_t times;
};

bool pace_is_due(const struct pace *p, uint64_t at);

/* The reading of the slot at `at` took `took`: puts off the next one so that they take at most 1 %
 * of the time. */
void pace_took(struct pace *p, uint64_t at, uint64_t took);

/* Seconds from one reading to the next on average; negative with less than two. */
double pace_achieved(const struct pace *p);

#endif
