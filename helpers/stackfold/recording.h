/* SPDX-License-Identifier: MIT
 * Folding of perf.data without `perf script`: recordings whose call chains the kernel took by frame
 * pointers. The answer is that of `perf script --no-inline | stackfold`.
 */
#ifndef STACKFOLD_RECORDING_H
#define STACKFOLD_RECORDING_H

#include <stddef.h>

#include "fold.h"

/* Folds a whole file; NULL, or what is in it that only `perf script` can read. */
const char *recording_fold(struct fold *f, const unsigned char *data, size_t size);

#endif
