/* SPDX-License-Identifier: MIT
 * A hash map from bytes to pointers. Keys are copied into an arena; nothing is ever taken out.
 */
#ifndef EXPORTER_MAP_H
#define EXPORTER_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"

struct map_item {
    const char *key;
    size_t len;
    uint64_t hash;
    void *value;
};

struct map {
    struct map_item *item; /* `cap` of them, a power of two; key NULL: free */
    size_t n, cap;
};

/* The place of the value for `key`, NULL in it when it is new. Valid until the next call. */
void **map_at(struct map *m, struct arena *keys, const void *key, size_t len);
void map_free(struct map *m);

#endif
