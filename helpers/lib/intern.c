/* SPDX-License-Identifier: MIT */
#include "intern.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "hash.h"

enum { FIRST_SLOTS = 1024, FIRST_TEXT = 1 << 16 };

void intern_init(struct intern *t) {
    *t = (struct intern){.mask = FIRST_SLOTS - 1, .cap = FIRST_SLOTS / 2, .text_cap = FIRST_TEXT};
    t->slots = xcalloc(FIRST_SLOTS, sizeof(*t->slots));
    t->strings = xcalloc(t->cap, sizeof(*t->strings));
    t->text = xmalloc(t->text_cap);
    t->seed = hash_seed();
}

void intern_free(struct intern *t) {
    free(t->text);
    free(t->strings);
    free(t->slots);
    *t = (struct intern){0};
}

static void grow(struct intern *t) {
    uint32_t mask = t->mask * 2 + 1;

    if (t->mask >= UINT32_MAX / 2)
        die(EX_FAIL, "more than %u different frames", t->n);
    free(t->slots);
    t->slots = xcalloc((size_t)mask + 1, sizeof(*t->slots));
    t->mask = mask;
    t->cap *= 2;
    t->strings = xrealloc(t->strings, t->cap * sizeof(*t->strings));
    for (uint32_t id = 1; id <= t->n; id++) {
        uint32_t i = t->strings[id].hash & mask;

        while (t->slots[i])
            i = (i + 1) & mask;
        t->slots[i] = id;
    }
}

uint32_t intern(struct intern *t, const char *s, size_t len) {
    uint32_t hash = (uint32_t)hash_bytes(s, len, t->seed), i, id;

    for (i = hash & t->mask; (id = t->slots[i]) != 0; i = (i + 1) & t->mask) {
        const struct intern_string *e = &t->strings[id];

        if (e->hash == hash && e->len == len && memcmp(t->text + e->off, s, len) == 0)
            return id;
    }
    if (t->n + 1 == t->cap) {
        grow(t);
        for (i = hash & t->mask; t->slots[i]; i = (i + 1) & t->mask)
            continue;
    }
    while (len > t->text_cap - t->text_len)
        t->text = xrealloc(t->text, t->text_cap *= 2);
    if (len > 0)
        memcpy(t->text + t->text_len, s, len);
    id = ++t->n;
    t->strings[id] = (struct intern_string){t->text_len, (uint32_t)len, hash};
    t->text_len += len;
    t->slots[i] = id;
    return id;
}

const char *intern_text(const struct intern *t, uint32_t id, size_t *len) {
    *len = t->strings[id].len;
    return t->text + t->strings[id].off;
}

/* A string as it is sorted: its first bytes as a number first, which decides most comparisons. */
struct sorted {
    uint64_t head;
    const char *s;
    uint32_t len, id;
};

static int by_bytes(const void *a, const void *b) {
    const struct sorted *x = a, *y = b;
    int order;

    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    order = memcmp(x->s, y->s, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

uint32_t *intern_ranks(const struct intern *t) {
    uint32_t *rank = xcalloc((size_t)t->n + 1, sizeof(*rank));
    struct sorted *all = xcalloc(t->n, sizeof(*all));

    for (uint32_t i = 0; i < t->n; i++) {
        const struct intern_string *e = &t->strings[i + 1];
        unsigned char head[8] = {0};

        all[i] = (struct sorted){0, t->text + e->off, e->len, i + 1};
        memcpy(head, all[i].s, e->len < 8 ? e->len : 8);
        for (int b = 0; b < 8; b++)
            all[i].head = all[i].head << 8 | head[b];
    }
    qsort(all, t->n, sizeof(*all), by_bytes);
    for (uint32_t i = 0; i < t->n; i++)
        rank[all[i].id] = i;
    free(all);
    return rank;
}
