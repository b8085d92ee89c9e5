/* SPDX-License-Identifier: MIT */
#include "tasks.h"

#include <stdio.h>

#include "buf.h"

enum { HOPS_MAX = 1 << 14 }; /* beyond, a chain is taken for endless */

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

/* Not how often a link is there: the depth of a recursion makes no difference. */
static void note_link(struct task *k, uint64_t from, uint64_t to) {
    uint64_t h = (from * 0x9e3779b97f4a7c15ULL ^ to) * 0xff51afd7ed558ccdULL;

    k->links[0] |= 1ULL << (h >> 58) | 1ULL << (h >> 52 & 63);
    k->links[1] |= 1ULL << (h >> 46 & 63) | 1ULL << (h >> 40 & 63);
}

struct walk {
    uint64_t cur;   /* next object in the chain */
    uint64_t gen;   /* innermost generator */
    uint64_t outer; /* the one that awaits it */
    uint64_t leaf;
    uint64_t code; /* of the generator before */
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
    uint32_t unit;
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
    note_link(k, at->code, code_at);
    at->code = code_at;
    if (code->role == R_FUTURE_AWAIT) {
        at->leaf = gen_local(t, at->cur, 0);
        at->end = at->leaf ? W_LEAF : W_BARE;
        return at->leaf ? V_OK : V_TORN;
    }
    delegates =
        l->gen_yield_from > 0 ? code_delegates(t->codes, code, unit) : state == l->gen_yield_from;
    /* Of a deeper chain the outermost frames are kept; the rest is walked for what it waits for. */
    if (k->n < CHAIN_MAX)
        chain_add(t, k, code_text(t->codes, code, unit));
    else if (k->n == CHAIN_MAX)
        chain_add(t, k, text_id(t->texts, "[truncated]"));
    if (!contains(k->role)) {
        k->role = code->role;
        at->outer = at->gen;
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
        at->cur = gen_local(t, at->cur, (uint32_t)stacktop - 1);
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

        if (depth > HOPS_MAX) {
            chain_add(t, k, text_id(t->texts, "[truncated]"));
            at->end = W_OPAQUE;
            break;
        }
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

enum verdict read_task(struct tasks *t, struct task *k) {
    uint64_t waiter = 0, coro = 0;
    struct walk at = {0};
    enum verdict v;

    k->first = t->nchain;
    k->n = 0;
    k->hash = 1;
    k->links[0] = k->links[1] = 0;
    k->role = R_NONE;
    k->leaf = k->exec_frame = k->work = k->self = k->subject = k->due = 0;
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
        note_link(k, at.code, k->state);
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
            describe_wait(t, k, at.gen, at.outer);
        }
    }
    note_link(k, at.code, (uint64_t)k->state << 8 | (uint64_t)k->leaf_kind);
    return V_OK;
}
