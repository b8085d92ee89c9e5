/* SPDX-License-Identifier: MIT
 * The sums of the views over time.
 */
#include "views.h"

/* The weight of a sample is known: its runs can be turned into waits from now on. */
static void keep_runs(struct views *vs, uint64_t ns) {
    const struct os *os = vs->threads->os;

    for (uint32_t i = 0; os && i < os->n; i++) {
        struct run_ring *r = os->threads[i].ring;

        if (os->threads[i].woken)
            os->threads[i].woken_ns += ns;
        if (!r || r->now.nrefs == 0)
            continue;
        r->entry[r->next % RING] = r->now;
        r->entry[r->next % RING].ns = ns;
        r->next++;
        r->now.nrefs = 0;
    }
}

void views_add(struct views *vs, uint64_t ns) {
    vs->pending_ns += ns;
    keep_runs(vs, ns);
}

void views_sum(struct views *vs) {
    uint64_t ns = vs->pending_ns;

    vs->pending_ns = 0;
    for (int id = 0; id < VIEWS && ns > 0; id++) {
        struct view *v = &vs->view[id];
        uint64_t units = 0, before = 0;

        for (uint32_t i = 0; i < v->nshares; i++) {
            const struct share *s = &v->shares[i];
            uint64_t part = ns;

            if (s->units != UNIT || id == VIEW_WALL) {
                /* By the running sum, so that nothing is lost in rounding. */
                uint64_t upto;

                units += s->units;
                upto = (uint64_t)(((unsigned __int128)units * ns) >> 40);
                part = upto - before;
                before = upto;
            }
            v->nodes[s->node].ns += part;
            v->total_ns += part;
            if (v->nodes[s->node].text == vs->unknown)
                vs->unknown_ns[id] += part;
        }
    }
}

static void move_to_runnable(struct views *vs, const struct run_entry *e, uint64_t ns) {
    for (uint32_t i = 0; i < e->nrefs; i++) {
        struct view *v = &vs->view[e->refs[i].view];
        uint32_t from = view_child(v, e->refs[i].node, vs->running),
                 to = view_child(v, e->refs[i].node, vs->runnable);
        uint64_t part = (uint64_t)(((unsigned __int128)ns * e->refs[i].units) >> 40);

        if (part > v->nodes[from].ns)
            part = v->nodes[from].ns;
        v->nodes[from].ns -= part;
        v->nodes[to].ns += part;
    }
}

void views_settle(struct views *vs) {
    const struct os *os = vs->threads->os;

    for (uint32_t i = 0; os && i < os->n; i++) {
        struct os_thread *t = &os->threads[i];

        if (!t->ring)
            continue;
        for (uint32_t k = 1; k <= RING && t->waited; k++) {
            struct run_entry *e = &t->ring->entry[(t->ring->next - k) % RING];
            uint64_t part = e->ns < t->waited ? e->ns : t->waited;

            if (part == 0)
                continue;
            views_sum(vs);
            move_to_runnable(vs, e, part);
            e->ns -= part;
            t->waited -= part;
        }
    }
}
