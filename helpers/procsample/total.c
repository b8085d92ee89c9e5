/* SPDX-License-Identifier: MIT */
#include "total.h"

#include <string.h>

void total_begin(struct total *t) {
    t->live = 0;
}

static void raise(int64_t *most, int64_t v) {
    if (v > *most)
        *most = v;
}

/* Adds a live process to others. */
static void add_live(struct total *t, const int64_t *value) {
    int64_t *sum = t->sum.value;

    for (int v = 0; v < METER_CUMULATIVE; v++)
        t->known[v] |= sum[v] >= 0 || value[v] >= 0;
    for (int v = 0; v < METER_VALUES; v++)
        sum[v] = sum[v] < 0 || value[v] < 0 ? METER_UNKNOWN : sum[v] + value[v];
}

static void add_ended(struct total *t, const int64_t *value) {
    for (int v = 0; v < METER_CUMULATIVE; v++) {
        t->known[v] |= value[v] >= 0;
        if (value[v] > 0 && v != METER_PEAK_RSS)
            t->ended[v] += value[v];
    }
}

void total_add(struct total *t, enum meter_life life, const struct meter_reading *r) {
    raise(&t->ended[METER_PEAK_RSS], r->value[METER_PEAK_RSS]);
    if (life != METER_ALIVE)
        add_ended(t, r->value);
    else if (t->live++ == 0) /* most often the only one */
        memcpy(t->sum.value, r->value, sizeof(r->value));
    else
        add_live(t, r->value);
}

void total_end(struct total *t) {
    int64_t *sum = t->sum.value;

    if (t->live == 0)
        memset(sum, 0, sizeof(t->sum.value));
    raise(&t->ended[METER_PEAK_RSS], sum[METER_RSS]);
    for (int v = 0; v < METER_CUMULATIVE; v++) {
        if (sum[v] < 0)
            continue;
        t->known[v] |= t->live > 0;
        sum[v] = t->known[v] ? sum[v] + t->ended[v] : METER_UNKNOWN;
    }
    sum[METER_PEAK_RSS] = t->ended[METER_PEAK_RSS];
}
