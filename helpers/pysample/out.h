/* SPDX-License-Identifier: MIT
 * Writing what was sampled: collapsed stacks, the summary, the task tree, JSON.
 */
#ifndef PYSAMPLE_OUT_H
#define PYSAMPLE_OUT_H

#include "session.h"

struct run_info {
    double rate_asked;
    double elapsed_s;
    uint64_t missed;
    uint64_t longest_gap_ns; /* between two samples, or one and the start or the end */
    double cpu_s;            /* own */
    const char *loop;
    int exit_status; /* of the launched command, -1 = none or still running */
    bool launched, complete;
    char started[32]; /* UTC, ISO 8601 */
};

/* A view as text: `# key: value` lines, then one line a stack. */
void out_folded(struct session *s, enum view_id id, const struct run_info *run, struct buf *out);
/* key<TAB>value lines. */
void out_summary(struct session *s, const struct run_info *run, struct buf *out);

/* The tasks of the last sample as a tree, or as JSON. */
void out_tree(struct session *s, struct buf *out);
/* The tree in so many rows, if that can be: of each stack the innermost frames, in the end a line
 * a task. Paths lose their beginning where columns are short. */
void out_tree_fit(struct session *s, struct buf *out, uint32_t rows, uint32_t columns);
/* A frame of asyncio's own: at the end of a stack it says no more than the state does (`sleep`). */
bool out_is_asyncio(const char *frame);
void out_json(struct session *s, struct buf *out);

#endif
