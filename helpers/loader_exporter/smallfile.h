/* SPDX-License-Identifier: MIT
 * Small files that other programs write while the exporter serves: a pid, a result, a table.
 * Whatever stands under such a name, the exporter does not wait for it.
 */
#ifndef EXPORTER_SMALLFILE_H
#define EXPORTER_SMALLFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "buf.h"

/* Reads a regular file, up to `max` bytes and a NUL after them, into `out`, and what it is into
 * `st`. False, and nothing in `out`, for everything else: a FIFO, a device, a link, a file that
 * cannot be read. */
bool smallfile_read(const char *file, size_t max, struct buf *out, struct stat *st);

#endif
