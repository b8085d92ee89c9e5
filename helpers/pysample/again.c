/* SPDX-License-Identifier: MIT
 * Tasks that are read more than once in a sample: those that contradict themselves, and those whose
 * chain is not believed yet.
 */
#include "tasks.h"

enum { TRIES = 4, TRUSTED_MAX = 1 << 14 };

void task_torn(struct tasks *t, struct task *k, uint32_t mark) {
    k->state = T_TORN;
    k->n = 0;
    k->leaf = k->work = k->self = k->subject = k->exec_frame = 0;
    t->nchain = mark;
}

static uint64_t shape(const uint64_t links[2]) {
    return links[0] * 0x9e3779b97f4a7c15ULL ^ links[1];
}

bool task_is_trusted(const struct tasks *t, const struct task *k) {
    uint32_t known;

    return map_get(&t->trusted, shape(k->links), &known);
}

static void trust(struct tasks *t, const struct task *k) {
    if (t->trusted.n >= TRUSTED_MAX)
        map_clear(&t->trusted);
    map_put(&t->trusted, shape(k->links), 1);
}

static bool is_to_be_read_again(const struct tasks *t, struct task *k) {
    k->doubted = k->doubted && !task_is_trusted(t, k);
    return k->state == T_TORN || k->doubted;
}

/* Reads the memory of all those anew, in one call where it is not much: what is read one by one
 * lies further apart in time. False: there are none. */
static bool read_memory_again(struct tasks *t) {
    uint32_t n = 0, mark = t->nchain;

    mem_mark(t->w->m);
    for (uint32_t i = 0; i < t->n; i++) {
        struct task again;

        if (!is_to_be_read_again(t, &t->list[i]))
            continue;
        /* What it says is known: from the same memory. */
        again = t->list[i];
        (void)read_task(t, &again);
        t->nchain = mark;
        n++;
    }
    if (n > 0)
        mem_again(t->w->m);
    return n > 0;
}

/* Once that is done. */
static void read_again(struct tasks *t, struct task *k) {
    uint64_t before = k->state == T_TORN ? 0 : shape(k->links);
    uint32_t mark = t->nchain;

    t->retries++;
    k->doubted = false;
    switch (read_task(t, k)) {
    case V_OK:
        k->doubted = !task_is_trusted(t, k) && shape(k->links) != before;
        if (!k->doubted)
            trust(t, k);
        break;
    case V_TORN:
        task_torn(t, k, mark);
        break;
    case V_SKIP:
        /* Finished meanwhile: it was there when the sample was taken, but what it did is not known;
         * a task that is no longer there has no time to account for. */
        t->nchain = mark;
        k->kind = K_NONE;
        k->state = T_READY;
        k->n = 0;
        break;
    }
}

void tasks_retry(struct tasks *t) {
    for (int pass = 1; pass < TRIES && read_memory_again(t); pass++) {
        for (uint32_t i = 0; i < t->n; i++) {
            if (is_to_be_read_again(t, &t->list[i]))
                read_again(t, &t->list[i]);
        }
    }
    for (uint32_t i = 0; i < t->n; i++) {
        /* The stack of one that runs is its thread's, and changes faster than it is read. */
        if (t->list[i].doubted && t->list[i].state != T_RUNNING)
            task_torn(t, &t->list[i], t->nchain);
    }
}
