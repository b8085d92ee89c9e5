/* SPDX-License-Identifier: MIT */
#include "views.h"

#include <stdlib.h>
#include <sys/syscall.h>

#include "buf.h"
#include "roots.h"

enum {
    WALK_DEPTH_MAX = 200,
    STACK_MAX = 16384, /* frames of one stack that are written */
};

/* Appends the chain of a task; the same chain at the same place is found by its hash. */
static uint32_t add_chain(struct views *vs, struct view *v, uint32_t at, const struct task *k) {
    uint64_t key = (k->hash ^ at) * 0x9e3779b97f4a7c15ULL;
    struct memo *m = &v->memo[key >> (64 - MEMO_BITS)];
    uint32_t node = at;

    if (k->n == 0)
        return at;
    if (m->key == key && m->node)
        return m->node;
    for (uint32_t i = 0; i < k->n; i++)
        node = view_child(v, node, vs->tasks->chain[k->first + i]);
    *m = (struct memo){.key = key, .node = node};
    return node;
}

static uint32_t add_frames(struct views *vs, struct view *v, uint32_t at, const struct thread *th,
                           uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++)
        at = view_child(v, at, vs->threads->frames[th->first + i].text);
    return at;
}

void views_open(struct views *v, struct texts *texts, struct threads *threads,
                struct tasks *tasks) {
    *v = (struct views){.texts = texts, .threads = threads, .tasks = tasks};
    for (int i = 0; i < VIEWS; i++)
        view_open(&v->view[i]);
    v->running = text_id(texts, "[running]");
    v->runnable = text_id(texts, "[runnable]");
    v->gil = text_id(texts, "[gil]");
    v->stopped = text_id(texts, "[stopped]");
    v->truncated = text_id(texts, "[truncated]");
    v->unknown = text_id(texts, "<unknown>");
    v->background = text_id(texts, "[background]");
    v->interpreter = text_id(texts, "[interpreter]");
    v->gc = text_id(texts, "[gc]");
    v->idle = text_id(texts, "[idle]");
    v->truncated = text_id(texts, "[truncated]");
    v->blocked_unknown = text_id(texts, "[state unknown]");
}

void views_close(struct views *v) {
    for (int i = 0; i < VIEWS; i++)
        view_close(&v->view[i]);
    *v = (struct views){0};
}

/* ---- threads ---- */

static const struct frame *top_frame(const struct views *vs, const struct thread *th) {
    return th->n ? &vs->threads->frames[th->first + th->n - 1] : NULL;
}

uint32_t views_thread_state(struct views *v, const struct thread *th) {
    const struct frame *top = top_frame(v, th);
    char space[64];

    if (th->on_gil)
        return v->gil;
    switch (th->state) {
    case OS_RUN:
        return th->woken ? v->runnable : v->running;
    case OS_STOPPED:
        return v->stopped;
    case OS_BLOCKED:
        if (top && top->role == R_POOL_IDLE && th->call == SYS_futex)
            return v->idle;
        return text_id(v->texts, os_marker(th->call, space, sizeof(space)));
    default:
        return v->blocked_unknown;
    }
}

static void note_run(struct views *vs, const struct thread *th, struct run_ref ref) {
    struct os_thread *os = os_thread(vs->threads->os, th->tid, vs->threads->w->m->sample);

    if (!os->counted)
        return;
    if (!os->ring)
        os->ring = xcalloc(1, sizeof(*os->ring));
    if (os->ring->now.nrefs < REFS_MAX)
        os->ring->now.refs[os->ring->now.nrefs++] = ref;
}

/* Ends a stack with the state of its thread. */
static void give_state(struct views *vs, struct view *v, uint32_t node, const struct thread *th,
                       uint64_t units) {
    const struct interp *in = &vs->threads->interps[th->interp];

    if (in->collecting && in->holder == th->tstate)
        node = view_child(v, node, vs->gc);
    if (th->state == OS_RUN && !th->woken && !th->on_gil)
        note_run(vs, th,
                 (struct run_ref){.view = (uint32_t)(v - vs->view), .node = node, .units = units});
    view_give(v, view_child(v, node, views_thread_state(vs, th)), units);
}

const struct thread *views_find_frame(const struct views *v, uint64_t frame, uint32_t *index) {
    for (uint32_t i = 0; i < v->threads->n; i++) {
        const struct thread *th = &v->threads->list[i];

        for (uint32_t k = 0; k < th->n; k++) {
            if (v->threads->frames[th->first + k].addr == frame) {
                *index = k;
                return th;
            }
        }
    }
    return NULL;
}

const struct thread *views_find_work(const struct views *v, uint64_t work) {
    for (uint32_t i = 0; i < v->threads->n; i++) {
        const struct thread *th = &v->threads->list[i];

        if (th->work_future == work && work != 0)
            return th;
    }
    return NULL;
}

const struct thread *views_main(const struct views *v) {
    for (uint32_t i = 0; i < v->threads->n; i++) {
        const struct thread *th = &v->threads->list[i];

        if (th->tid == v->main_tid && v->threads->interps[th->interp].id == 0)
            return th;
    }
    return NULL;
}

static void take_threads(struct views *vs) {
    struct view *v = &vs->view[VIEW_THREADS];

    for (uint32_t i = 0; i < vs->threads->n; i++) {
        struct thread *th = &vs->threads->list[i];

        if (th->torn) {
            view_give(v, view_child(v, 0, vs->unknown), UNIT);
            continue;
        }
        if (th->n == 0)
            continue;
        if (!th->same || th->node == 0)
            th->node = add_frames(vs, v, 0, th, 0, th->n);
        give_state(vs, v, th->node, th, UNIT);
    }
}

/* ---- tasks ---- */

/* Ends a stack in what a task does: running frames, the thread that works for it, or what it waits
 * for. */
static void give_task(struct views *vs, struct view *v, uint32_t node, const struct task *k,
                      uint64_t units) {
    const struct thread *th;
    uint32_t at = 0;

    switch (k->state) {
    case T_RUNNING:
        th = views_find_frame(vs, k->exec_frame, &at);
        if (th && !th->torn) {
            node = add_frames(vs, v, node, th, at + 1, th->n);
            give_state(vs, v, node, th, units);
        } else if (k->exec_frame == 0) {
            view_give(v, view_child(v, node, vs->running), units);
        } else {
            view_give(v, view_child(v, 0, vs->unknown), units);
        }
        break;
    case T_NEW:
        view_give(v, view_child(v, node, vs->tasks->marker_new), units);
        break;
    case T_READY:
        view_give(v, view_child(v, node, vs->tasks->marker_ready), units);
        break;
    case T_WAITING:
        th = views_find_work(vs, k->work);
        if (th && !th->torn && th->root && th->run_frame > th->work_frame) {
            node = add_frames(vs, v, node, th, th->work_frame, th->run_frame);
            view_give(v, view_child(v, node, vs->tasks->marker_task), units);
        } else if (th && !th->torn) {
            node = add_frames(vs, v, node, th, th->work_frame, th->n);
            give_state(vs, v, node, th, units);
        } else {
            view_give(v, view_child(v, node, k->marker), units);
        }
        break;
    case T_TORN:
        view_give(v, view_child(v, 0, vs->unknown), units);
        break;
    }
}

static void take_tasks(struct views *vs) {
    struct view *v = &vs->view[VIEW_TASKS];

    for (uint32_t i = 0; i < vs->tasks->ntasks; i++) {
        const struct task *k = &vs->tasks->list[i];
        uint32_t at = 0;

        if (k->kind == K_NONE)
            continue;
        if (!k->awaited && !k->root)
            at = view_child(v, 0, vs->background);
        give_task(vs, v, add_chain(vs, v, at, k), k, UNIT);
    }
}

/* ---- wall ---- */

static bool walk_work(struct views *vs, uint32_t node, struct task *k, uint64_t units, int depth);

/* Follows what a task awaits. While one of the awaited runs, the time is its alone, because nothing
 * else can go on in the event loop; else it is split evenly over those still awaited. */
static void walk(struct views *vs, uint32_t node, uint32_t i, uint64_t units, int depth) {
    struct view *v = &vs->view[VIEW_WALL];
    struct task *k = &vs->tasks->list[i];
    const struct edge *edges = vs->tasks->edges;
    uint32_t n = 0, hot = 0;
    uint64_t part;

    node = add_chain(vs, v, node, k);
    if (k->state == T_WAITING && k->child && !k->visit && depth < WALK_DEPTH_MAX && vs->budget) {
        for (uint32_t e = k->child; e; e = edges[e - 1].next_child) {
            n++;
            if (vs->tasks->list[edges[e - 1].to].hot)
                hot++;
        }
        if (hot)
            n = hot;
        part = units / (n ? n : 1);
        k->visit = 1;
        for (uint32_t e = k->child; e; e = edges[e - 1].next_child) {
            if (hot && !vs->tasks->list[edges[e - 1].to].hot)
                continue;
            if (vs->budget)
                vs->budget--;
            n--;
            walk(vs, node, edges[e - 1].to, n == 0 ? units : part, depth + 1);
            units -= part;
        }
        k->visit = 0;
        return;
    }
    if (walk_work(vs, node, k, units, depth))
        return;
    /* There is more beneath it that cannot be followed. */
    if (k->state == T_WAITING && k->child && !k->visit)
        view_give(v, view_child(v, node, vs->truncated), units);
    else
        give_task(vs, v, node, k, units);
}

struct roots {
    struct views *vs;
    uint64_t units;
    uint32_t node, n, hot;
    int depth;
};

static void count_root(uint32_t i, void *arg) {
    struct roots *r = arg;

    r->n++;
    r->hot += r->vs->tasks->list[i].hot;
}

static void walk_root(uint32_t i, void *arg) {
    struct roots *r = arg;
    uint64_t part;

    if (r->n == 0 || (r->hot && !r->vs->tasks->list[i].hot))
        return;
    part = r->n == 1 ? r->units : r->units / r->n;
    r->n--;
    r->units -= part;
    walk(r->vs, r->node, i, part, r->depth);
}

/* Adds what a thread does from the frame `from` on to `node`, and goes on in what its loop was
 * asked to run. False: it runs no loop, or nothing is known of that. */
static bool walk_loop(struct views *vs, const struct thread *th, uint32_t from, uint32_t node,
                      uint64_t units, int depth) {
    struct roots r = {.vs = vs, .units = units, .depth = depth};

    if (!th->root || th->run_frame <= from)
        return false;
    each_root(vs->tasks, th->root, count_root, &r);
    if (r.n == 0)
        return false;
    if (r.hot)
        r.n = r.hot;
    r.node = add_frames(vs, &vs->view[VIEW_WALL], node, th, from, th->run_frame);
    each_root(vs->tasks, th->root, walk_root, &r);
    return true;
}

/* A task that waits for a thread which runs a loop of its own goes on in that. */
static bool walk_work(struct views *vs, uint32_t node, struct task *k, uint64_t units, int depth) {
    const struct thread *th = k->state == T_WAITING ? views_find_work(vs, k->work) : NULL;
    bool walked;

    if (!th || th->torn || k->visit || depth >= WALK_DEPTH_MAX || !vs->budget)
        return false;
    k->visit = 1;
    walked = walk_loop(vs, th, th->work_frame, node, units, depth + 1);
    k->visit = 0;
    return walked;
}

static void take_wall(struct views *vs) {
    struct view *v = &vs->view[VIEW_WALL];
    const struct thread *th = views_main(vs);

    vs->budget = 4 * vs->tasks->n + 1000;
    if (!th) {
        view_give(v, view_child(v, 0, vs->interpreter), UNIT);
    } else if (th->torn) {
        view_give(v, view_child(v, 0, vs->unknown), UNIT);
    } else if (th->n == 0) {
        give_state(vs, v, view_child(v, 0, vs->interpreter), th, UNIT);
    } else if (!walk_loop(vs, th, 0, 0, UNIT, 0)) {
        give_state(vs, v, add_frames(vs, v, 0, th, 0, th->n), th, UNIT);
    }
}

void views_take(struct views *v) {
    views_sum(v);
    for (int i = 0; i < VIEWS; i++)
        v->view[i].nshares = 0;
    take_threads(v);
    take_tasks(v);
    take_wall(v);
}

void views_take_text(struct views *v, const char *text) {
    views_sum(v);
    for (int i = 0; i < VIEWS; i++)
        v->view[i].nshares = 0;
    view_give(&v->view[VIEW_WALL], view_child(&v->view[VIEW_WALL], 0, text_id(v->texts, text)),
              UNIT);
}

void views_stack(const struct views *vs, enum view_id id, uint32_t node, struct buf *out) {
    const struct view *v = &vs->view[id];
    static uint32_t path[STACK_MAX];
    uint32_t n = 0;

    for (; node && n < STACK_MAX; node = v->nodes[node].parent)
        path[n++] = v->nodes[node].text;
    /* Of a longer one the innermost frames, as of a thread's. */
    if (node)
        path[n - 1] = vs->truncated;
    while (n > 0) {
        buf_adds(out, text_of(vs->texts, path[--n]));
        if (n > 0)
            buf_addc(out, ';');
    }
}
