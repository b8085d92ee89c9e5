/* SPDX-License-Identifier: MIT */
#include "perfdata.h"

#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

/* tools/perf/util/header.h and event.h, which are not installed. */
enum {
    FEATURE_BUILD_ID = 2,
    FEATURE_EVENT_DESC = 12,
    RECORD_AUXTRACE = 71,
    RECORD_COMPRESSED = 81,
    HEAD = 104, /* of the file */
    RECORD_HEAD = 8,
};

static uint64_t get8(const unsigned char *p) {
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static uint32_t get4(const unsigned char *p) {
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static uint16_t get2(const unsigned char *p) {
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

bool perfdata_is(const char *data, size_t size) {
    return size >= 8 && (memcmp(data, "PERFILE2", 8) == 0 || memcmp(data, "2ELIFREP", 8) == 0);
}

static bool is_within(const struct perfdata *p, uint64_t at, uint64_t size) {
    return at <= p->size && size <= p->size - at;
}

/* Reads n bytes of a section; false at its end. */
struct cursor {
    const unsigned char *p, *end;
};

static const unsigned char *take(struct cursor *c, uint64_t n) {
    const unsigned char *p = c->p;

    if (n > (size_t)(c->end - c->p))
        return NULL;
    c->p += n;
    return p;
}

static int by_id(const void *a, const void *b) {
    const struct perfdata_id *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

/* The events with their names and the ids that their records have. */
static bool read_event_desc(struct perfdata *p, uint64_t at, uint64_t size) {
    struct cursor c = {p->data + at, p->data + at + size};
    const unsigned char *v = take(&c, 8);
    uint32_t n = v ? get4(v) : 0, attr_size = v ? get4(v + 4) : 0;

    if (p->n_attrs > 0 || n == 0 || n > 4096 || attr_size < PERF_ATTR_SIZE_VER0)
        return false;
    p->attrs = xcalloc(n, sizeof(*p->attrs));
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *attr = take(&c, attr_size), *ids = take(&c, 4), *len = take(&c, 4),
                            *name;
        uint32_t n_ids = ids ? get4(ids) : 0;
        struct perfdata_attr *a = &p->attrs[p->n_attrs++];

        if (!attr || !ids || !len || !(name = take(&c, get4(len))) ||
            !(ids = take(&c, (uint64_t)n_ids * 8)))
            return false;
        /* At 8 bytes the size of the event's number, 24 its sample_type, 40 the flags. */
        a->sample_type = get8(attr + 24);
        a->id_all = get8(attr + 40) >> 18 & 1;
        a->name = xcalloc((size_t)get4(len) + 1, 1);
        memcpy(a->name, name, get4(len));
        p->ids = xrealloc(p->ids, (p->n_ids + n_ids + 1) * sizeof(*p->ids));
        for (uint32_t k = 0; k < n_ids; k++)
            p->ids[p->n_ids++] = (struct perfdata_id){get8(ids + (size_t)k * 8), i};
    }
    if (p->n_ids > 0)
        qsort(p->ids, p->n_ids, sizeof(*p->ids), by_id);
    return true;
}

const char *perfdata_open(struct perfdata *p, const unsigned char *data, size_t size) {
    uint64_t table;

    *p = (struct perfdata){.data = data, .size = size};
    if (size < HEAD || memcmp(data, "PERFILE2", 8) != 0 || get8(data + 8) < HEAD)
        return "a head of another byte order, or of a pipe";
    p->records = (struct perfdata_section){get8(data + 40), get8(data + 48)};
    if (!is_within(p, p->records.at, p->records.size))
        return "records beyond its end; it was not closed by perf record";
    table = p->records.at + p->records.size;
    for (size_t i = 0; i < 256; i++) {
        uint64_t at, len;

        if (!(get8(data + 72 + i / 64 * 8) >> i % 64 & 1))
            continue;
        if (!is_within(p, table, 16))
            return "a cut table of features";
        at = get8(data + table);
        len = get8(data + table + 8);
        table += 16;
        if (!is_within(p, at, len))
            return "a feature beyond its end";
        if (i == FEATURE_BUILD_ID)
            p->build_ids = (struct perfdata_section){at, len};
        else if (i == FEATURE_EVENT_DESC && !read_event_desc(p, at, len))
            return "a description of events that is not understood";
    }
    if (p->n_attrs == 0)
        return "no description of its events";
    for (size_t i = 0; i < p->n_attrs; i++) {
        const uint64_t odd = PERF_SAMPLE_STACK_USER | PERF_SAMPLE_REGS_USER | PERF_SAMPLE_READ,
                       need = PERF_SAMPLE_TID | PERF_SAMPLE_TIME;

        if (p->attrs[i].sample_type & odd)
            return "samples with a copy of the stack (dwarf), registers or counts";
        if ((p->attrs[i].sample_type & need) != need)
            return "samples without thread or time";
        if (p->attrs[i].sample_type != p->attrs[0].sample_type ||
            p->attrs[i].id_all != p->attrs[0].id_all)
            return "events whose samples differ in form";
    }
    return NULL;
}

void perfdata_close(struct perfdata *p) {
    for (size_t i = 0; i < p->n_attrs; i++)
        free(p->attrs[i].name);
    free(p->attrs);
    free(p->ids);
}

struct build_id perfdata_build_id(const struct perfdata *p, const char *name) {
    struct cursor c = {p->data + p->build_ids.at, p->data + p->build_ids.at + p->build_ids.size};
    enum { ID = 12, LEN = 32, NAME = 36, SIZED = 1 << 15 };

    for (const unsigned char *r; (r = take(&c, RECORD_HEAD)) != NULL;) {
        uint16_t size = get2(r + 6);

        if (size <= NAME || !take(&c, (uint64_t)size - RECORD_HEAD))
            break;
        if (strlen(name) != strnlen((const char *)r + NAME, size - NAME) ||
            memcmp(r + NAME, name, strlen(name)) != 0)
            continue;
        return (struct build_id){r + ID, get2(r + 4) & SIZED && r[LEN] <= 20 ? r[LEN] : 20};
    }
    return (struct build_id){NULL, 0};
}

/* --- records --- */

struct record {
    uint64_t time;
    size_t at;
};

static int by_time(const void *a, const void *b) {
    const struct record *x = a, *y = b;

    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* Bytes before the time in a sample, or after it at the end of another record. */
static size_t ids_before(uint64_t type) {
    return 8 * (size_t)__builtin_popcountll(
                   type & (PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID));
}

static size_t ids_after(uint64_t type) {
    return 8 * (size_t)__builtin_popcountll(type & (PERF_SAMPLE_ID | PERF_SAMPLE_STREAM_ID |
                                                    PERF_SAMPLE_CPU | PERF_SAMPLE_IDENTIFIER));
}

/* All records of the kernel's kinds, by time. */
static const char *collect(const struct perfdata *p, struct record **list, size_t *n) {
    uint64_t type = p->attrs[0].sample_type, end = p->records.at + p->records.size, last = 0;
    size_t cap = 0, size, tail = ids_after(type) + 8;

    for (uint64_t at = p->records.at; end - at >= RECORD_HEAD; at += size) {
        const unsigned char *r = p->data + at;
        uint32_t kind = get4(r);

        size = get2(r + 6);
        if (size < RECORD_HEAD || size > end - at)
            return "a record that is cut";
        if (kind == RECORD_COMPRESSED)
            return "compressed records (perf record -z)";
        if (kind == RECORD_AUXTRACE)
            return "a hardware trace";
        if (kind >= 64)
            continue;
        if (kind == PERF_RECORD_SAMPLE && size >= RECORD_HEAD + ids_before(type) + 8)
            last = get8(r + RECORD_HEAD + ids_before(type));
        else if (kind != PERF_RECORD_SAMPLE && p->attrs[0].id_all && size >= RECORD_HEAD + tail)
            last = get8(r + size - tail);
        if (*n == cap)
            *list = xrealloc(*list, (cap = cap ? 2 * cap : 4096) * sizeof(**list));
        (*list)[(*n)++] = (struct record){last, at};
    }
    return NULL;
}

static const char *event_name(const struct perfdata *p, uint64_t id) {
    const struct perfdata_id key = {.id = id},
                             *found = p->n_ids > 0
                                          ? bsearch(&key, p->ids, p->n_ids, sizeof(key), by_id)
                                          : NULL;

    return p->attrs[found ? found->attr : 0].name;
}

static void read_sample(const struct perfdata *p, struct cursor c,
                        const struct perfdata_calls *calls) {
    uint64_t type = p->attrs[0].sample_type, id = 0;
    struct perfdata_sample s = {.period = 1};
    static const uint64_t order[] = {PERF_SAMPLE_IDENTIFIER, PERF_SAMPLE_IP,   PERF_SAMPLE_TID,
                                     PERF_SAMPLE_TIME,       PERF_SAMPLE_ADDR, PERF_SAMPLE_ID,
                                     PERF_SAMPLE_STREAM_ID,  PERF_SAMPLE_CPU,  PERF_SAMPLE_PERIOD,
                                     PERF_SAMPLE_CALLCHAIN};

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        const unsigned char *v;

        if (!(type & order[i]))
            continue;
        if (!(v = take(&c, 8)))
            return;
        if (order[i] == PERF_SAMPLE_IDENTIFIER || order[i] == PERF_SAMPLE_ID) {
            id = get8(v);
        } else if (order[i] == PERF_SAMPLE_IP) {
            s.ip = get8(v);
        } else if (order[i] == PERF_SAMPLE_TID) {
            s.pid = get4(v);
            s.tid = get4(v + 4);
        } else if (order[i] == PERF_SAMPLE_TIME) {
            s.time = get8(v);
        } else if (order[i] == PERF_SAMPLE_PERIOD) {
            s.period = get8(v);
        } else if (order[i] == PERF_SAMPLE_CALLCHAIN) {
            s.n = get8(v);
            s.has_callchain = true;
            if (s.n > (size_t)(c.end - c.p) / 8)
                return;
            s.chain = c.p;
        }
    }
    s.event = p->n_attrs > 1 ? event_name(p, id) : p->attrs[0].name;
    calls->sample(calls->arg, &s);
}

/* Texts in records end with a NUL, which what follows them has, too; one that does not is none. */
static const char *text(struct cursor c) {
    return memchr(c.p, '\0', (size_t)(c.end - c.p)) ? (const char *)c.p : "";
}

static void read_mmap(struct cursor c, bool two, uint16_t misc,
                      const struct perfdata_calls *calls) {
    const unsigned char *v = take(&c, two ? 64 : 32);
    enum { MMAP_DATA = 1 << 13, MMAP_BUILD_ID = 1 << 14, EXEC = 4 };

    if (!v)
        return;
    calls->mmap(calls->arg,
                &(struct perfdata_mmap){
                    .pid = get4(v),
                    .kernel = (misc & PERF_RECORD_MISC_CPUMODE_MASK) != PERF_RECORD_MISC_USER,
                    .exec = two ? get4(v + 56) & EXEC : !(misc & MMAP_DATA),
                    .start = get8(v + 8),
                    .size = get8(v + 16),
                    .offset = get8(v + 24),
                    .name = text(c),
                    .build = two && misc & MMAP_BUILD_ID && v[32] <= 20
                                 ? (struct build_id){v + 36, v[32]}
                                 : (struct build_id){NULL, 0},
                });
}

static void read_record(const struct perfdata *p, size_t at, const struct perfdata_calls *calls) {
    const unsigned char *r = p->data + at, *v;
    struct cursor c = {r + RECORD_HEAD, r + get2(r + 6)};

    switch (get4(r)) {
    case PERF_RECORD_MMAP:
    case PERF_RECORD_MMAP2:
        read_mmap(c, get4(r) == PERF_RECORD_MMAP2, get2(r + 4), calls);
        break;
    case PERF_RECORD_COMM:
        if ((v = take(&c, 8)))
            calls->comm(calls->arg, get4(v), get4(v + 4), text(c));
        break;
    case PERF_RECORD_FORK:
        if ((v = take(&c, 16)))
            calls->fork(calls->arg, get4(v), get4(v + 4), get4(v + 8), get4(v + 12));
        break;
    case PERF_RECORD_LOST:
        if ((v = take(&c, 16)))
            calls->lost(calls->arg, get8(v + 8));
        break;
    case PERF_RECORD_LOST_SAMPLES:
        if ((v = take(&c, 8)))
            calls->lost(calls->arg, get8(v));
        break;
    case PERF_RECORD_SAMPLE:
        read_sample(p, c, calls);
        break;
    default:
        break;
    }
}

const char *perfdata_read(const struct perfdata *p, const struct perfdata_calls *calls) {
    struct record *list = NULL;
    size_t n = 0;
    const char *odd = collect(p, &list, &n);

    if (n > 0)
        qsort(list, n, sizeof(*list), by_time);
    for (size_t i = 0; i < n && !odd; i++)
        read_record(p, list[i].at, calls);
    free(list);
    return odd;
}
