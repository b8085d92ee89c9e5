/* SPDX-License-Identifier: MIT
 * Multikey quicksort (Bentley and Sedgewick, 1997), on eight bytes for a key.
 */
#include "textsort.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "bytes.h"

enum { FEW = 16, STEP = 8, AHEAD = 24 };

static int compare_from(const struct text_key *a, const struct text_key *b, size_t depth) {
    size_t shorter = a->len < b->len ? a->len : b->len;
    int order = depth < shorter ? memcmp(a->s + depth, b->s + depth, shorter - depth) : 0;

    return order ? order : (a->len > b->len) - (a->len < b->len);
}

int textsort_compare(const struct text_key *a, const struct text_key *b) {
    return compare_from(a, b, 0);
}

static void swap(struct text_key *a, struct text_key *b) {
    struct text_key t = *a;

    *a = *b;
    *b = t;
}

/* A few of them that have their first `depth` bytes in common. */
static void sort_few(struct text_key *keys, size_t n, size_t depth) {
    for (size_t i = 1; i < n; i++) {
        for (size_t j = i; j > 0 && compare_from(&keys[j], &keys[j - 1], depth) < 0; j--)
            swap(&keys[j], &keys[j - 1]);
    }
}

/* Moves texts of this length to the front; returns how many those are. */
static size_t take_ended(struct text_key *keys, size_t n, size_t length) {
    size_t ended = 0;

    for (size_t i = 0; i < n; i++) {
        if (keys[i].len == length)
            swap(&keys[i], &keys[ended++]);
    }
    return ended;
}

/* The texts are all over memory: one that is looked at soon is asked for now. */
static void prefetch(const struct text_key *keys, size_t n, size_t i, size_t depth) {
    if (i + AHEAD < n)
        __builtin_prefetch(keys[i + AHEAD].s + depth);
}

/* The first bytes that all have in common, `depth` of which are known to be. */
static size_t common_depth(const struct text_key *keys, size_t n, size_t depth) {
    size_t common = keys[0].len - depth;

    for (size_t i = 1; i < n && common > 0; i++) {
        size_t most;

        prefetch(keys, n, i, depth);
        most = keys[i].len - depth < common ? keys[i].len - depth : common;
        common = bytes_common(keys[0].s + depth, keys[i].s + depth, most);
    }
    return depth + common;
}

/* Loads the eight bytes at `depth` of each; true when they are the same for all. */
static bool load_heads(struct text_key *keys, size_t n, size_t depth) {
    uint64_t different = 0;

    for (size_t i = 0; i < n; i++) {
        size_t left = keys[i].len - depth;

        prefetch(keys, n, i, depth);
        if (left >= STEP) {
            keys[i].head = be64toh(hash_load8(keys[i].s + depth));
        } else {
            unsigned char bytes[STEP] = {0};

            memcpy(bytes, keys[i].s + depth, left);
            keys[i].head = be64toh(hash_load8((const char *)bytes));
        }
        different |= keys[i].head ^ keys[0].head;
    }
    return different == 0;
}

/* The heads below the pivot, then those equal to it, then those above: sets where the last two
 * begin. */
static void partition(struct text_key *keys, size_t n, uint64_t pivot, size_t *equal,
                      size_t *above) {
    size_t low = 0, high = n;

    for (size_t i = 0; i < high;) {
        if (keys[i].head < pivot)
            swap(&keys[i++], &keys[low++]);
        else if (keys[i].head > pivot)
            swap(&keys[i], &keys[--high]);
        else
            i++;
    }
    *equal = low;
    *above = high;
}

static void sort(struct text_key *keys, size_t n, size_t depth, bool loaded, uint64_t *random);

/* The texts of one head: those that end within it, at most one of each length, and then the others.
 */
static void sort_equal(struct text_key *keys, size_t n, size_t depth, uint64_t *random) {
    size_t ended = 0;

    for (size_t length = depth; length < depth + STEP && ended < n; length++)
        ended += take_ended(keys + ended, n - ended, length);
    if (n > ended)
        sort(keys + ended, n - ended, depth + STEP, false, random);
}

static void sort(struct text_key *keys, size_t n, size_t depth, bool loaded, uint64_t *random) {
    size_t equal, above;

    while (n > FEW) {
        if (!loaded) {
            if (load_heads(keys, n, depth)) {
                depth = common_depth(keys, n, depth);
                (void)load_heads(keys, n, depth);
            }
            loaded = true;
        }
        /* A random pivot: no input can be made that is always split badly. */
        *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        partition(keys, n, keys[(*random >> 33) % n].head, &equal, &above);
        sort(keys, equal, depth, true, random);
        sort_equal(keys + equal, above - equal, depth, random);
        keys += above;
        n -= above;
    }
    sort_few(keys, n, depth);
}

void textsort(struct text_key *keys, size_t n) {
    uint64_t random = hash_seed();

    sort(keys, n, 0, false, &random);
}
