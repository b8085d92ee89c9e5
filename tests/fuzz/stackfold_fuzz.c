/* SPDX-License-Identifier: MIT
 * Fuzzes stackfold: the input is a file, perf script text or collapsed stacks. Besides crashes it
 * looks for
 *   - lost weight: the tree's total is what the samples add up to, the table's what is written of
 * it;
 *   - stacks out of order or twice;
 *   - dependence on where the input is cut into pieces: read at once or in two pieces, the tree is
 * the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collapsed.h"
#include "ended.h"
#include "stackfold/fold.h"
#include "stackfold/merge.h"

struct run {
    struct calltree tree;
    struct fold fold;
    struct merge merge;
    uint64_t hash; /* of what would be printed */
};

static void hash_node(void *arg, uint32_t depth, uint32_t frame, uint64_t weight) {
    struct run *run = arg;
    size_t len;
    const char *name = intern_text(&run->tree.frames, frame, &len);

    run->hash = hash_mix(run->hash ^ depth, HASH_K0 ^ weight) ^ hash_bytes(name, len, run->hash);
}

static size_t feed(struct run *run, const char *s, size_t len, bool perf, bool eof) {
    size_t used = 0;

    if (perf)
        return fold_perf(&run->fold, s, len, eof, false);
    for (const char *nl; (nl = memchr(s + used, '\n', len - used)) != NULL;)
        used = (size_t)(nl - s) + 1;
    merge_lines(&run->merge, s, used, eof); /* the last piece stays */
    return used;
}

/* Hashes what is merged as it is written, and checks it. */
static void hash_merge(struct run *run) {
    const struct stacktable *t = &run->merge.table;
    char *out = NULL;
    size_t written = 0;
    FILE *f = open_memstream(&out, &written);
    struct text_key last = {0};
    uint64_t sum = 0;

    merge_write(&run->merge, f);
    (void)fclose(f);
    run->hash = hash_bytes(out, written, 1);
    for (size_t at = 0, n; at < written; at += n + 1) {
        struct text_key now = {.s = out + at};
        struct weight w[2];
        size_t len;

        n = (size_t)((char *)memchr(out + at, '\n', written - at) - (out + at));
        if (at == 0 && collapsed_is_blank(out, n))
            continue; /* the header */
        if (!stackfile_split(out + at, n, false, &len, w))
            abort();
        now.len = (uint32_t)len;
        if (last.s && textsort_compare_frames(&last, &now) >= 0)
            abort();
        last = now;
        sum += weight_scaled(w[0], t->scale);
    }
    if (sum != t->total[0])
        abort();
    free(out);
}

/* Folds s[0 .. len), which ends with a newline, with a piece ending at `cut`. False when it was
 * ended by die(). */
static bool fold_in_pieces(struct run *run, const struct fold_options *opts, const char *s,
                           size_t len, size_t cut, bool perf) {
    volatile bool done = false;

    memset(run, 0, sizeof(*run));
    calltree_init(&run->tree);
    fold_init(&run->fold, &run->tree, opts);
    merge_init(&run->merge, &run->fold);
    if (setjmp(ended) == 0) {
        /* Each piece is memory of its own, so that reading beyond it is seen. */
        char *piece = malloc(cut ? cut : 1);
        size_t used;

        memcpy(piece, s, cut);
        used = feed(run, piece, cut, perf, false);
        free(piece);
        if (feed(run, s + used, len - used, perf, true) != len - used)
            abort();
        if (perf)
            calltree_walk(&run->tree, hash_node, run);
        else
            hash_merge(run);
        done = true;
    }
    return done;
}

static void end(struct run *run) {
    fold_free(&run->fold);
    merge_free(&run->merge);
    calltree_free(&run->tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct run whole, pieces;
    struct fold_options opts = {0};
    size_t cut;
    bool perf;
    char *text;

    if (size < 3)
        return 0;
    opts.frames.no_kernel = data[0] & 1;
    opts.frames.inlined = data[0] & 2;
    opts.frames.annotate = data[0] & 4;
    opts.tid = data[0] & 8;
    opts.pid = data[0] & 16;
    opts.events.periods = data[0] & 32;
    perf = !(data[0] & 64);
    cut = (size_t)data[1] * (size - 2) / 255;
    text = malloc(size - 1);
    memcpy(text, data + 2, size - 2);
    text[size - 2] = '\n';
    if (fold_in_pieces(&whole, &opts, text, size - 1, 0, perf)) {
        uint64_t weight = 0;

        for (size_t i = 0; i < whole.fold.events.n; i++)
            weight += opts.events.periods ? whole.fold.events.list[i].period
                                          : whole.fold.events.list[i].samples;
        if (weight != whole.tree.total)
            abort();
        if (!fold_in_pieces(&pieces, &opts, text, size - 1, cut, perf) ||
            pieces.hash != whole.hash || pieces.fold.odd != whole.fold.odd)
            abort();
        end(&pieces);
    }
    end(&whole);
    free(text);
    return 0;
}
