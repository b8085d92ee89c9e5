/* SPDX-License-Identifier: MIT
 * Python objects in another process: types, strings, numbers, dicts and instance attributes.
 */
#ifndef PYSAMPLE_PYOBJ_H
#define PYSAMPLE_PYOBJ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"
#include "mem.h"

enum kind {
    K_NONE = 0, /* unreadable */
    K_OTHER,
    K_CODE,
    K_CORO,
    K_GEN,
    K_ASYNCGEN,
    K_ASEND,
    K_ATHROW,
    K_CORO_WRAPPER,
    K_ANEXT,
    K_FUTURE_ITER,
    K_TASK,
    K_FUTURE,
    K_GATHER,     /* _GatheringFuture, whatever its base */
    K_PYTASK,     /* asyncio.tasks._PyTask */
    K_PYFUTURE,   /* asyncio.futures._PyFuture */
    K_CONCURRENT, /* concurrent.futures.Future */
    K_TIMER,      /* asyncio.TimerHandle */
    K_SIMPLE_QUEUE,
    K_FUNCTION,
    K_METHOD,
    K_CELL,
    K_TUPLE,
    K_LIST,
    K_DICT,
    K_SET,
    K_STR,
    K_INT,
    K_FLOAT,
    K_WEAKREF,
    K_MODULE,
};

/* Names of attributes and dict keys that are looked up. Once seen, a name is known by the address
 * of its string. */
enum name {
    N_ASYNCIO,
    N_SCHEDULED,
    N_EAGER,
    N_CURRENT,
    N_DATA,
    N_LOOP,
    N_CORO,
    N_FUT_WAITER,
    N_STATE,
    N_CALLBACKS,
    N_CHILDREN,
    N_TODO,
    N_PENDING_WORK,
    N_FUTURE,
    N_FUT_ITSELF,
    N_TASK_NAME,
    N_MODULE,
    N_RUNNING_LOOP,
    N_TASK_TYPE,
    N_FUTURE_TYPE,
    NAMES
};

enum { TYPES_NEAR = 64 };

struct type_info {
    uint64_t addr, name_addr, keys;
    uint32_t flags;
    uint32_t checked; /* ms */
    int64_t basicsize, dictoffset;
    enum kind kind;
    bool iterates; /* has tp_iternext: may be what an await delegates to */
    bool uvloop;   /* of uvloop, or derived from a type of it */
    char name[64];
    int16_t slot[NAMES]; /* index of an inline value + 1; 0 = not looked up, -1 = none */
};

struct world {
    struct mem *m;
    const struct layout *l;
    struct type_info *types;
    uint32_t ntypes, types_cap;
    uint32_t *type_hash;
    uint32_t type_bits;
    uint64_t name_addr[NAMES];
    uint32_t
        near_type[TYPES_NEAR]; /* index + 1 of types asked for lately, by bits of the address */
    uint32_t last_index;       /* of the type that was asked for last */
};

void world_open(struct world *w, struct mem *m, const struct layout *l);
void world_close(struct world *w);

/* The type of the object at `addr`, or NULL when it cannot be read. Valid until the next call for
 * another type. */
const struct type_info *py_type(struct world *w, uint64_t addr);
/* The type at this address itself. */
const struct type_info *py_type_at(struct world *w, uint64_t type);

enum kind py_kind(struct world *w, uint64_t addr);

static inline bool is_future(enum kind k) {
    return k >= K_TASK && k <= K_PYFUTURE;
}

static inline bool is_task(enum kind k) {
    return k == K_TASK || k == K_PYTASK;
}

/* Copies a str as UTF-8, cut to cap - 1 bytes at a character; ';' and control characters, which
 * would break a line of collapsed stacks, become ':' and '?'. False when it is not a str. */
bool py_str(struct world *w, uint64_t addr, char *out, size_t cap);
bool py_str_is(struct world *w, uint64_t addr, const char *text);
/* An int in the range of 60 bits, or a float. */
bool py_number(struct world *w, uint64_t addr, double *out);
bool py_small_int(struct world *w, uint64_t addr, int64_t *out);

struct dict_view {
    uint64_t entries, values, n;
    uint32_t stride;
};

bool py_dict(struct world *w, uint64_t dict, struct dict_view *v);
/* Entry i. False: unreadable. A free entry has value 0. */
bool py_dict_entry(struct world *w, const struct dict_view *v, uint64_t i, uint64_t *key,
                   uint64_t *value);
/* The value under a str key, 0 = none. */
uint64_t py_dict_get(struct world *w, uint64_t dict, enum name name);
/* An attribute in the instance itself (no properties, no class attributes), 0 = none. */
uint64_t py_attr(struct world *w, uint64_t obj, enum name name);

#endif
