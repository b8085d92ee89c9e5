/* SPDX-License-Identifier: MIT
 * stackfold: stacks as `perf script` prints them, as perf recorded them, or as they were folded
 * before, to collapsed stacks.
 *
 * Input:
 *   python3  6567  1060.140574:    1003009 cpu-clock:
 *           ffffffff81407c30 __rcu_read_unlock+0x0 ([kernel.kallsyms])
 *                      d4ad7 __GI___execve+0x7 (/usr/lib/x86_64-linux-gnu/libc.so.6)
 * or
 *   python3;__GI___execve;__rcu_read_unlock 41
 * or what `perf record` wrote
 * Output:
 *   python3;__GI___execve;__rcu_read_unlock 42
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collapsed.h"
#include "err.h"
#include "fold.h"
#include "input.h"
#include "merge.h"
#include "opt.h"
#include "perfdata.h"
#include "recording.h"
#include "stackfile.h"

static struct fold_options opts;

static const char usage[] =
    "usage: stackfold [OPTION]... [FILE]...\n"
    "Folds `perf script` text or perf.data and merges collapsed stacks: one line a\n"
    "stack, sorted. Each FILE may be of any kind; without one, or for -, standard\n"
    "input is read.\n"
    "\n"
    "      --weight WHAT   count samples (the default), or sum their period\n"
    "      --event NAME    fold this event only (default: all; cycles also means\n"
    "                      cycles:u and the like)\n"
    "      --since SECONDS leave out what perf.data has from before this time (of text:\n"
    "                      perf script --time SECONDS,)\n"
    "      --pid           name the process: the first frame is comm-PID\n"
    "      --tid           name the thread: the first frame is comm-PID/TID\n"
    "      --no-kernel     leave kernel frames out of the stacks\n"
    "      --inline        inlined calls are frames of their own (default: they\n"
    "                      count as the function that they were inlined into)\n"
    "      --annotate      mark frames: _[k] kernel, _[j] JIT, _[i] inlined\n"
    "      --help          print this and exit\n"
    "\n"
    "No weight is lost: the weights in the output add up to the samples (or their\n"
    "period, or weights) in the input. What was left out on purpose is said.\n"
    "Collapsed stacks of different units (`# unit:`) are refused.\n"
    "\n"
    "Exit status: 0 done, 1 no sample in the input, 2 usage, 3 failure.\n"
    "\n"
    "Examples:\n"
    "  perf script --no-inline | stackfold | flamegraph >profile.svg\n"
    "  stackfold perf.data >perf.folded       # of perf record -g: the same, faster\n"
    "  stackfold --annotate --tid perf.txt >perf.folded\n"
    "  stackfold --event cycles --weight period perf.txt >cycles.folded\n"
    "  stackfold worker-1.folded worker-2.folded >both.folded\n";

static void parse_options(int argc, char **argv) {
    enum { WEIGHT = 256, EVENT, SINCE, PID, TID, NO_KERNEL, INLINE, ANNOTATE, HELP };
    static const struct option longs[] = {{"weight", required_argument, NULL, WEIGHT},
                                          {"event", required_argument, NULL, EVENT},
                                          {"since", required_argument, NULL, SINCE},
                                          {"pid", no_argument, NULL, PID},
                                          {"tid", no_argument, NULL, TID},
                                          {"no-kernel", no_argument, NULL, NO_KERNEL},
                                          {"inline", no_argument, NULL, INLINE},
                                          {"annotate", no_argument, NULL, ANNOTATE},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case WEIGHT:
            opts.events.periods = strcmp(optarg, "period") == 0;
            if (!opts.events.periods && strcmp(optarg, "samples") != 0)
                die_usage("--weight: not samples or period: '%s'", optarg);
            break;
        case EVENT:
            opts.events.name = optarg;
            break;
        case SINCE:
            opts.events.since = opt_duration_ns("--since", optarg, 0, UINT64_MAX / 2);
            break;
        case PID:
            opts.pid = true;
            break;
        case TID:
            opts.tid = true;
            break;
        case NO_KERNEL:
            opts.frames.no_kernel = true;
            break;
        case INLINE:
            opts.frames.inlined = true;
            break;
        case ANNOTATE:
            opts.frames.annotate = true;
            break;
        case HELP:
            (void)fputs(usage, stdout);
            exit(out_close(EX_DONE));
        default:
            die_usage("the options are wrong");
        }
    }
}

enum kind { UNKNOWN, PERF, COLLAPSED };

/* Whether a line begins that is a frame of perf's and no stack. */
static bool frame_follows(const char *s, size_t len) {
    const char *nl = memchr(s, '\n', len);
    size_t n = nl ? (size_t)(nl - s) : len, stack_len;
    struct weight weight[2];

    return n > 0 && *s == '\t' && fold_is_perf(s, n) &&
           !stackfile_split(s, n, false, &stack_len, weight);
}

/* Whether a stack may be perf's header with a period at its end: `-F period,ip,sym`. */
static bool may_be_period(const char *line, size_t len, size_t stack_len) {
    struct perf_header h;

    return stack_len == 0 || (line[len - 1] == ' ' && perf_bare_period(line, len, &h));
}

/* Which kind of file it is: its first line that is no comment says it, or where that may be of
 * either kind, the next. `*skip` bytes are comments, which `m` is told. */
static enum kind kind_of(struct merge *m, const char *s, size_t len, bool eof, size_t *skip) {
    enum kind kind = UNKNOWN;
    const char *nl, *line;

    *skip = 0;
    for (line = s; (nl = memchr(line, '\n', len - (size_t)(line - s))) != NULL; line = nl + 1) {
        size_t n = (size_t)(nl - line), left = len - (size_t)(nl + 1 - s), stack_len;
        bool blank = collapsed_is_blank(line, n);
        struct weight weight[2];

        if (fold_is_perf(line, n))
            return PERF;
        if (blank || !stackfile_split(line, n, false, &stack_len, weight)) {
            if (!blank && *line != '#')
                return PERF; /* which says that it does not understand it */
            if (kind == UNKNOWN) {
                stackfile_comment(&m->file, line, n);
                *skip = (size_t)(nl + 1 - s);
            }
            continue;
        }
        if (left == 0 && !eof)
            return UNKNOWN; /* what follows it counts */
        if (frame_follows(nl + 1, left))
            return PERF;
        if (!may_be_period(line, n, stack_len))
            return COLLAPSED;
        kind = COLLAPSED;
    }
    return eof ? kind : UNKNOWN;
}

/* Folds a file of perf record's, which is read whole. */
static void add_recording(struct input *in, struct fold *f) {
    const char *odd;

    while (!in->eof)
        (void)input_fill(in);
    odd = recording_fold(f, (const unsigned char *)in->data + in->pos, in->len - in->pos);
    if (odd)
        die(EX_FAIL, "%s: it has %s: use `perf script --no-inline -i %s | stackfold`", in->name,
            odd, in->name);
}

/* How many samples were folded. */
static uint64_t samples_of(const struct fold *f) {
    uint64_t sum = 0;

    for (size_t i = 0; i < f->events.n; i++)
        sum += f->events.list[i].wanted ? f->events.list[i].samples : 0;
    return sum;
}

static void add_file(const char *path, struct merge *m, struct fold *f) {
    uint64_t samples = samples_of(f), stacks = m->file.stacks;
    enum kind kind = UNKNOWN;
    struct input in;

    input_open(&in, path);
    f->file = m->file.name = in.name;
    f->named = false;
    while (input_fill(&in)) {
        size_t n;

        if (kind == UNKNOWN && perfdata_is(in.data + in.pos, in.len - in.pos)) {
            add_recording(&in, f);
            break;
        }
        if (kind == UNKNOWN) {
            kind = kind_of(m, in.data + in.pos, in.len - in.pos, in.eof, &n);
            in.pos += n;
        }
        if (kind == COLLAPSED)
            merge_file(m, &in);
        else if (kind == PERF && opts.events.since > 0)
            die(EX_FAIL, "%s: --since: it is text; use perf script --time SECONDS, for it",
                in.name);
        else if (kind == PERF)
            in.pos += fold_perf(f, in.data + in.pos, in.len - in.pos, in.eof, in.cut);
        if (in.eof || kind == COLLAPSED)
            break;
    }
    if (samples_of(f) > samples)
        units_imply(&m->units, in.name, opts.events.periods ? "of period" : "samples");
    units_end(&m->units, in.name, m->file.stacks > stacks);
    input_close(&in);
}

/* Says what is not seen in the output. */
static void report(const struct fold *f, uint64_t total) {
    const char *unit = opts.events.periods ? "of period" : "samples";
    size_t wanted = 0;

    for (size_t i = 0; i < f->events.n; i++)
        wanted += f->events.list[i].wanted;
    for (size_t i = 0; i < f->events.n && (f->events.n > 1 || wanted == 0); i++) {
        const struct event *e = &f->events.list[i];
        uint64_t weight = opts.events.periods ? e->period : e->samples;
        const char *name = e->len > 0 ? e->name : "(no event name)";

        if (!e->wanted)
            warn("%s: left out %" PRIu64 " %s of this event", name, weight, unit);
        else if (wanted > 1)
            warn("%s: %" PRIu64 " %s of this event are folded with the others; --event picks one",
                 e->name, weight, unit);
    }
    if (f->frames.merged)
        warn("inlined frames are counted as the functions they were inlined into; --inline shows "
             "them");
    if (f->events.early > 0)
        warn("left out %" PRIu64 " samples from before --since", f->events.early);
    if (f->lost)
        warn("perf itself lost %" PRIu64
             " samples; record at a lower rate, or with a larger buffer (-m)",
             f->lost);
    if (f->odd)
        warn("lines not understood and left out: %" PRIu64 ", the first: '%s'", f->odd,
             f->first_odd.data);
    if (opts.events.name && wanted == 0 && f->events.n > 0)
        warn("no sample of the event '%s'", opts.events.name);
    else if (total == 0)
        warn("no sample in the input");
    if (opts.events.periods && wanted > 1)
        die(EX_FAIL, "the periods of different events do not add up; choose one with --event");
}

int main(int argc, char **argv) {
    struct calltree tree;
    struct fold fold;
    struct merge merge;
    uint64_t total;

    err_name("stackfold");
    parse_options(argc, argv);
    calltree_init(&tree);
    fold_init(&fold, &tree, &opts);
    merge_init(&merge, &fold);
    if (optind == argc)
        add_file("-", &merge, &fold);
    for (int i = optind; i < argc; i++)
        add_file(argv[i], &merge, &fold);
    if (merge.table.n > 0)
        merge_tree(&merge, &tree);
    total = merge.table.n > 0 ? merge.table.total[0] : tree.total;
    report(&fold, total);
    units_report(&merge.units);
    if (merge.table.n > 0)
        merge_write(&merge, stdout);
    else
        collapsed_write(&tree, stdout);
    merge_free(&merge);
    fold_free(&fold);
    calltree_free(&tree);
    return out_close(total > 0 ? EX_DONE : EX_NONE);
}
