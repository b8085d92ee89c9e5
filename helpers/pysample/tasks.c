/* SPDX-License-Identifier: MIT */
#include "tasks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "buf.h"

enum {
    TRIES = 4,
    LOCALS_MAX = 64,
    CLOSURE_MAX = 32,
    CALLBACKS_MAX = 4096,
    HOT_DEPTH_MAX = 10000,
    LOOK_NS = 200000000, /* between two looks for _asyncio in sys.modules */
    FULL_NS = 100000000, /* a full read at least so often, proven unchanged or not */
};

enum verdict { V_OK, V_TORN, V_SKIP };

/* ---- address maps ---- */

static void map_open(struct addr_map *m) {
    *m = (struct addr_map){.bits = 8, .now = 1};
    m->addr = xcalloc((size_t)1 << m->bits, sizeof(*m->addr));
    m->value = xcalloc((size_t)1 << m->bits, sizeof(*m->value));
    m->gen = xcalloc((size_t)1 << m->bits, sizeof(*m->gen));
}

static void map_close(struct addr_map *m) {
    free(m->addr);
    free(m->value);
    free(m->gen);
}

static void map_clear(struct addr_map *m) {
    m->now++;
    m->n = 0;
}

static uint32_t map_place(const struct addr_map *m, uint64_t addr) {
    uint32_t mask = (1U << m->bits) - 1,
             i = (uint32_t)((addr * 0x9e3779b97f4a7c15ULL) >> (64 - m->bits));

    while (m->gen[i] == m->now && m->addr[i] != addr)
        i = (i + 1) & mask;
    return i;
}

static bool map_get(const struct addr_map *m, uint64_t addr, uint32_t *value) {
    uint32_t i = map_place(m, addr);

    if (m->gen[i] != m->now)
        return false;
    *value = m->value[i];
    return true;
}

static void map_put(struct addr_map *m, uint64_t addr, uint32_t value) {
    uint32_t i;

    if ((m->n + 1) * 2 > 1U << m->bits) {
        struct addr_map bigger = {.bits = m->bits + 1, .now = 1};

        bigger.addr = xcalloc((size_t)1 << bigger.bits, sizeof(*m->addr));
        bigger.value = xcalloc((size_t)1 << bigger.bits, sizeof(*m->value));
        bigger.gen = xcalloc((size_t)1 << bigger.bits, sizeof(*m->gen));
        for (uint32_t k = 0; k < 1U << m->bits; k++) {
            if (m->gen[k] == m->now)
                map_put(&bigger, m->addr[k], m->value[k]);
        }
        map_close(m);
        *m = bigger;
    }
    i = map_place(m, addr);
    if (m->gen[i] != m->now) {
        m->gen[i] = m->now;
        m->addr[i] = addr;
        m->n++;
    }
    m->value[i] = value;
}

/* ---- opening ---- */

void tasks_open(struct tasks *t, struct world *w, struct codes *codes, struct threads *threads,
                struct texts *texts) {
    *t = (struct tasks){.w = w, .codes = codes, .threads = threads, .texts = texts};
    t->cap = 64;
    t->cap_chain = 1024;
    t->cap_edges = t->cap_keys = 64;
    t->cap_current = 16;
    t->list = xcalloc(t->cap, sizeof(*t->list));
    t->chain = xcalloc(t->cap_chain, sizeof(*t->chain));
    t->edges = xcalloc(t->cap_edges, sizeof(*t->edges));
    t->keys = xcalloc(t->cap_keys, sizeof(*t->keys));
    t->current = xcalloc(t->cap_current, sizeof(*t->current));
    map_open(&t->by_addr);
    map_open(&t->by_key);
    for (uint32_t r = 0; r <= R_POOL_IDLE; r++)
        t->markers[r] = text_id(texts, role_marker((enum role)r));
    t->marker_ready = text_id(texts, "[ready]");
    t->marker_new = text_id(texts, "[new]");
    t->marker_future = text_id(texts, "[future]");
    t->marker_gather = text_id(texts, "[gather]");
    t->marker_task = text_id(texts, "[task]");
    t->marker_queued = text_id(texts, "[queued: executor]");
    t->marker_executor = text_id(texts, "[executor]");
}

void tasks_close(struct tasks *t) {
    free(t->list);
    free(t->chain);
    free(t->edges);
    free(t->keys);
    free(t->current);
    map_close(&t->by_addr);
    map_close(&t->by_key);
    *t = (struct tasks){0};
}

/* ---- the module ---- */

/* Looks for the module now and then, and at once when a loop runs. */
static void find_module(struct tasks *t, struct aio *a, uint64_t modules, uint64_t now, bool loop) {
    uint64_t used, module, scheduled;

    if (a->dict || (now < a->next_look_ns && !loop))
        return;
    a->next_look_ns = now + LOOK_NS;
    if (!mem_u64(t->w->m, modules + DICT_USED, &used) || (used == a->modules_used && !loop))
        return;
    a->modules_used = used;
    module = py_dict_get(t->w, modules, N_ASYNCIO);
    if (!module || py_kind(t->w, module) != K_MODULE ||
        !mem_u64(t->w->m, module + MODULE_DICT, &a->dict)) {
        a->dict = 0;
        return;
    }
    scheduled = py_dict_get(t->w, a->dict, N_SCHEDULED);
    a->scheduled = scheduled ? py_attr(t->w, scheduled, N_DATA) : 0;
    a->eager = py_dict_get(t->w, a->dict, N_EAGER);
    a->current = py_dict_get(t->w, a->dict, N_CURRENT);
    if (!a->scheduled || !a->eager || !a->current) {
        /* Being imported just now. */
        a->dict = 0;
        a->modules_used = 0;
    }
}

static struct aio *aio_of(struct tasks *t, uint64_t interp) {
    for (uint32_t i = 0; i < t->naio; i++) {
        if (t->aio[i].interp == interp)
            return &t->aio[i];
    }
    /* Subinterpreters come and go: with no free entry, the oldest goes. */
    if (t->naio == INTERPS_MAX) {
        memmove(&t->aio[0], &t->aio[1], sizeof(t->aio[0]) * (INTERPS_MAX - 1));
        t->naio--;
    }
    t->aio[t->naio] = (struct aio){.interp = interp};
    return &t->aio[t->naio++];
}

bool tasks_check(struct tasks *t, bool *checked, char *why, size_t cap) {
    const struct layout *l = t->w->l;

    *checked = false;
    for (uint32_t i = 0; i < t->naio; i++) {
        const struct type_info *info;
        uint64_t task, future;

        if (!t->aio[i].dict)
            continue;
        task = py_dict_get(t->w, t->aio[i].dict, N_TASK_TYPE);
        future = py_dict_get(t->w, t->aio[i].dict, N_FUTURE_TYPE);
        if (!task || !future)
            continue;
        info = py_type_at(t->w, task);
        if (!info || info->kind != K_TASK || info->basicsize != l->task_basicsize) {
            (void)snprintf(why, cap, "_asyncio.Task has %lld bytes, the layout of %s says %d",
                           info ? (long long)info->basicsize : -1LL, l->name, l->task_basicsize);
            return false;
        }
        info = py_type_at(t->w, future);
        if (!info || info->kind != K_FUTURE || info->basicsize != l->fut_basicsize) {
            (void)snprintf(why, cap, "_asyncio.Future has %lld bytes, the layout of %s says %d",
                           info ? (long long)info->basicsize : -1LL, l->name, l->fut_basicsize);
            return false;
        }
        *checked = true;
    }
    return true;
}

/* ---- one task ---- */

static void chain_add(struct tasks *t, struct task *k, uint32_t text) {
    if (t->nchain == t->cap_chain) {
        t->cap_chain *= 2;
        t->chain = xrealloc(t->chain, t->cap_chain * sizeof(*t->chain));
    }
    t->chain[t->nchain++] = text;
    k->n++;
    k->hash = (k->hash ^ text) * 0x9e3779b97f4a7c15ULL;
    k->hash ^= k->hash >> 29;
}

static uint64_t local(struct tasks *t, uint64_t gen, uint32_t i) {
    uint64_t v;

    return mem_u64(t->w->m, gen + t->w->l->gen_frame + t->w->l->fr_locals + 8ULL * i, &v) ? v : 0;
}

static void key_add(struct tasks *t, uint64_t addr, uint32_t task) {
    uint32_t other = 0;

    if (addr == 0)
        return;
    if (t->nkeys == t->cap_keys) {
        t->cap_keys *= 2;
        t->keys = xrealloc(t->keys, t->cap_keys * sizeof(*t->keys));
    }
    t->keys[t->nkeys] = (struct key){.addr = addr, .task = task};
    if (map_get(&t->by_key, addr, &other))
        t->keys[t->nkeys].next = other + 1;
    map_put(&t->by_key, addr, t->nkeys++);
}

/* Text of a sleep: to three digits where the delay is that round a number, else to one, so that a
 * computed delay does not give a line of its own to every sample. */
static uint32_t sleep_marker(struct tasks *t, uint64_t gen) {
    uint64_t bits;
    double delay, rounded;
    char text[64];
    uint32_t i;

    if (!py_number(t->w, local(t, gen, 0), &delay) || !isfinite(delay) || delay < 0 || delay > 1e9)
        return text_id(t->texts, "[sleep]");
    memcpy(&bits, &delay, sizeof(bits));
    i = (uint32_t)((bits * 0x9e3779b97f4a7c15ULL) >> 58);
    if (t->sleeps[i].text && t->sleeps[i].bits == bits)
        return t->sleeps[i].text;
    (void)snprintf(text, sizeof(text), "%.3g", delay);
    rounded = strtod(text, NULL);
    if (fabs(rounded - delay) > delay * 1e-9)
        (void)snprintf(text, sizeof(text), "%.1g", delay);
    rounded = strtod(text, NULL);
    /* Without an exponent where that is readable. */
    if (rounded >= 1000)
        (void)snprintf(text, sizeof(text), "[sleep %.0fs]", rounded);
    else
        (void)snprintf(text, sizeof(text), "[sleep %.3gs]", rounded);
    t->sleeps[i].bits = bits;
    t->sleeps[i].text = text_id(t->texts, text);
    return t->sleeps[i].text;
}

enum fut_state { F_PENDING, F_DONE, F_BAD };

static enum fut_state future_state(struct tasks *t, uint64_t fut, enum kind kind) {
    const struct layout *l = t->w->l;
    uint32_t state;
    uint64_t v;

    /* Where Task and Future come from C, state has a fixed place; the pure-Python ones keep a str.
     */
    if (kind == K_GATHER) {
        const struct type_info *info = py_type(t->w, fut);

        if (!info)
            return F_BAD;
        kind = info->flags & TYPE_FLAG_MANAGED_DICT && info->basicsize < l->fut_basicsize
                   ? K_PYFUTURE
                   : K_FUTURE;
    }
    if (kind == K_TASK || kind == K_FUTURE) {
        if (!mem_u32(t->w->m, fut + l->fut_state, &state) || state > 2)
            return F_BAD;
        return state == 0 ? F_PENDING : F_DONE;
    }
    v = py_attr(t->w, fut, N_STATE);
    if (!v)
        return F_PENDING; /* class attribute: not set on the instance before it is done */
    return py_str_is(t->w, v, "PENDING") ? F_PENDING : F_DONE;
}

/* Calls `each` with every done-callback of a future until it returns false. */
static void each_callback(struct tasks *t, uint64_t fut, enum kind kind,
                          bool (*each)(struct tasks *t, uint64_t callback, void *arg), void *arg) {
    const struct layout *l = t->w->l;
    uint64_t list, size, items, cb;

    if (kind == K_PYTASK || kind == K_PYFUTURE) {
        list = py_attr(t->w, fut, N_CALLBACKS);
    } else {
        if (!mem_u64(t->w->m, fut + l->fut_callback0, &cb) ||
            !mem_u64(t->w->m, fut + l->fut_callbacks, &list))
            return;
        if (cb && !each(t, cb, arg))
            return;
    }
    if (!list || py_kind(t->w, list) != K_LIST || !mem_u64(t->w->m, list + LIST_SIZE, &size) ||
        !mem_u64(t->w->m, list + LIST_ITEMS, &items) || size > CALLBACKS_MAX)
        return;
    for (uint64_t i = 0; i < size; i++) {
        uint64_t pair;

        if (!mem_u64(t->w->m, items + 8 * i, &pair) || py_kind(t->w, pair) != K_TUPLE ||
            !mem_u64(t->w->m, pair + TUPLE_ITEMS, &cb))
            return;
        if (cb && !each(t, cb, arg))
            return;
    }
}

/* Number of cells in the closure of a function, 0 = none; the tuple's items begin at *items. */
static uint64_t closure(struct tasks *t, uint64_t function, uint64_t *items) {
    uint64_t tuple, n;

    if (!mem_u64(t->w->m, function + FUNC_CLOSURE, &tuple) || tuple == 0 ||
        py_kind(t->w, tuple) != K_TUPLE || !mem_u64(t->w->m, tuple + TUPLE_SIZE, &n) ||
        n > CLOSURE_MAX)
        return 0;
    *items = tuple + TUPLE_ITEMS;
    return n;
}

/* A future made by wrap_future carries, in the closure of its first callback, the concurrent one it
 * stands for. */
static bool find_work(struct tasks *t, uint64_t callback, void *arg) {
    uint64_t *work = arg, items, cell, content;
    uint64_t n;

    if (py_kind(t->w, callback) != K_FUNCTION)
        return true;
    n = closure(t, callback, &items);
    for (uint64_t i = 0; i < n; i++) {
        if (mem_u64(t->w->m, items + 8 * i, &cell) && mem_u64(t->w->m, cell + WRAPPED, &content) &&
            content && py_kind(t->w, content) == K_CONCURRENT) {
            *work = content;
            return false;
        }
    }
    return true;
}

/* Work for an executor that no thread has: still in its queue, or with another process. */
static uint32_t work_marker(struct tasks *t, uint64_t work) {
    uint64_t state = py_attr(t->w, work, N_STATE);

    return state && py_str_is(t->w, state, "PENDING") ? t->marker_queued : t->marker_executor;
}

/* What a wait for this future is called, and what else is to be known of it. */
static void describe_wait(struct tasks *t, struct task *k, uint64_t gen) {
    k->marker = t->markers[k->role];
    k->work = k->self = 0;
    switch (k->role) {
    case R_SLEEP:
        k->marker = sleep_marker(t, gen);
        break;
    case R_TASKGROUP:
    case R_AS_COMPLETED_SELF:
        k->self = local(t, gen, 0);
        break;
    case R_AS_COMPLETED:
        k->self = gen;
        break;
    default:
        if (is_task(k->leaf_kind))
            k->marker = t->marker_task;
        else if (k->leaf_kind == K_GATHER)
            k->marker = t->marker_gather;
        else if (k->leaf)
            each_callback(t, k->leaf, k->leaf_kind, find_work, &k->work);
        if (k->work)
            k->marker = work_marker(t, k->work);
    }
}

struct walk {
    uint64_t cur; /* next object in the chain */
    uint64_t gen; /* innermost generator */
    uint64_t leaf;
    enum { W_MORE, W_LEAF, W_BARE, W_CREATED, W_RUNNING, W_OPAQUE } end;
};

/* Functions of asyncio that wait by means of its other primitives: the outer one is what the wait
 * is about. */
static bool contains(enum role role) {
    return role == R_AS_COMPLETED || role == R_AS_COMPLETED_SELF || role == R_TASKGROUP ||
           role == R_BARRIER || role == R_QUEUE_JOIN;
}

/* One generator, coroutine or async generator of a chain. */
static enum verdict walk_generator(struct tasks *t, struct task *k, enum kind kind,
                                   struct walk *at) {
    const struct layout *l = t->w->l;
    const uint8_t *p = mem_at(t->w->m, at->cur, (size_t)(l->gen_frame + l->fr_locals));
    struct code *code;
    int32_t stacktop;
    uint32_t unit, text;
    bool delegates;
    int8_t state;
    uint64_t code_at, instr;

    if (!p)
        return V_TORN;
    state = (int8_t)p[l->gen_state];
    code_at = get64(p + l->gen_frame + l->fr_code);
    instr = get64(p + l->gen_frame + l->fr_instr);
    stacktop = (int32_t)get32(p + l->gen_frame + l->fr_stacktop);
    if (state > l->gen_executing || state < l->gen_created)
        return V_TORN;
    code = code_get(t->codes, code_at);
    if (!code || !code_unit(t->codes, code, instr, &unit))
        return V_TORN;
    if (code->role == R_FUTURE_AWAIT) {
        at->leaf = local(t, at->cur, 0);
        at->end = at->leaf ? W_LEAF : W_BARE;
        return at->leaf ? V_OK : V_TORN;
    }
    delegates =
        l->gen_yield_from > 0 ? code_delegates(t->codes, code, unit) : state == l->gen_yield_from;
    text = code_text(t->codes, code, unit);
    chain_add(t, k, text);
    if (!contains(k->role)) {
        k->role = code->role;
        at->gen = at->cur;
    }
    if (state == l->gen_created) {
        at->end = W_CREATED;
    } else if (state == l->gen_executing) {
        k->exec_frame = at->cur + l->gen_frame;
        at->end = W_RUNNING;
    } else if (delegates) {
        if (stacktop <= (int32_t)code->nlocalsplus || stacktop > (int32_t)code->nlocalsplus + 4096)
            return V_TORN;
        at->cur = local(t, at->cur, (uint32_t)stacktop - 1);
        return at->cur ? V_OK : V_TORN;
    } else {
        /* A generator that yields to the loop itself; an async generator cannot while something
         * awaits it. */
        at->end = W_BARE;
        return kind == K_ASYNCGEN ? V_TORN : V_OK;
    }
    return V_OK;
}

static enum verdict walk_chain(struct tasks *t, struct task *k, struct walk *at) {
    for (int depth = 0; at->end == W_MORE; depth++) {
        const struct type_info *type = py_type(t->w, at->cur);
        enum kind kind = type ? type->kind : K_NONE;
        enum verdict v = V_OK;
        char text[96];
        uint64_t next;

        if (depth > CHAIN_MAX)
            return V_TORN;
        switch (kind) {
        case K_NONE:
            return V_TORN;
        case K_CORO:
        case K_GEN:
        case K_ASYNCGEN:
            v = walk_generator(t, k, kind, at);
            break;
        case K_ASEND:
        case K_ATHROW:
        case K_CORO_WRAPPER:
        case K_ANEXT:
            if (!mem_u64(t->w->m, at->cur + WRAPPED, &next) || next == 0)
                return V_TORN;
            if ((kind == K_ASEND || kind == K_ATHROW) && py_kind(t->w, next) != K_ASYNCGEN)
                return V_TORN;
            at->cur = next;
            break;
        case K_FUTURE_ITER:
            if (!mem_u64(t->w->m, at->cur + WRAPPED, &at->leaf))
                return V_TORN;
            at->end = at->leaf ? W_LEAF : W_BARE;
            break;
        case K_TASK:
        case K_FUTURE:
        case K_GATHER:
        case K_PYTASK:
        case K_PYFUTURE:
            at->leaf = at->cur;
            at->end = W_LEAF;
            break;
        default:
            /* Whatever an await delegates to is an iterator: anything else was read amid a change.
             */
            if (!type->iterates)
                return V_TORN;
            (void)snprintf(text, sizeof(text), "[opaque: %s]", type->name);
            chain_add(t, k, text_id(t->texts, text));
            at->end = W_OPAQUE;
        }
        if (v != V_OK)
            return v;
    }
    return V_OK;
}

static enum verdict read_fields(struct tasks *t, struct task *k, uint64_t *waiter, uint64_t *coro) {
    const struct layout *l = t->w->l;
    const uint8_t *p;

    k->kind = py_kind(t->w, k->addr);
    if (k->kind == K_PYTASK) {
        uint64_t state = py_attr(t->w, k->addr, N_STATE);

        if (state && !py_str_is(t->w, state, "PENDING"))
            return V_SKIP;
        k->loop = py_attr(t->w, k->addr, N_LOOP);
        k->name = py_attr(t->w, k->addr, N_TASK_NAME);
        *coro = py_attr(t->w, k->addr, N_CORO);
        *waiter = py_attr(t->w, k->addr, N_FUT_WAITER);
        if (*waiter && !is_future(py_kind(t->w, *waiter)))
            *waiter = 0; /* None */
        return *coro ? V_OK : V_TORN;
    }
    if (k->kind != K_TASK)
        return V_SKIP; /* freed meanwhile */
    p = mem_at(t->w->m, k->addr, l->task_basicsize);
    if (!p || get32(p + l->fut_state) > 2)
        return V_TORN;
    if (get32(p + l->fut_state) != 0)
        return V_SKIP;
    k->loop = get64(p + l->fut_loop);
    k->name = get64(p + l->task_name);
    *waiter = get64(p + l->task_waiter);
    *coro = get64(p + l->task_coro);
    /* A finishing task has dropped its coroutine. */
    return *coro ? V_OK : V_SKIP;
}

static enum verdict read_task(struct tasks *t, struct task *k) {
    uint64_t waiter = 0, coro = 0;
    struct walk at = {0};
    enum verdict v;

    k->first = t->nchain;
    k->n = 0;
    k->hash = 1;
    k->role = R_NONE;
    k->leaf = k->exec_frame = k->work = k->self = 0;
    k->leaf_kind = K_NONE;
    k->marker = t->marker_future;
    v = read_fields(t, k, &waiter, &coro);
    if (v != V_OK)
        return v;
    at.cur = coro;
    v = walk_chain(t, k, &at);
    if (v != V_OK)
        return v;
    k->executing = false;
    for (uint32_t i = 0; i < t->ncurrent; i++)
        k->executing |= t->current[i] == k->addr;
    if (at.end == W_RUNNING || (at.end == W_OPAQUE && k->executing)) {
        k->state = T_RUNNING;
        return V_OK;
    }
    /* The chain must end in the very future that the task says it waits for. */
    if (waiter && at.leaf && waiter != at.leaf)
        return V_TORN;
    k->leaf = waiter;
    k->state = T_READY;
    if (at.end == W_CREATED && k->n == 1)
        k->state = T_NEW;
    if (waiter) {
        enum fut_state state;

        k->leaf_kind = py_kind(t->w, waiter);
        if (!is_future(k->leaf_kind))
            return V_TORN;
        state = future_state(t, waiter, k->leaf_kind);
        if (state == F_BAD)
            return V_TORN;
        if (state == F_PENDING) {
            if (at.end == W_CREATED)
                return V_TORN;
            k->state = T_WAITING;
            describe_wait(t, k, at.gen);
        }
    }
    return V_OK;
}

/* ---- all tasks ---- */

static struct task *task_add(struct tasks *t, uint64_t addr) {
    if (t->n == t->cap) {
        t->cap *= 2;
        t->list = xrealloc(t->list, t->cap * sizeof(*t->list));
    }
    t->list[t->n] = (struct task){.addr = addr};
    return &t->list[t->n++];
}

static void take_task(struct tasks *t, uint64_t addr) {
    uint32_t mark = t->nchain, known;
    struct task *k;

    if (addr == 0 || t->n >= TASKS_MAX || map_get(&t->by_addr, addr, &known))
        return;
    k = task_add(t, addr);
    switch (read_task(t, k)) {
    case V_SKIP:
        t->n--;
        t->nchain = mark;
        return;
    case V_TORN:
        k->state = T_TORN;
        k->n = 0;
        k->leaf = k->work = k->self = k->exec_frame = 0;
        t->nchain = mark;
        break;
    case V_OK:
        break;
    }
    map_put(&t->by_addr, addr, t->n - 1);
}

static bool read_set(struct tasks *t, uint64_t set, bool weak) {
    uint64_t mask, table;

    if (py_kind(t->w, set) != K_SET || !mem_u64(t->w->m, set + SET_MASK, &mask) ||
        !mem_u64(t->w->m, set + SET_TABLE, &table) || mask >= TASKS_MAX * 8ULL ||
        (mask & (mask + 1)) != 0)
        return false;
    for (uint64_t i = 0; i <= mask; i++) {
        const uint8_t *p = mem_at(t->w->m, table + 16 * i, 16);
        uint64_t key;

        if (!p)
            return false;
        key = get64(p);
        if (key == 0 || get64(p + 8) == UINT64_MAX)
            continue;
        if (weak) {
            p = mem_at(t->w->m, key, WRAPPED + 8);
            if (!p || py_kind(t->w, key) != K_WEAKREF || !mem_u64(t->w->m, key + WRAPPED, &key))
                return false;
        }
        take_task(t, key);
    }
    return true;
}

static void read_current(struct tasks *t, uint64_t dict) {
    struct dict_view v;

    if (py_kind(t->w, dict) != K_DICT || !py_dict(t->w, dict, &v))
        return;
    for (uint64_t i = 0; i < v.n && t->ncurrent < THREADS_MAX; i++) {
        uint64_t key, value;

        if (!py_dict_entry(t->w, &v, i, &key, &value))
            return;
        if (value == 0)
            continue;
        if (t->ncurrent == t->cap_current) {
            t->cap_current *= 2;
            t->current = xrealloc(t->current, t->cap_current * sizeof(*t->current));
        }
        t->current[t->ncurrent++] = value;
    }
}

static void retry_torn(struct tasks *t) {
    for (int pass = 1; pass < TRIES; pass++) {
        bool any = false;

        for (uint32_t i = 0; i < t->n; i++) {
            uint32_t mark = t->nchain;
            struct task *k = &t->list[i];

            if (k->state != T_TORN)
                continue;
            if (!any)
                mem_stale(t->w->m);
            any = true;
            t->retries++;
            switch (read_task(t, k)) {
            case V_OK:
                break;
            case V_TORN:
                k->state = T_TORN;
                k->n = 0;
                k->leaf = k->work = k->self = k->exec_frame = 0;
                t->nchain = mark;
                break;
            case V_SKIP:
                /* Finished meanwhile: it was there when the sample was taken, but what it did is
                 * not known; a task that is no longer there has no time to account for. */
                t->nchain = mark;
                k->kind = K_NONE;
                k->state = T_READY;
                k->n = 0;
                break;
            }
        }
        if (!any)
            return;
    }
}

/* ---- edges ---- */

static void edge_add(struct tasks *t, uint32_t from, uint32_t to) {
    int near = 0;

    if (from == to)
        return;
    /* One pair is found twice only in close succession: a full search would be quadratic where all
     * await one. */
    for (uint32_t e = t->list[to].parent; e && near < 16; e = t->edges[e - 1].next_parent, near++) {
        if (t->edges[e - 1].from == from)
            return;
    }
    if (t->nedges == t->cap_edges) {
        t->cap_edges *= 2;
        t->edges = xrealloc(t->edges, t->cap_edges * sizeof(*t->edges));
    }
    t->edges[t->nedges] = (struct edge){.from = from,
                                        .to = to,
                                        .next_child = t->list[from].child,
                                        .next_parent = t->list[to].parent};
    t->list[from].child = t->list[to].parent = ++t->nedges;
    t->list[to].awaited = true;
}

/* A gather's children: tasks, or other futures, which become entries of their own. */
static void gather_edges(struct tasks *t, uint32_t from) {
    uint64_t list = py_attr(t->w, t->list[from].leaf, N_CHILDREN), size, items, child;

    if (!list || py_kind(t->w, list) != K_LIST || !mem_u64(t->w->m, list + LIST_SIZE, &size) ||
        !mem_u64(t->w->m, list + LIST_ITEMS, &items) || size > TASKS_MAX)
        return;
    for (uint64_t i = 0; i < size; i++) {
        struct task *k;
        enum kind kind;
        uint32_t to;

        if (!mem_u64(t->w->m, items + 8 * i, &child) || child == 0)
            return;
        if (map_get(&t->by_addr, child, &to)) {
            edge_add(t, from, to);
            continue;
        }
        kind = py_kind(t->w, child);
        if ((kind != K_FUTURE && kind != K_GATHER && kind != K_PYFUTURE) || t->n >= TASKS_MAX ||
            future_state(t, child, kind) != F_PENDING)
            continue;
        k = task_add(t, child);
        k->kind = kind;
        k->state = T_WAITING;
        k->leaf = child;
        k->leaf_kind = kind;
        k->hash = 1;
        describe_wait(t, k, 0);
        map_put(&t->by_addr, child, t->n - 1);
        edge_add(t, from, t->n - 1);
    }
}

static void edges_by_key(struct tasks *t, uint64_t addr, uint32_t to) {
    uint32_t i;

    if (addr == 0 || !map_get(&t->by_key, addr, &i))
        return;
    for (;;) {
        edge_add(t, t->keys[i].task, to);
        if (t->keys[i].next == 0)
            return;
        i = t->keys[i].next - 1;
    }
}

/* A callback that belongs to a waiter: a method of what it waits in, or a function that shares a
 * cell with it. */
static bool callback_edges(struct tasks *t, uint64_t callback, void *arg) {
    uint32_t to = *(uint32_t *)arg;
    enum kind kind = py_kind(t->w, callback);
    uint64_t v;

    if (kind == K_METHOD) {
        if (mem_u64(t->w->m, callback + METHOD_SELF, &v))
            edges_by_key(t, v, to);
    } else if (kind == K_FUNCTION) {
        uint64_t items, n = closure(t, callback, &items), cell;

        for (uint64_t i = 0; i < n; i++) {
            if (!mem_u64(t->w->m, items + 8 * i, &cell) || cell == 0)
                break;
            edges_by_key(t, cell, to);
            if (mem_u64(t->w->m, cell + WRAPPED, &v))
                edges_by_key(t, v, to);
        }
    }
    return true;
}

static void cells_of(struct tasks *t, uint32_t task) {
    const struct layout *l = t->w->l;
    uint64_t gen = t->list[task].self, code;
    uint32_t n;

    if (!mem_u64(t->w->m, gen + l->gen_frame + l->fr_code, &code) ||
        !mem_u32(t->w->m, code + l->co_nlocalsplus, &n))
        return;
    for (uint32_t i = 0; i < n && i < LOCALS_MAX; i++) {
        uint64_t v = local(t, gen, i);

        if (v && py_kind(t->w, v) == K_CELL)
            key_add(t, v, task);
    }
}

static void find_edges(struct tasks *t) {
    uint32_t to;

    for (uint32_t i = 0; i < t->n; i++) {
        const struct task *k = &t->list[i];

        if (k->state != T_WAITING)
            continue;
        if (is_task(k->leaf_kind)) {
            if (map_get(&t->by_addr, k->leaf, &to))
                edge_add(t, i, to);
            continue;
        }
        if (k->leaf_kind == K_GATHER) {
            gather_edges(t, i);
            continue;
        }
        if (k->kind == K_TASK || k->kind == K_PYTASK) {
            if (k->role == R_AS_COMPLETED)
                cells_of(t, i);
            else if (k->self)
                key_add(t, k->self, i);
            else if (!k->work && (k->role == R_NONE || k->role == R_WAIT))
                key_add(t, k->leaf, i);
        }
    }
    if (t->nkeys == 0)
        return;
    for (uint32_t i = 0; i < t->ntasks; i++) {
        if (!t->list[i].awaited && t->list[i].kind != K_NONE)
            each_callback(t, t->list[i].addr, t->list[i].kind, callback_edges, &i);
    }
}

static void mark_roots(struct tasks *t) {
    const struct threads *th = t->threads;
    uint32_t i;

    for (uint32_t k = 0; k < th->n; k++) {
        if (th->list[k].root && map_get(&t->by_addr, th->list[k].root, &i))
            t->list[i].root = true;
    }
}

static void mark_hot(struct tasks *t, uint32_t i, int depth) {
    if (t->list[i].hot || depth > HOT_DEPTH_MAX)
        return;
    t->list[i].hot = true;
    for (uint32_t e = t->list[i].parent; e; e = t->edges[e - 1].next_parent)
        mark_hot(t, t->edges[e - 1].from, depth + 1);
}

/* Whether nothing that could change a task has run since it was read: no thread with an event loop.
 */
static bool unchanged(struct tasks *t, uint64_t now) {
    uint32_t nloops = 0;
    bool same = t->exact && now - t->read_ns < FULL_NS;

    for (uint32_t i = 0; i < t->threads->n; i++) {
        const struct thread *th = &t->threads->list[i];

        if (th->torn)
            same = false;
        if (!th->loop)
            continue;
        nloops++;
        if (!th->same)
            same = false;
    }
    if (nloops != t->nloops || (nloops == 0 && t->n > 0))
        same = false;
    t->nloops = nloops;
    return same;
}

static bool loop_runs(const struct threads *th, uint32_t interp) {
    for (uint32_t i = 0; i < th->n; i++) {
        if (th->list[i].loop && th->list[i].interp == interp)
            return true;
    }
    return false;
}

void tasks_read(struct tasks *t, uint64_t now) {
    t->same = unchanged(t, now);
    if (t->same)
        return;
    t->read_ns = now;
    t->n = t->ntasks = t->nchain = t->nedges = t->nkeys = t->ncurrent = 0;
    map_clear(&t->by_addr);
    map_clear(&t->by_key);
    mem_prefetch(t->w->m, MEM_TASKS);
    for (uint32_t i = 0; i < t->threads->ninterps; i++) {
        struct aio *a = aio_of(t, t->threads->interps[i].addr);

        find_module(t, a, t->threads->interps[i].modules, now, loop_runs(t->threads, i));
        if (a->dict)
            read_current(t, a->current);
    }
    for (uint32_t i = 0; i < t->threads->ninterps; i++) {
        const struct aio *a = aio_of(t, t->threads->interps[i].addr);

        if (!a->dict)
            continue;
        for (int k = 0; k < TRIES && !read_set(t, a->scheduled, true); k++)
            mem_stale(t->w->m);
        for (int k = 0; k < TRIES && !read_set(t, a->eager, false); k++)
            mem_stale(t->w->m);
    }
    retry_torn(t);
    t->ntasks = t->n;
    find_edges(t);
    mark_roots(t);
    for (uint32_t i = 0; i < t->ntasks; i++) {
        /* A plain future that stands for a task: shield. */
        if (t->list[i].child && t->list[i].marker == t->marker_future)
            t->list[i].marker = t->marker_task;
        if (t->list[i].state == T_RUNNING)
            mark_hot(t, i, 0);
        if (t->list[i].state == T_TORN)
            t->torn++;
    }
}

bool task_name(struct tasks *t, const struct task *task, char *out, size_t cap) {
    int64_t number;

    if (py_small_int(t->w, task->name, &number)) {
        (void)snprintf(out, cap, "Task-%lld", (long long)number);
        return true;
    }
    return py_str(t->w, task->name, out, cap);
}
