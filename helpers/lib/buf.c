/* SPDX-License-Identifier: MIT */
#include "buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "utf8.h"

void *xmalloc(size_t size) {
    void *p = malloc(size ? size : 1);

    if (!p)
        die(EX_FAIL, "out of memory (%zu bytes asked)", size);
    return p;
}

void *xcalloc(size_t n, size_t size) {
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p)
        die(EX_FAIL, "out of memory (%zu times %zu bytes asked)", n, size);
    return p;
}

void *xrealloc(void *p, size_t size) {
    void *q = realloc(p, size ? size : 1);

    if (!q)
        die(EX_FAIL, "out of memory (%zu bytes asked)", size);
    return q;
}

char *xstrdup(const char *s) {
    size_t n = strlen(s) + 1;

    return memcpy(xmalloc(n), s, n);
}

void buf_reserve(struct buf *b, size_t more) {
    size_t need, cap = b->cap ? b->cap : 64;

    if (more > SIZE_MAX / 4 || b->len > SIZE_MAX / 4)
        die(EX_FAIL, "out of memory (%zu bytes asked)", more);
    need = b->len + more + 1;
    if (need <= b->cap)
        return;
    while (cap < need)
        cap *= 2;
    b->data = xrealloc(b->data, cap);
    b->cap = cap;
}

void buf_add(struct buf *b, const void *data, size_t len) {
    buf_reserve(b, len);
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *s) {
    buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c) {
    buf_add(b, &c, 1);
}

void buf_addu(struct buf *b, uint64_t n) {
    char text[20], *p = text + sizeof(text);

    do
        *--p = (char)('0' + n % 10);
    while (n /= 10);
    buf_add(b, p, (size_t)(text + sizeof(text) - p));
}

void buf_printf(struct buf *b, const char *fmt, ...) {
    va_list ap, again;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        die(EX_FAIL, "cannot format a message");
    buf_reserve(b, (size_t)n);
    (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    va_end(again);
    b->len += (size_t)n;
}

void buf_add_json(struct buf *b, const char *s, size_t len) {
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)s[i];
        size_t n = utf8_len(s + i, len - i);

        if (n == 0) {
            buf_adds(b, "\xef\xbf\xbd");
            i++;
            continue;
        }
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buf_printf(b, "\\u%04x", c);
        else
            buf_add(b, s + i, n);
        i += n;
    }
}

void buf_free(struct buf *b) {
    free(b->data);
    *b = (struct buf){0};
}
