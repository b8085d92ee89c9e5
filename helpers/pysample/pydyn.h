/* SPDX-License-Identifier: MIT
 * The dynamic symbols of an ELF image as it lies in a process's memory. It needs no file: one that
 * was deleted, or stands where the path in maps leads nowhere, is read all the same, with no more
 * rights than sampling takes.
 */
#ifndef PYSAMPLE_PYDYN_H
#define PYSAMPLE_PYDYN_H

#include <stdbool.h>
#include <stdint.h>

struct dyn {
    int fd;        /* /proc/PID/mem */
    uint64_t bias; /* what is added to addresses as linked */
    uint64_t symbols, strings, hash;
};

/* Opens the image whose ELF header is mapped at `start`. */
bool dyn_open(struct dyn *d, int memfd, uint64_t start);

/* The address of the object of this name, 0 when the image defines none. */
uint64_t dyn_object(const struct dyn *d, const char *name);

#endif
