/* SPDX-License-Identifier: MIT
 * Two files of collapsed stacks side by side: each stack once, with its weight in both. Stacks are
 * kept as whole lines, and not as frames: nothing is asked about frames.
 */
#ifndef LIB_DIFF_H
#define LIB_DIFF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "buf.h"
#include "stackfile.h"
#include "stacktable.h"
#include "textsort.h"

struct diff {
    struct stacktable table; /* weight[0] of the baseline, weight[1] of the candidate */
    int run;                 /* that is read */
    uint32_t
        first[2]; /* where the stacks begin that this run brought, and whether they came sorted */
    bool sorted[2];
    struct text_key *order; /* all of them in order, once they are sorted */
    struct stackfile file[2];
    struct units units;
    bool merge_lines; /* set before reading: frames lose their line numbers */
    struct buf merged;
    struct buf normalized; /* how the baseline was scaled, for the header; empty: it was not */
};

/* The struct must stay where it is until it is freed. */
void diff_init(struct diff *d);
void diff_free(struct diff *d);

/* Begins run 0, the baseline, and then 1, the candidate: lines go to what is returned. */
struct stackfile *diff_begin(struct diff *d, int run);

/* Reads a file ("-": standard input) as run 0, the baseline, and then as 1, the candidate. Says how
 * many lines were no stacks. A file that cannot be read ends the program (exit 3). */
void diff_read(struct diff *d, const char *path, int run);

/* Sorts the stacks, when all are read. */
void diff_sort(struct diff *d);

/* Scales the baseline to the candidate's total, after diff_sort(), in millionths, or in whole
 * weights where the total is above 2^53 of those. Its weights then add up to that exactly. One that
 * there was stays above 0; only where there are more stacks than that leaves room for the sum is
 * larger, by at most a millionth for each. False, and nothing is done, where one of the two has no
 * weight. */
bool diff_normalize(struct diff *d);

/* Writes them after a header and diff_sort(). */
void diff_write(struct diff *d, FILE *out);

#endif
