/* SPDX-License-Identifier: MIT */
#include "gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "err.h"

/* Text of metrics packs to a thirtieth at the lowest level already. */
#define LEVEL 1
/* zlib's way to say: the largest window, and a gzip header. */
#define WINDOW_GZIP (15 + 16)

struct gzip {
    z_stream z;
};

struct gzip *gzip_new(void) {
    struct gzip *g = xcalloc(1, sizeof(*g));

    if (deflateInit2(&g->z, LEVEL, Z_DEFLATED, WINDOW_GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        die(EX_FAIL, "cannot start zlib");
    return g;
}

void gzip_free(struct gzip *g) {
    (void)deflateEnd(&g->z);
    free(g);
}

bool gzip_pack(struct gzip *g, const struct buf *in, struct buf *out) {
    size_t room = deflateBound(&g->z, in->len);
    bool good;

    if (in->len > UINT_MAX || room > UINT_MAX)
        return false;
    buf_reserve(out, room);
    g->z.next_in = (Bytef *)in->data;
    g->z.avail_in = (uInt)in->len;
    g->z.next_out = (Bytef *)out->data + out->len;
    g->z.avail_out = (uInt)room;
    good = deflate(&g->z, Z_FINISH) == Z_STREAM_END;
    out->len += room - g->z.avail_out;
    (void)deflateReset(&g->z);
    return good;
}
