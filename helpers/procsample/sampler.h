/* SPDX-License-Identifier: MIT
 * One sample of a process tree: reads every process, writes its row and the total.
 */
#ifndef PROCSAMPLE_SAMPLER_H
#define PROCSAMPLE_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "options.h"
#include "procmeter.h"
#include "proctree.h"
#include "rows.h"
#include "sink.h"
#include "total.h"

struct sampler {
    const struct options *opts;
    struct meter_host host;
    struct proctree tree;
    struct total total;
    struct slots slots;
    struct pace scan, pss, sockets, detail;
    struct rows_memo memo;
    struct sink rows, threads; /* `threads` with --per-thread only */
    uint64_t samples;
    uint64_t readings;    /* of processes */
    uint64_t first, last; /* ns since the start: first and last sample */
    bool excluded_root_lives;
};

/* Finds the process, and opens the files. Exits 1 with a message when there is no such process. */
void sampler_open(struct sampler *s, const struct options *opts);

/* Samples the next slot now; false when nothing of the tree is left. */
bool sampler_sample(struct sampler *s);

/* Closes the files; exits 3 with a message when they could not be written. */
void sampler_close(struct sampler *s);

#endif
