/* SPDX-License-Identifier: MIT
 * Strings by number: each distinct frame text is kept once.
 */
#ifndef PYSAMPLE_TEXT_H
#define PYSAMPLE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"

struct texts {
    struct buf bytes;
    uint32_t *offset, n, cap;
    uint32_t *hash, bits;
};

/* Number 0 is the empty text. */
void texts_open(struct texts *t);
void texts_close(struct texts *t);
uint32_t text_id(struct texts *t, const char *s);
/* Valid until the next text_id. */
const char *text_of(const struct texts *t, uint32_t id);

#endif
