/* SPDX-License-Identifier: MIT
 * Patterns for frames: plain text that may stand anywhere in the frame. `*` stands for any
 * characters; `^` as the first character binds the pattern to the frame's start, `$` as the last to
 * its end. Nothing else is special. chunking/        any frame of a file below chunking ^select
 * (*.py    a frame that begins with "select (" and has ".py" somewhere after it
 */
#ifndef LIB_PATTERN_H
#define LIB_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

/* Time is linear in `len` for each part between stars. */
bool pattern_match(const char *pattern, size_t pattern_len, const char *text, size_t len);

#endif
