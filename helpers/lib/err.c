/* SPDX-License-Identifier: MIT */
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *prog = "helper";

void err_name(const char *name) {
    prog = name;
}

static void vmessage(const char *fmt, va_list ap) {
    int saved = errno;
    size_t n = strlen(fmt);
    char text[1024];

    (void)vsnprintf(text, sizeof(text), fmt, ap);
    /* One write for one line, so that the messages of two helpers do not mix within a line. */
    if (n > 0 && fmt[n - 1] == ':')
        (void)fprintf(stderr, "%s: %s %s\n", prog, text, strerror(saved));
    else
        (void)fprintf(stderr, "%s: %s\n", prog, text);
    errno = saved;
}

void warn(const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    vmessage(fmt, ap);
    va_end(ap);
}

void die(int status, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    vmessage(fmt, ap);
    va_end(ap);
    exit(status);
}

void die_usage(const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    vmessage(fmt, ap);
    va_end(ap);
    (void)fprintf(stderr, "Try '%s --help'.\n", prog);
    exit(EX_USAGE);
}

int out_close(int status) {
    int bad = ferror(stdout);

    if (fclose(stdout) != 0 || bad) {
        /* A reader that closed the pipe has said that it has enough: no message, as for any filter.
         */
        if (errno != EPIPE)
            warn("standard output:");
        return EX_FAIL;
    }
    return status;
}
