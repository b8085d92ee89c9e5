/* SPDX-License-Identifier: MIT
 * Files that others read while they are written: written beside, then renamed.
 */
#ifndef EXPORTER_OUTFILE_H
#define EXPORTER_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* Replaces `file` by `len` bytes, whole or not at all. False, with a message, when that fails. */
bool outfile_write(const char *file, const char *data, size_t len);

/* Writes the bytes beside `file`, to be renamed. Returns the descriptor, or -1; `name` is the name,
 * and is to be freed. */
int outfile_beside(const char *file, const char *data, size_t len, struct buf *name);

/* False, with a message, when its folder is none, or one that nothing can be written to. */
bool outfile_can_write(const char *file);

/* Removes `file` if it still has these bytes: it may have become another program's. */
void outfile_remove(const char *file, const char *data, size_t len);

#endif
