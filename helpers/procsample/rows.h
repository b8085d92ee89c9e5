/* SPDX-License-Identifier: MIT
 * Rows of samples.tsv and of the per-thread file: docs/formats/samples-tsv.md.
 */
#ifndef PROCSAMPLE_ROWS_H
#define PROCSAMPLE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "procmeter.h"

/* Copies a command name so that it fits into a column: what is not printable or not UTF-8 becomes
 * '?'. */
void rows_clean(char to[65], const char *comm);

void rows_header(struct buf *out);

/* What the columns last held, and how it was written: most values are those of the row before, and
 * those of the total are those of its only process. So is the time. Begins as zeros. */
struct rows_memo {
    struct {
        int64_t value;
        uint8_t len; /* 0: none yet */
        char text[23];
    } of[METER_VALUES];
    uint64_t t_ns;
    uint8_t t_len; /* 0: none yet */
    char t_text[31];
};

/* One process at `t_ns` since the start, alive or a zombie. `comm` is clean. */
void rows_process(struct buf *out, struct rows_memo *memo, uint64_t t_ns, struct proc_id id,
                  const char *comm, bool alive, const struct meter_reading *r);

/* The sum over `processes` live ones. */
void rows_total(struct buf *out, struct rows_memo *memo, uint64_t t_ns, uint64_t processes,
                const struct meter_reading *r);

void rows_thread_header(struct buf *out);
void rows_threads(struct buf *out, uint64_t t_ns, pid_t pid, const struct proctasks *tasks);

#endif
