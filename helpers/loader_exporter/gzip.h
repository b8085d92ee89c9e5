/* SPDX-License-Identifier: MIT
 * gzip of a page in memory.
 */
#ifndef EXPORTER_GZIP_H
#define EXPORTER_GZIP_H

#include <stdbool.h>

#include "buf.h"

struct gzip;

struct gzip *gzip_new(void);
void gzip_free(struct gzip *g);

/* Appends `in` compressed to `out`; false when that fails. */
bool gzip_pack(struct gzip *g, const struct buf *in, struct buf *out);

#endif
