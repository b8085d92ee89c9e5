/* SPDX-License-Identifier: MIT
 * All asyncio tasks with their await chains, and who awaits whom.
 */
#ifndef PYSAMPLE_TASKS_H
#define PYSAMPLE_TASKS_H

#include <stdbool.h>
#include <stdint.h>

#include "addrmap.h"
#include "threads.h"

enum {
    TASKS_MAX = 1 << 18,
    CHAIN_MAX = 1024, /* frames kept of a chain */
};

enum task_state {
    T_RUNNING, /* its coroutine executes on a thread */
    T_READY,   /* could run: the event loop has not come to it yet */
    T_WAITING,
    T_NEW,  /* never ran */
    T_TORN, /* read three times and still contradictory */
};

struct task {
    uint64_t addr;
    uint64_t loop;
    uint64_t leaf;       /* the future it waits for, 0 = none known */
    uint64_t exec_frame; /* running: the frame where its coroutine continues on a thread's stack */
    uint64_t work;       /* waiting for an executor: the concurrent Future */
    uint64_t due;        /* sleeping: until when (ns of CLOCK_MONOTONIC), 0 = not known */
    uint64_t self;       /* local 0 of the innermost frame, where its role needs it */
    uint64_t subject;    /* what its wait is for: a set of futures, or the one behind a shield */
    uint64_t hash;       /* of the chain */
    uint64_t links[2];   /* which pairs of neighbours are in it, and how it ends: a few bits each */
    uint64_t name;       /* the object */
    uint32_t first, n;   /* frame texts of the chain, outermost first */
    uint32_t marker;     /* text: what it waits for */
    uint32_t child, parent; /* first edge in each direction + 1 */
    uint32_t visit;
    enum kind kind; /* a future that is no task: awaited by way of another */
    enum kind leaf_kind;
    enum role role; /* of the innermost frame */
    enum task_state state;
    bool awaited;   /* some task awaits it */
    bool root;      /* a runner waits for it */
    bool hot;       /* runs, or awaits one that runs */
    bool executing; /* in _current_tasks */
    bool doubted;   /* its chain has links that no chain had before */
};

struct edge {
    uint32_t from, to; /* the one that awaits, the one awaited */
    uint32_t next_child, next_parent;
};

struct key {
    uint64_t addr;
    uint32_t task;
    uint32_t next; /* with the same address, + 1 */
};

struct aio {
    uint64_t interp, dict; /* _asyncio.__dict__, 0 = not imported */
    uint64_t scheduled, eager, current;
    uint64_t modules_used, next_look_ns;
};

struct tasks {
    struct world *w;
    struct codes *codes;
    struct threads *threads;
    struct texts *texts;
    struct aio aio[INTERPS_MAX];
    uint32_t naio;
    struct task *list;
    uint32_t n, cap, ntasks; /* list[ntasks..n) are futures that are no tasks */
    uint32_t *chain;
    uint32_t nchain, cap_chain;
    struct edge *edges;
    uint32_t nedges, cap_edges;
    struct key *keys;
    uint32_t nkeys, cap_keys;
    uint64_t *current; /* addresses of running tasks */
    uint32_t ncurrent, cap_current;
    struct addr_map by_addr, by_key;
    struct addr_map trusted; /* the links of chains that were read twice, by their hash */
    struct addr_map queued;  /* concurrent Futures in the queues of executors, and the queues */
    bool queued_read;
    bool same;  /* proven unchanged since the last sample */
    bool exact; /* what is here was proven exact (set by the caller after threadstate_after) */
    uint32_t nloops;
    uint32_t nworks;   /* how many wait for an executor */
    uint32_t nthreads; /* in the last sample */
    bool timers;       /* the target's CLOCK_MONOTONIC is this process's */
    uint64_t read_ns;  /* when last read in full */
    uint64_t next_due; /* when the next sleep is over, UINT64_MAX = none */
    uint64_t retries, torn;
    uint32_t markers[64]; /* texts of roles */
    uint32_t marker_ready, marker_new, marker_future, marker_gather, marker_task, marker_queued,
        marker_executor;
    struct {
        uint64_t bits;
        uint32_t text;
    } sleeps[64];
};

void tasks_open(struct tasks *t, struct world *w, struct codes *codes, struct threads *threads,
                struct texts *texts);
void tasks_close(struct tasks *t);

/* Reads all tasks and edges, unless they are proven unchanged. `now`: CLOCK_MONOTONIC, ns. */
void tasks_read(struct tasks *t, uint64_t now);

/* Whether a sleep has ended since, even if nothing in the process has run. */
static inline bool tasks_due(const struct tasks *t, uint64_t now) {
    return now >= t->next_due;
}

/* Checks the layouts of Task and Future against the live types, once _asyncio is imported. False:
 * they differ, `why` says how. True also while there is nothing to check; `*checked` tells. */
bool tasks_check(struct tasks *t, bool *checked, char *why, size_t cap);

/* The task that runs in a loop, 0 = none, or not known yet. */
uint64_t tasks_current(struct tasks *t, uint32_t interp, uint64_t loop);

/* For threads_open's `outer`, of struct tasks: greenlet.c. */
uint64_t greenlet_outer(void *tasks, uint32_t interp, uint64_t loop);

/* "Task-7"; false when the name is no longer there. */
bool task_name(struct tasks *t, const struct task *task, char *out, size_t cap);

/* ---- between the parts: chain.c, again.c, futures.c, edges.c ---- */

enum verdict { V_OK, V_TORN, V_SKIP };

/* Reads one task: state and await chain. V_SKIP: it is none, or has finished. */
enum verdict read_task(struct tasks *t, struct task *k);
struct task *task_add(struct tasks *t, uint64_t addr);
/* Keeps nothing of what was read of it; `mark` is where its chain begins. */
void task_torn(struct tasks *t, struct task *k, uint32_t mark);
/* A chain is read link by link while its task may go on, and what it was read from may be freed and
 * made anew for another task: it is then put together from two. The links of a program are few, and
 * one of those is new. Hence a chain with links that are not known is believed when it is read
 * twice. */
bool task_is_trusted(const struct tasks *t, const struct task *k);
/* Reads the torn and the doubted again, three times at most; what is doubted then is torn, but for
 * what runs. */
void tasks_retry(struct tasks *t);

/* Local i of a generator's frame, 0 = none. */
uint64_t gen_local(struct tasks *t, uint64_t gen, uint32_t i);

enum fut_state { F_PENDING, F_DONE, F_BAD };

enum fut_state future_state(struct tasks *t, uint64_t fut, enum kind kind);
/* Calls `each` with every done-callback of a future until it returns false. */
void each_callback(struct tasks *t, uint64_t fut, enum kind kind,
                   bool (*each)(struct tasks *t, uint64_t callback, void *arg), void *arg);
/* Number of cells in the closure of a function, 0 = none; the tuple's items begin at *items. */
uint64_t closure(struct tasks *t, uint64_t function, uint64_t *items);
/* By the state of the concurrent Future: marker, and whether its end has only to be noticed. */
void describe_work(struct tasks *t, struct task *k);
/* Sets marker, work, due, self and subject by role, leaf, the innermost generator and the one
 * around it, and makes ready what waits for the event loop alone. */
void describe_wait(struct tasks *t, struct task *k, uint64_t gen, uint64_t outer);
/* Calls `each` with every element of a set until it returns false, which is then returned, as where
 * the set cannot be read. */
bool each_in_set(struct tasks *t, uint64_t set,
                 bool (*each)(struct tasks *t, uint64_t element, void *arg), void *arg);

/* Who awaits whom: children and parents of all tasks read. */
void find_edges(struct tasks *t);
/* Marks the tasks that runners wait for. */
void mark_roots(struct tasks *t);
/* Marks a task that runs, and all that await it. */
void mark_hot(struct tasks *t, uint32_t i, int depth);

#endif
