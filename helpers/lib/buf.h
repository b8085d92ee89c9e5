/* SPDX-License-Identifier: MIT
 * A growable run of bytes, and allocation that does not fail quietly (no memory: message, exit 3).
 */
#ifndef LIB_BUF_H
#define LIB_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* always NUL-terminated once something was added; NULL before */
    size_t len; /* bytes in use, without the NUL */
    size_t cap;
};

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);

/* Makes room for `more` bytes after len. */
void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
/* A whole number, faster than buf_printf. */
void buf_addu(struct buf *b, uint64_t n);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds `len` bytes as the inside of a JSON string: quotes, backslashes and controls escaped, bytes
 * that are not UTF-8 replaced by U+FFFD. */
void buf_add_json(struct buf *b, const char *s, size_t len);
void buf_free(struct buf *b);

#endif
