/* SPDX-License-Identifier: MIT */
#include "threads.h"

#include <stdlib.h>
#include <sys/syscall.h>

#include "buf.h"

enum { TRIES = 4, HOPS_MAX = 1 << 17, LOCALS_MAX = 64, WAITED_MAX_NS = 1000000000 };

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

static struct frame *add_frames(struct threads *t, uint32_t n) {
    if (t->nframes + n > t->cap_frames) {
        while (t->nframes + n > t->cap_frames)
            t->cap_frames *= 2;
        t->frames = xrealloc(t->frames, t->cap_frames * sizeof(*t->frames));
    }
    t->nframes += n;
    return &t->frames[t->nframes - n];
}

/* A local of the frame that is a task or future: what a runner waits for. */
static uint64_t root_local(struct threads *t, uint64_t frame, uint32_t nlocals) {
    uint64_t found = 0;

    for (uint32_t i = 0; i < nlocals && i < LOCALS_MAX; i++) {
        uint64_t v;

        if (!mem_u64(t->w->m, frame + t->w->l->fr_locals + 8ULL * i, &v) || v == 0)
            continue;
        if (is_future(py_kind(t->w, v)))
            found = v;
    }
    return found;
}

static void note_role(struct threads *t, struct thread *th, uint64_t frame, const struct code *code,
                      uint32_t depth) {
    uint64_t self;

    /* `depth` counts from the innermost frame; turned round when the whole stack is known. */
    if (code->role == R_RUN && th->root == 0) {
        uint32_t nlocals = code->nlocalsplus;

        th->root = root_local(t, frame, nlocals);
        if (th->root)
            th->run_frame = depth + 1;
    } else if (code->role == R_WORK_ITEM && th->work_future == 0) {
        if (mem_u64(t->w->m, frame + t->w->l->fr_locals, &self) && self)
            th->work_future = py_attr(t->w, self, N_FUTURE);
        th->work_frame = depth + 1;
    }
}

struct stack {
    uint32_t depth;
    bool root_seen, cut;
};

/* Appends the frames from `frame` outwards. */
static bool walk_frames(struct threads *t, struct thread *th, uint64_t frame, struct stack *s) {
    const struct layout *l = t->w->l;

    for (uint32_t hops = 0; frame != 0; hops++) {
        const uint8_t *p = mem_at(t->w->m, frame, (size_t)l->fr_locals);
        uint64_t previous, code_at, instr;
        struct code *code;
        struct frame *f;
        uint32_t unit;
        uint8_t owner;

        if (!p || hops > HOPS_MAX || frame % 8 != 0)
            return false;
        previous = get64(p + l->fr_previous);
        owner = p[l->fr_owner];
        if (owner > FRAME_OWNER_CSTACK)
            return false;
        s->root_seen = owner == FRAME_OWNER_CSTACK;
        if (s->root_seen && s->depth > 0)
            t->frames[th->first + s->depth - 1].from_c = true;
        /* Of a deeper stack the innermost frames are kept, and the rest is walked to see that it is
         * whole. */
        if (!s->root_seen && s->depth == DEPTH_MAX)
            s->cut = true;
        if (!s->root_seen && !s->cut) {
            code_at = get64(p + l->fr_code);
            instr = get64(p + l->fr_instr);
            code = code_get(t->codes, code_at);
            if (!code || !code_unit(t->codes, code, instr, &unit))
                return false;
            f = add_frames(t, 1);
            *f = (struct frame){
                .addr = frame, .text = code_text(t->codes, code, unit), .role = code->role};
            if (code->role == R_RUN || code->role == R_RUN_FOREVER) {
                th->runs_loop = true;
                if (th->loop_frame == 0)
                    th->loop_frame = s->depth + 1;
            }
            if (code->role == R_RUN || code->role == R_WORK_ITEM)
                note_role(t, th, frame, code, s->depth);
            s->depth++;
        }
        frame = previous;
    }
    return true;
}

static bool read_loop(struct threads *t, struct thread *th) {
    const struct layout *l = t->w->l;
    uint64_t dict;

    th->loop = 0;
    if (l->ts_running_loop)
        return mem_u64(t->w->m, th->tstate + l->ts_running_loop, &th->loop);
    if (!mem_u64(t->w->m, th->tstate + l->ts_dict, &dict))
        return false;
    if (dict)
        th->loop = py_dict_get(t->w, dict, N_RUNNING_LOOP);
    return true;
}

/* uvloop runs without a frame of its own where no runner of asyncio called it. */
static bool is_native(struct threads *t, uint64_t loop) {
    const struct type_info *type = py_type(t->w, loop);

    return !type || strstr(type->name, "uvloop") != NULL;
}

/* A loop runs, but none of its frames is on the stack: a greenlet runs, whose stack goes on in that
 * of the task that switched to it. False: torn. */
static bool join_greenlet(struct threads *t, struct thread *th, struct stack *s) {
    uint64_t outer;

    th->in_greenlet = false;
    if (s->depth == 0 || s->cut || th->runs_loop || t->stacks_only ||
        t->frames[th->first + s->depth - 1].role == R_THREAD_START)
        return true;
    if (!read_loop(t, th))
        return false;
    if (th->loop == 0)
        return true;
    outer = t->outer ? t->outer(t->outer_arg, th->interp, th->loop) : 0;
    if (outer == 0) {
        th->in_greenlet = !is_native(t, th->loop);
        return true;
    }
    for (uint32_t i = 0; i < s->depth; i++) {
        if (t->frames[th->first + i].addr == outer)
            return true; /* on this very stack */
    }
    if (s->depth < DEPTH_MAX) {
        *add_frames(t, 1) = (struct frame){.text = t->text_greenlet};
        s->depth++;
    }
    return walk_frames(t, th, outer, s) && (th->runs_loop || is_native(t, th->loop));
}

/* Reads the stack of a thread. False: torn. A stack is whole when it ends in the frame that entered
 * the interpreter from C; without this check the stack of a coroutine that was just suspended would
 * be taken for a short one. */
static bool read_stack(struct threads *t, struct thread *th, uint64_t frame) {
    struct stack s = {0};
    uint32_t depth;

    th->root = th->work_future = 0;
    th->run_frame = th->work_frame = th->loop_frame = 0;
    th->runs_loop = false;
    th->first = t->nframes;
    if (!walk_frames(t, th, frame, &s) || (s.depth && !s.root_seen) || !join_greenlet(t, th, &s))
        return false;
    depth = th->n = s.depth;
    if (s.cut)
        t->frames[th->first + depth - 1] =
            (struct frame){.text = text_id(t->codes->texts, "[truncated]")};
    for (uint32_t i = 0; i < depth / 2; i++) {
        struct frame *a = &t->frames[th->first + i], *b = &t->frames[th->first + depth - 1 - i],
                     swap = *a;

        *a = *b;
        *b = swap;
    }
    if (th->run_frame)
        th->run_frame = depth - th->run_frame + 1;
    if (th->work_frame)
        th->work_frame = depth - th->work_frame + 1;
    if (th->loop_frame)
        th->loop_frame = depth - th->loop_frame + 1;
    return true;
}

static bool try_thread(struct threads *t, struct thread *th) {
    const struct layout *l = t->w->l;
    uint64_t frame = 0, cframe;

    if (l->ts_cframe) {
        if (!mem_u64(t->w->m, th->tstate + l->ts_cframe, &cframe) ||
            !mem_u64(t->w->m, cframe, &frame))
            return false;
    } else if (!mem_u64(t->w->m, th->tstate + l->ts_frame, &frame)) {
        return false;
    }
    if (!read_stack(t, th, frame))
        return false;
    /* A loop runs only beneath one of these; uvloop's runner is asyncio's own. */
    if (th->runs_loop)
        return read_loop(t, th);
    if (!th->in_greenlet)
        th->loop = 0;
    return true;
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

static void keep_stack(struct threads *t, struct thread *th, const struct thread *old) {
    struct frame *f = add_frames(t, old->n);
    uint32_t first = t->nframes - old->n;

    memcpy(f, t->frames_before + old->first, old->n * sizeof(*f));
    *th = *old;
    th->first = first;
    th->same = true;
}

/* A greenlet of which no task is known goes beneath the frames of its loop, as they were when they
 * were seen last: they stay while it runs. */
static void join_before(struct threads *t, struct thread *th, const struct thread *old) {
    uint32_t n = old && old->loop == th->loop ? old->loop_frame : 0, own = th->n;
    struct frame *f;

    (void)add_frames(t, n + 1);
    f = &t->frames[th->first];
    memmove(f + n + 1, f, own * sizeof(*f));
    memcpy(f, t->frames_before + (n ? old->first : 0), n * sizeof(*f));
    f[n] = (struct frame){.text = t->text_greenlet};
    th->n += n + 1;
    if (th->work_frame)
        th->work_frame += n + 1;
    if (n == 0)
        return;
    th->loop_frame = n;
    th->runs_loop = true;
    th->root = old->root;
    th->run_frame = old->run_frame;
}

/* The number of switches is read before the state: a thread that is then asleep, and later has the
 * same number, was on no processor in between. If it sleeps no longer, it waits for its first turn.
 * The kernel's run-queue delay leaves out the beginning of that, until the other processor has
 * answered the interrupt that tells it of the thread. */
static void note_sleep(struct os_thread *os) {
    if (os->counted && os->state == OS_BLOCKED)
        os->asleep_switches = os->switches;
    else if (!os->counted || os->asleep_switches != os->switches)
        os->asleep_switches = 0;
    os->woken = os->state == OS_RUN && os->asleep_switches != 0;
}

static void read_os(struct threads *t, struct os_thread *os) {
    uint64_t waited;

    os->run_delay_before = os->run_delay;
    os->counted = os_read_sched(os);
    os_read_state(t->os, os);
    note_sleep(os);
    if (os->run_delay_before != 0 && os->run_delay > os->run_delay_before) {
        waited = os->run_delay - os->run_delay_before;
        os->waited += waited > os->woken_ns ? waited - os->woken_ns : 0;
    }
    if (!os->woken)
        os->woken_ns = 0;
    if (os->waited > WAITED_MAX_NS)
        os->waited = WAITED_MAX_NS;
    os->read = t->w->m->sample;
}

/* Proven asleep when it was read last, and not put on a processor since. */
static bool still_asleep(const struct thread *th, const struct os_thread *os) {
    return th->tid == os->tid && !th->torn && th->exact_switches != 0 && os->state == OS_BLOCKED &&
           os->counted && os->switches == th->exact_switches;
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
        read_os(t, os);
    t->exact_ok |= os->counted;
    if (old && before && still_asleep(old, os)) {
        keep_stack(t, th, old);
        return;
    }
    *th = (struct thread){.tstate = tstate,
                          .tid = tid,
                          .interp = interp,
                          .state = os->state,
                          .woken = os->woken,
                          .call = os->call,
                          .torn = true};
    th->on_gil = os->state == OS_BLOCKED && os->call == SYS_futex && os->arg0 >= in->gil &&
                 os->arg0 < in->gil + t->w->l->gil_size;
    if (before && os->state == OS_BLOCKED && os->counted)
        th->exact_switches = os->switches;
    for (int k = 0; k < TRIES && th->torn; k++) {
        uint32_t mark = t->nframes;

        if (k > 0) {
            mem_stale(t->w->m);
            t->retries++;
        }
        th->torn = !try_thread(t, th);
        if (th->torn) {
            t->nframes = mark;
            th->n = 0;
        }
    }
    if (!th->torn && th->in_greenlet)
        join_before(t, th, old);
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
            (void)try_thread(t, &th);
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

bool threads_before(struct threads *t) {
    uint32_t same = 0;

    for (uint32_t i = 0; i < t->n; i++) {
        struct os_thread *os = os_thread(t->os, t->list[i].tid, t->w->m->sample);

        read_os(t, os);
        same += still_asleep(&t->list[i], os);
    }
    if (same < t->n || t->n == 0)
        return false;
    for (uint32_t i = 0; i < t->n; i++)
        t->list[i].same = true;
    return true;
}

void threads_after(struct threads *t) {
    for (uint32_t i = 0; i < t->n; i++) {
        struct thread *th = &t->list[i];
        struct os_thread *os;

        if (th->same || !th->exact_switches)
            continue;
        /* Asleep before: what was read is exact if this is still the same sleep. */
        os = os_thread(t->os, th->tid, t->w->m->sample);
        if (!os_read_sched(os) || os->switches != th->exact_switches || th->torn)
            th->exact_switches = 0;
    }
}
