/* SPDX-License-Identifier: MIT
 * Event loops without a frame of their own: uvloop's, run by its methods and not by asyncio.Runner.
 */
#ifndef PYSAMPLE_NATIVELOOP_H
#define PYSAMPLE_NATIVELOOP_H

#include "tasks.h"

/* Finds the task that such a loop was asked to run until it is done, and the frame that asked: sets
 * `root` of the tasks, and `root` and `run_frame` of the threads where both are known. After
 * tasks_read. */
void nativeloop_roots(struct tasks *t);

#endif
