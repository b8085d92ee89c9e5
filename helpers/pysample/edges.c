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
        uint64_t v = gen_local(t, gen, i);

        if (v && py_kind(t->w, v) == K_CELL)
            key_add(t, v, task);
    }
}

void find_edges(struct tasks *t) {
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
