/* SPDX-License-Identifier: MIT */
#include "pyobj.h"

#include <stdio.h>
#include <stdlib.h>

#include "buf.h"
#include "utf8.h"

enum {
    TYPES_MAX = 20000,
    RECHECK_MS = 100, /* a freed heap type's address may come back as another type */
    DICT_MAX = 1 << 20,
    BASES_MAX = 16,
    TYPE_DICT = 264,
};

static const char *const name_text[NAMES] = {
    [N_ASYNCIO] = "_asyncio",   [N_SCHEDULED] = "_scheduled_tasks",
    [N_EAGER] = "_eager_tasks", [N_CURRENT] = "_current_tasks",
    [N_DATA] = "data",          [N_LOOP] = "_loop",
    [N_CORO] = "_coro",         [N_FUT_WAITER] = "_fut_waiter",
    [N_STATE] = "_state",       [N_CALLBACKS] = "_callbacks",
    [N_CHILDREN] = "_children", [N_FUTURE] = "future",
    [N_FUT_ITSELF] = "_future", [N_TASK_NAME] = "_name",
    [N_MODULE] = "__module__",  [N_RUNNING_LOOP] = "__asyncio_running_event_loop__",
    [N_TASK_TYPE] = "Task",     [N_FUTURE_TYPE] = "Future",
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
        if (!mem_u64(w->m, type + TYPE_BASE, &type) || type == 0 ||
            !mem_u64(w->m, type + TYPE_NAME, &name_at) ||
            !read_cstr(w, name_at, name, sizeof(name)))
            return K_OTHER;
    }
    return K_OTHER;
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
    w->last_type = 0;
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

const struct type_info *py_type_at(struct world *w, uint64_t type) {
    uint32_t mask = (1U << w->type_bits) - 1;
    uint32_t i = (uint32_t)((type * 0x9e3779b97f4a7c15ULL) >> (64 - w->type_bits));
    struct type_info fresh, *t;

    if (type == w->last_type && type != 0)
        return &w->types[w->last_index];
    for (; w->type_hash[i]; i = (i + 1) & mask) {
        t = &w->types[w->type_hash[i] - 1];
        if (t->addr != type)
            continue;
        if (w->m->now_ms - t->checked > RECHECK_MS) {
            uint64_t name_addr;

            if (!mem_u64(w->m, type + TYPE_NAME, &name_addr))
                return NULL;
            t->checked = w->m->now_ms;
            if (name_addr != t->name_addr) {
                if (!fill_type(w, type, &fresh))
                    return NULL;
                fresh.kind = classify(w, &fresh);
                *t = fresh;
            }
        }
        w->last_type = type;
        w->last_index = w->type_hash[i] - 1;
        return t;
    }
    if (type == 0 || type % 8 != 0 || !fill_type(w, type, &fresh))
        return NULL;
    fresh.kind = classify(w, &fresh);
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
    w->last_type = type;
    w->last_index = w->ntypes - 1;
    return &w->types[w->ntypes - 1];
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

/* Length, width of a character and place of the data of a str; false when it is none. */
static bool str_shape(struct world *w, uint64_t addr, uint64_t *len, unsigned int *width,
                      uint64_t *data) {
    const uint8_t *p = mem_at(w->m, addr, STR_ASCII);
    uint32_t state;

    if (!p)
        return false;
    *len = get64(p + STR_LENGTH);
    state = get32(p + STR_STATE);
    *width = (state >> 2) & 7;
    if (!(state & 1U << 5) || (*width != 1 && *width != 2 && *width != 4) || *len > 1 << 20)
        return false;
    *data = addr + (state & 1U << 6 ? STR_ASCII : STR_COMPACT);
    return true;
}

static size_t put_utf8(char *out, uint32_t c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

bool py_str(struct world *w, uint64_t addr, char *out, size_t cap) {
    uint64_t len, data;
    unsigned int width;
    size_t n = 0;

    out[0] = '\0';
    if (py_kind(w, addr) != K_STR || !str_shape(w, addr, &len, &width, &data))
        return false;
    for (uint64_t i = 0; i < len && n + 5 <= cap; i++) {
        const uint8_t *p = mem_at(w->m, data + i * width, width);
        uint32_t c = 0;

        if (!p)
            return false;
        memcpy(&c, p, width);
        if (c == ';')
            c = ':';
        else if (c < 0x20 || c == 0x7f || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
            c = '?';
        n += put_utf8(out + n, c);
    }
    out[n] = '\0';
    return true;
}

bool py_str_is(struct world *w, uint64_t addr, const char *text) {
    size_t want = strlen(text);
    uint64_t len, data;
    unsigned int width;
    const uint8_t *p;

    if (want > MEM_SPAN_MAX || !str_shape(w, addr, &len, &width, &data) || width != 1 ||
        len != want || py_kind(w, addr) != K_STR)
        return false;
    p = mem_at(w->m, data, want ? want : 1);
    return p && memcmp(p, text, want) == 0;
}

bool py_small_int(struct world *w, uint64_t addr, int64_t *out) {
    const uint8_t *p;
    uint64_t tag;

    if (py_kind(w, addr) != K_INT)
        return false;
    p = mem_at(w->m, addr, INT_DIGIT + 4);
    if (!p)
        return false;
    /* lv_tag: digits << 3 | sign (0 positive, 1 zero, 2 negative); a digit has 30 bits. */
    tag = get64(p + INT_TAG);
    if (tag >> 3 > 2)
        return false;
    *out = tag >> 3 == 0 ? 0 : (int64_t)get32(p + INT_DIGIT);
    if (tag >> 3 == 2) {
        uint32_t high;

        if (!mem_u32(w->m, addr + INT_DIGIT + 4, &high))
            return false;
        *out |= (int64_t)high << 30;
    }
    if ((tag & 3) == 1)
        *out = 0;
    if ((tag & 3) == 2)
        *out = -*out;
    return true;
}

bool py_number(struct world *w, uint64_t addr, double *out) {
    enum kind k = py_kind(w, addr);
    uint64_t bits;
    int64_t v;

    if (k == K_INT && py_small_int(w, addr, &v)) {
        *out = (double)v;
        return true;
    }
    if (k != K_FLOAT || !mem_u64(w->m, addr + FLOAT_VALUE, &bits))
        return false;
    memcpy(out, &bits, sizeof(*out));
    return true;
}

static bool keys_view(struct world *w, uint64_t keys, struct dict_view *v) {
    const uint8_t *p = mem_at(w->m, keys, KEYS_INDICES);

    if (!p)
        return false;
    v->n = get64(p + KEYS_NENTRIES);
    v->stride = p[KEYS_KIND] == 0 ? 24 : 16;
    if (v->n > DICT_MAX || p[KEYS_LOG2_INDEX_BYTES] > 30)
        return false;
    v->entries = keys + KEYS_INDICES + ((uint64_t)1 << p[KEYS_LOG2_INDEX_BYTES]);
    return true;
}

bool py_dict(struct world *w, uint64_t dict, struct dict_view *v) {
    const uint8_t *p = mem_at(w->m, dict, DICT_VALUES + 8);
    uint64_t keys;

    if (!p)
        return false;
    keys = get64(p + DICT_KEYS);
    v->values = get64(p + DICT_VALUES);
    if (v->values)
        v->values += w->l->dict_values_skip;
    return keys_view(w, keys, v);
}

bool py_dict_entry(struct world *w, const struct dict_view *v, uint64_t i, uint64_t *key,
                   uint64_t *value) {
    const uint8_t *p = mem_at(w->m, v->entries + i * v->stride, v->stride);

    if (!p)
        return false;
    *key = get64(p + v->stride - 16);
    *value = get64(p + v->stride - 8);
    return v->values == 0 || mem_u64(w->m, v->values + i * 8, value);
}

static bool key_is(struct world *w, uint64_t key, enum name name) {
    if (key == 0)
        return false;
    if (key == w->name_addr[name])
        return true;
    /* Not always interned, and in each interpreter its own: the text decides. */
    if (!py_str_is(w, key, name_text[name]))
        return false;
    w->name_addr[name] = key;
    return true;
}

uint64_t py_dict_get(struct world *w, uint64_t dict, enum name name) {
    struct dict_view v;
    uint64_t key, value;

    if (!py_dict(w, dict, &v))
        return 0;
    /* By address first: most often the very string that was seen before. */
    for (int pass = w->name_addr[name] ? 0 : 1; pass < 2; pass++) {
        for (uint64_t i = 0; i < v.n; i++) {
            if (!py_dict_entry(w, &v, i, &key, &value))
                return 0;
            if (value && (pass == 0 ? key == w->name_addr[name] : key_is(w, key, name)))
                return value;
        }
    }
    return 0;
}

static int16_t inline_slot(struct world *w, uint64_t keys, enum name name) {
    struct dict_view v = {0};
    uint64_t key, value;

    if (keys == 0 || !keys_view(w, keys, &v) || v.n > 1024)
        return -1;
    for (uint64_t i = 0; i < v.n; i++) {
        if (!py_dict_entry(w, &v, i, &key, &value))
            return 0;
        if (key_is(w, key, name))
            return (int16_t)(i + 1);
    }
    /* The shared keys grow as instances are made: ask again next time. */
    return 0;
}

uint64_t py_attr(struct world *w, uint64_t obj, enum name name) {
    const struct type_info *t = py_type(w, obj);
    uint64_t word, value, values = 0;
    struct type_info *mut;
    uint32_t index;

    if (!t)
        return 0;
    index = w->last_index;
    if (!(t->flags & TYPE_FLAG_MANAGED_DICT)) {
        if (t->dictoffset <= 0 || t->dictoffset > 1 << 16 ||
            !mem_u64(w->m, obj + (uint64_t)t->dictoffset, &word) || word == 0)
            return 0;
        return py_dict_get(w, word, name);
    }
    if (!mem_u64(w->m, obj - 24, &word))
        return 0;
    if (w->l->inline_in_object) {
        if (word)
            return py_dict_get(w, word, name);
        if (t->flags & TYPE_FLAG_INLINE_VALUES)
            values = obj + (uint64_t)t->basicsize + w->l->dict_values_skip;
    } else if (word & 1) {
        values = word + 1;
    } else if (word) {
        return py_dict_get(w, word, name);
    }
    if (values == 0)
        return 0;
    mut = &w->types[index];
    if (mut->slot[name] == 0) {
        int16_t slot = inline_slot(w, mut->keys, name);

        /* The lookup may have added types. */
        mut = &w->types[index];
        mut->slot[name] = slot;
    }
    if (mut->slot[name] <= 0 ||
        !mem_u64(w->m, values + (uint64_t)(mut->slot[name] - 1) * 8, &value))
        return 0;
    return value;
}
