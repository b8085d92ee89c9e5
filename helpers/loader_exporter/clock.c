/* SPDX-License-Identifier: MIT */
#include "clock.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

int64_t monotonic_ns(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

double unix_now(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + round((double)t.tv_nsec / 1e6) / 1e3;
}

double unix_time_of(uint64_t starttime) {
    struct timespec up;
    double s;

    (void)clock_gettime(CLOCK_BOOTTIME, &up);
    s = unix_now() - (double)up.tv_sec - (double)up.tv_nsec / 1e9 +
        (double)starttime / (double)sysconf(_SC_CLK_TCK);
    return round(s * 1000) / 1000;
}
