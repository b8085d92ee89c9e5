/* SPDX-License-Identifier: MIT
 * Merge sort that knows how many bytes each text has in common with the one before it (LCP merge
 * sort: Ng and Kakehi, 2008). Which of two goes first is most often told by these numbers, and
 * texts are compared only from there on. Halves are sorted first, so that most comparing is of
 * texts that came one after the other and stand in the cache.
 */
#include "textsort.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "bytes.h"

/* The order of two texts that have their first `*common` bytes in common, which is then all that
 * they have. */
static int compare_from(const struct text_key *a, const struct text_key *b, bool frames,
                        size_t *common) {
    size_t shorter = a->len < b->len ? a->len : b->len, at = *common;
    unsigned char x, y;

    at += bytes_common(a->s + at, b->s + at, shorter - at);
    *common = at;
    if (at == shorter)
        return (a->len > b->len) - (a->len < b->len);
    x = (unsigned char)a->s[at];
    y = (unsigned char)b->s[at];
    if (frames && (x == ';' || y == ';'))
        return x == ';' ? -1 : 1;
    return x - y;
}

int textsort_compare(const struct text_key *a, const struct text_key *b) {
    int order = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);

    return order ? order : (a->len > b->len) - (a->len < b->len);
}

int textsort_compare_frames(const struct text_key *a, const struct text_key *b) {
    size_t common = 0;

    return compare_from(a, b, true, &common);
}

/* Asks memory for what is compared soon: the texts of a run stand anywhere. */
static void prefetch(const struct text_key *run, const struct text_key *end) {
    if (end - run > 4)
        __builtin_prefetch(run[4].s + run[4].common);
}

/* Merges two sorted runs. What the heads of both have in common with the last text of `out` stands
 * in their `common`: the one with more goes first, since the other is above it already there. */
static void merge(struct text_key *out, struct text_key *a, struct text_key *a_end,
                  struct text_key *b, struct text_key *b_end, bool frames) {
    while (a < a_end && b < b_end) {
        prefetch(a, a_end);
        prefetch(b, b_end);
        if (a->common > b->common) {
            *out++ = *a++;
        } else if (a->common < b->common) {
            *out++ = *b++;
        } else {
            size_t common = a->common;

            if (compare_from(a, b, frames, &common) <= 0) {
                *out++ = *a++;
                b->common = (uint32_t)common;
            } else {
                *out++ = *b++;
                a->common = (uint32_t)common;
            }
        }
    }
    memcpy(out, a, (size_t)(a_end - a) * sizeof(*a));
    memcpy(out + (a_end - a), b, (size_t)(b_end - b) * sizeof(*b));
}

/* Sorts `from`, of which `to` is a copy, into `to`. */
static void sort(struct text_key *to, struct text_key *from, size_t n, bool frames) {
    size_t half = n / 2;

    if (n < 2)
        return;
    sort(from, to, half, frames);
    sort(from + half, to + half, n - half, frames);
    merge(to, from, from + half, from + half, from + n, frames);
}

static void sort_all(struct text_key *keys, size_t n, bool frames) {
    struct text_key *copy = xmalloc(n * sizeof(*copy));

    for (size_t i = 0; i < n; i++)
        keys[i].common = 0;
    if (n > 0)
        memcpy(copy, keys, n * sizeof(*copy));
    sort(keys, copy, n, frames);
    free(copy);
}

void textsort(struct text_key *keys, size_t n) {
    sort_all(keys, n, false);
}

void textsort_frames(struct text_key *keys, size_t n) {
    sort_all(keys, n, true);
}
