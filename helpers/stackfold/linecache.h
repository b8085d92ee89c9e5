/* SPDX-License-Identifier: MIT
 * A cache from the text of a frame line to its frame: a recording says the same few thousand lines
 * again and again. Bounded: it is emptied when it is full, and a lookup looks at a few places only,
 * so that no input makes it slow.
 */
#ifndef STACKFOLD_LINECACHE_H
#define STACKFOLD_LINECACHE_H

#include <stddef.h>
#include <stdint.h>

struct linecache {
    uint64_t *slots; /* hash above, place in `text` / 8 below 32 bits; 0: free */
    char *text;
    size_t used;
    uint32_t lines;
};

struct linecache_entry {
    uint32_t len, frame;
    char text[];
};

void linecache_init(struct linecache *c);
void linecache_free(struct linecache *c);

/* A hash from a few bytes of the line: the end of the address, the beginning of the symbol, the end
 * of the dso. What it leaves out is compared anyway. */
uint64_t linecache_hash(const char *line, size_t len);

/* Ask for what linecache_find() will read, first the place in `slots`, then the text. */
void linecache_prefetch(const struct linecache *c, uint64_t hash);
void linecache_prefetch_text(const struct linecache *c, uint64_t hash);

/* True, and the frame that was put for this line; or false. */
_Bool linecache_find(const struct linecache *c, uint64_t hash, const char *line, size_t len,
                     uint32_t *frame);
void linecache_put(struct linecache *c, uint64_t hash, const char *line, size_t len,
                   uint32_t frame);

#endif
