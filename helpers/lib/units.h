/* SPDX-License-Identifier: MIT
 * What the weights of several files are (`# unit: us`), and that they may be added up or compared:
 * microseconds and samples may not. A file that does not say it goes with any, which is said; the
 * whole then has no known unit.
 */
#ifndef LIB_UNITS_H
#define LIB_UNITS_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

struct units {
    struct buf unit, file; /* what the first file says that says something, and its name */
    struct buf silent;     /* the first file with stacks that says nothing */
    struct buf other;      /* for a message */
    bool written;          /* a file has a header, and not only a kind that implies a unit */
    bool said;             /* by the file at hand */
};

void units_free(struct units *u);

/* The file at hand says its unit. One that is not what another said ends the program (exit 3). */
void units_say(struct units *u, const char *file, const char *unit, size_t len);

/* The same for a kind of file whose unit goes without saying. */
void units_imply(struct units *u, const char *file, const char *unit);

/* The file at hand ends. */
void units_end(struct units *u, const char *file, bool has_stacks);

/* The unit of all files; NULL where one does not say it, or none does. */
const char *units_common(const struct units *u);

/* Says when some files have a unit and others not. */
void units_report(const struct units *u);

#endif
