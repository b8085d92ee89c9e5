/* SPDX-License-Identifier: MIT
 * Text read in large pieces: what a caller has not used of one piece stands before the next.
 */
#ifndef LIB_INPUT_H
#define LIB_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "mapped.h"

struct input {
    const char *name; /* for messages */
    int fd;
    char *data; /* unread: data[pos .. len) */
    size_t pos, len, cap;
    bool eof; /* the unread bytes are the last ones; they end with a newline */
    bool cut; /* which was added, because the file has none */
};

/* Opens a file, or standard input where `path` is "-". A file that cannot be opened ends the
 * program (exit 3). */
void input_open(struct input *in, const char *path);

/* Reads until the buffer is full or the input ends; what is unread stays, and the buffer doubles
 * when that fills more than half of it, so that a caller who always waits for more still costs
 * linear time. False when nothing is unread and the input has ended. A read error ends the program.
 */
bool input_fill(struct input *in);

/* Maps a file of which there is more than input_fill() brought, into `files`: what is unread up to
 * its last newline. The text stays where it is until they are freed, which saves a copy of it; what
 * stands behind it, or is written there meanwhile, is read on as before. NULL, and nothing is done:
 * it is no regular file, or has no newline in there. */
const char *input_map(struct input *in, struct mapped_files *files, size_t *len);

void input_close(struct input *in);

#endif
