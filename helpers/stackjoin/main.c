/* SPDX-License-Identifier: MIT
 * stackjoin: native stacks of perf beneath the Python stacks of the same threads.
 *
 * Input, `perf script` text and what `pysample --samples` wrote beside it, both on CLOCK_MONOTONIC:
 *   python3  4711/4711  12377.762713887:    2004008 cpu-clock:
 *                  19dc79 list_sort_impl (/usr/lib/libpython3.12.so.1.0)
 *                  1117e3 _PyEval_EvalFrameDefault (/usr/lib/libpython3.12.so.1.0)
 *                    1080 _start (/usr/bin/python3.12)
 * and
 *   at 12377762000000
 *   stack 1 0 <module> (app.py:9);rank (app.py:4)
 *   thread 4711 1
 * Output:
 *   <module> (app.py:9);rank (app.py:4);list_sort_impl 1
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collapsed.h"
#include "err.h"
#include "input.h"
#include "join.h"
#include "opt.h"

static struct {
    struct join_options join;
    const char *summary;
} opts = {.join = {.max_distance_ns = 10000000}};

static const char usage[] =
    "usage: stackjoin [OPTION]... PERF-SCRIPT PYTHON-SAMPLES\n"
    "Joins native stacks from perf with the Python stacks of the same threads.\n"
    "PERF-SCRIPT is `perf script` text recorded with `perf record -k mono`, or - for\n"
    "standard input; PYTHON-SAMPLES is what `pysample --samples` wrote beside it.\n"
    "\n"
    "      --max-distance TIME  join with Python stacks at most this far away\n"
    "                           (default: 10ms; ns, us, ms, s)\n"
    "      --weight WHAT        count samples (the default), or sum their period\n"
    "      --off-cpu            samples are context switches: weights are microseconds\n"
    "                           until the thread runs again (--show-switch-events)\n"
    "      --summary FILE       key<TAB>value: what was joined, and how sure it is\n"
    "      --help               print this and exit\n"
    "\n"
    "C frames stand beneath the innermost Python function that called them. No weight\n"
    "is lost: what cannot be joined stands under [python stack unknown] or\n"
    "[no Python frame], what only partly under [python frames unknown].\n"
    "\n"
    "Exit status: 0 done, 1 no sample in the input, 2 usage, 3 failure.\n"
    "\n"
    "Examples:\n"
    "  perf script --no-inline --ns | stackjoin - python.samples >joined.folded\n"
    "  stackjoin --weight period perf.txt python.samples | flamegraph >joined.svg\n";

static void parse_options(int argc, char **argv) {
    enum { DISTANCE = 256, WEIGHT, OFF_CPU, SUMMARY, HELP };
    static const struct option longs[] = {{"max-distance", required_argument, NULL, DISTANCE},
                                          {"weight", required_argument, NULL, WEIGHT},
                                          {"off-cpu", no_argument, NULL, OFF_CPU},
                                          {"summary", required_argument, NULL, SUMMARY},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case DISTANCE:
            opts.join.max_distance_ns =
                opt_duration_ns("--max-distance", optarg, 1, UINT64_C(3600000000000));
            break;
        case WEIGHT:
            opts.join.periods = strcmp(optarg, "period") == 0;
            if (!opts.join.periods && strcmp(optarg, "samples") != 0)
                die_usage("--weight: not samples or period: '%s'", optarg);
            break;
        case OFF_CPU:
            opts.join.off_cpu = true;
            break;
        case SUMMARY:
            opts.summary = optarg;
            break;
        case HELP:
            (void)fputs(usage, stdout);
            exit(out_close(EX_DONE));
        default:
            die_usage("the options are wrong");
        }
    }
    if (argc - optind != 2)
        die_usage("two files are needed, perf's text and pysample's samples");
    if (opts.join.off_cpu && opts.join.periods)
        die_usage("--off-cpu: weights are microseconds, --weight period does not go with it");
}

static void read_script(struct join *j, const char *path) {
    struct input in;

    input_open(&in, path);
    while (input_fill(&in)) {
        const char *p = in.data + in.pos, *end = in.data + in.len, *nl;

        for (; (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1)
            join_line(j, p, (size_t)(nl - p));
        in.pos = (size_t)(p - in.data);
        if (in.eof)
            break;
    }
    join_end(j);
    input_close(&in);
}

static double percent(uint64_t part, uint64_t whole) {
    return whole ? 100 * (double)part / (double)whole : 0;
}

static void write_summary(struct join *j) {
    const struct join_counts *c = &j->counts;
    const struct {
        const char *name;
        uint64_t weight;
    } rows[] = {{"joined", c->whole + c->cut + c->guessed + c->partly},
                {"whole", c->whole},
                {"cut", c->cut},
                {"guessed", c->guessed},
                {"mismatch", c->partly},
                {"outside_python", c->outside},
                {"unknown", c->alone},
                {"same_before_and_after", c->same},
                {"named_by_perf", c->named},
                {"native_cut_short", c->short_native}};
    uint64_t median, max;
    FILE *f = fopen(opts.summary, "we");

    if (!f) {
        warn("%s:", opts.summary);
        exit(EX_FAIL);
    }
    (void)fprintf(f, "samples\t%" PRIu64 "\nweight\t%" PRIu64 "\nlost\t%" PRIu64 "\n", c->samples,
                  c->weight, c->lost);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        (void)fprintf(f, "%s\t%" PRIu64 "\n%s_pct\t%.2f\n", rows[i].name, rows[i].weight,
                      rows[i].name, percent(rows[i].weight, c->weight));
    if (join_distance(j, &median, &max))
        (void)fprintf(f, "distance_median_us\t%.1f\ndistance_max_us\t%.1f\n", (double)median / 1e3,
                      (double)max / 1e3);
    else
        (void)fputs("distance_median_us\tn/a\ndistance_max_us\tn/a\n", f);
    if (ferror(f) | fclose(f))
        die(EX_FAIL, "%s: could not be written", opts.summary);
}

int main(int argc, char **argv) {
    struct calltree tree;
    struct timeline timeline;
    struct paths paths;
    struct join join;
    int status;

    err_name("stackjoin");
    parse_options(argc, argv);
    calltree_init(&tree);
    timeline_init(&timeline, &tree.frames);
    timeline_read(&timeline, argv[optind + 1]);
    paths_init(&paths, &timeline);
    join_init(&join, &opts.join, &tree, &paths);
    read_script(&join, argv[optind]);
    if (opts.summary)
        write_summary(&join);
    if (join.counts.odd)
        warn("%s: lines not understood and left out: %" PRIu64, argv[optind], join.counts.odd);
    if (timeline.odd)
        warn("%s: lines not understood and left out: %" PRIu64, argv[optind + 1], timeline.odd);
    if (join.counts.lost)
        warn("perf itself lost %" PRIu64 " samples; record at a lower rate", join.counts.lost);
    if (join.counts.samples == 0)
        warn("%s: no sample", argv[optind]);
    collapsed_write(&tree, stdout);
    status = join.counts.samples > 0 ? EX_DONE : EX_NONE;
    join_free(&join);
    paths_free(&paths);
    timeline_free(&timeline);
    calltree_free(&tree);
    return out_close(status);
}
