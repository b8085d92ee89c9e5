/* SPDX-License-Identifier: MIT */
#include "map.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "buf.h"

/* FNV-1a by words of 8 bytes, from a start that nobody outside knows: whoever writes the keys
 * cannot make them collide on purpose as easily as with the published one. */
static uint64_t hash_of(const unsigned char *p, size_t len) {
    static uint64_t start;
    uint64_t h, word;

    if (start == 0 &&
        (getrandom(&start, sizeof(start), GRND_NONBLOCK) != sizeof(start) || start == 0))
        start = 0xcbf29ce484222325u ^ (uint64_t)time(NULL);
    h = start ^ len;
    for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    word = 0;
    memcpy(&word, p, len);
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

static struct map_item *find(const struct map *m, const void *key, size_t len, uint64_t hash) {
    size_t i = (size_t)hash & (m->cap - 1);

    while (m->item[i].key && (m->item[i].hash != hash || m->item[i].len != len ||
                              memcmp(m->item[i].key, key, len) != 0))
        i = (i + 1) & (m->cap - 1);
    return &m->item[i];
}

static void grow(struct map *m) {
    struct map bigger = {.cap = m->cap ? 2 * m->cap : 64, .n = m->n};

    bigger.item = xcalloc(bigger.cap, sizeof(bigger.item[0]));
    for (size_t i = 0; i < m->cap; i++) {
        if (m->item[i].key)
            *find(&bigger, m->item[i].key, m->item[i].len, m->item[i].hash) = m->item[i];
    }
    free(m->item);
    *m = bigger;
}

void **map_at(struct map *m, struct arena *keys, const void *key, size_t len) {
    uint64_t hash = hash_of(key, len);
    struct map_item *item;

    if (m->n >= m->cap / 2)
        grow(m);
    item = find(m, key, len, hash);
    if (!item->key) {
        *item = (struct map_item){.key = arena_copy(keys, key, len), .len = len, .hash = hash};
        m->n++;
    }
    return &item->value;
}

void map_free(struct map *m) {
    free(m->item);
    *m = (struct map){0};
}
