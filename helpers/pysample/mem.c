/* SPDX-License-Identifier: MIT */
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "buf.h"
#include "err.h"

enum {
    HOT = 8,      /* turns for which a page stays in the prefetch */
    KEEP = 512,   /* samples after which an unused page is forgotten */
    EPOCH = 64,   /* turns after which what was used of a page is noted anew */
    GRAIN = 64,   /* bytes: parts of pages begin and end at multiples */
    GAP = 1024,   /* bytes between the parts of two neighbours that are read rather than left out */
    BATCH = 1024, /* IOV_MAX */
    ADDR_BITS = 47 /* user addresses on x86-64 */
};

static ssize_t read_process(struct mem *m, const struct iovec *local, unsigned long nlocal,
                            const struct iovec *remote, unsigned long nremote) {
    return process_vm_readv(m->pid, local, nlocal, remote, nremote, 0);
}

void mem_open(struct mem *m, pid_t pid) {
    *m = (struct mem){.pid = pid, .readv = read_process, .gen = 1, .hash_bits = 10, .cap = 256};
    m->data = mmap(NULL, ((size_t)MEM_PAGES_MAX + 1) * MEM_PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m->data == MAP_FAILED)
        die(EX_FAIL, "cannot reserve memory:");
    m->pages = xcalloc(m->cap, sizeof(*m->pages));
    m->order = xcalloc(m->cap, sizeof(*m->order));
    m->merge = xcalloc(m->cap, sizeof(*m->merge));
    m->hash = xcalloc((size_t)1 << m->hash_bits, sizeof(*m->hash));
    m->remote = xcalloc(BATCH, sizeof(*m->remote));
    m->batch = xcalloc(BATCH, sizeof(*m->batch));
}

void mem_close(struct mem *m) {
    if (m->data)
        (void)munmap(m->data, ((size_t)MEM_PAGES_MAX + 1) * MEM_PAGE);
    free(m->pages);
    free(m->order);
    free(m->merge);
    free(m->hash);
    free(m->remote);
    free(m->batch);
    *m = (struct mem){0};
}

static uint32_t bucket(const struct mem *m, uint64_t no) {
    return (uint32_t)((no * 0x9e3779b97f4a7c15ULL) >> (64 - m->hash_bits));
}

static void hash_insert(struct mem *m, uint32_t index) {
    uint32_t mask = (1U << m->hash_bits) - 1, i = bucket(m, m->pages[index].no);

    while (m->hash[i])
        i = (i + 1) & mask;
    m->hash[i] = index + 1;
}

static void rehash(struct mem *m) {
    memset(m->hash, 0, sizeof(*m->hash) << m->hash_bits);
    for (uint32_t i = 0; i < m->npages; i++)
        hash_insert(m, i);
}

static struct mem_page *find_page(const struct mem *m, uint64_t no) {
    uint32_t mask = (1U << m->hash_bits) - 1, i = bucket(m, no);

    for (; m->hash[i]; i = (i + 1) & mask) {
        if (m->pages[m->hash[i] - 1].no == no)
            return &m->pages[m->hash[i] - 1];
    }
    return NULL;
}

static struct mem_page *add_page(struct mem *m, uint64_t no) {
    if (m->npages == m->cap) {
        if (m->cap >= MEM_PAGES_MAX)
            return NULL;
        m->cap *= 2;
        m->pages = xrealloc(m->pages, m->cap * sizeof(*m->pages));
        m->order = xrealloc(m->order, m->cap * sizeof(*m->order));
        m->merge = xrealloc(m->merge, m->cap * sizeof(*m->merge));
    }
    m->pages[m->npages] = (struct mem_page){.no = no};
    if ((m->npages + 1) * 2 > 1U << m->hash_bits) {
        m->hash_bits++;
        free(m->hash);
        m->hash = xcalloc((size_t)1 << m->hash_bits, sizeof(*m->hash));
        m->npages++;
        rehash(m);
    } else {
        hash_insert(m, m->npages);
        m->npages++;
    }
    m->order[m->norder++] = m->npages - 1;
    return &m->pages[m->npages - 1];
}

/* Forgets the pages that were long not used, so that the tables follow the target and do not only
 * grow. */
static void sweep(struct mem *m) {
    uint32_t kept = 0;

    for (uint32_t i = 0; i < m->npages; i++) {
        const struct mem_page *p = &m->pages[i];

        if (m->sample - p->sample <= KEEP)
            m->pages[kept++] = *p;
    }
    if (kept == m->npages)
        return;
    m->npages = kept;
    for (uint32_t i = 0; i < kept; i++)
        m->order[i] = i;
    m->norder = kept;
    m->nsorted = 0;
    rehash(m);
}

void mem_stale(struct mem *m) {
    m->gen++;
    m->fill = MEM_PAGE; /* so that byte 0 of a page of which only the end is there lies in `data` */
    memset(m->near, 0, sizeof(m->near));
}

void mem_begin(struct mem *m, uint64_t now) {
    m->sample++;
    m->now_ms = (uint32_t)(now / 1000000);
    if (m->sample % KEEP == 0 || m->npages > MEM_PAGES_MAX / 2)
        sweep(m);
    mem_stale(m);
}

static int by_number(const void *a, const void *b, void *arg) {
    const struct mem *m = arg;
    uint64_t x = m->pages[*(const uint32_t *)a].no, y = m->pages[*(const uint32_t *)b].no;

    return (x > y) - (x < y);
}

/* Sorts the newly added pages and merges them in: the whole is almost always sorted already. */
static void sort_pages(struct mem *m) {
    uint32_t a = 0, b = m->nsorted, n = 0;

    if (m->nsorted == m->norder)
        return;
    qsort_r(m->order + m->nsorted, m->norder - m->nsorted, sizeof(*m->order), by_number, m);
    while (a < m->nsorted || b < m->norder) {
        if (b == m->norder ||
            (a < m->nsorted && m->pages[m->order[a]].no < m->pages[m->order[b]].no))
            m->merge[n++] = m->order[a++];
        else
            m->merge[n++] = m->order[b++];
    }
    memcpy(m->order, m->merge, n * sizeof(*m->order));
    m->nsorted = m->norder;
}

static bool within(struct mem_span s, size_t off, size_t len) {
    return off >= s.lo && off + len <= s.hi;
}

static struct mem_span joined(struct mem_span a, struct mem_span b) {
    if (a.hi == 0)
        return b;
    if (b.hi == 0)
        return a;
    return (struct mem_span){.lo = a.lo < b.lo ? a.lo : b.lo, .hi = a.hi > b.hi ? a.hi : b.hi};
}

static const struct mem_span whole = {.lo = 0, .hi = MEM_PAGE};

static uint32_t span_len(struct mem_span s) {
    return (uint32_t)(s.hi - s.lo);
}

/* What is read of a page: what was used of it lately, all of it where that is not known; `have`
 * holds it until it is read. */
static void plan(struct mem_page *p, struct mem_page *before) {
    p->have = joined(p->now, p->past);
    if (p->have.hi == 0)
        p->have = whole;
    /* One piece costs less than two with little between them. */
    if (before && before->no + 1 == p->no && MEM_PAGE - before->have.hi + p->have.lo <= GAP) {
        before->have.hi = MEM_PAGE;
        p->have.lo = 0;
    }
}

/* Reads the parts of these pages, as their `have` says. One that cannot be read ends a transfer: it
 * is marked, and the transfer goes on behind it. */
static void read_batch(struct mem *m, const uint32_t *batch, uint32_t n) {
    const uint32_t end = (MEM_PAGES_MAX + 1) * (uint32_t)MEM_PAGE;
    uint32_t done = 0;

    while (done < n && m->fill <= end - MEM_PAGE) {
        struct iovec local = {.iov_base = m->data + m->fill};
        uint32_t runs = 0, want = 0;
        ssize_t bytes;

        for (; done + want < n && m->fill + local.iov_len <= end - MEM_PAGE; want++) {
            const struct mem_page *p = &m->pages[batch[done + want]];
            uint64_t addr = p->no * MEM_PAGE + p->have.lo;
            struct iovec *last = &m->remote[runs ? runs - 1 : 0];

            if (runs && (uint64_t)(uintptr_t)last->iov_base + last->iov_len == addr)
                last->iov_len += span_len(p->have);
            else
                /* NOLINTNEXTLINE(performance-no-int-to-ptr): an address in the target */
                m->remote[runs++] = (struct iovec){(void *)(uintptr_t)addr, span_len(p->have)};
            local.iov_len += span_len(p->have);
        }
        bytes = m->readv(m, &local, 1, m->remote, runs);
        m->calls++;
        if (bytes < 0 && errno != EFAULT)
            m->error = errno;
        for (; want > 0; want--, done++) {
            struct mem_page *p = &m->pages[batch[done]];

            p->gen = m->gen;
            p->bad = bytes < (ssize_t)span_len(p->have);
            if (p->bad)
                break;
            p->at = m->fill - p->have.lo;
            m->fill += span_len(p->have);
            bytes -= (ssize_t)span_len(p->have);
        }
        if (want > 0)
            done++;
    }
}

static void next_epoch(struct mem *m) {
    for (uint32_t i = 0; i < m->npages; i++) {
        m->pages[i].past = m->pages[i].now;
        m->pages[i].now = (struct mem_span){0};
    }
}

void mem_prefetch(struct mem *m, enum mem_phase phase) {
    struct mem_page *before = NULL;
    uint32_t n = 0;

    m->phase = phase;
    m->turns[phase]++;
    memset(m->near, 0, sizeof(m->near));
    if (phase == MEM_THREADS && m->turns[phase] % EPOCH == 0)
        next_epoch(m);
    sort_pages(m);
    for (uint32_t i = 0; i < m->norder; i++) {
        struct mem_page *p = &m->pages[m->order[i]];

        if (p->gen == m->gen || p->bad || p->used[phase] == 0 ||
            m->turns[phase] - p->used[phase] > HOT)
            continue;
        plan(p, before);
        before = p;
        m->batch[n++] = m->order[i];
        if (n == BATCH) {
            read_batch(m, m->batch, n);
            before = NULL;
            n = 0;
        }
    }
    if (n)
        read_batch(m, m->batch, n);
}

void mem_mark(struct mem *m) {
    m->nlatest = 0;
    m->marks++;
    memset(m->near, 0, sizeof(m->near));
}

void mem_again(struct mem *m) {
    mem_stale(m);
    for (uint32_t i = 0; i < m->nlatest; i++)
        plan(&m->pages[m->latest[i]], NULL);
    read_batch(m, m->latest, m->nlatest);
}

/* Reads all of a page. What was there of it stays as it was: one object is not read twice. */
static void read_whole(struct mem *m, struct mem_page *p) {
    uint32_t index = (uint32_t)(p - m->pages), at = p->at;
    struct mem_span old = p->gen == m->gen ? p->have : (struct mem_span){0};

    p->have = whole;
    p->bad = true; /* where there is no room */
    p->gen = m->gen;
    read_batch(m, &index, 1);
    if (!p->bad && old.hi)
        memcpy(m->data + p->at + old.lo, m->data + at + old.lo, span_len(old));
}

const uint8_t *mem_page_slow(struct mem *m, uint64_t no, size_t off, size_t len) {
    struct mem_page *p;

    if (no == 0 || no >> (ADDR_BITS - 12))
        return NULL;
    p = find_page(m, no);
    if (!p)
        p = add_page(m, no);
    if (!p)
        return NULL;
    p->used[m->phase] = m->turns[m->phase];
    p->sample = m->sample;
    if (p->noted != m->marks && m->nlatest < MEM_LATEST) {
        p->noted = m->marks;
        m->latest[m->nlatest++] = (uint32_t)(p - m->pages);
    }
    if (!within(p->now, off, len))
        p->now = joined(
            p->now, (struct mem_span){.lo = (uint16_t)(off / GRAIN * GRAIN),
                                      .hi = (uint16_t)((off + len + GRAIN - 1) / GRAIN * GRAIN)});
    if (p->gen != m->gen || (!p->bad && !within(p->have, off, len)))
        read_whole(m, p);
    if (p->bad)
        return NULL;
    m->near[no % MEM_NEAR] = (struct mem_near){
        .no = no,
        .data = m->data + p->at,
        .span = {.lo = p->have.lo > p->now.lo ? p->have.lo : p->now.lo,
                 .hi = p->have.hi < p->now.hi ? p->have.hi : p->now.hi},
    };
    return m->data + p->at;
}

const uint8_t *mem_cross(struct mem *m, uint64_t addr, size_t len) {
    uint8_t *out = m->scratch[m->turn++ % 8];
    size_t first = MEM_PAGE - addr % MEM_PAGE;
    const uint8_t *page;

    if (len > MEM_SPAN_MAX)
        return NULL;
    page = mem_page_slow(m, addr / MEM_PAGE, addr % MEM_PAGE, first);
    if (!page)
        return NULL;
    memcpy(out, page + addr % MEM_PAGE, first);
    page = mem_page_slow(m, addr / MEM_PAGE + 1, 0, len - first);
    if (!page)
        return NULL;
    memcpy(out + first, page, len - first);
    return out;
}
