/* SPDX-License-Identifier: MIT
 * C++ names as perf prints them: without the types of parameters and of what is returned.
 */
#ifndef STACKFOLD_DEMANGLE_H
#define STACKFOLD_DEMANGLE_H

#include <stdbool.h>

#include "buf.h"

/* Adds the readable name; false, and nothing, when it is not a mangled one. */
bool demangle(struct buf *out, const char *name);

#endif
