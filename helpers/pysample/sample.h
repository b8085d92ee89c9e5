/* SPDX-License-Identifier: MIT
 * One sample of a target: its threads and tasks read as of one moment, and whether they are proven
 * to be.
 */
#ifndef PYSAMPLE_SAMPLE_H
#define PYSAMPLE_SAMPLE_H

#include "session.h"

/* Reads threads, their states and tasks. `now`: ns of a clock that only rises; `interval`: ns since
 * the sample before. A_OK; A_GONE: the process ended; A_NOT_YET: nothing could be read; A_REFUSED:
 * the layout check failed, `why` says how. */
enum attach sample_read(struct session *s, uint64_t now, uint64_t interval);

/* Reads the threads' stacks alone, as fast as can be: no states, no tasks, no views. `read_ns` is
 * when, by CLOCK_MONOTONIC. Results as above, but for A_REFUSED. */
enum attach sample_stacks(struct session *s);

#endif
