/* SPDX-License-Identifier: MIT
 * Code objects: from an instruction to the text of a frame, cached by address. Addresses are
 * reused: the code of modules and classes, which is freed once it has run, is checked again in
 * every sample, that of functions, which lives as long as they do, every 100 ms.
 */
#ifndef PYSAMPLE_CODE_H
#define PYSAMPLE_CODE_H

#include <stdbool.h>
#include <stdint.h>

#include "pyobj.h"
#include "text.h"

/* Functions of the standard library that the sampler knows: what a wait in them is called, and
 * where edges are. */
enum role {
    R_NONE,
    R_SLEEP,
    R_LOCK,
    R_SEMAPHORE,
    R_EVENT,
    R_CONDITION,
    R_BARRIER,
    R_QUEUE_GET,
    R_QUEUE_PUT,
    R_QUEUE_JOIN,
    R_STREAM_READ,
    R_STREAM_DRAIN,
    R_SOCKET,
    R_SUBPROCESS,
    R_WAIT,
    R_AS_COMPLETED,      /* 3.12: shares cells with the callback */
    R_AS_COMPLETED_SELF, /* 3.13: the callback is a method of local 0 */
    R_AS_COMPLETED_GEN,  /* 3.12: as_completed itself, which has the futures */
    R_SHIELD_DONE,  /* a callback of the future that shield gives: its closure has the inner one */
    R_TASKGROUP,    /* the callback is a method of local 0 */
    R_FUTURE_AWAIT, /* pure-Python Future.__await__: local 0 is the future */
    R_RUN,          /* Runner.run, run_until_complete: a local is the root task */
    R_RUN_FOREVER,
    R_WORK_ITEM,    /* _WorkItem.run: local 0 has the future that a caller waits for */
    R_THREAD_START, /* the first frame of every thread of threading */
    R_PROCESS_POOL, /* thread of a process pool: local 0 has the work that waits */
    R_POOL_IDLE,    /* thread pool worker: local 1 is the queue */
};

struct code {
    uint64_t addr, qualname, linetable, filename;
    uint32_t checked; /* ms, or the sample */
    bool brief;       /* of a module or class */
    int32_t firstlineno;
    uint32_t nunits, nlocalsplus;
    enum role role;
    char *label;    /* "qualname (path" */
    uint32_t *unit; /* by code unit: text << 2 | known << 1 | delegates */
};

struct codes {
    struct world *w;
    struct texts *texts;
    struct code *code;
    uint32_t n, cap;
    uint64_t units; /* allocated for all of them */
    uint32_t *hash, bits;
    int rootfd; /* /proc/PID/root, to see where packages end; -1 = not */
    uint64_t last_addr;
    uint32_t last_index;
};

void codes_open(struct codes *c, struct world *w, struct texts *texts, int rootfd);
void codes_close(struct codes *c);

/* The code object at `addr`, or NULL when it is none. Valid until the next call. */
struct code *code_get(struct codes *c, uint64_t addr);

/* Reads where an instruction pointer lies in the code: the code unit, or false when it is not in
 * it. */
bool code_unit(const struct codes *c, const struct code *code, uint64_t instr, uint32_t *unit);

/* The frame text `qualname (path:line)`. */
uint32_t code_text(struct codes *c, struct code *code, uint32_t unit);

/* The line of a code unit by co_linetable (CPython's Objects/locations.md), the code's first where
 * the table names none; 0 = it cannot be read. In linetable.c. */
int32_t linetable_line(struct mem *m, const struct code *code, uint32_t unit);

/* 3.12: whether a generator suspended at `unit` waits in `await` or `yield from` (a RESUME with
 * argument 2 or 3 follows). False also when the code cannot be read. */
bool code_delegates(struct codes *c, struct code *code, uint32_t unit);

/* What a wait in a function of this role is called: "[lock]"; "[future]" when nothing better is
 * known. */
const char *role_marker(enum role role);

#endif
