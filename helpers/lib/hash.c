/* SPDX-License-Identifier: MIT */
#include "hash.h"

#include <sys/random.h>
#include <time.h>

uint64_t hash_seed(void) {
    uint64_t seed = 0;
    struct timespec now;

    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
        (void)clock_gettime(CLOCK_REALTIME, &now);
        seed = hash_mix((uint64_t)now.tv_nsec ^ HASH_K1,
                        (uint64_t)now.tv_sec ^ (uint64_t)(uintptr_t)&seed);
    }
    return seed;
}
