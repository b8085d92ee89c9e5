/* SPDX-License-Identifier: MIT
 * Merging: collapsed stacks are added up as whole lines. Their frames are not looked at, but where
 * the lines are sorted; what was folded from perf script text joins them at the end.
 */
#ifndef STACKFOLD_MERGE_H
#define STACKFOLD_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "calltree.h"
#include "fold.h"
#include "input.h"
#include "stackfile.h"
#include "stacktable.h"
#include "units.h"

struct merge {
    struct stacktable table;
    struct stackfile file; /* at hand; of its lines only the comments go there */
    struct units units;
    struct fold *fold; /* told of lines that are no stacks */
};

void merge_init(struct merge *m, struct fold *fold);
void merge_free(struct merge *m);

/* Adds the lines in s[0 .. len), the last of which may be without a newline. `stays`: the text is
 * there until merge_free(). */
void merge_lines(struct merge *m, const char *s, size_t len, bool stays);

/* Adds all that is left of a file that has been opened and looked at. A large one is mapped, which
 * saves a copy of its text. */
void merge_file(struct merge *m, struct input *in);

/* Adds the stacks of a tree. */
void merge_tree(struct merge *m, const struct calltree *tree);

/* Writes all that have a weight, sorted frame by frame, after a header where the files have one. */
void merge_write(const struct merge *m, FILE *out);

#endif
