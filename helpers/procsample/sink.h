/* SPDX-License-Identifier: MIT
 * A file that grows by whole lines: what was written before a failure, or before a kill, can be
 * read.
 */
#ifndef PROCSAMPLE_SINK_H
#define PROCSAMPLE_SINK_H

#include <stdbool.h>
#include <sys/types.h>

#include "buf.h"

struct sink {
    int fd;
    const char *name;
    bool can_cut;    /* a regular file of its own */
    off_t written;   /* whole lines, in bytes */
    struct buf text; /* lines to be written by the next sink_flush */
};

/* Creates or empties the file; NULL is standard output. Exits 3 with a message when it cannot. */
void sink_open(struct sink *s, const char *path);

/* Whether two are one regular file, by whatever names. */
bool sink_same(const struct sink *a, const struct sink *b);

/* Writes `text` with one write call, so that a kill between two calls leaves whole lines. When it
 * cannot be written whole, cuts what is half a line off the file, and exits 3 with a message. */
void sink_flush(struct sink *s);

void sink_close(struct sink *s);

#endif
