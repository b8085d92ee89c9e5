/* SPDX-License-Identifier: MIT
 * The clock that durations are measured by.
 */
#ifndef LIB_NOW_H
#define LIB_NOW_H

#include <stdint.h>

/* CLOCK_MONOTONIC, ns. */
uint64_t now_ns(void);

#endif
