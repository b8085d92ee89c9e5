/* SPDX-License-Identifier: MIT
 * A target: the process, attached to, with the parts that read it. Reading it: sample.h.
 */
#ifndef PYSAMPLE_SESSION_H
#define PYSAMPLE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "pyelf.h"
#include "views.h"

enum attach {
    A_OK,
    A_NOT_YET, /* no Python in it, or one that is not initialised */
    A_REFUSED, /* a Python whose layout is not known, or is not as expected */
    A_DENIED,  /* no right to read it */
    A_GONE,
};

struct session {
    pid_t pid, ns_pid; /* ns_pid: the number in the target's own namespace */
    int procfd, rootfd;
    uint64_t starttime;
    bool attached;
    bool checked; /* the layouts of Task and Future were compared with the live types */
    struct py_binary binary;
    uint32_t version;
    const struct layout *layout;
    struct mem mem;
    struct world world;
    struct texts texts;
    struct codes codes;
    struct os os;
    struct threads threads;
    struct tasks tasks;
    struct views views;
    bool stop;        /* stop the thread that holds the GIL while stacks are read */
    uint64_t stops;   /* how often one was */
    uint64_t read_ns; /* when memory was read last */
    bool ended;       /* after A_NOT_YET: the interpreter is no longer initialised */
    bool same;        /* nothing has changed since the last sample: no memory was read */
    bool torn_now;    /* the last sample read has torn stacks */
    bool exact_ok;    /* the kernel tells of this target what proves a sample exact */
    char why[512];
    /* counts */
    uint64_t samples, exact, retries, torn; /* torn: samples with any stack that stayed torn */
};

/* Opens /proc/PID. A_GONE: there is no such process, as `why` tells. */
enum attach session_open(struct session *s, pid_t pid);
/* Goes over to another process, not yet attached to; sums are kept. Results as above. */
enum attach session_adopt(struct session *s, pid_t pid);
/* A process below `pid` that has Python mapped, 0 = none. */
pid_t session_find_below(pid_t pid);
/* Looks for Python in it and reads it for the first time; may be called again after A_NOT_YET.
 * `why` is filled unless A_OK. */
enum attach session_attach(struct session *s);
/* Forgets what was attached to (the process has executed another program); sums are kept. */
void session_detach(struct session *s);
void session_close(struct session *s);

/* Whether the process is still there (a zombie is not). */
bool session_alive(const struct session *s);

/* What runs the event loop: "asyncio", "uvloop", "none". */
const char *session_loop(struct session *s);

#endif
