/* SPDX-License-Identifier: MIT
 * Hashing of byte strings and numbers by 64x64-bit multiplication, both halves folded into one. Not
 * for secrets; the seed keeps a hostile input from choosing names that all fall into one slot.
 */
#ifndef LIB_HASH_H
#define LIB_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HASH_K0 UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio */
#define HASH_K1 UINT64_C(0xd6e8feb86659fd93)

static inline uint64_t hash_mix(uint64_t a, uint64_t b) {
    unsigned __int128 m = (unsigned __int128)a * b;

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Any 8 bytes, in the machine's own byte order. */
static inline uint64_t hash_load8(const char *p) {
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint64_t hash_bytes(const char *p, size_t len, uint64_t seed) {
    /* With a factor that the input can make 0 it could undo the seed. */
    const uint64_t k = HASH_K0 ^ seed;
    uint64_t h = seed ^ hash_mix(len + 1, HASH_K0), tail[2] = {0, 0};

    if (len > 64) {
        /* Four at once: each multiplication of one waits for the one before it. */
        uint64_t a = h, b = h ^ HASH_K0, c = h ^ HASH_K1, d = ~h;

        for (; len > 64; p += 64, len -= 64) {
            a = hash_mix(hash_load8(p) ^ k, hash_load8(p + 8) ^ a);
            b = hash_mix(hash_load8(p + 16) ^ k, hash_load8(p + 24) ^ b);
            c = hash_mix(hash_load8(p + 32) ^ k, hash_load8(p + 40) ^ c);
            d = hash_mix(hash_load8(p + 48) ^ k, hash_load8(p + 56) ^ d);
        }
        h = hash_mix(a ^ k, b ^ h) ^ hash_mix(c ^ HASH_K1, d ^ h);
    }
    for (; len > 16; p += 16, len -= 16)
        h = hash_mix(hash_load8(p) ^ k, hash_load8(p + 8) ^ h);
    if (len >= 8) {
        tail[0] = hash_load8(p);
        tail[1] = hash_load8(p + len - 8);
    } else if (len > 0) {
        memcpy(tail, p, len);
    }
    return hash_mix(tail[0] ^ k, tail[1] ^ h) ^ (h >> 32);
}

/* A seed of this process's own. */
uint64_t hash_seed(void);

#endif
