/* SPDX-License-Identifier: MIT */
#include "linecache.h"

#include <string.h>

#include "hash.h"
#include "pages.h"

enum {
    SLOTS = 1 << 18,
    LINES = SLOTS / 2,
    TEXT = 32 << 20, /* bytes; pages that are not used take no memory */
    PROBES = 8,
};

void linecache_init(struct linecache *c) {
    *c = (struct linecache){.used = 8}; /* place 0 means free */
    c->slots = pages_alloc(SLOTS * sizeof(*c->slots));
    c->text = pages_alloc(TEXT);
}

void linecache_free(struct linecache *c) {
    pages_free(c->slots, SLOTS * sizeof(*c->slots));
    pages_free(c->text, TEXT);
}

uint64_t linecache_hash(const char *line, size_t len) {
    /* "\t%16lx symbol": the last 8 digits of the address, then the first 7 characters of the
     * symbol. */
    if (len >= 25)
        return hash_mix(hash_load8(line + 9) ^ len * HASH_K0,
                        hash_load8(line + 17) ^ hash_load8(line + len - 8) * HASH_K1);
    return hash_bytes(line, len, 0);
}

static uint64_t *slot_of(const struct linecache *c, uint64_t hash, int probe) {
    return &c->slots[((hash >> 32) + (uint64_t)probe) & (SLOTS - 1)];
}

static struct linecache_entry *entry_of(const struct linecache *c, uint64_t slot) {
    return (struct linecache_entry *)(void *)(c->text + (slot & UINT32_MAX) * 8);
}

void linecache_prefetch(const struct linecache *c, uint64_t hash) {
    __builtin_prefetch(slot_of(c, hash, 0));
}

void linecache_prefetch_text(const struct linecache *c, uint64_t hash) {
    const char *entry = (const char *)entry_of(c, *slot_of(c, hash, 0));

    __builtin_prefetch(entry);
    __builtin_prefetch(entry + 64);
}

_Bool linecache_find(const struct linecache *c, uint64_t hash, const char *line, size_t len,
                     uint32_t *frame) {
    for (int probe = 0; probe < PROBES; probe++) {
        uint64_t slot = *slot_of(c, hash, probe);
        const struct linecache_entry *e = entry_of(c, slot);

        if (slot == 0)
            return 0;
        if (slot >> 32 == hash >> 32 && e->len == len && memcmp(e->text, line, len) == 0) {
            *frame = e->frame;
            return 1;
        }
    }
    return 0;
}

void linecache_put(struct linecache *c, uint64_t hash, const char *line, size_t len,
                   uint32_t frame) {
    size_t size = (sizeof(struct linecache_entry) + len + 7) & ~(size_t)7;
    uint64_t *slot;
    struct linecache_entry *e;

    if (size > TEXT / 1024) /* a line of that length is parsed each time */
        return;
    if (c->lines == LINES || size > TEXT - c->used) {
        memset(c->slots, 0, SLOTS * sizeof(*c->slots));
        c->used = 8;
        c->lines = 0;
    }
    slot = slot_of(c, hash, 0);
    for (int probe = 1; *slot && probe < PROBES; probe++)
        slot = slot_of(c, hash, probe);
    *slot = hash >> 32 << 32 | c->used / 8;
    e = (struct linecache_entry *)(void *)(c->text + c->used);
    e->len = (uint32_t)len;
    e->frame = frame;
    memcpy(e->text, line, len);
    c->used += size;
    c->lines++;
}
