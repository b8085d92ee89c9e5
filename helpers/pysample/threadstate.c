/* SPDX-License-Identifier: MIT */
#include "threadstate.h"

#include <sys/syscall.h>

enum { WAITED_MAX_NS = 1000000000 };

/* The number of switches is read before the state: a thread that is then asleep, and later has the
 * same number, was on no processor in between. If it sleeps no longer, it waits for its first turn.
 * The kernel's run-queue delay leaves out the beginning of that, until the other processor has
 * answered the interrupt that tells it of the thread. */
static void note_sleep(struct os_thread *os) {
    if (os->counted && os_rests(os->state))
        os->asleep_switches = os->switches;
    else if (!os->counted || os->asleep_switches != os->switches)
        os->asleep_switches = 0;
    os->woken = os->state == OS_RUN && os->asleep_switches != 0;
}

void threadstate_read(struct threads *t, struct os_thread *os) {
    uint64_t waited;

    os->run_delay_before = os->run_delay;
    os->counted = os_read_sched(t->os, os);
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

bool threadstate_on_gil(const struct os_thread *os, uint64_t gil, uint64_t size) {
    return os->state == OS_BLOCKED && os->call == SYS_futex && os->arg0 >= gil &&
           os->arg0 < gil + size;
}

bool threadstate_asleep(const struct thread *th, const struct os_thread *os) {
    return th->tid == os->tid && !th->torn && th->exact_switches != 0 && os_rests(os->state) &&
           os->counted && os->switches == th->exact_switches;
}

bool threadstate_before(struct threads *t) {
    uint32_t same = 0;

    for (uint32_t i = 0; i < t->n; i++) {
        struct os_thread *os = os_thread(t->os, t->list[i].tid, t->w->m->sample);

        threadstate_read(t, os);
        same += threadstate_asleep(&t->list[i], os);
    }
    if (same < t->n || t->n == 0)
        return false;
    for (uint32_t i = 0; i < t->n; i++)
        t->list[i].same = true;
    return true;
}

void threadstate_after(struct threads *t) {
    for (uint32_t i = 0; i < t->n; i++) {
        struct thread *th = &t->list[i];
        struct os_thread *os;

        if (th->same || !th->exact_switches)
            continue;
        /* Asleep before: what was read is exact if this is still the same sleep. */
        os = os_thread(t->os, th->tid, t->w->m->sample);
        if (!os_read_sched(t->os, os) || os->switches != th->exact_switches || th->torn)
            th->exact_switches = 0;
    }
}
