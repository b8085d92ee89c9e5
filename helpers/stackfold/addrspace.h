/* SPDX-License-Identifier: MIT
 * The threads of a recording, their names, and what their addresses are, as perf keeps them
 * (Linux 6.1, tools/perf/util/machine.c, thread.c, map.c, maps.c).
 */
#ifndef STACKFOLD_ADDRSPACE_H
#define STACKFOLD_ADDRSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elfsym.h"
#include "intern.h"

/* A file, or what else is mapped; its symbols once they were asked for. */
struct dso {
    char *name;
    bool loaded, kernel, jit;
    struct build_id build; /* when something of that file was mapped */
    struct symbols symbols;
    uint32_t unknown; /* for the caller: the frame of an address without a symbol */
};

struct map {
    uint64_t start, end, offset;
    struct dso *dso;
};

/* What a process has mapped, by address, nowhere twice. */
struct maps {
    uint32_t pid;
    struct map *list;
    size_t n, cap;
    struct maps *next; /* of its bucket */
};

struct thread {
    uint32_t pid, tid;
    char comm[16]; /* ":TID" until it is known */
    struct thread *next;
};

enum { ADDRSPACE_BUCKETS = 1024 };

struct addrspace {
    struct intern names; /* of the dsos, in their order */
    struct dso **dsos;
    size_t cap_dsos, cloned;
    struct maps *kernel, *processes[ADDRSPACE_BUCKETS];
    struct thread *threads[ADDRSPACE_BUCKETS];
};

void addrspace_init(struct addrspace *a);
void addrspace_free(struct addrspace *a);

/* The thread, new when it was not seen yet. */
struct thread *addrspace_thread(struct addrspace *a, uint32_t pid, uint32_t tid);
/* A new thread, in place of one that had its number; of a new process it has its parent's maps. */
void addrspace_fork(struct addrspace *a, uint32_t pid, uint32_t parent, uint32_t tid,
                    uint32_t parent_tid);

/* What a process has mapped. */
struct maps *addrspace_maps(struct addrspace *a, uint32_t pid);

/* Maps `name` in place of what was there. `exec`: as code, which without a file is a JIT's. */
void addrspace_map(struct addrspace *a, struct maps *maps, uint64_t start, uint64_t end,
                   uint64_t offset, const char *name, bool exec);

/* What is mapped at an address, or NULL. */
const struct map *maps_find(const struct maps *m, uint64_t address);

#endif
