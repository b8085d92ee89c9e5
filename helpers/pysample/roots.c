/* SPDX-License-Identifier: MIT */
#include "roots.h"

#include <sys/syscall.h>

enum {
    GATHER_DEPTH_MAX = 8,
    GATHER_MAX = 1 << 16,
    CFUNCTION_DEF = 16,    /* PyCFunctionObject.m_ml, whose first field is the name */
    CFUNCTION_MODULE = 32, /* m_module: here the module's name */
};

static bool name_is(struct mem *m, uint64_t addr, const char *name) {
    size_t n = strlen(name) + 1;
    const uint8_t *p = mem_at(m, addr, n);

    return p && memcmp(p, name, n) == 0;
}

/* Whether this is the callback by which uvloop's run_until_complete learns that the task is done.
 */
static bool is_until_complete(struct tasks *t, uint64_t callback) {
    const struct type_info *type = py_type(t->w, callback);
    uint64_t def, name, module;

    return type && strstr(type->name, "cython_function_or_method") &&
           mem_u64(t->w->m, callback + CFUNCTION_DEF, &def) && mem_u64(t->w->m, def, &name) &&
           name_is(t->w->m, name, "done_cb") &&
           mem_u64(t->w->m, callback + CFUNCTION_MODULE, &module) && module &&
           py_str_is(t->w, module, "uvloop.loop");
}

static bool look(struct tasks *t, uint64_t callback, void *arg) {
    bool *found = arg;

    *found = is_until_complete(t, callback);
    return !*found;
}

static uint64_t coroutine_of(struct tasks *t, uint64_t task) {
    enum kind kind = task ? py_kind(t->w, task) : K_NONE;
    uint64_t coro = 0;

    if (kind == K_PYTASK)
        return py_attr(t->w, task, N_CORO);
    return kind == K_TASK && mem_u64(t->w->m, task + t->w->l->task_coro, &coro) ? coro : 0;
}

/* Whether the outermost `n` frames are those of the sample before. */
static bool begins_as_before(const struct threads *ts, const struct thread *th,
                             const struct thread *old) {
    if (old->run_frame == 0 || old->run_frame > th->n || old->run_frame > old->n)
        return false;
    for (uint32_t i = 0; i < old->run_frame; i++) {
        if (ts->frames[th->first + i].addr != ts->frames_before[old->first + i].addr)
            return false;
    }
    return true;
}

/* How many frames lie outside the loop: those beneath the task that runs, all while it waits for
 * events, else as many as before. 0: not known. */
static uint32_t frames_outside(struct tasks *t, const struct thread *th) {
    const struct threads *ts = t->threads;
    uint64_t coro = coroutine_of(t, tasks_current(t, th->interp, th->loop));

    for (uint32_t i = 0; coro && i < th->n; i++) {
        if (ts->frames[th->first + i].addr == coro + t->w->l->gen_frame)
            return i;
    }
    if (th->state == OS_BLOCKED && (th->call == SYS_epoll_wait || th->call == SYS_epoll_pwait))
        return th->n;
    for (uint32_t i = 0; i < ts->nbefore; i++) {
        const struct thread *old = &ts->before[i];

        if (old->tstate == th->tstate)
            return old->loop == th->loop && begins_as_before(ts, th, old) ? old->run_frame : 0;
    }
    return 0;
}

/* The task that carries uvloop's callback. */
static void find_native(struct tasks *t, struct thread *th) {
    th->run_frame = frames_outside(t, th);
    for (uint32_t k = 0; k < t->ntasks; k++) {
        struct task *task = &t->list[k];
        bool found = false;

        if (task->loop != th->loop || task->kind == K_NONE)
            continue;
        each_callback(t, task->addr, task->kind, look, &found);
        if (!found)
            continue;
        task->root = true;
        th->root = th->run_frame ? task->addr : 0;
        return;
    }
}

static void each_below(struct tasks *t, uint64_t root, int depth,
                       void (*each)(uint32_t i, void *arg), void *arg) {
    uint64_t list, size, items, child;
    uint32_t i;

    if (py_kind(t->w, root) != K_GATHER) {
        if (map_get(&t->by_addr, root, &i) && i < t->ntasks && t->list[i].kind != K_NONE)
            each(i, arg);
        return;
    }
    list = depth < GATHER_DEPTH_MAX ? py_attr(t->w, root, N_CHILDREN) : 0;
    if (!list || py_kind(t->w, list) != K_LIST || !mem_u64(t->w->m, list + LIST_SIZE, &size) ||
        !mem_u64(t->w->m, list + LIST_ITEMS, &items) || size > GATHER_MAX)
        return;
    for (uint64_t k = 0; k < size; k++) {
        if (mem_u64(t->w->m, items + 8 * k, &child) && child)
            each_below(t, child, depth + 1, each, arg);
    }
}

void each_root(struct tasks *t, uint64_t root, void (*each)(uint32_t i, void *arg), void *arg) {
    if (root)
        each_below(t, root, 0, each, arg);
}

static void mark(uint32_t i, void *arg) {
    struct tasks *t = arg;

    t->list[i].root = true;
}

void roots_mark(struct tasks *t) {
    for (uint32_t i = 0; i < t->threads->n; i++) {
        struct thread *th = &t->threads->list[i];

        if (th->native && !th->root)
            find_native(t, th);
        each_root(t, th->root, mark, t);
    }
}
