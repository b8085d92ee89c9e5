/* SPDX-License-Identifier: MIT
 * Sorting of long texts that begin alike, as stacks do: by eight bytes at a time, and what all have
 * in common is looked at once. Time is linear in the bytes that tell the texts apart, times the
 * logarithm of their number.
 */
#ifndef LIB_TEXTSORT_H
#define LIB_TEXTSORT_H

#include <stddef.h>
#include <stdint.h>

struct text_key {
    uint64_t head; /* of the sort itself */
    const char *s;
    uint32_t len, id;
};

/* Sorts by bytes, a text before those that it begins. Equal ones stand next to each other, in no
 * order. */
void textsort(struct text_key *keys, size_t n);

/* The order of two of them: below, above or equal to 0. */
int textsort_compare(const struct text_key *a, const struct text_key *b);

#endif
