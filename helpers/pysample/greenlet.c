/* SPDX-License-Identifier: MIT
 * Greenlets: a thread that runs one has a stack that begins with it, and the frames of whoever
 * switched to it are on no thread's stack. In asyncio (SQLAlchemy) that is a task: its innermost
 * coroutine is found from the task, and leads to the frames of the event loop, because greenlet
 * links the frames of the one that it leaves past those on the C stack (expose_frames).
 */
#include "tasks.h"

enum { STACK_MAX = 256 };

static bool is_generator(enum kind k) {
    return k == K_CORO || k == K_GEN || k == K_ASYNCGEN;
}

/* Whether this may be a generator that is executed, called by that frame: without a look at its
 * type, because what is behind the end of a stack is anything. */
static bool is_called_by(struct tasks *t, uint64_t gen, uint64_t frame) {
    const struct layout *l = t->w->l;
    const uint8_t *p;
    uint64_t previous;

    if (gen == 0 || gen % 8 != 0)
        return false;
    p = mem_at(t->w->m, gen, (size_t)(l->gen_frame + l->fr_locals));
    if (!p || (int8_t)p[l->gen_state] != l->gen_executing)
        return false;
    previous = get64(p + l->gen_frame + l->fr_previous);
    if (previous == frame)
        return true;
    if (previous == 0 || previous % 8 != 0)
        return false;
    p = mem_at(t->w->m, previous, (size_t)l->fr_locals);
    return p && p[l->fr_owner] == FRAME_OWNER_CSTACK && get64(p + l->fr_previous) == frame;
}

/* The generator that this one, which is executed, awaits: on its stack, itself or in the object
 * that an async generator is awaited by. 0: none. */
static uint64_t awaited_by(struct tasks *t, uint64_t gen) {
    const struct layout *l = t->w->l;
    uint64_t frame = gen + l->gen_frame, code, v;
    uint32_t nlocals, size;

    if (!mem_u64(t->w->m, frame + l->fr_code, &code) ||
        !mem_u32(t->w->m, code + l->co_nlocalsplus, &nlocals) ||
        !mem_u32(t->w->m, code + l->co_stacksize, &size) || size > STACK_MAX || nlocals > 1 << 16)
        return 0;
    for (uint32_t i = size; i-- > 0;) {
        if (!mem_u64(t->w->m, frame + l->fr_locals + 8ULL * (nlocals + i), &v))
            continue;
        for (int hops = 0; hops < 3 && v && v % 8 == 0; hops++) {
            if (is_called_by(t, v, frame) && is_generator(py_kind(t->w, v)))
                return v;
            if (!mem_u64(t->w->m, v + WRAPPED, &v))
                break;
        }
    }
    return 0;
}

uint64_t greenlet_outer(void *tasks, uint32_t interp, uint64_t loop) {
    struct tasks *t = tasks;
    const struct layout *l = t->w->l;
    uint64_t task = tasks_current(t, interp, loop), gen = 0, next;
    enum kind kind = task ? py_kind(t->w, task) : K_NONE;
    const uint8_t *p;

    if (kind == K_PYTASK)
        gen = py_attr(t->w, task, N_CORO);
    else if (kind != K_TASK || !mem_u64(t->w->m, task + l->task_coro, &gen))
        return 0;
    if (!gen || !is_generator(py_kind(t->w, gen)))
        return 0;
    p = mem_at(t->w->m, gen, (size_t)l->gen_frame);
    if (!p || (int8_t)p[l->gen_state] != l->gen_executing)
        return 0;
    for (int depth = 0; depth < CHAIN_MAX && (next = awaited_by(t, gen)) != 0; depth++)
        gen = next;
    return gen + l->gen_frame;
}
