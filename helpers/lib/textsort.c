/* SPDX-License-Identifier: MIT
 * Two sorts in one, both of which compare each byte of a text about once.
 *
 * Large groups are split around one of their texts, by how many bytes each has in common with it
 * and by its side (LCP quicksort: Ng and Kakehi, 2008). Their texts stand anywhere in memory, and
 * are asked for ahead of time, since it is known which is next.
 *
 * Small groups are merge sorted with how many bytes each text has in common with the one before it
 * (LCP merge sort, the same). Which of two goes first is most often told by these numbers, and
 * texts are compared only from there on. So is a group that splitting does not make smaller soon
 * enough: time is bounded whatever the input.
 */
#include "textsort.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "bytes.h"

enum {
    SMALL = 32, /* groups up to this are merged; 16 and 64 measured the same */
    FAR = 512,  /* bytes that one splitting looks at */
    SPLITS = 64 /* of a text, at most; at random it is about 2 ln n */
};

/* The order of two texts that have their first `*common` bytes in common, which is then all that
 * they have, as far as `upto`: 0 when they are the same up to there. */
static int compare_from(const struct text_key *a, const struct text_key *b, bool frames,
                        size_t upto, size_t *common) {
    size_t shorter = a->len < b->len ? a->len : b->len, at = *common;
    unsigned char x, y;

    if (upto > shorter)
        upto = shorter;
    at += bytes_common(a->s + at, b->s + at, upto - at);
    *common = at;
    if (at == shorter)
        return (a->len > b->len) - (a->len < b->len);
    if (at == upto)
        return 0;
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

    return compare_from(a, b, true, SIZE_MAX, &common);
}

/* Merges two sorted runs. What the heads of both have in common with the last text of `out` stands
 * in their `common`: the one with more goes first, since the other is above it already there. */
static void merge(struct text_key *out, struct text_key *a, struct text_key *a_end,
                  struct text_key *b, struct text_key *b_end, bool frames) {
    while (a < a_end && b < b_end) {
        if (a->common > b->common) {
            *out++ = *a++;
        } else if (a->common < b->common) {
            *out++ = *b++;
        } else {
            size_t common = a->common;

            if (compare_from(a, b, frames, SIZE_MAX, &common) <= 0) {
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
static void sort_runs(struct text_key *to, struct text_key *from, size_t n, bool frames) {
    size_t half = n / 2;

    if (n < 2)
        return;
    sort_runs(from, to, half, frames);
    sort_runs(from + half, to + half, n - half, frames);
    merge(to, from, from + half, from + half, from + n, frames);
}

static void merge_sort(struct text_key *keys, struct text_key *room, size_t n, bool frames,
                       size_t common) {
    if (n < 2)
        return;
    for (size_t i = 0; i < n; i++)
        keys[i].common = (uint32_t)common;
    memcpy(room, keys, n * sizeof(*keys));
    sort_runs(keys, room, n, frames);
}

/* What sorting needs beside the keys, for as many. */
struct room {
    struct text_key *keys;
    uint16_t *place;
};

/* Splits texts that have their first `common` bytes in common around one of them, and leaves where
 * the parts end. Parts 0 to far - 1 stand before it and have 0, 1, … more bytes in common with it;
 * those from far + 1 on stand behind it and have far - 1, far - 2, … In the middle are those with
 * at least `far` more, or, where it is not that long, what is equal to it. Returns its length. */
static size_t split(struct text_key *keys, struct room room, size_t n, bool frames, size_t common,
                    size_t far, uint32_t end[2 * FAR + 1]) {
    enum { AHEAD = 8, LINE = 64 };
    const struct text_key pivot = keys[n / 2];
    uint32_t begin = 0;

    memset(end, 0, (2 * far + 1) * sizeof(*end));
    for (size_t i = 0; i < n; i++) {
        size_t same = common;
        int order;

        /* Not in a function of its own: gcc leaves out calls of one that only prefetches. */
        if (i + AHEAD < n) {
            __builtin_prefetch(keys[i + AHEAD].s + common);
            __builtin_prefetch(keys[i + AHEAD].s + common + LINE);
        }
        order = compare_from(&keys[i], &pivot, frames, common + far, &same);
        same -= common;
        room.place[i] = (uint16_t)(order < 0 ? same : order > 0 ? 2 * far - same : far);
        end[room.place[i]]++;
    }
    for (size_t i = 0; i <= 2 * far; i++) {
        uint32_t size = end[i];

        end[i] = begin;
        begin += size;
    }
    for (size_t i = 0; i < n; i++)
        room.keys[end[room.place[i]]++] = keys[i];
    memcpy(keys, room.keys, n * sizeof(*keys));
    return pivot.len;
}

/* Sorts texts that have their first `common` bytes in common. */
// NOLINTNEXTLINE(misc-no-recursion): no deeper than SPLITS
static void sort_group(struct text_key *keys, struct room room, size_t n, bool frames,
                       size_t common, int splits) {
    uint32_t end[2 * FAR + 1];

    while (n > SMALL && splits > 0) {
        size_t far = n < FAR ? n : FAR; /* no more parts than texts make worth while */
        size_t len = split(keys, room, n, frames, common, far, end);

        for (size_t i = 0; i <= 2 * far; i++) {
            uint32_t from = i > 0 ? end[i - 1] : 0;

            if (i != far && end[i] - from > 1)
                sort_group(keys + from, room, end[i] - from, frames,
                           common + (i < far ? i : 2 * far - i), splits - 1);
        }
        if (len < common + far)
            return;
        keys += end[far - 1];
        n = end[far] - end[far - 1];
        common += far;
    }
    merge_sort(keys, room.keys, n, frames, common);
}

static void sort_all(struct text_key *keys, size_t n, bool frames) {
    struct room room = {xcalloc(n, sizeof(*room.keys)), xcalloc(n, sizeof(*room.place))};

    sort_group(keys, room, n, frames, 0, SPLITS);
    free(room.keys);
    free(room.place);
}

void textsort(struct text_key *keys, size_t n) {
    sort_all(keys, n, false);
}

void textsort_frames(struct text_key *keys, size_t n) {
    sort_all(keys, n, true);
}
