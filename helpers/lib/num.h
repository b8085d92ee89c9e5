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
    char digits[20];
    int n = 0;

    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    for (; width > n; width--)
        *to++ = '0';
    while (n > 0)
        *to++ = digits[--n];
    return to;
}

#endif
