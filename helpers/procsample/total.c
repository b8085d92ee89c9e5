/* SPDX-License-Identifier: MIT */
#include "total.h"

#include <string.h>

void total_begin(struct total *t) {
    memset(t->sum.value, 0, sizeof(t->sum.value));
}

static void raise(int64_t *most, int64_t v) {
    if (v > *most)
        *most = v;
}

void total_add(struct total *t, enum meter_life life, const struct meter_reading *r) {
    int64_t *sum = t->sum.value;

    raise(&t->ended[METER_PEAK_RSS], r->value[METER_PEAK_RSS]);
    for (int v = 0; v < METER_VALUES; v++) {
        if (v == METER_PEAK_RSS)
            continue;
        if (v < METER_CUMULATIVE && r->value[v] >= 0)
            t->known[v] = true;
        if (life == METER_ALIVE && r->value[v] < 0)
            sum[v] = METER_UNKNOWN;
        else if (life == METER_ALIVE && sum[v] >= 0)
            sum[v] += r->value[v];
        else if (life != METER_ALIVE && v < METER_CUMULATIVE && r->value[v] > 0)
            t->ended[v] += r->value[v];
    }
}

void total_end(struct total *t) {
    int64_t *sum = t->sum.value;

    raise(&t->ended[METER_PEAK_RSS], sum[METER_RSS]);
    t->known[METER_PEAK_RSS] = true;
    for (int v = 0; v < METER_CUMULATIVE; v++) {
        if (!t->known[v])
            sum[v] = METER_UNKNOWN;
        else if (sum[v] >= 0)
            sum[v] += t->ended[v];
    }
}
