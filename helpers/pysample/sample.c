/* SPDX-License-Identifier: MIT */
#include "sample.h"

#include <errno.h>

#include "now.h"
#include "roots.h"
#include "stop.h"
#include "threadstate.h"

enum {
    TRIES = 4,
    FULL_NS = 100000000 /* memory is read at least so often, however still the process is */
};

/* Stops the thread that holds the GIL, when it runs: no other thread can then change Python's
 * state. One in a page fault runs again at any moment. */
static void stop_holder(struct session *s, struct stopped *stopped) {
    for (uint32_t i = 0; i < s->threads.n; i++) {
        const struct thread *th = &s->threads.list[i];
        const struct os_thread *os;
        uint64_t holder;

        if (!mem_u64(&s->mem, s->threads.interps[th->interp].gil + s->layout->gil_last_holder,
                     &holder) ||
            holder != th->tstate)
            continue;
        os = os_thread(&s->os, th->tid, s->mem.sample);
        if ((os->state == OS_RUN || (os->state == OS_BLOCKED && os->call == -1)) &&
            stop_thread(stopped, os->host)) {
            s->stops++;
            return;
        }
    }
}

static bool read_threads(struct session *s) {
    for (int k = 0; !threads_read(&s->threads); k++) {
        if (k == 2 || s->mem.error == ESRCH)
            return false;
        mem_stale(&s->mem);
    }
    return true;
}

static bool read_memory(struct session *s, uint64_t now) {
    struct stopped stopped = {0};
    bool ok;

    if (s->stop && s->threads.n > 0) {
        stop_holder(s, &stopped);
        mem_stale(&s->mem);
    }
    mem_prefetch(&s->mem, MEM_THREADS);
    ok = read_threads(s);
    stop_release(&stopped);
    if (!ok)
        return false;
    tasks_read(&s->tasks, now);
    roots_mark(&s->tasks);
    threadstate_after(&s->threads);
    return true;
}

/* A task that runs, but on no thread's stack: it began or ended between the two readings. */
static bool contradicts(const struct session *s) {
    uint32_t at;

    for (uint32_t i = 0; i < s->tasks.ntasks; i++) {
        const struct task *k = &s->tasks.list[i];

        if (k->state == T_RUNNING && k->exec_frame && k->kind != K_NONE &&
            !views_find_frame(&s->views, k->exec_frame, &at))
            return true;
    }
    return false;
}

static bool read_all(struct session *s, uint64_t now) {
    mem_begin(&s->mem, now);
    s->same =
        threadstate_before(&s->threads) && now - s->read_ns < FULL_NS && !tasks_due(&s->tasks, now);
    views_settle(&s->views);
    if (s->same)
        return true;
    s->read_ns = now;
    for (int k = 0; k < TRIES; k++) {
        if (k > 0) {
            /* Another sample at once, in place of one that contradicts itself. */
            s->retries++;
            mem_stale(&s->mem);
            (void)threadstate_before(&s->threads);
        }
        if (!read_memory(s, now))
            return false;
        if (!contradicts(s))
            break;
    }
    return true;
}

/* Exact: every thread that runs an event loop (without any, the main thread) slept through the
 * reading. */
static bool was_exact(const struct session *s) {
    bool any = false;

    for (uint32_t i = 0; i < s->threads.n; i++) {
        const struct thread *th = &s->threads.list[i];

        if (!th->loop && !th->torn)
            continue;
        any = true;
        if (!th->exact_switches)
            return false;
    }
    if (!any) {
        const struct thread *main_thread = views_main(&s->views);

        return main_thread && main_thread->exact_switches;
    }
    return true;
}

static bool any_torn(const struct session *s) {
    for (uint32_t i = 0; i < s->threads.n; i++) {
        if (s->threads.list[i].torn)
            return true;
    }
    for (uint32_t i = 0; i < s->tasks.ntasks; i++) {
        if (s->tasks.list[i].state == T_TORN)
            return true;
    }
    return false;
}

enum attach sample_read(struct session *s, uint64_t now, uint64_t interval) {
    s->threads.interval_ns = interval;
    if (!read_all(s, now)) {
        mem_stale(&s->mem);
        s->ended = !threads_ready(&s->threads);
        return session_alive(s) ? A_NOT_YET : A_GONE;
    }
    if (!s->same)
        s->tasks.exact = was_exact(s);
    s->samples++;
    s->exact += s->tasks.exact;
    s->exact_ok |= s->threads.exact_ok;
    if (!s->same)
        s->torn_now = any_torn(s);
    s->torn += s->torn_now;
    if (!s->checked && !tasks_check(&s->tasks, &s->checked, s->why, sizeof(s->why)))
        return A_REFUSED;
    return A_OK;
}

enum attach sample_stacks(struct session *s) {
    s->threads.stacks_only = true;
    s->read_ns = now_ns();
    mem_begin(&s->mem, s->read_ns);
    threads_holders(&s->threads);
    s->same = false;
    if (!read_threads(s)) {
        mem_stale(&s->mem);
        s->ended = !threads_ready(&s->threads);
        return session_alive(s) ? A_NOT_YET : A_GONE;
    }
    s->samples++;
    s->torn += any_torn(s);
    return A_OK;
}
