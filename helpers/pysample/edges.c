/* SPDX-License-Identifier: MIT */
#include "tasks.h"

#include "buf.h"

enum { LOCALS_MAX = 64, HOT_DEPTH_MAX = 10000 };

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

/* An edge to a future: a task, or another future, which becomes an entry of its own. False: the
 * future is done. */
static bool edge_to(struct tasks *t, uint32_t from, uint64_t fut) {
    enum fut_state state;
    struct task *k;
    enum kind kind;
    uint32_t to;

    if (map_get(&t->by_addr, fut, &to)) {
        edge_add(t, from, to);
        return true;
    }
    kind = py_kind(t->w, fut);
    if (!is_future(kind))
        return true;
    state = future_state(t, fut, kind);
    if (state != F_PENDING)
        return state != F_DONE;
    if (is_task(kind) || t->n >= TASKS_MAX)
        return true;
    k = task_add(t, fut);
    k->kind = kind;
    k->state = T_WAITING;
    k->leaf = fut;
    k->leaf_kind = kind;
    k->hash = 1;
    describe_wait(t, k, 0, 0);
    map_put(&t->by_addr, fut, t->n - 1);
    edge_add(t, from, t->n - 1);
    return true;
}

/* What all of a wait's futures have in common. */
struct several {
    uint32_t from;
    bool any, pending;
};

static bool edge_to_one(struct tasks *t, uint64_t fut, void *arg) {
    struct several *s = arg;

    s->any = true;
    s->pending |= edge_to(t, s->from, fut);
    return true;
}

/* Where all is done, the loop has only to come to it. */
static void end_several(struct tasks *t, const struct several *s) {
    if (s->any && !s->pending)
        t->list[s->from].state = T_READY;
}

static void gather_edges(struct tasks *t, uint32_t from) {
    uint64_t list = py_attr(t->w, t->list[from].leaf, N_CHILDREN), size, items, child;
    struct several s = {.from = from};

    if (!list || py_kind(t->w, list) != K_LIST || !mem_u64(t->w->m, list + LIST_SIZE, &size) ||
        !mem_u64(t->w->m, list + LIST_ITEMS, &items) || size > TASKS_MAX)
        return;
    for (uint64_t i = 0; i < size; i++) {
        if (!mem_u64(t->w->m, items + 8 * i, &child) || child == 0)
            return;
        (void)edge_to_one(t, child, &s);
    }
    end_several(t, &s);
}

/* False: the set cannot be read. */
static bool set_edges(struct tasks *t, uint32_t from) {
    struct several s = {.from = from};

    if (!t->list[from].subject || !each_in_set(t, t->list[from].subject, edge_to_one, &s))
        return false;
    end_several(t, &s);
    return true;
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
        uint64_t v = gen_local(t, gen, i);

        if (v && py_kind(t->w, v) == K_CELL)
            key_add(t, v, task);
    }
}

/* The edges that a waiting task, or future, itself tells of, or else the key by which the awaited
 * lead to it. */
static void edges_of(struct tasks *t, uint32_t i) {
    const struct task *k = &t->list[i];
    bool task = is_task(k->kind);
    uint32_t to;

    if (is_task(k->leaf_kind)) {
        if (map_get(&t->by_addr, k->leaf, &to))
            edge_add(t, i, to);
        return;
    }
    if (k->leaf_kind == K_GATHER) {
        gather_edges(t, i);
        return;
    }
    switch (k->role) {
    case R_AS_COMPLETED:
        if (!set_edges(t, i))
            cells_of(t, i);
        break;
    case R_AS_COMPLETED_SELF:
    case R_TASKGROUP:
        if (!set_edges(t, i))
            key_add(t, t->list[i].self, i);
        break;
    case R_WAIT:
        if (!set_edges(t, i))
            key_add(t, t->list[i].leaf, i);
        break;
    default:
        if (k->subject)
            (void)edge_to(t, i, k->subject);
        else if (k->work && k->marker == t->marker_future)
            key_add(t, k->work, i); /* run_coroutine_threadsafe: of another loop's task */
        else if (task && !k->work && k->role == R_NONE)
            key_add(t, k->leaf, i);
    }
}

/* Whether a task has more than one callback: an awaiter that is known already leaves one. */
static bool has_more_callbacks(struct tasks *t, uint32_t i) {
    uint64_t list;

    if (t->list[i].kind == K_PYTASK)
        return true;
    return mem_u64(t->w->m, t->list[i].addr + t->w->l->fut_callbacks, &list) && list != 0;
}

void find_edges(struct tasks *t) {
    for (uint32_t i = 0; i < t->n; i++) {
        if (t->list[i].state == T_WAITING)
            edges_of(t, i);
    }
    if (t->nkeys == 0)
        return;
    for (uint32_t i = 0; i < t->ntasks; i++) {
        if (t->list[i].kind != K_NONE && (!t->list[i].awaited || has_more_callbacks(t, i)))
            each_callback(t, t->list[i].addr, t->list[i].kind, callback_edges, &i);
    }
}

void mark_roots(struct tasks *t) {
    const struct threads *th = t->threads;
    uint32_t i;

    for (uint32_t k = 0; k < th->n; k++) {
        if (th->list[k].root && map_get(&t->by_addr, th->list[k].root, &i))
            t->list[i].root = true;
    }
}

void mark_hot(struct tasks *t, uint32_t i, int depth) {
    if (t->list[i].hot || depth > HOT_DEPTH_MAX)
        return;
    t->list[i].hot = true;
    for (uint32_t e = t->list[i].parent; e; e = t->edges[e - 1].next_parent)
        mark_hot(t, t->edges[e - 1].from, depth + 1);
}
