/* SPDX-License-Identifier: MIT
 * Numbers on the command line, checked to the end of the string. `name` is the option as the user
 * typed it
 * ("--rate"); anything else than a number in range is a usage error (exit 2) that names it and its
 * range.
 */
#ifndef LIB_OPT_H
#define LIB_OPT_H

#include <stdint.h>

/* A whole number in [min, max]. */
uint64_t opt_u64(const char *name, const char *text, uint64_t min, uint64_t max);

/* A decimal number in [min, max]; no nan, inf or hexadecimal. */
double opt_double(const char *name, const char *text, double min, double max);

/* A duration in nanoseconds: a decimal number with ns, us, ms, s (default), m or h; in [min_ns,
 * max_ns]. */
uint64_t opt_duration_ns(const char *name, const char *text, uint64_t min_ns, uint64_t max_ns);

/* A process id in [1, 4194304], the kernel's PID_MAX_LIMIT on 64 bits. */
int opt_pid(const char *name, const char *text);

#endif
