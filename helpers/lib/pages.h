/* SPDX-License-Identifier: MIT
 * Large zeroed tables. From 2 MiB on they ask for large pages, which saves one page fault in 512 of
 * theirs and most misses of the address cache; without large pages they are as any other memory.
 */
#ifndef LIB_PAGES_H
#define LIB_PAGES_H

#include <stddef.h>

/* Zeroed memory; pages that are never touched take none. No memory ends the program (exit 3). */
void *pages_alloc(size_t size);

/* Frees what pages_alloc() gave for this size; NULL is allowed. */
void pages_free(void *p, size_t size);

/* `old_size` bytes moved to a block of `size`, the rest zero. */
void *pages_grow(void *p, size_t old_size, size_t size);

#endif
