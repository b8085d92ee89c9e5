/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "opt.h"

#define SECOND UINT64_C(1000000000)
#define DAY (UINT64_C(86400) * SECOND)

static const char usage[] =
    "usage: procsample [OPTION]... PID\n"
    "\n"
    "Writes what a process and its descendants use over time, as tab-separated\n"
    "rows: one row per process and one `total` row per sample, until none of them\n"
    "is left.\n"
    "\n"
    "  -r, --rate HZ         samples per second, 1 to 1000 (default 10)\n"
    "  -d, --duration TIME   end after TIME: 10s, 500ms, 2m (default: no end)\n"
    "  -n, --count N         end after N samples (default: no end)\n"
    "  -o, --output FILE     where the rows go (default: standard output)\n"
    "      --tree            PID and all that descends from it (default)\n"
    "      --no-tree         PID only\n"
    "      --exclude PID     do not count this process, but those it started;\n"
    "                        may be given 64 times\n"
    "      --threads         read every thread: run-queue delay, context\n"
    "                        switches of all threads, threads by state (default)\n"
    "      --no-threads      leave that out; context switches are then those of\n"
    "                        the main thread\n"
    "      --per-thread FILE\n"
    "                        write one row per thread and sample to FILE\n"
    "      --pss-interval TIME\n"
    "                        least time between readings of PSS and USS, from 1s;\n"
    "                        0 is never (default 1s). Longer where they would take\n"
    "                        more than 1 % of the time\n"
    "      --light           only what is cheap: --no-threads --pss-interval 0,\n"
    "                        sockets are not counted, and I/O, the parts and the peak\n"
    "                        of RSS, swap and context switches are read at most\n"
    "                        100 times a second\n"
    "      --proc DIR        read DIR instead of /proc\n"
    "  -h, --help            print this and exit\n"
    "\n"
    "Exit status: 0 sampled, 1 no such process, 2 usage, 3 failure.\n"
    "\n"
    "Examples:\n"
    "  procsample -o samples.tsv 4711            10 Hz until it ends\n"
    "  procsample -r 100 -d 30s --light 4711     cheap, 100 Hz, 30 seconds\n"
    "  procsample 4711 | awk '$2 == \"total\" { print $1, $11 }'\n"
    "                                            resident memory of the tree\n";

void options_parse(struct options *o, int argc, char **argv) {
    enum {
        NO_TREE = 256,
        TREE,
        EXCLUDE,
        THREADS,
        NO_THREADS,
        PER_THREAD,
        PSS_INTERVAL,
        LIGHT,
        PROC
    };
    static const struct option longopts[] = {
        {"rate", required_argument, NULL, 'r'},
        {"duration", required_argument, NULL, 'd'},
        {"count", required_argument, NULL, 'n'},
        {"output", required_argument, NULL, 'o'},
        {"tree", no_argument, NULL, TREE},
        {"no-tree", no_argument, NULL, NO_TREE},
        {"exclude", required_argument, NULL, EXCLUDE},
        {"threads", no_argument, NULL, THREADS},
        {"no-threads", no_argument, NULL, NO_THREADS},
        {"per-thread", required_argument, NULL, PER_THREAD},
        {"pss-interval", required_argument, NULL, PSS_INTERVAL},
        {"light", no_argument, NULL, LIGHT},
        {"proc", required_argument, NULL, PROC},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    *o = (struct options){
        .rate = 10,
        .duration = 365 * DAY,
        .pss_interval = SECOND,
        .count = UINT64_MAX,
        .tree = true,
        .threads = true,
        .proc = "/proc",
    };
    while ((c = getopt_long(argc, argv, "r:d:n:o:h", longopts, NULL)) != -1) {
        switch (c) {
        case 'r':
            o->rate = opt_double("--rate", optarg, 1, 1000);
            break;
        case 'd':
            o->duration = opt_duration_ns("--duration", optarg, 1, 365 * DAY);
            break;
        case 'n':
            o->count = opt_u64("--count", optarg, 1, UINT64_MAX);
            break;
        case 'o':
            o->output = optarg;
            break;
        case TREE:
        case NO_TREE:
            o->tree = c == TREE;
            break;
        case EXCLUDE:
            if (o->excludes == sizeof(o->exclude) / sizeof(o->exclude[0]))
                die_usage("--exclude: more than %zu", o->excludes);
            o->exclude[o->excludes++] = opt_pid("--exclude", optarg);
            break;
        case THREADS:
        case NO_THREADS:
            o->threads = c == THREADS;
            break;
        case PER_THREAD:
            o->per_thread = optarg;
            break;
        case PSS_INTERVAL:
            o->pss_interval = opt_duration_ns("--pss-interval", optarg, 0, DAY);
            break;
        case LIGHT:
            o->light = true;
            break;
        case PROC:
            o->proc = optarg;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            exit(out_close(EX_DONE));
        default:
            die_usage("unknown or incomplete option");
        }
    }
    if (optind != argc - 1)
        die_usage(optind == argc ? "which PID?" : "more than one PID");
    o->pid = opt_pid("PID", argv[optind]);
    if (o->pss_interval > 0 && o->pss_interval < SECOND)
        die_usage("--pss-interval: 0, or at least 1s");
    if (o->light) {
        o->threads = false;
        o->pss_interval = 0;
    }
    if (o->per_thread && !o->threads)
        die_usage("--per-thread: not together with --light or --no-threads");
}
