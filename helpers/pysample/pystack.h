/* SPDX-License-Identifier: MIT
 * The Python stack of one thread, walked from its innermost frame outwards.
 */
#ifndef PYSAMPLE_PYSTACK_H
#define PYSAMPLE_PYSTACK_H

#include "threads.h"

/* Reads the stack of the thread `th->tstate`, the event loop that runs in it, and what a runner or
 * a thread pool does in it: its frames are added to `t->frames`, at most DEPTH_MAX, the innermost
 * of a deeper stack. False: torn, and the frames added are void; the caller drops them. */
bool pystack_read(struct threads *t, struct thread *th);

/* Makes `th` what it was in the sample before, `old`, its frames included: it has not run since. */
void pystack_keep(struct threads *t, struct thread *th, const struct thread *old);

/* Puts the stack of a greenlet of which no task is known beneath the frames of its loop, as they
 * were when they were seen last, in `old` (NULL: never): they stay while it runs. `th` must be the
 * thread that was read last. */
void pystack_join_loop(struct threads *t, struct thread *th, const struct thread *old);

#endif
