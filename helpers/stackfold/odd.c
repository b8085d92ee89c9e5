/* SPDX-License-Identifier: MIT */
#include "odd.h"

#include <string.h>

#include "err.h"
#include "perftext.h"
#include "stackfile.h"

enum { SHOWN = 60 };

void fold_odd(struct fold *f, const char *line, size_t len) {
    if (f->odd++ == 0) {
        f->first_odd.len = 0;
        buf_add(&f->first_odd, line, len < SHOWN ? len : SHOWN);
    }
}

void fold_mixed(const struct fold *f, const char *line, size_t len) {
    char text[SHOWN + 1] = {0};

    memcpy(text, line, len < SHOWN ? len : SHOWN);
    die(EX_FAIL,
        "%s: it holds both perf script text and collapsed stacks, the first line of the other kind "
        "is '%s'; put them in files of their own",
        f->file ? f->file : "the input", text);
}

void fold_odd_line(struct fold *f, const char *line, size_t len, bool doubtful) {
    struct weight weight[2];
    struct perf_header h;
    size_t stack_len;

    /* A header that was cut ends in a number, too, and so do names, where headers are names alone.
     */
    if (stackfile_split(line, len, false, &stack_len, weight) && stack_len > 0 &&
        ((!doubtful && !f->named) || memchr(line, ';', stack_len)) && !perf_header(line, len, &h))
        fold_mixed(f, line, len);
    fold_odd(f, line, len);
}
