/* SPDX-License-Identifier: MIT
 * The threads' stacks with the time of each sample, for joining with what another sampler saw:
 * docs/formats/pysample-samples.md.
 */
#ifndef PYSAMPLE_TIMED_H
#define PYSAMPLE_TIMED_H

#include <stdbool.h>
#include <stdint.h>

#include "output.h"
#include "session.h"

struct timed;

/* Begins the file; one that cannot be written ends the program (exit 3). */
struct timed *timed_open(const struct output *o);

/* Writes the threads of the last sample that have changed. `now`: CLOCK_MONOTONIC, ns. */
void timed_add(struct timed *t, struct session *s, uint64_t now);

/* Writes what is buffered; false, with a message, when it could not be written. */
bool timed_flush(struct timed *t);
bool timed_close(struct timed *t);

#endif
