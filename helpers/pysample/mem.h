/* SPDX-License-Identifier: MIT
 * Reading another process's memory, a sample at a time.
 *
 * Reads are served from 4 KiB pages read in this sample. A sample begins by reading again, in as
 * few system calls as possible, all pages that recent samples used, of each the part that they
 * used; what is then missing costs one call each. All that is read is the target's, hence not to be
 * trusted: addresses out of range and unmapped ones give NULL or false.
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
    MEM_LATEST = 256,
    MEM_NEAR = 64,
};

/* What pages are read for: a sample may need only one of them. */
enum mem_phase { MEM_THREADS, MEM_TASKS, MEM_PHASES };

/* Bytes of a page, none where both are 0. */
struct mem_span {
    uint16_t lo, hi;
};

struct mem_page {
    uint64_t no;               /* address / 4096 */
    uint32_t gen;              /* generation of `data`, 0 = none */
    uint32_t at;               /* where in `data` its byte 0 is, or would be */
    struct mem_span have;      /* what is there of it */
    struct mem_span now, past; /* what was used in this epoch and in the one before */
    uint32_t used[MEM_PHASES]; /* the turn of each phase that used it last */
    uint32_t sample;           /* the sample that used it last */
    uint32_t noted;            /* the mark since which it is among the latest */
    bool bad;                  /* could not be read in this generation */
};

/* A page read a moment ago, and what can be given of it at once: what is there, and is noted as
 * used. */
struct mem_near {
    uint64_t no;
    const uint8_t *data; /* its byte 0 */
    struct mem_span span;
};

struct mem {
    pid_t pid;
    ssize_t (*readv)(struct mem *m, const struct iovec *local, unsigned long nlocal,
                     const struct iovec *remote,
                     unsigned long nremote); /* replaced by the fuzzer */
    void *image;                             /* for a replaced readv */
    uint8_t *data;                           /* MEM_PAGES_MAX pages, touched as needed */
    uint32_t fill;                           /* bytes of it in use in this generation */
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
    struct mem_near near[MEM_NEAR];       /* by the lowest bits of their numbers */
    uint32_t latest[MEM_LATEST], nlatest; /* pages used since mem_mark */
    uint32_t marks;
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

/* Where the reading of an object begins, and to read it again: forgets all contents and reads the
 * pages that were used since mem_mark, in one call where they are not many. */
void mem_mark(struct mem *m);
void mem_again(struct mem *m);

/* The page with this number, of which these bytes are there; or NULL. */
const uint8_t *mem_page_slow(struct mem *m, uint64_t no, size_t off, size_t len);

/* A run over a page border, copied; NULL when any of it cannot be read. */
const uint8_t *mem_cross(struct mem *m, uint64_t addr, size_t len);

/* `len` bytes (1 to MEM_SPAN_MAX) at `addr`, or NULL. Valid until the sample ends or, over a page
 * border, for the next 7 such reads. Not aligned. */
static inline const uint8_t *mem_at(struct mem *m, uint64_t addr, size_t len) {
    uint64_t no = addr / MEM_PAGE;
    size_t off = addr % MEM_PAGE;
    const struct mem_near *near = &m->near[no % MEM_NEAR];
    const uint8_t *page;

    if (near->no == no && off >= near->span.lo && off + len <= near->span.hi)
        return near->data + off;
    if (off + len > MEM_PAGE)
        return mem_cross(m, addr, len);
    page = mem_page_slow(m, no, off, len);
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
