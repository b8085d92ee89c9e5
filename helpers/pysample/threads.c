/* SPDX-License-Identifier: MIT */
#include "threads.h"

#include <stdlib.h>

#include "buf.h"
#include "pystack.h"
#include "threadstate.h"

enum { TRIES = 4 };

void threads_open(struct threads *t, struct world *w, struct codes *codes, struct os *os,
                  uint64_t runtime) {
    *t = (struct threads){.w = w, .codes = codes, .os = os, .runtime = runtime};
    t->text_greenlet = text_id(codes->texts, "[greenlet]");
    t->cap = t->cap_before = 64;
    t->cap_frames = t->cap_frames_before = 4096;
    t->list = xcalloc(t->cap, sizeof(*t->list));
    t->before = xcalloc(t->cap_before, sizeof(*t->before));
    t->frames = xcalloc(t->cap_frames, sizeof(*t->frames));
    t->frames_before = xcalloc(t->cap_frames_before, sizeof(*t->frames_before));
}

void threads_close(struct threads *t) {
    free(t->list);
    free(t->before);
    free(t->frames);
    free(t->frames_before);
    *t = (struct threads){0};
}

/* The offset of interpreters.head: from the table, or told by the runtime itself. */
static bool interpreters_head(struct threads *t, uint64_t *head) {
    const struct layout *l = t->w->l;
    uint64_t offset = l->rt_interpreters_head;

    if (l->rt_debug_head &&
        (!mem_u64(t->w->m, t->runtime + l->rt_debug_head, &offset) || offset > 1 << 20))
        return false;
    return mem_u64(t->w->m, t->runtime + offset, head);
}

static bool read_interps(struct threads *t) {
    const struct layout *l = t->w->l;
    uint64_t addr;

    t->ninterps = 0;
    if (!interpreters_head(t, &addr))
        return false;
    while (addr && t->ninterps < INTERPS_MAX) {
        struct interp *i = &t->interps[t->ninterps];
        uint64_t next, id, holder;
        uint32_t locked, collecting;

        if (!mem_u64(t->w->m, addr + l->is_next, &next) ||
            !mem_u64(t->w->m, addr + l->is_id, &id) ||
            !mem_u64(t->w->m, addr + l->is_gil, &i->gil) ||
            !mem_u64(t->w->m, addr + l->is_modules, &i->modules) ||
            !mem_u32(t->w->m, addr + l->is_gc_collecting, &collecting))
            return t->ninterps > 0;
        i->addr = addr;
        i->id = (int64_t)id;
        i->collecting = collecting != 0;
        i->holder = 0;
        if (mem_u32(t->w->m, i->gil + l->gil_locked, &locked) &&
            mem_u64(t->w->m, i->gil + l->gil_last_holder, &holder) && locked == 1)
            i->holder = holder;
        t->ninterps++;
        addr = next;
    }
    return t->ninterps > 0;
}

/* Threads come in the same order in every sample: the search begins behind the one found last. */
static struct thread *find_before(struct threads *t, uint64_t tstate, uint32_t *hint) {
    for (uint32_t k = 0; k < t->nbefore; k++) {
        uint32_t i = (*hint + k) % t->nbefore;

        if (t->before[i].tstate == tstate) {
            *hint = i + 1;
            return &t->before[i];
        }
    }
    return NULL;
}

/* A thread's outermost frame seldom changes, and where C code was called from may be gone when it
 * is read, with something else in its place: another outermost frame is believed when it is read
 * twice. */
static bool has_base(const struct threads *t, struct thread *th) {
    uint64_t base = th->n > 0 ? t->frames[th->first].addr : 0;

    if (base == 0 || base == th->base || th->in_greenlet)
        return true;
    th->base = base;
    return false;
}

/* Nothing is left that points into frames which are not there. */
static void forget_stack(struct thread *th) {
    th->n = 0;
    th->root = th->work_future = 0;
    th->run_frame = th->work_frame = th->loop_frame = 0;
    th->runs_loop = false;
}

static void read_thread(struct threads *t, uint64_t tstate, pid_t tid, uint32_t interp,
                        uint32_t *hint) {
    struct os_thread *os = os_thread(t->os, tid, t->w->m->sample);
    const struct thread *old = find_before(t, tstate, hint);
    const struct interp *in = &t->interps[interp];
    bool before = os->read == t->w->m->sample;
    struct thread *th;

    if (t->n == t->cap) {
        t->cap *= 2;
        t->list = xrealloc(t->list, t->cap * sizeof(*t->list));
    }
    th = &t->list[t->n++];
    if (!before && !t->stacks_only)
        threadstate_read(t, os);
    t->exact_ok |= os->counted;
    if (old && before && threadstate_asleep(old, os)) {
        pystack_keep(t, th, old);
        return;
    }
    *th = (struct thread){.tstate = tstate,
                          .tid = tid,
                          .interp = interp,
                          .state = os->state,
                          .base = old ? old->base : 0,
                          .woken = os->woken,
                          .call = os->call,
                          .torn = true};
    th->on_gil = threadstate_on_gil(os, in->gil, t->w->l->gil_size);
    if (before && os_rests(os->state) && os->counted)
        th->exact_switches = os->switches;
    mem_mark(t->w->m);
    for (int k = 0; k < TRIES && th->torn; k++) {
        uint32_t mark = t->nframes;

        if (k > 0) {
            mem_again(t->w->m);
            t->retries++;
        }
        th->torn = !pystack_read(t, th) || (!has_base(t, th) && k < TRIES - 1);
        if (th->torn) {
            t->nframes = mark;
            forget_stack(th);
        }
    }
    if (!th->torn && th->in_greenlet)
        pystack_join_loop(t, th, old);
}

static void swap_generations(struct threads *t) {
    struct thread *list = t->list;
    struct frame *frames = t->frames;
    uint32_t cap = t->cap;

    t->list = t->before;
    t->cap = t->cap_before;
    t->before = list;
    t->cap_before = cap;
    t->nbefore = t->n;
    t->n = 0;
    cap = t->cap_frames;
    t->frames = t->frames_before;
    t->cap_frames = t->cap_frames_before;
    t->frames_before = frames;
    t->cap_frames_before = cap;
    t->nframes = 0;
}

bool threads_ready(struct threads *t) {
    const struct layout *l = t->w->l;
    uint32_t initialized;

    if (!mem_u32(t->w->m, t->runtime + l->rt_initialized, &initialized) || initialized != 1 ||
        !read_interps(t))
        return false;
    return true;
}

void threads_holders(struct threads *t) {
    uint32_t mark = t->nframes;

    if (!read_interps(t))
        return;
    for (uint32_t i = 0; i < t->ninterps; i++) {
        struct thread th = {.tstate = t->interps[i].holder};

        if (th.tstate)
            (void)pystack_read(t, &th);
        t->nframes = mark;
    }
}

bool threads_read(struct threads *t) {
    const struct layout *l = t->w->l;
    uint32_t hint = 0;

    if (!read_interps(t))
        return false;
    swap_generations(t);
    for (uint32_t i = 0; i < t->ninterps; i++) {
        uint64_t tstate;

        if (!mem_u64(t->w->m, t->interps[i].addr + l->is_threads, &tstate))
            continue;
        /* The list may be cyclic for a moment, or for ill. */
        for (uint32_t hops = 0; tstate && hops < THREADS_MAX && t->n < THREADS_MAX; hops++) {
            uint64_t next, native;

            if (!mem_u64(t->w->m, tstate + l->ts_next, &next) ||
                !mem_u64(t->w->m, tstate + l->ts_native_id, &native))
                break;
            if (native > 0 && native <= 4194304)
                read_thread(t, tstate, (pid_t)native, i, &hint);
            tstate = next;
        }
    }
    if (t->w->m->sample % 64 == 0)
        os_sweep(t->os, t->w->m->sample);
    return true;
}
