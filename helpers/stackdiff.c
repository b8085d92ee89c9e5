/* SPDX-License-Identifier: MIT
 * stackdiff: two collapsed files to one that has the weights of both, for a differential flame
 * graph.
 *
 * Input, the baseline and the candidate:
 *   main;parse 30          main;parse 20
 *   main;emit 10           main;flush 5
 * Output:
 *   # weights: baseline candidate
 *   main;emit 10 0
 *   main;flush 0 5
 *   main;parse 30 20
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "diff.h"
#include "err.h"

static struct {
    bool normalize;
    bool merge_lines;
} opts;

static const char usage[] =
    "usage: stackdiff [OPTION]... BASELINE CANDIDATE\n"
    "Joins two files of collapsed stacks: `stack BASELINE-WEIGHT CANDIDATE-WEIGHT`.\n"
    "One of the two may be -, standard input.\n"
    "\n"
    "  -n, --normalize  scale the baseline's weights so that both totals are equal:\n"
    "                   shares are compared, and not amounts. They have six decimals\n"
    "      --merge-lines\n"
    "                   f (a.py:3) and f (a.py:7) are the same, f (a.py)\n"
    "      --help       print this and exit\n"
    "\n"
    "Sorted by the bytes of the stack. Stacks that only one of the two has are there\n"
    "with a weight of 0 for the other. Files whose `# unit:` differs are refused.\n"
    "\n"
    "Exit status: 0 done, 1 neither has a stack with a weight, 2 usage, 3 failure.\n"
    "\n"
    "Examples:\n"
    "  stackdiff before.folded after.folded | flamegraph --diff >diff.svg\n"
    "  stackdiff -n --merge-lines a.folded b.folded | flamegraph --diff >shares.svg\n"
    "  stackdiff a.folded b.folded | awk '!/^#/ && $NF == 0'     # what vanished\n";

static void parse_options(int argc, char **argv) {
    enum { MERGE = 256, HELP };
    static const struct option longs[] = {{"normalize", no_argument, NULL, 'n'},
                                          {"merge-lines", no_argument, NULL, MERGE},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "n", longs, NULL)) != -1) {
        switch (c) {
        case 'n':
            opts.normalize = true;
            break;
        case MERGE:
            opts.merge_lines = true;
            break;
        case HELP:
            (void)fputs(usage, stdout);
            exit(out_close(EX_DONE));
        default:
            die_usage("the options are wrong");
        }
    }
    if (argc - optind != 2)
        die_usage("two files are needed, the baseline and the candidate");
    if (strcmp(argv[optind], "-") == 0 && strcmp(argv[optind + 1], "-") == 0)
        die_usage("only one of the two can be standard input");
}

int main(int argc, char **argv) {
    int status = EX_DONE;
    struct diff d;

    err_name("stackdiff");
    parse_options(argc, argv);
    diff_init(&d);
    d.merge_lines = opts.merge_lines;
    diff_read(&d, argv[optind], 0);
    diff_read(&d, argv[optind + 1], 1);
    units_report(&d.units);
    if (d.table.total[0] == 0 && d.table.total[1] == 0) {
        warn("neither %s nor %s has a stack with a weight", argv[optind], argv[optind + 1]);
        status = EX_NONE;
    } else {
        diff_sort(&d);
        if (opts.normalize && !diff_normalize(&d))
            warn("%s has no stack with a weight: there is no share to compare, and nothing was "
                 "scaled; "
                 "look at how it was recorded",
                 argv[d.table.total[0] == 0 ? optind : optind + 1]);
        diff_write(&d, stdout);
    }
    diff_free(&d);
    return out_close(status);
}
