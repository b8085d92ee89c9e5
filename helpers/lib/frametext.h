/* SPDX-License-Identifier: MIT
 * Frames as they are shown. A frame may hold any bytes; what is shown of it is one line of valid
 * UTF-8: bytes that are not UTF-8 and control characters become U+FFFD, and so do the marks that
 * turn text around or hide it.
 */
#ifndef LIB_FRAMETEXT_H
#define LIB_FRAMETEXT_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* Appends the frame. `columns` above 0: at most so many characters, "…" where it is cut. Returns
 * the characters. */
size_t frame_put(struct buf *b, const char *s, size_t len, size_t columns);

/* The same, as the text of an XML element or attribute. */
size_t frame_put_xml(struct buf *b, const char *s, size_t len, size_t columns);

/* Appends `function (path/file.py:12)` in at most `columns` characters: the path loses its
 * beginning first, then the file name. */
void frame_put_fit(struct buf *b, const char *s, size_t len, size_t columns);

/* Length of the frame's number, `:12` in `function (file.py:12)`, which begins at *at; 0 where it
 * has none. */
size_t frame_line_number(const char *s, size_t len, size_t *at);

/* 12345678 to "12,345,678". */
void put_grouped(struct buf *b, uint64_t n);

#endif
