/* SPDX-License-Identifier: MIT */
#include "addrmap.h"

#include <stdlib.h>

#include "buf.h"

void map_open(struct addr_map *m) {
    *m = (struct addr_map){.bits = 8, .now = 1};
    m->addr = xcalloc((size_t)1 << m->bits, sizeof(*m->addr));
    m->value = xcalloc((size_t)1 << m->bits, sizeof(*m->value));
    m->gen = xcalloc((size_t)1 << m->bits, sizeof(*m->gen));
}

void map_close(struct addr_map *m) {
    free(m->addr);
    free(m->value);
    free(m->gen);
}

void map_clear(struct addr_map *m) {
    m->now++;
    m->n = 0;
}

static uint32_t map_place(const struct addr_map *m, uint64_t addr) {
    uint32_t mask = (1U << m->bits) - 1,
             i = (uint32_t)((addr * 0x9e3779b97f4a7c15ULL) >> (64 - m->bits));

    while (m->gen[i] == m->now && m->addr[i] != addr)
        i = (i + 1) & mask;
    return i;
}

bool map_get(const struct addr_map *m, uint64_t addr, uint32_t *value) {
    uint32_t i = map_place(m, addr);

    if (m->gen[i] != m->now)
        return false;
    *value = m->value[i];
    return true;
}

static void put(struct addr_map *m, uint64_t addr, uint32_t value) {
    uint32_t i = map_place(m, addr);

    if (m->gen[i] != m->now) {
        m->gen[i] = m->now;
        m->addr[i] = addr;
        m->n++;
    }
    m->value[i] = value;
}

static void grow(struct addr_map *m) {
    struct addr_map old = *m;

    *m = (struct addr_map){.bits = old.bits + 1, .now = 1};
    m->addr = xcalloc((size_t)1 << m->bits, sizeof(*m->addr));
    m->value = xcalloc((size_t)1 << m->bits, sizeof(*m->value));
    m->gen = xcalloc((size_t)1 << m->bits, sizeof(*m->gen));
    for (uint32_t k = 0; k < 1U << old.bits; k++) {
        if (old.gen[k] == old.now)
            put(m, old.addr[k], old.value[k]);
    }
    map_close(&old);
}

void map_put(struct addr_map *m, uint64_t addr, uint32_t value) {
    if ((m->n + 1) * 2 > 1U << m->bits)
        grow(m);
    put(m, addr, value);
}
