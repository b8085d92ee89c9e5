/* SPDX-License-Identifier: MIT */
#include "pyobj.h"

#include <stdlib.h>

#include "buf.h"

enum {
    TYPES_MAX = 20000,
    RECHECK_MS = 100,          /* a freed heap type's address may come back as another type */
    RECHECK_STATIC_MS = 10000, /* a static one's cannot, were it not for extensions unloaded */
    BASES_MAX = 16,
    TYPE_DICT = 264,
};

/* Types told by name. `heap` guards against a class of the same name: builtins are static,
 * _asyncio's are not. */
static const struct {
    const char *name;
    bool heap;
    enum kind kind;
} known[] = {
    {"code", false, K_CODE},
    {"coroutine", false, K_CORO},
    {"generator", false, K_GEN},
    {"async_generator", false, K_ASYNCGEN},
    {"async_generator_asend", false, K_ASEND},
    {"async_generator_athrow", false, K_ATHROW},
    {"coroutine_wrapper", false, K_CORO_WRAPPER},
    {"anext_awaitable", false, K_ANEXT},
    {"function", false, K_FUNCTION},
    {"method", false, K_METHOD},
    {"cell", false, K_CELL},
    {"tuple", false, K_TUPLE},
    {"list", false, K_LIST},
    {"dict", false, K_DICT},
    {"set", false, K_SET},
    {"str", false, K_STR},
    {"int", false, K_INT},
    {"float", false, K_FLOAT},
    {"weakref.ReferenceType", false, K_WEAKREF},
    {"weakref", false, K_WEAKREF},
    {"module", false, K_MODULE},
    {"_queue.SimpleQueue", true, K_SIMPLE_QUEUE},
    {"_asyncio.FutureIter", true, K_FUTURE_ITER},
    {"_asyncio.Task", true, K_TASK},
    {"_asyncio.Future", true, K_FUTURE},
};

void world_open(struct world *w, struct mem *m, const struct layout *l) {
    *w = (struct world){.m = m, .l = l, .type_bits = 9, .types_cap = 128};
    w->types = xcalloc(w->types_cap, sizeof(*w->types));
    w->type_hash = xcalloc((size_t)1 << w->type_bits, sizeof(*w->type_hash));
}

void world_close(struct world *w) {
    free(w->types);
    free(w->type_hash);
    *w = (struct world){0};
}

/* Copies a C string of the target, cut to cap - 1 bytes. */
static bool read_cstr(struct world *w, uint64_t addr, char *out, size_t cap) {
    for (size_t i = 0; i + 1 < cap; i++) {
        const uint8_t *p = mem_at(w->m, addr + i, 1);

        if (!p)
            return false;
        out[i] = (char)*p;
        if (!*p)
            return true;
    }
    out[cap - 1] = '\0';
    return true;
}

static bool type_module_is(struct world *w, uint64_t type, const char *module) {
    uint64_t dict, value;

    if (!mem_u64(w->m, type + TYPE_DICT, &dict) || dict == 0)
        return false;
    value = py_dict_get(w, dict, N_MODULE);
    return value && py_str_is(w, value, module);
}

static enum kind classify(struct world *w, const struct type_info *t) {
    bool heap = t->flags & TYPE_FLAG_HEAP;
    uint64_t type = t->addr;
    char name[64];

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (heap == known[i].heap && strcmp(t->name, known[i].name) == 0)
            return known[i].kind;
    }
    if (!heap)
        return K_OTHER;
    /* Subclasses: by the first base that is known. */
    memcpy(name, t->name, sizeof(name));
    for (int depth = 0; depth < BASES_MAX; depth++) {
        uint64_t name_at;

        if (strcmp(name, "_GatheringFuture") == 0 && type_module_is(w, type, "asyncio.tasks"))
            return K_GATHER;
        if (strcmp(name, "_asyncio.Task") == 0)
            return K_TASK;
        if (strcmp(name, "_asyncio.Future") == 0)
            return K_FUTURE;
        if (strcmp(name, "Task") == 0 && type_module_is(w, type, "asyncio.tasks"))
            return K_PYTASK;
        if (strcmp(name, "Future") == 0) {
            if (type_module_is(w, type, "asyncio.futures"))
                return K_PYFUTURE;
            if (type_module_is(w, type, "concurrent.futures._base"))
                return K_CONCURRENT;
        }
        if (strcmp(name, "TimerHandle") == 0 && type_module_is(w, type, "asyncio.events"))
            return K_TIMER;
        if (!mem_u64(w->m, type + TYPE_BASE, &type) || type == 0 ||
            !mem_u64(w->m, type + TYPE_NAME, &name_at) ||
            !read_cstr(w, name_at, name, sizeof(name)))
            return K_OTHER;
    }
    return K_OTHER;
}

/* uvloop's class is Python's, named like any other; the one it derives from is named in full. */
static bool is_uvloop(struct world *w, const struct type_info *t) {
    uint64_t type = t->addr, name_at;
    char name[64];

    memcpy(name, t->name, sizeof(name));
    for (int depth = 0; depth < BASES_MAX; depth++) {
        if (strncmp(name, "uvloop.", strlen("uvloop.")) == 0)
            return true;
        if (!mem_u64(w->m, type + TYPE_BASE, &type) || type == 0 ||
            !mem_u64(w->m, type + TYPE_NAME, &name_at) ||
            !read_cstr(w, name_at, name, sizeof(name)))
            return false;
    }
    return false;
}

static bool fill_type(struct world *w, uint64_t addr, struct type_info *t) {
    const uint8_t *p = mem_at(w->m, addr, TYPE_DICTOFFSET + 8);
    uint64_t meta;

    *t = (struct type_info){.addr = addr, .checked = w->m->now_ms};
    if (!p)
        return false;
    meta = get64(p + OB_TYPE);
    t->name_addr = get64(p + TYPE_NAME);
    t->basicsize = (int64_t)get64(p + TYPE_BASICSIZE);
    t->flags = get32(p + TYPE_FLAGS);
    t->dictoffset = (int64_t)get64(p + TYPE_DICTOFFSET);
    t->iterates = get64(p + TYPE_ITERNEXT) != 0;
    if (t->basicsize < 0 || t->basicsize > 1 << 20 ||
        !read_cstr(w, t->name_addr, t->name, sizeof(t->name)))
        return false;
    /* Whatever the metaclass is, its type is `type`, whose type is itself. */
    for (int depth = 0; depth < 4; depth++) {
        uint64_t next;

        if (!mem_u64(w->m, meta + OB_TYPE, &next))
            return false;
        if (next == meta)
            break;
        if (depth == 3)
            return false;
        meta = next;
    }
    if (t->flags & TYPE_FLAG_HEAP && !mem_u64(w->m, addr + w->l->type_cached_keys, &t->keys))
        t->keys = 0;
    /* A type's name may hold anything. */
    for (char *c = t->name; *c; c++) {
        if (*c == ';' || (unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
            *c = '?';
    }
    return true;
}

static void forget_types(struct world *w) {
    w->ntypes = 0;
    memset(w->near_type, 0, sizeof(w->near_type));
    memset(w->type_hash, 0, sizeof(*w->type_hash) << w->type_bits);
}

static void grow_types(struct world *w) {
    uint32_t mask;

    w->types_cap *= 2;
    w->types = xrealloc(w->types, w->types_cap * sizeof(*w->types));
    w->type_bits++;
    free(w->type_hash);
    w->type_hash = xcalloc((size_t)1 << w->type_bits, sizeof(*w->type_hash));
    mask = (1U << w->type_bits) - 1;
    for (uint32_t n = 0; n < w->ntypes; n++) {
        uint32_t i = (uint32_t)((w->types[n].addr * 0x9e3779b97f4a7c15ULL) >> (64 - w->type_bits));

        while (w->type_hash[i])
            i = (i + 1) & mask;
        w->type_hash[i] = n + 1;
    }
}

static bool fresh_enough(const struct world *w, const struct type_info *t) {
    return w->m->now_ms - t->checked <=
           (t->flags & TYPE_FLAG_HEAP ? RECHECK_MS : RECHECK_STATIC_MS);
}

/* Whether the entry still is the type at its address. Fills it anew where another took its place.
 */
static bool still_valid(struct world *w, struct type_info *t) {
    struct type_info fresh;
    uint64_t name_addr;

    if (!mem_u64(w->m, t->addr + TYPE_NAME, &name_addr))
        return false;
    t->checked = w->m->now_ms;
    if (name_addr == t->name_addr)
        return true;
    if (!fill_type(w, t->addr, &fresh))
        return false;
    fresh.kind = classify(w, &fresh);
    fresh.uvloop = is_uvloop(w, &fresh);
    *t = fresh;
    return true;
}

static const struct type_info *found(struct world *w, uint32_t *near, uint32_t index) {
    *near = index + 1;
    w->last_index = index;
    return &w->types[index];
}

const struct type_info *py_type_at(struct world *w, uint64_t type) {
    uint32_t mask = (1U << w->type_bits) - 1, *near = &w->near_type[type / 32 % TYPES_NEAR];
    uint32_t i = (uint32_t)((type * 0x9e3779b97f4a7c15ULL) >> (64 - w->type_bits));
    struct type_info fresh;

    if (*near && w->types[*near - 1].addr == type && fresh_enough(w, &w->types[*near - 1]))
        return found(w, near, *near - 1);
    for (; w->type_hash[i]; i = (i + 1) & mask) {
        struct type_info *t = &w->types[w->type_hash[i] - 1];

        if (t->addr != type)
            continue;
        if (!fresh_enough(w, t) && !still_valid(w, t))
            return NULL;
        return found(w, near, w->type_hash[i] - 1);
    }
    if (type == 0 || type % 8 != 0 || !fill_type(w, type, &fresh))
        return NULL;
    fresh.kind = classify(w, &fresh);
    fresh.uvloop = is_uvloop(w, &fresh);
    if (w->ntypes == TYPES_MAX)
        forget_types(w);
    if (w->ntypes == w->types_cap)
        grow_types(w);
    mask = (1U << w->type_bits) - 1;
    i = (uint32_t)((type * 0x9e3779b97f4a7c15ULL) >> (64 - w->type_bits));
    while (w->type_hash[i])
        i = (i + 1) & mask;
    w->types[w->ntypes] = fresh;
    w->type_hash[i] = ++w->ntypes;
    return found(w, near, w->ntypes - 1);
}

const struct type_info *py_type(struct world *w, uint64_t addr) {
    uint64_t type;

    if (addr % 8 != 0 || !mem_u64(w->m, addr + OB_TYPE, &type))
        return NULL;
    return py_type_at(w, type);
}

enum kind py_kind(struct world *w, uint64_t addr) {
    const struct type_info *t = py_type(w, addr);

    return t ? t->kind : K_NONE;
}
