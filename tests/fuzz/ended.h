/* SPDX-License-Identifier: MIT
 * In place of lib/err.c for a fuzz target: a failure that would end the helper ends the input only,
 * by a jump to `ended`. Included once, by the target.
 */
#ifndef FUZZ_ENDED_H
#define FUZZ_ENDED_H

#include <setjmp.h>
#include <stdarg.h>

#include "err.h"

static jmp_buf ended;

void err_name(const char *name) {
    (void)name;
}

void warn(const char *fmt, ...) {
    (void)fmt;
}

void die(int status, const char *fmt, ...) {
    (void)status;
    (void)fmt;
    longjmp(ended, 1);
}

void die_usage(const char *fmt, ...) {
    (void)fmt;
    longjmp(ended, 1);
}

int out_close(int status) {
    return status;
}

#endif
