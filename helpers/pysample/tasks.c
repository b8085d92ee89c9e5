/* SPDX-License-Identifier: MIT */
#include "tasks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "buf.h"

enum {
    TRIES = 4,
    LOOK_NS = 200000000, /* between two looks for _asyncio in sys.modules */
    FULL_NS = 100000000, /* a full read at least so often, proven unchanged or not */
};

/* Whether a process is in the time namespace of this one: in another, its monotonic clock may be
 * ahead or behind. A kernel without such namespaces has no links to tell. */
static bool same_clock(pid_t pid) {
    char path[64], own[64] = "", other[64] = "";
    ssize_t n = readlink("/proc/self/ns/time", own, sizeof(own) - 1);

    if (n < 0)
        return errno == ENOENT;
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/time", (int)pid);
    n = readlink(path, other, sizeof(other) - 1);
    return n > 0 && strcmp(own, other) == 0;
}

void tasks_open(struct tasks *t, struct world *w, struct codes *codes, struct threads *threads,
                struct texts *texts) {
    *t = (struct tasks){.w = w, .codes = codes, .threads = threads, .texts = texts};
    threads->outer = greenlet_outer;
    threads->outer_arg = t;
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
    map_open(&t->trusted);
    map_open(&t->queued);
    t->next_due = UINT64_MAX;
    t->timers = same_clock(w->m->pid);
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
    map_close(&t->trusted);
    map_close(&t->queued);
    *t = (struct tasks){0};
}

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

struct task *task_add(struct tasks *t, uint64_t addr) {
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
        task_torn(t, k, mark);
        break;
    case V_OK:
        k->doubted = !task_is_trusted(t, k);
        break;
    }
    map_put(&t->by_addr, addr, t->n - 1);
}

bool each_in_set(struct tasks *t, uint64_t set,
                 bool (*each)(struct tasks *t, uint64_t element, void *arg), void *arg) {
    uint64_t mask, table;

    if (py_kind(t->w, set) != K_SET || !mem_u64(t->w->m, set + SET_MASK, &mask) ||
        !mem_u64(t->w->m, set + SET_TABLE, &table) || mask >= TASKS_MAX * 8ULL ||
        (mask & (mask + 1)) != 0)
        return false;
    for (uint64_t i = 0; i <= mask; i++) {
        const uint8_t *p = mem_at(t->w->m, table + 16 * i, 16);

        if (!p)
            return false;
        if (get64(p) == 0 || get64(p + 8) == UINT64_MAX)
            continue;
        if (!each(t, get64(p), arg))
            return false;
    }
    return true;
}

static bool take_element(struct tasks *t, uint64_t element, void *arg) {
    const bool *weak = arg;

    if (*weak && (!mem_at(t->w->m, element, WRAPPED + 8) || py_kind(t->w, element) != K_WEAKREF ||
                  !mem_u64(t->w->m, element + WRAPPED, &element)))
        return false;
    take_task(t, element);
    return true;
}

static bool read_set(struct tasks *t, uint64_t set, bool weak) {
    return each_in_set(t, set, take_element, &weak);
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

/* Whether a thread without an event loop has run, or ended, since the last sample. */
static bool others_ran(const struct tasks *t) {
    for (uint32_t i = 0; i < t->threads->n; i++) {
        if (!t->threads->list[i].loop && !t->threads->list[i].same)
            return true;
    }
    return t->threads->n != t->nthreads;
}

/* What can change although no event loop has run: a sleep is over, work is begun or done by a
 * thread. */
static void refresh(struct tasks *t, uint64_t now) {
    bool works = t->nworks > 0 && others_ran(t);

    if (now < t->next_due && !works)
        return;
    t->next_due = UINT64_MAX;
    for (uint32_t i = 0; i < t->n; i++) {
        struct task *k = &t->list[i];

        if (k->state != T_WAITING)
            continue;
        if (works && k->work)
            describe_work(t, k);
        if (k->due && k->due <= now)
            k->state = T_READY;
        else if (k->due && k->due < t->next_due)
            t->next_due = k->due;
    }
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
        refresh(t, now);
    t->nthreads = t->threads->n;
    if (t->same)
        return;
    t->read_ns = now;
    t->next_due = UINT64_MAX;
    t->nworks = 0;
    t->queued_read = false;
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
    tasks_retry(t);
    t->ntasks = t->n;
    find_edges(t);
    mark_roots(t);
    for (uint32_t i = 0; i < t->n; i++) {
        /* A plain future that stands for a task: one that it ends by a callback. */
        if (t->list[i].child && t->list[i].marker == t->marker_future)
            t->list[i].marker = t->marker_task;
        if (t->list[i].state == T_RUNNING)
            mark_hot(t, i, 0);
        if (t->list[i].state == T_TORN)
            t->torn++;
    }
}

uint64_t tasks_current(struct tasks *t, uint32_t interp, uint64_t loop) {
    const struct interp *in = &t->threads->interps[interp];
    struct aio *a = aio_of(t, in->addr);
    struct dict_view v;

    find_module(t, a, in->modules, t->read_ns, true);
    if (!a->dict || py_kind(t->w, a->current) != K_DICT || !py_dict(t->w, a->current, &v))
        return 0;
    for (uint64_t i = 0; i < v.n && i < THREADS_MAX; i++) {
        uint64_t key, value;

        if (!py_dict_entry(t->w, &v, i, &key, &value))
            return 0;
        if (value && key == loop)
            return value;
    }
    return 0;
}

bool task_name(struct tasks *t, const struct task *task, char *out, size_t cap) {
    int64_t number;

    if (py_small_int(t->w, task->name, &number)) {
        (void)snprintf(out, cap, "Task-%lld", (long long)number);
        return true;
    }
    return py_str(t->w, task->name, out, cap);
}
