/* SPDX-License-Identifier: MIT */
#include "tids.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "hash.h"

/* Its slot, or the free one where it belongs. There is one: at most half of them are taken. */
static struct tids_slot *slot_of(const struct tids *t, int64_t tid) {
    size_t i = (size_t)hash_mix((uint64_t)tid ^ t->seed, HASH_K0);

    while (t->slots[i & (t->cap - 1)].place && t->slots[i & (t->cap - 1)].tid != tid)
        i++;
    return &t->slots[i & (t->cap - 1)];
}

static void grow(struct tids *t) {
    struct tids old = *t;

    if (!old.cap)
        t->seed = hash_seed();
    t->cap = old.cap ? 2 * old.cap : 64;
    t->slots = xrealloc(NULL, t->cap * sizeof(*t->slots));
    memset(t->slots, 0, t->cap * sizeof(*t->slots));
    for (size_t i = 0; i < old.cap; i++) {
        if (old.slots[i].place)
            *slot_of(t, old.slots[i].tid) = old.slots[i];
    }
    free(old.slots);
}

size_t tids_add(struct tids *t, int64_t tid) {
    struct tids_slot *slot;

    if (2 * t->n >= t->cap)
        grow(t);
    slot = slot_of(t, tid);
    if (!slot->place)
        *slot = (struct tids_slot){tid, ++t->n};
    return slot->place - 1;
}

size_t tids_find(const struct tids *t, int64_t tid) {
    return t->cap && slot_of(t, tid)->place ? slot_of(t, tid)->place - 1 : TIDS_NONE;
}

void tids_free(struct tids *t) {
    free(t->slots);
    *t = (struct tids){0};
}
