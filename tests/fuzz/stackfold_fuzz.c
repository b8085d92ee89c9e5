/* SPDX-License-Identifier: MIT
 * Fuzzes stackfold: the input is a file, perf script text or collapsed stacks. Besides crashes it
 * looks for
 *   - lost weight: the tree's total is what the samples, or the collapsed lines, add up to;
 *   - dependence on where the input is cut into pieces: read at once or in two pieces, the tree is
 * the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collapsed.h"
#include "ended.h"
#include "stackfold/fold.h"

struct run {
    struct calltree tree;
    struct fold fold;
    struct collapsed collapsed;
    uint64_t weights; /* of collapsed lines */
    uint64_t hash;    /* of the tree, written as it would be printed */
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
    for (const char *nl; (nl = memchr(s + used, '\n', len - used)) != NULL;
         used = (size_t)(nl - s) + 1) {
        size_t n = (size_t)(nl - s) - used, stack_len;
        uint64_t weight;

        if (collapsed_add(&run->collapsed, s + used, n) &&
            collapsed_split(s + used, n, &stack_len, &weight))
            run->weights += weight;
    }
    return used;
}

/* Folds s[0 .. len), which ends with a newline, with a piece ending at `cut`. False when it was
 * ended by die(). */
static bool fold_in_pieces(struct run *run, const struct fold_options *opts, const char *s,
                           size_t len, size_t cut, bool perf) {
    volatile bool done = false;

    memset(run, 0, sizeof(*run));
    calltree_init(&run->tree);
    fold_init(&run->fold, &run->tree, opts);
    collapsed_init(&run->collapsed, &run->tree);
    if (setjmp(ended) == 0) {
        /* Each piece is memory of its own, so that reading beyond it is seen. */
        char *piece = malloc(cut ? cut : 1);
        size_t used;

        memcpy(piece, s, cut);
        used = feed(run, piece, cut, perf, false);
        free(piece);
        if (feed(run, s + used, len - used, perf, true) != len - used)
            abort();
        calltree_walk(&run->tree, hash_node, run);
        done = true;
    }
    return done;
}

static void end(struct run *run) {
    fold_free(&run->fold);
    collapsed_free(&run->collapsed);
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
    opts.periods = data[0] & 32;
    perf = !(data[0] & 64);
    cut = (size_t)data[1] * (size - 2) / 255;
    text = malloc(size - 1);
    memcpy(text, data + 2, size - 2);
    text[size - 2] = '\n';
    if (fold_in_pieces(&whole, &opts, text, size - 1, 0, perf)) {
        uint64_t weight = whole.weights;

        for (size_t i = 0; i < whole.fold.n_events; i++)
            weight += opts.periods ? whole.fold.events[i].period : whole.fold.events[i].samples;
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
