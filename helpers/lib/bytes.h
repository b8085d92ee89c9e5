/* SPDX-License-Identifier: MIT
 * Runs of bytes, eight at a time.
 */
#ifndef LIB_BYTES_H
#define LIB_BYTES_H

#include <stddef.h>

#include "hash.h"

/* How many of their first `max` bytes are the same. */
static inline size_t bytes_common(const char *a, const char *b, size_t max) {
    size_t i = 0;

    for (; i + 8 <= max && hash_load8(a + i) == hash_load8(b + i); i += 8)
        continue;
    while (i < max && a[i] == b[i])
        i++;
    return i;
}

#endif
