/* SPDX-License-Identifier: MIT */
#include "tasks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLOSURE_MAX = 32, CALLBACKS_MAX = 4096 };

uint64_t gen_local(struct tasks *t, uint64_t gen, uint32_t i) {
    uint64_t v;

    return mem_u64(t->w->m, gen + t->w->l->gen_frame + t->w->l->fr_locals + 8ULL * i, &v) ? v : 0;
}

/* Text of a sleep: to three digits where the delay is that round a number, else to one, so that a
 * computed delay does not give a line of its own to every sample. */
static uint32_t sleep_marker(struct tasks *t, uint64_t gen) {
    uint64_t bits;
    double delay, rounded;
    char text[64];
    uint32_t i;

    if (!py_number(t->w, gen_local(t, gen, 0), &delay) || !isfinite(delay) || delay < 0 ||
        delay > 1e9)
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

enum fut_state future_state(struct tasks *t, uint64_t fut, enum kind kind) {
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
void each_callback(struct tasks *t, uint64_t fut, enum kind kind,
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
uint64_t closure(struct tasks *t, uint64_t function, uint64_t *items) {
    uint64_t tuple, n;

    if (!mem_u64(t->w->m, function + FUNC_CLOSURE, &tuple) || tuple == 0 ||
        py_kind(t->w, tuple) != K_TUPLE || !mem_u64(t->w->m, tuple + TUPLE_SIZE, &n) ||
        n > CLOSURE_MAX)
        return 0;
    *items = tuple + TUPLE_ITEMS;
    return n;
}

struct source {
    uint64_t work, inner;
};

static bool is_shield(struct tasks *t, uint64_t function) {
    struct code *code;
    uint64_t addr;

    if (!mem_u64(t->w->m, function + FUNC_CODE, &addr))
        return false;
    code = code_get(t->codes, addr);
    return code && code->role == R_SHIELD_DONE;
}

/* A future made by wrap_future carries, in the closure of its first callback, the concurrent one it
 * stands for; one made by shield, the inner one. */
static bool source_in(struct tasks *t, uint64_t callback, void *arg) {
    struct source *s = arg;
    uint64_t items, cell, content;
    uint64_t n;

    if (py_kind(t->w, callback) != K_FUNCTION)
        return true;
    n = closure(t, callback, &items);
    for (uint64_t i = 0; i < n; i++) {
        enum kind kind;

        if (!mem_u64(t->w->m, items + 8 * i, &cell) ||
            !mem_u64(t->w->m, cell + WRAPPED, &content) || content == 0)
            continue;
        kind = py_kind(t->w, content);
        if (kind == K_CONCURRENT)
            s->work = content;
        else if (is_future(kind) && is_shield(t, callback))
            s->inner = content;
        if (s->work || s->inner)
            return false;
    }
    return true;
}

/* One item of a queue: the future of the _WorkItem that it is. */
static void queued_item(struct tasks *t, uint64_t item) {
    uint64_t fut = item ? py_attr(t->w, item, N_FUTURE) : 0;

    if (fut)
        map_put(&t->queued, fut, 1);
}

static void queued_in(struct tasks *t, uint64_t queue) {
    const struct layout *l = t->w->l;
    uint64_t list, items, item, begin, end, cap = UINT64_MAX;
    const uint8_t *p;

    if (l->sq_list) {
        if (!mem_u64(t->w->m, queue + l->sq_list, &list) || py_kind(t->w, list) != K_LIST ||
            !mem_u64(t->w->m, queue + l->sq_list + SQ_LIST_BEGIN, &begin) ||
            !mem_u64(t->w->m, list + LIST_SIZE, &end) ||
            !mem_u64(t->w->m, list + LIST_ITEMS, &items))
            return;
    } else {
        p = mem_at(t->w->m, queue + l->sq_ring, SQ_RING_USED + 8);
        if (!p)
            return;
        begin = get64(p + SQ_RING_GET);
        items = get64(p + SQ_RING_ITEMS);
        cap = get64(p + SQ_RING_CAP);
        end = begin + get64(p + SQ_RING_USED);
        if (begin >= cap || end - begin > cap)
            return;
    }
    for (uint64_t i = begin; i < end && i - begin < TASKS_MAX; i++) {
        if (!mem_u64(t->w->m, items + 8 * (i % cap), &item))
            return;
        queued_item(t, item);
    }
}

static void queued_for_processes(struct tasks *t, uint64_t manager) {
    uint64_t dict = py_attr(t->w, manager, N_PENDING_WORK), key, item;
    struct dict_view v;

    if (!dict || py_kind(t->w, dict) != K_DICT || !py_dict(t->w, dict, &v))
        return;
    for (uint64_t i = 0; i < v.n && i < TASKS_MAX; i++) {
        if (!py_dict_entry(t->w, &v, i, &key, &item))
            return;
        queued_item(t, item);
    }
}

/* All that waits in the queues of executors, by the threads that take it from there. */
static void read_queued(struct tasks *t) {
    const struct layout *l = t->w->l;
    const struct threads *th = t->threads;

    t->queued_read = true;
    map_clear(&t->queued);
    for (uint32_t i = 0; i < th->n; i++) {
        const struct frame *frames = &th->frames[th->list[i].first];

        for (uint32_t k = 0; k < th->list[i].n; k++) {
            uint64_t local = frames[k].role == R_POOL_IDLE ? 1 : 0, v;
            uint32_t known;

            if (frames[k].role != R_POOL_IDLE && frames[k].role != R_PROCESS_POOL)
                continue;
            if (!mem_u64(t->w->m, frames[k].addr + l->fr_locals + 8 * local, &v) || v == 0 ||
                map_get(&t->queued, v, &known))
                continue;
            map_put(&t->queued, v, 1);
            if (frames[k].role == R_PROCESS_POOL)
                queued_for_processes(t, v);
            else if (py_kind(t->w, v) == K_SIMPLE_QUEUE)
                queued_in(t, v);
        }
    }
}

/* A concurrent Future: of work in the queue of an executor, running where it cannot be seen, or
 * over, which the event loop has not come to yet. One that nobody has begun, and that is in no
 * queue, is no work: what ends it is not known. */
void describe_work(struct tasks *t, struct task *k) {
    uint64_t state = py_attr(t->w, k->work, N_STATE);
    uint32_t known;

    if (state && py_str_is(t->w, state, "PENDING")) {
        if (t->same)
            return; /* as it was read last */
        if (!t->queued_read)
            read_queued(t);
        k->marker = map_get(&t->queued, k->work, &known) ? t->marker_queued : t->marker_future;
        return;
    }
    k->marker = t->marker_executor;
    if (state && !py_str_is(t->w, state, "RUNNING"))
        k->state = T_READY;
}

/* What a plain future stands for: work in an executor, or, shielded, a task, a gather, or again a
 * plain future. */
static void find_source(struct tasks *t, struct task *k) {
    enum { SHIELDS_MAX = 16 };
    uint64_t fut = k->leaf;
    enum kind kind = k->leaf_kind;

    for (int hops = 0; hops < SHIELDS_MAX; hops++) {
        struct source s = {0};

        each_callback(t, fut, kind, source_in, &s);
        k->work = s.work;
        if (!s.inner)
            break;
        fut = s.inner;
        kind = py_kind(t->w, fut);
        if (future_state(t, fut, kind) == F_DONE)
            k->state = T_READY;
        if (is_task(kind) || kind == K_GATHER) {
            k->subject = fut;
            k->marker = is_task(kind) ? t->marker_task : t->marker_gather;
            break;
        }
    }
    if (k->work) {
        t->nworks++;
        describe_work(t, k);
    }
}

/* The set of futures of an as_completed that is a generator. Its coroutines have the queue alone,
 * in a cell that they share with it; it is found where it is iterated over, in the frame around. */
static uint64_t as_completed_set(struct tasks *t, uint64_t gen, uint64_t outer) {
    enum { LOCAL_DONE = 1, PLACES_MAX = 256, CELLS_MAX = 32 };
    const struct layout *l = t->w->l;
    uint64_t done = gen_local(t, gen, LOCAL_DONE);
    uint32_t n;

    if (outer == 0 || done == 0 || !mem_u32(t->w->m, outer + l->gen_frame + l->fr_stacktop, &n))
        return 0;
    for (uint32_t i = 0; i < n && i < PLACES_MAX; i++) {
        uint64_t other = gen_local(t, outer, i), code_at, v, set = 0;
        const struct code *code;
        bool shared = false;

        if (other == 0 || py_kind(t->w, other) != K_GEN ||
            !mem_u64(t->w->m, other + l->gen_frame + l->fr_code, &code_at))
            continue;
        code = code_get(t->codes, code_at);
        if (!code || code->role != R_AS_COMPLETED_GEN)
            continue;
        for (uint32_t c = 0; c < code->nlocalsplus && c < CELLS_MAX; c++) {
            uint64_t cell = gen_local(t, other, c);

            if (cell == 0 || py_kind(t->w, cell) != K_CELL)
                continue;
            if (cell == done)
                shared = true;
            else if (mem_u64(t->w->m, cell + WRAPPED, &v) && v && py_kind(t->w, v) == K_SET)
                set = v;
        }
        if (shared)
            return set;
    }
    return 0;
}

/* Until when a frame of asyncio.sleep sleeps, by its TimerHandle (local `h`); 0 = not known:
 * another loop's handle. */
static uint64_t sleep_due(struct tasks *t, uint64_t gen) {
    enum { LOCAL_H = 4 };
    uint64_t h = gen_local(t, gen, LOCAL_H), when, bits;
    double s;

    if (!t->timers || h == 0 || py_kind(t->w, h) != K_TIMER ||
        !mem_u64(t->w->m, h + TIMER_WHEN, &when) || py_kind(t->w, when) != K_FLOAT ||
        !mem_u64(t->w->m, when + FLOAT_VALUE, &bits))
        return 0;
    memcpy(&s, &bits, sizeof(s));
    return s > 0 && s < 1e10 ? (uint64_t)(s * 1e9) : 0;
}

/* What a wait for this future is called, and what else is to be known of it. */
void describe_wait(struct tasks *t, struct task *k, uint64_t gen, uint64_t outer) {
    k->marker = t->markers[k->role];
    k->work = k->self = k->subject = k->due = 0;
    switch (k->role) {
    case R_SLEEP:
        k->marker = sleep_marker(t, gen);
        k->due = sleep_due(t, gen);
        if (k->due && k->due <= t->read_ns)
            k->state = T_READY;
        else if (k->due && k->due < t->next_due)
            t->next_due = k->due;
        break;
    case R_TASKGROUP:
        k->self = gen_local(t, gen, 0);
        break;
    case R_WAIT:
        k->subject = gen_local(t, gen, 0);
        break;
    case R_AS_COMPLETED_SELF:
        k->self = gen_local(t, gen, 0);
        k->subject = k->self ? py_attr(t->w, k->self, N_TODO) : 0;
        break;
    case R_AS_COMPLETED:
        k->self = gen;
        k->subject = as_completed_set(t, gen, outer);
        break;
    default:
        if (is_task(k->leaf_kind))
            k->marker = t->marker_task;
        else if (k->leaf_kind == K_GATHER)
            k->marker = t->marker_gather;
        else if (k->leaf)
            find_source(t, k);
    }
}
