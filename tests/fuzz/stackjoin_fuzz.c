/* SPDX-License-Identifier: MIT
 * Fuzzes stackjoin: the input is the file of Python samples, a NUL, and perf script text. Besides
 * crashes it looks for lost weight: the tree's total is that of all samples, and each is counted in
 * one way.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ended.h"
#include "stackjoin/join.h"

struct lines {
    const char *s, *end;
};

/* The next line as memory of its own, so that reading beyond it is seen; NULL: there is none. */
static char *next_line(struct lines *in, size_t *len) {
    const char *nl;
    char *line;

    if (in->s >= in->end)
        return NULL;
    nl = memchr(in->s, '\n', (size_t)(in->end - in->s));
    *len = (size_t)((nl ? nl : in->end) - in->s);
    line = malloc(*len ? *len : 1);
    memcpy(line, in->s, *len);
    in->s += *len + 1;
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct calltree tree;
    static struct timeline timeline;
    static struct paths paths;
    static struct join join;
    struct join_options opts = {.max_distance_ns = 10000000};
    const char *text = (const char *)data + 1, *nul;
    char *volatile line = NULL;
    struct lines in;
    size_t len;

    if (size < 2)
        return 0;
    opts.off_cpu = data[0] & 1;
    opts.periods = !opts.off_cpu && data[0] & 2;
    nul = memchr(text, '\0', size - 1);
    in = (struct lines){text, nul ? nul : text + size - 1};
    calltree_init(&tree);
    timeline_init(&timeline, &tree.frames);
    while ((line = next_line(&in, &len)) != NULL) {
        timeline_line(&timeline, line, len);
        free(line);
    }
    paths_init(&paths, &timeline);
    join_init(&join, &opts, &tree, &paths);
    if (setjmp(ended) == 0) {
        const struct join_counts *c = &join.counts;

        in = (struct lines){nul ? nul + 1 : text, text + size - 1};
        while ((line = next_line(&in, &len)) != NULL) {
            join_line(&join, line, len);
            free(line);
        }
        join_end(&join);
        if (tree.total != c->weight ||
            c->whole + c->cut + c->guessed + c->partly + c->outside + c->alone != c->weight)
            abort();
    } else {
        free(line);
    }
    join_free(&join);
    paths_free(&paths);
    timeline_free(&timeline);
    calltree_free(&tree);
    return 0;
}
