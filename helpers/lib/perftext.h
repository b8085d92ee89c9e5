/* SPDX-License-Identifier: MIT
 * The grammar of `perf script` text: the header line of a sample, and the line of a frame.
 * What is decided for each odd case, and why: docs/formats/perf-script-folding.md.
 */
#ifndef LIB_PERFTEXT_H
#define LIB_PERFTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

struct text {
    const char *s;
    size_t len;
};

/* Without the blanks around it. */
struct text perf_trim(const char *s, size_t len);

/* `comm  pid/tid [cpu]  time: period event: rest`; all but one of time and event may be missing. */
struct perf_header {
    struct text comm; /* trimmed; empty when it is not printed */
    struct text pid;  /* digits; empty when only the thread is known */
    struct text tid;  /* digits; empty when not printed */
    size_t
        prefix; /* bytes before the time: the same for all samples of a thread; 0 without a time */
    bool has_period;
    uint64_t period;
    struct text event; /* without its last ':'; empty when not printed */
    struct text rest;  /* after the event: a one-line stack, a tracepoint's fields, or nothing */
};

/* Parses a header line (without its newline); false when it is none. */
bool perf_header(const char *line, size_t len, struct perf_header *h);

/* Parses `comm period` or `period` alone, as `-F period,ip,sym` has it. perf prints a period at
 * least 10 characters wide; a number that is narrower belongs to the name. */
bool perf_bare_period(const char *line, size_t len, struct perf_header *h);

/* True for a line that begins with '#' and is no header. */
bool perf_is_comment(const char *line, size_t len);

/* Parses `period event: rest` only. */
bool perf_after_time(const char *s, size_t len, struct perf_header *h);

/* The bytes before the time, and where its ':' is; 0 when the first ':' does not end one, or may
 * belong to a name. */
size_t perf_prefix(const char *line, size_t len, size_t *colon);

enum perf_kind { PERF_USER, PERF_KERNEL, PERF_JIT, PERF_INLINED };

/* `address symbol+0xoffset (dso)`, blanks around it; address, offset and dso may be missing. */
struct perf_frame {
    struct text symbol; /* "[unknown]" where perf knows none */
    struct text dso;    /* empty when not printed */
    enum perf_kind kind;
};

/* Parses a frame line; false when it is blank. */
bool perf_frame(const char *line, size_t len, struct perf_frame *f);

/* True for a line that starts with blanks and is a frame, not the source line that `-F +srcline`
 * puts after one. */
bool perf_is_frame(const char *line, size_t len);

/* Adds the name that the frame has in a collapsed stack. */
void perf_frame_name(const struct perf_frame *f, struct buf *out);

#endif
