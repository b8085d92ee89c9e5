/* SPDX-License-Identifier: MIT
 * Files in memory without a copy. One that is cut short by another program while it is read ends
 * this one with a message (exit 3).
 */
#ifndef LIB_MAPPED_H
#define LIB_MAPPED_H

#include <stddef.h>

struct mapped {
    unsigned char *data; /* NULL: nothing is mapped */
    size_t size;
};

/* Maps a whole file that is open for reading. Not mapped: what is no regular file, or empty. */
struct mapped mapped_fd(int fd);

/* The same of a path; not mapped, too, when it cannot be opened. */
struct mapped mapped_path(const char *path);

void mapped_free(struct mapped *m);

/* Files whose text is used where it is, until all of them are freed. */
struct mapped_files {
    struct mapped *file;
    size_t n;
};

void mapped_files_add(struct mapped_files *files, struct mapped m);
void mapped_files_free(struct mapped_files *files);

#endif
