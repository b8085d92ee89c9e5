/* SPDX-License-Identifier: MIT
 * UTF-8 checking (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
 */
#ifndef LIB_UTF8_H
#define LIB_UTF8_H

#include <stddef.h>

/* Length in bytes (1 to 4) of the valid sequence that `s` begins with, or 0 when it begins with
 * none. */
size_t utf8_len(const char *s, size_t len);

#endif
