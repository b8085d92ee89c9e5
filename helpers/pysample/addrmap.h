/* SPDX-License-Identifier: MIT
 * A map from addresses to numbers that is emptied in each sample without touching its memory.
 */
#ifndef PYSAMPLE_ADDRMAP_H
#define PYSAMPLE_ADDRMAP_H

#include <stdbool.h>
#include <stdint.h>

struct addr_map {
    uint64_t *addr;
    uint32_t *value, *gen;
    uint32_t bits, n, now;
};

void map_open(struct addr_map *m);
void map_close(struct addr_map *m);
void map_clear(struct addr_map *m);
bool map_get(const struct addr_map *m, uint64_t addr, uint32_t *value);
void map_put(struct addr_map *m, uint64_t addr, uint32_t value);

#endif
