/* SPDX-License-Identifier: MIT */
#include "clock.h"

#include <time.h>

#include "now.h"

#define SECOND UINT64_C(1000000000)
/* A dear reading may take 1 / SHARE of the time. */
#define SHARE 100

/* A double is exact to the nanosecond for 100 days. */
uint64_t slots_next(const struct slots *s) {
    return (uint64_t)((double)s->next * 1e9 / s->rate);
}

bool slots_wait(const struct slots *s) {
    uint64_t at = s->start + slots_next(s);
    struct timespec t = {.tv_sec = (time_t)(at / SECOND), .tv_nsec = (long)(at % SECOND)};

    return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0;
}

void slots_done(struct slots *s) {
    uint64_t current = (uint64_t)((double)(now_ns() - s->start) * s->rate / 1e9);

    s->next++;
    if (current > s->end)
        current = s->end + 1;
    if (current > s->next) {
        s->missed += current - s->next;
        s->next = current;
    }
}

bool pace_is_due(const struct pace *p, uint64_t at) {
    return p->interval > 0 && at >= p->due;
}

void pace_took(struct pace *p, uint64_t at, uint64_t took) {
    if (p->times++ == 0)
        p->first = at;
    p->last = at;
    p->spent += took;
    p->due = at + (took * SHARE > p->interval ? took * SHARE : p->interval);
}

double pace_achieved(const struct pace *p) {
    return p->times < 2 ? -1 : (double)(p->last - p->first) / 1e9 / (double)(p->times - 1);
}
