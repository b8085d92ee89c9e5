/* SPDX-License-Identifier: MIT
 * What event loops were asked to run until it is done: a task, or those of a gather.
 */
#ifndef PYSAMPLE_ROOTS_H
#define PYSAMPLE_ROOTS_H

#include "tasks.h"

/* Marks the tasks that a loop was asked to run. For a loop without a frame of its own, uvloop's run
 * by its methods and not by asyncio.Runner, also finds `root` and `run_frame` of the thread, where
 * both are known. After tasks_read. */
void roots_mark(struct tasks *t);

/* Calls `each` with the index of every task that stands behind what a loop was asked to run:
 * itself, or those of a gather that are not done. */
void each_root(struct tasks *t, uint64_t root, void (*each)(uint32_t i, void *arg), void *arg);

#endif
