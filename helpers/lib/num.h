/* SPDX-License-Identifier: MIT
 * Unsigned decimal numbers in text, for loops that run a thousand times a second: no locale, no
 * errno.
 */
#ifndef LIB_NUM_H
#define LIB_NUM_H

#include <stdint.h>

/* Reads the digits at `*p` after any blanks and leaves `*p` behind them. No digits: 0, and `*p`
 * behind the blanks. Wraps above 2^64 - 1. */
static inline uint64_t num_read(const char **p) {
    uint64_t v = 0;

    while (**p == ' ' || **p == '\t')
        (*p)++;
    for (; (unsigned char)(**p - '0') <= 9; (*p)++)
        v = v * 10 + (uint64_t)(**p - '0');
    return v;
}

/* Writes `v` at `to`, at least `width` digits (leading zeros), and returns the end. Needs 20 bytes,
 * or `width`. */
static inline char *num_write(char *to, uint64_t v, int width) {
    int n = 1;
    char *end, *p;

    for (uint64_t power = 10; n < 20 && v >= power; power *= 10)
        n++;
    end = p = to + (n < width ? width : n);
    /* Two at a time: each division waits for the one before it. */
    for (; p - to >= 2; v /= 100) {
        unsigned pair = (unsigned)(v % 100);

        *--p = (char)('0' + pair % 10);
        *--p = (char)('0' + pair / 10);
    }
    if (p > to)
        *to = (char)('0' + v);
    return end;
}

#endif
