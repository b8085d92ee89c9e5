/* SPDX-License-Identifier: MIT
 * The clocks in use.
 */
#ifndef EXPORTER_CLOCK_H
#define EXPORTER_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC, ns. */
int64_t monotonic_ns(void);
/* Unix seconds, to the ms: a finer one takes 17 digits on every page. */
double unix_now(void);
/* When a process with this start time (clock ticks since boot) was started, in Unix seconds, to the
 * ms. */
double unix_time_of(uint64_t starttime);

#endif
