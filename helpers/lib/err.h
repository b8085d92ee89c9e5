/* SPDX-License-Identifier: MIT
 * Messages and exit statuses that every helper shares.
 *
 * A message is one line on stderr: `helper: what: reason`, or `helper: what` where there is no
 * reason.
 */
#ifndef LIB_ERR_H
#define LIB_ERR_H

#include <stdnoreturn.h>

enum {
    EX_DONE = 0,  /* done */
    EX_NONE = 1,  /* the answer is "none" or "worse" */
    EX_USAGE = 2, /* the command line is wrong */
    EX_FAIL = 3,  /* could not be done */
};

/* Name printed before each message. Keeps the pointer; call once, first thing in main. */
void err_name(const char *name);

/* Prints a message and goes on. A format that ends in ':' gets the text of errno after it. */
void warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same, then exits with `status`. */
noreturn void die(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A usage error: the message, then "Try 'helper --help'.", exit 2. */
noreturn void die_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Flushes and closes stdout; a full disk or a closed pipe is exit 3 with a message, never a silent
 * short file. Returns `status` so that main can end with `return out_close(status)`. */
int out_close(int status);

#endif
