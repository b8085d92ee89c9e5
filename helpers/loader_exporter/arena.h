/* SPDX-License-Identifier: MIT
 * Memory that is given back all at once: what is known of one metrics directory lives and dies
 * together.
 */
#ifndef EXPORTER_ARENA_H
#define EXPORTER_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *block; /* the newest first */
    size_t used;               /* bytes of the newest block */
};

/* `size` bytes, zeroed, aligned for any type. Exits 3 when there is no memory. */
void *arena_alloc(struct arena *a, size_t size);
/* A copy of `len` bytes. */
char *arena_copy(struct arena *a, const void *data, size_t len);
void arena_free(struct arena *a);

#endif
