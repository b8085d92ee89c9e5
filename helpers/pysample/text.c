/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash_of(const char *s, uint32_t bits) {
    uint64_t h = 0xcbf29ce484222325ULL;

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3ULL;
    return (uint32_t)((h * 0x9e3779b97f4a7c15ULL) >> (64 - bits));
}

void texts_open(struct texts *t) {
    *t = (struct texts){.bits = 10, .cap = 256};
    t->offset = xcalloc(t->cap, sizeof(*t->offset));
    t->hash = xcalloc((size_t)1 << t->bits, sizeof(*t->hash));
    (void)text_id(t, "");
}

void texts_close(struct texts *t) {
    buf_free(&t->bytes);
    free(t->offset);
    free(t->hash);
    *t = (struct texts){0};
}

const char *text_of(const struct texts *t, uint32_t id) {
    return t->bytes.data + t->offset[id < t->n ? id : 0];
}

static uint32_t *place(struct texts *t, const char *s) {
    uint32_t mask = (1U << t->bits) - 1, i = hash_of(s, t->bits);

    while (t->hash[i] && strcmp(text_of(t, t->hash[i] - 1), s) != 0)
        i = (i + 1) & mask;
    return &t->hash[i];
}

uint32_t text_id(struct texts *t, const char *s) {
    uint32_t *at = place(t, s);

    if (*at)
        return *at - 1;
    if (t->n == t->cap) {
        t->cap *= 2;
        t->offset = xrealloc(t->offset, t->cap * sizeof(*t->offset));
    }
    if ((t->n + 1) * 2 > 1U << t->bits) {
        t->bits++;
        free(t->hash);
        t->hash = xcalloc((size_t)1 << t->bits, sizeof(*t->hash));
        for (uint32_t i = 0; i < t->n; i++)
            *place(t, text_of(t, i)) = i + 1;
        at = place(t, s);
    }
    t->offset[t->n] = (uint32_t)t->bytes.len;
    buf_add(&t->bytes, s, strlen(s) + 1);
    *at = ++t->n;
    return t->n - 1;
}
