/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

#define BLOCK_SIZE ((size_t)64 << 10)

struct arena_block {
    struct arena_block *next;
    size_t size;
    alignas(max_align_t) unsigned char data[];
};

void *arena_alloc(struct arena *a, size_t size) {
    size_t align = alignof(max_align_t);
    size_t need = (size + align - 1) / align * align;
    void *p;

    if (!a->block || a->block->size - a->used < need) {
        size_t room = need > BLOCK_SIZE ? need : BLOCK_SIZE;
        struct arena_block *b = xcalloc(1, sizeof(*b) + room);

        b->next = a->block;
        b->size = room;
        a->block = b;
        a->used = 0;
    }
    p = a->block->data + a->used;
    a->used += need;
    return p;
}

char *arena_copy(struct arena *a, const void *data, size_t len) {
    char *p = arena_alloc(a, len);

    if (len > 0)
        memcpy(p, data, len);
    return p;
}

void arena_free(struct arena *a) {
    while (a->block) {
        struct arena_block *next = a->block->next;

        free(a->block);
        a->block = next;
    }
    a->used = 0;
}
