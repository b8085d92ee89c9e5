/* SPDX-License-Identifier: MIT */
#include "stacktable.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "hash.h"
#include "pages.h"

enum { FIRST_SLOTS = 4096, BLOCK = 4 << 20 };

void stacktable_init(struct stacktable *t) {
    *t = (struct stacktable){
        .cap = FIRST_SLOTS / 2, .mask = FIRST_SLOTS - 1, .scale = 1, .seed = hash_seed()};
    t->stacks = xcalloc(t->cap, sizeof(*t->stacks));
    t->slots = xcalloc(FIRST_SLOTS, sizeof(*t->slots));
}

void stacktable_free(struct stacktable *t) {
    free(t->stacks);
    free(t->slots);
    for (uint32_t i = 0; i < t->n_blocks; i++)
        pages_free(t->blocks[i].data, t->blocks[i].size);
    free(t->blocks);
    mapped_files_free(&t->files);
    *t = (struct stacktable){0};
}

/* Keeps a text. The first block is small, the others are of large pages. */
static const char *keep(struct stacktable *t, const char *s, size_t len) {
    struct stacktable_block *last = t->n_blocks > 0 ? &t->blocks[t->n_blocks - 1] : NULL;
    char *p;

    if (!last || last->size - t->used < len) {
        size_t size = last ? BLOCK : BLOCK / 64;

        t->blocks = xrealloc(t->blocks, (t->n_blocks + 1) * sizeof(*t->blocks));
        last = &t->blocks[t->n_blocks++];
        last->size = len > size ? len : size;
        last->data = pages_alloc(last->size);
        t->used = 0;
    }
    p = last->data + t->used;
    memcpy(p, s, len);
    t->used += len;
    return p;
}

static void grow(struct stacktable *t) {
    if (t->n >= UINT32_MAX / 4)
        die(EX_FAIL, "more than %u different stacks", t->n);
    t->cap *= 2;
    t->mask = t->mask * 2 + 1;
    t->stacks = xrealloc(t->stacks, t->cap * sizeof(*t->stacks));
    free(t->slots);
    t->slots = xcalloc((size_t)t->mask + 1, sizeof(*t->slots));
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t slot = t->stacks[i].hash & t->mask;

        while (t->slots[slot])
            slot = (slot + 1) & t->mask;
        t->slots[slot] = i + 1;
    }
}

struct stacktable_stack *stacktable_find(struct stacktable *t, const char *stack, size_t len,
                                         bool stays) {
    uint32_t hash = (uint32_t)hash_bytes(stack, len, t->seed), slot, at;

    if (t->n == t->cap)
        grow(t);
    for (slot = hash & t->mask; (at = t->slots[slot]) != 0; slot = (slot + 1) & t->mask) {
        struct stacktable_stack *s = &t->stacks[at - 1];

        if (s->hash == hash && s->len == len && memcmp(s->s, stack, len) == 0)
            return s;
    }
    if (len > UINT32_MAX)
        die(EX_FAIL, "a stack is longer than 4 GiB");
    t->stacks[t->n] = (struct stacktable_stack){
        .s = stays ? stack : keep(t, stack, len), .len = (uint32_t)len, .hash = hash};
    t->slots[slot] = ++t->n;
    return &t->stacks[t->n - 1];
}

/* From now on weights are in millionths. */
static void rescale(struct stacktable *t) {
    for (int run = 0; run < 2; run++) {
        t->total[run] = weight_to_micro(t->total[run]);
        for (uint32_t i = 0; i < t->n; i++)
            t->stacks[i].weight[run] *= WEIGHT_MICRO;
    }
    t->scale = WEIGHT_MICRO;
}

void stacktable_add(struct stacktable *t, struct stacktable_stack *stack, int run,
                    struct weight w) {
    uint64_t weight;

    if (w.micro && t->scale == 1)
        rescale(t);
    weight = weight_scaled(w, t->scale);
    weight_add(&t->total[run], weight);
    stack->weight[run] += weight;
}

struct text_key stacktable_key(const struct stacktable *t, uint32_t i) {
    return (struct text_key){.s = t->stacks[i].s, .len = t->stacks[i].len, .id = i};
}
