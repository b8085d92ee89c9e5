/* SPDX-License-Identifier: MIT
 * Sorting of long texts that begin alike, as stacks do. Time is linear in the bytes that tell the
 * texts apart, and in n log n for their number n, whatever the input.
 */
#ifndef LIB_TEXTSORT_H
#define LIB_TEXTSORT_H

#include <stddef.h>
#include <stdint.h>

struct text_key {
    const char *s;
    uint32_t len, id;
    uint32_t common; /* of the sort itself */
};

/* Sorts by bytes, a text before those that it begins. Equal ones stand next to each other, in no
 * order. */
void textsort(struct text_key *keys, size_t n);

/* Sorts stacks frame by frame, each by bytes: `a;c` stands before `a (x.py)`, because a frame's end
 * is below any byte. */
void textsort_frames(struct text_key *keys, size_t n);

/* The order of two of them by bytes: below, above or equal to 0. */
int textsort_compare(const struct text_key *a, const struct text_key *b);

/* The same, frame by frame. */
int textsort_compare_frames(const struct text_key *a, const struct text_key *b);

#endif
