/* SPDX-License-Identifier: MIT
 * Lines that are not understood, and files of two kinds.
 */
#ifndef STACKFOLD_ODD_H
#define STACKFOLD_ODD_H

#include <stdnoreturn.h>

#include "fold.h"

/* Counts a line that was not understood. */
void fold_odd(struct fold *f, const char *line, size_t len);

/* The same for a line of perf script text. One that is a collapsed stack ends the program: its
 * weight must not be lost. `doubtful`: it may be cut, or what follows a newline in a symbol, so
 * that only one of several frames is surely a stack. */
void fold_odd_line(struct fold *f, const char *line, size_t len, bool doubtful);

/* Ends the program (exit 3): a file holds perf script text and collapsed stacks. */
noreturn void fold_mixed(const struct fold *f, const char *line, size_t len);

#endif
