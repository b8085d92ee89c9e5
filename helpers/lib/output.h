/* SPDX-License-Identifier: MIT
 * A FILE that the user named for output, opened before anything is begun in vain.
 *
 * What is absent or a regular file is written beside and then renamed onto it, so that it is whole
 * at any moment; of a symbolic link the target is replaced, and the link stays. A FIFO, a device or
 * a socket stays what it is: it is written directly, as is standard output ("-").
 */
#ifndef LIB_OUTPUT_H
#define LIB_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct output {
    const char *name; /* for messages: as it was given, or "standard output" */
    bool standard;
    char *path; /* what is replaced, links resolved; NULL: written directly */
    int fd;     /* what is written directly; -1: none */
    dev_t dev;  /* of what is there, where something is */
    ino_t ino;
    bool there;
};

/* Looks at what `name` is and opens it, or sees that it can be made. Waits for the reader of a
 * FIFO. `dash`: whether "-" is standard output. False with errno set; nothing is left behind. */
bool output_open(struct output *o, const char *name, bool dash);

/* Writes all of it, in one step where it is no direct output. False with errno set. */
bool output_write(const struct output *o, const void *data, size_t len);

static inline bool output_direct(const struct output *o) {
    return o->path == NULL;
}

/* Whether two outputs are the same file. */
bool output_same(const struct output *a, const struct output *b);

/* False with errno set: what was written directly did not get there. */
bool output_close(struct output *o);

#endif
