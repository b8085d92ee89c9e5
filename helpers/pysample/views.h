/* SPDX-License-Identifier: MIT
 * The three views of a sample, and their sums over time.
 *
 *   wall     where the main thread's root task is: sums to elapsed time exactly
 *   tasks    every task, in task-seconds; under [background] those that nothing awaits
 *   threads  every thread, in thread-seconds
 */
#ifndef PYSAMPLE_VIEWS_H
#define PYSAMPLE_VIEWS_H

#include <stdbool.h>
#include <stdint.h>

#include "tasks.h"
#include "viewtree.h"

enum view_id { VIEW_WALL, VIEW_TASKS, VIEW_THREADS, VIEWS };

enum { REFS_MAX = 4, RING = 256 };

/* A place where a sample of a thread in state "run" was counted as running. */
struct run_ref {
    uint32_t view, node; /* the node above the state */
    uint64_t units;
};

struct run_entry {
    uint64_t ns; /* not yet turned into waiting */
    uint32_t nrefs;
    struct run_ref refs[REFS_MAX];
};

/* The last samples of a thread in state "run", which is running or waiting for a processor: the
 * kernel tells how long it waited only when the wait is over, and then the time is moved from
 * [running] to [runnable], the latest first. */
struct run_ring {
    struct run_entry entry[RING], now;
    uint32_t next;
};

struct views {
    struct view view[VIEWS];
    struct texts *texts;
    struct threads *threads;
    struct tasks *tasks;
    pid_t main_tid;
    uint32_t budget; /* tasks that the walk may still visit in this sample */
    uint32_t running, runnable, gil, stopped, truncated, unknown, background, interpreter, gc, idle,
        blocked_unknown;
    uint64_t unknown_ns[VIEWS];
    uint64_t pending_ns; /* of the shares last taken, not yet in the sums */
};

void views_open(struct views *v, struct texts *texts, struct threads *threads, struct tasks *tasks);
void views_close(struct views *v);

/* Takes the shares of the sample just read. */
void views_take(struct views *v);

/* Takes one stack of one text for the wall, and nothing for the others: where there is nothing to
 * read. */
void views_take_text(struct views *v, const char *text);

/* Gives the shares last taken `ns` of time, more each time. */
void views_add(struct views *v, uint64_t ns);

/* Brings the sums up to date: before they are read. */
void views_sum(struct views *v);

/* Moves time to [runnable], by what the kernel told since. Once after threadstate_before. */
void views_settle(struct views *v);

/* The stack of a node as text, frames separated by ';'. */
void views_stack(const struct views *v, enum view_id id, uint32_t node, struct buf *out);

/* The thread on which a running task's frame lies, and where on it; NULL when on none. */
const struct thread *views_find_frame(const struct views *v, uint64_t frame, uint32_t *index);
const struct thread *views_find_work(const struct views *v, uint64_t work);
const struct thread *views_main(const struct views *v);
/* Text of the state of a thread, as a leaf. */
uint32_t views_thread_state(struct views *v, const struct thread *th);

#endif
