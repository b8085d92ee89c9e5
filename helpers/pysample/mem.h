/* SPDX-License-Identifier: MIT
 * Reading another process's memory, a sample at a time.
 *
 * Reads are served from 4 KiB pages read in this sample. A sample begins by reading again, in as
 * few system calls as possible, all pages that recent samples used; what is then missing costs one
 * call each. All that is read is the target's, hence not to be trusted: addresses out of range and
 * unmapped ones give NULL or false.
 */
#ifndef PYSAMPLE_MEM_H
#define PYSAMPLE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
    MEM_PAGE = 4096,
    MEM_PAGES_MAX = 65536, /* 256 MiB of the target in one sample */
    MEM_SPAN_MAX = 4096,   /* longest run that mem_at gives */
};

/* What pages are read for: a sample may need only one of them. */
enum mem_phase { MEM_THREADS, MEM_TASKS, MEM_PHASES };

struct mem_page {
    uint64_t no;               /* address / 4096 */
    uint32_t gen;              /* generation of `data`, 0 = none */
    uint32_t slot;             /* where in `data` */
    uint32_t used[MEM_PHASES]; /* the turn of each phase that used it last */
    uint32_t sample;           /* the sample that used it last */
    bool bad;                  /* could not be read in this generation */
};

struct mem {
    pid_t pid;
    ssize_t (*readv)(struct mem *m, const struct iovec *local, unsigned long nlocal,
                     const struct iovec *remote,
                     unsigned long nremote); /* replaced by the fuzzer */
    void *image;                             /* for a replaced readv */
    uint8_t *data;                           /* MEM_PAGES_MAX pages, touched as needed */
    uint32_t slots;                          /* in use in this generation */
    struct mem_page *pages;
    uint32_t npages, cap;
    uint32_t *hash; /* index into pages + 1 */
    uint32_t hash_bits;
    uint32_t *order; /* pages sorted by number; the unsorted ones at the end */
    uint32_t nsorted, norder;
    uint32_t *merge;
    struct iovec *remote;
    uint32_t *batch;
    uint32_t gen, sample;
    uint32_t now_ms;            /* time of the sample */
    uint32_t turns[MEM_PHASES]; /* how often each phase was begun */
    enum mem_phase phase;
    uint64_t last_no; /* the page of the read before */
    const uint8_t *last;
    uint8_t scratch[8][MEM_SPAN_MAX];
    unsigned int turn;
    uint64_t calls; /* system calls so far */
    int error;      /* errno of the last call that failed whole: EPERM, ESRCH */
};

void mem_open(struct mem *m, pid_t pid);
void mem_close(struct mem *m);

/* Begins a sample: forgets all contents. `now` in ns, of any clock. */
void mem_begin(struct mem *m, uint64_t now);

/* Reads the pages that recent samples used in this phase; reads from here on count for it. */
void mem_prefetch(struct mem *m, enum mem_phase phase);

/* Forgets all contents within a sample, to read a torn object again. */
void mem_stale(struct mem *m);

/* The page with this number, or NULL. */
const uint8_t *mem_page_slow(struct mem *m, uint64_t no);

/* A run over a page border, copied; NULL when any of it cannot be read. */
const uint8_t *mem_cross(struct mem *m, uint64_t addr, size_t len);

/* `len` bytes (1 to MEM_SPAN_MAX) at `addr`, or NULL. Valid until the sample ends or, over a page
 * border, for the next 7 such reads. Not aligned. */
static inline const uint8_t *mem_at(struct mem *m, uint64_t addr, size_t len) {
    uint64_t no = addr / MEM_PAGE;
    size_t off = addr % MEM_PAGE;
    const uint8_t *page;

    if (off + len > MEM_PAGE)
        return mem_cross(m, addr, len);
    page = no == m->last_no && m->last ? m->last : mem_page_slow(m, no);
    return page ? page + off : NULL;
}

static inline uint64_t get64(const uint8_t *p) {
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t get32(const uint8_t *p) {
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline bool mem_u64(struct mem *m, uint64_t addr, uint64_t *v) {
    const uint8_t *p = mem_at(m, addr, 8);

    if (!p)
        return false;
    *v = get64(p);
    return true;
}

static inline bool mem_u32(struct mem *m, uint64_t addr, uint32_t *v) {
    const uint8_t *p = mem_at(m, addr, 4);

    if (!p)
        return false;
    *v = get32(p);
    return true;
}

#endif
