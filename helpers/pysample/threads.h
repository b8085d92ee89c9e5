/* SPDX-License-Identifier: MIT
 * The threads of all interpreters, each with its state (threadstate.h) and its Python stack
 * (pystack.h), in this sample and in the one before.
 */
#ifndef PYSAMPLE_THREADS_H
#define PYSAMPLE_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#include "code.h"
#include "os.h"

enum {
    INTERPS_MAX = 64,
    THREADS_MAX = 8192,
    DEPTH_MAX = 1024,
};

struct frame {
    uint64_t addr; /* of the interpreter frame */
    uint32_t text;
    uint32_t role;
    bool from_c; /* C code called it, not a Python function */
};

struct interp {
    uint64_t addr, gil, modules;
    int64_t id;
    uint64_t holder; /* the thread state that holds the GIL, 0 = none */
    bool collecting; /* the garbage collector runs */
};

struct thread {
    uint64_t tstate;
    uint64_t loop;           /* the event loop that runs in it, 0 = none */
    uint64_t root;           /* what Runner.run or run_until_complete waits for, 0 = none */
    uint64_t work_future;    /* the concurrent Future it works for, 0 = none */
    uint64_t base;           /* the outermost frame of its last whole stack, 0 = none */
    uint64_t exact_switches; /* switch count at which the stack was proven exact, 0 = it was not */
    pid_t tid;               /* in the target's namespace */
    uint32_t interp;         /* index */
    uint32_t first, n;       /* frames, outermost first */
    uint32_t run_frame;      /* index of the frame of `root` + 1 */
    uint32_t loop_frame;     /* index of the innermost frame that runs a loop + 1 */
    uint32_t work_frame;     /* index of _WorkItem.run + 1 */
    uint32_t node, leaf;     /* of the views: kept by the aggregation */
    enum os_state state;
    int call;
    bool runs_loop;   /* a frame that runs event loops is on its stack */
    bool native;      /* the loop that runs in it has no frame of its own: roots.h */
    bool in_greenlet; /* runs one, of which no task is known */
    bool on_gil;      /* waits for the GIL */
    bool woken;       /* no longer asleep, and on no processor yet */
    bool torn;        /* read three times and still not whole */
    bool same;        /* proven not to have run since the last sample */
};

struct threads {
    struct world *w;
    struct codes *codes;
    struct os *os;
    uint64_t runtime;
    struct interp interps[INTERPS_MAX];
    uint32_t ninterps;
    struct thread *list, *before;
    uint32_t n, cap, nbefore, cap_before;
    struct frame *frames, *frames_before;
    uint32_t nframes, cap_frames, cap_frames_before;
    uint64_t retries;
    uint64_t interval_ns; /* since the last sample */
    bool exact_ok;        /* the kernel tells switch counts */
    bool stacks_only;     /* what the kernel says of threads is not asked */
    uint32_t text_greenlet;
    /* The frame in which the task that runs in this loop switched to a greenlet, 0 = none known. */
    uint64_t (*outer)(void *arg, uint32_t interp, uint64_t loop);
    void *outer_arg;
};

/* `runtime`: address of _PyRuntime. The parts must stay open until threads_close. */
void threads_open(struct threads *t, struct world *w, struct codes *codes, struct os *os,
                  uint64_t runtime);
void threads_close(struct threads *t);

/* Whether an interpreter is there and has begun to run Python. */
bool threads_ready(struct threads *t);

/* Reads the memory of the threads that hold a GIL, which alone can change their stacks, before
 * anything else; the next threads_read takes it from there. */
void threads_holders(struct threads *t);

/* Reads all threads, at most THREADS_MAX of INTERPS_MAX interpreters. A stack that is not whole
 * after four readings is marked torn. False: no interpreter could be read. */
bool threads_read(struct threads *t);

#endif
