/* SPDX-License-Identifier: MIT
 * Thread ids as small numbers: the place of each, from 0 on in the order of first sight. All zero
 * is an empty table.
 */
#ifndef STACKJOIN_TIDS_H
#define STACKJOIN_TIDS_H

#include <stddef.h>
#include <stdint.h>

#define TIDS_NONE SIZE_MAX

struct tids_slot {
    int64_t tid;
    size_t place; /* plus one; 0: free */
};

struct tids {
    struct tids_slot *slots;
    size_t n, cap; /* cap: a power of two */
    uint64_t seed;
};

/* The place of a thread; a new one gets the next. */
size_t tids_add(struct tids *t, int64_t tid);

/* The place of a thread, or TIDS_NONE. */
size_t tids_find(const struct tids *t, int64_t tid);

void tids_free(struct tids *t);

#endif
