/* SPDX-License-Identifier: MIT */
#include "pystack.h"

#include <string.h>

#include "buf.h"

enum { HOPS_MAX = 1 << 17, LOCALS_MAX = 64 };

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
    bool generator; /* the outermost frame is one of a generator or coroutine */
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
        if (!s->root_seen)
            s->generator = owner == FRAME_OWNER_GENERATOR;
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

    return !type || type->uvloop;
}

/* A loop runs, but none of its frames is on the stack: a greenlet runs, whose stack goes on in that
 * of the task that switched to it. False: torn. */
static bool join_greenlet(struct threads *t, struct thread *th, struct stack *s) {
    uint64_t outer, own;

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
    own = t->frames[th->first + s->depth - 1].addr;
    if (s->depth < DEPTH_MAX) {
        *add_frames(t, 1) = (struct frame){.text = t->text_greenlet};
        s->depth++;
    }
    if (!walk_frames(t, th, outer, s))
        return false;
    /* Beneath a loop without a frame, a stack that begins like the task's is no greenlet's, and one
     * that begins with the task is not whole: the task was switched to, or from, meanwhile. */
    return th->runs_loop || (is_native(t, th->loop) && !s->generator &&
                             t->frames[th->first + s->depth - 1].addr != own);
}

/* Reads the stack of a thread. False: torn. A stack is whole when it ends in the frame that entered
 * the interpreter from C; without this check the stack of a coroutine that was just suspended would
 * be taken for a short one. */
static bool read_stack(struct threads *t, struct thread *th, uint64_t frame) {
    struct stack s = {0};
    uint32_t depth;

    th->root = th->work_future = 0;
    th->run_frame = th->work_frame = th->loop_frame = 0;
    th->runs_loop = th->native = false;
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

bool pystack_read(struct threads *t, struct thread *th) {
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
    /* A loop runs only beneath one of these, but for uvloop's where asyncio's runner is not used.
     */
    if (th->runs_loop)
        return read_loop(t, th);
    if (th->in_greenlet)
        return true;
    if (t->stacks_only)
        th->loop = 0;
    else if (!read_loop(t, th))
        return false;
    th->native = th->loop && py_type(t->w, th->loop) && is_native(t, th->loop);
    if (!th->native)
        th->loop = 0;
    return true;
}

void pystack_keep(struct threads *t, struct thread *th, const struct thread *old) {
    struct frame *f = add_frames(t, old->n);
    uint32_t first = t->nframes - old->n;

    memcpy(f, t->frames_before + old->first, old->n * sizeof(*f));
    *th = *old;
    th->first = first;
    th->same = true;
}

void pystack_join_loop(struct threads *t, struct thread *th, const struct thread *old) {
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
