/* SPDX-License-Identifier: MIT
 * stackstages: collapsed stacks to what each stage of the program took, by the patterns of a
 * stages.map.
 *
 * Input:
 *   run (main.py:3);chunk_document (app/chunking.py:20);split (re.py:8) 30
 *   run (main.py:3);upsert (app/store.py:7);[waiting] 10
 * Output, where the map says `app/chunking.py` is chunk and `app/store.py` is upsert:
 *   stage	samples	share_pct
 *   chunk	30	75.0
 *   upsert	10	25.0
 *   waiting	0	0.0
 *   other	0	0.0
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "stacks.h"
#include "stages.h"

enum { RUNNING, WAITING, KINDS, ROWS = STAGES_MAX + 2, ALL = 1000 /* 100.0 % in tenths */ };

static struct {
    const char *map, *unit;
    bool by_wait, no_wait, total;
} opts;

static const char usage[] =
    "usage: stackstages --stages MAP [OPTION]... [FILE]...\n"
    "Sums collapsed stacks by the stage of the program that they belong to.\n"
    "Without a FILE, or for -, standard input is read.\n"
    "\n"
    "      --stages MAP    patterns of frames and their stages (stages.map)\n"
    "      --by-wait       two more columns: what of it ran, and what waited, by\n"
    "                      innermost frames such as [running] and [sleep(0.5s)]\n"
    "      --no-wait       innermost frames in brackets mean no waiting\n"
    "      --total         a last row with the sums\n"
    "      --unit NAME     what the weights are, the name of the column (default:\n"
    "                      the file's own `# unit:`, else samples)\n"
    "      --help          print this and exit\n"
    "\n"
    "All stages of the map are listed, also those with nothing. Shares are in\n"
    "percent, and add up to 100.0.\n"
    "\n"
    "Exit status: 0 done, 1 no weight in the input, 2 usage, 3 failure.\n"
    "\n"
    "Examples:\n"
    "  stackstages --stages scripts/stages.map results/latest/profile.folded\n"
    "  py-spy record -f raw -o /dev/stdout -p 42 | stackstages --stages my.map\n"
    "  stackstages --stages my.map --by-wait --total --unit us wall.folded\n";

static void parse_options(int argc, char **argv) {
    enum { STAGES = 256, BY_WAIT, NO_WAIT, TOTAL, UNIT, HELP };
    static const struct option longs[] = {{"stages", required_argument, NULL, STAGES},
                                          {"by-wait", no_argument, NULL, BY_WAIT},
                                          {"no-wait", no_argument, NULL, NO_WAIT},
                                          {"total", no_argument, NULL, TOTAL},
                                          {"unit", required_argument, NULL, UNIT},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case STAGES:
            opts.map = optarg;
            break;
        case BY_WAIT:
            opts.by_wait = true;
            break;
        case NO_WAIT:
            opts.no_wait = true;
            break;
        case TOTAL:
            opts.total = true;
            break;
        case UNIT:
            opts.unit = optarg;
            if (strcspn(optarg, "\t\n") != strlen(optarg) || !*optarg)
                die_usage("--unit: not the name of a column: '%s'", optarg);
            break;
        case HELP:
            (void)fputs(usage, stdout);
            exit(out_close(EX_DONE));
        default:
            die_usage("the options are wrong");
        }
    }
    if (!opts.map)
        die_usage("--stages: no map given");
}

/* Tenths of a percent that add up to 100 %: what rounding down leaves goes to the largest
 * remainders. */
static void shares(const uint64_t *weight, int n, uint64_t total, uint32_t *tenths) {
    uint64_t rest[ROWS];
    uint32_t left = ALL;

    for (int i = 0; i < n; i++) {
        unsigned __int128 exact = (unsigned __int128)weight[i] * ALL;

        tenths[i] = (uint32_t)(exact / total);
        rest[i] = (uint64_t)(exact % total);
        left -= tenths[i];
    }
    for (; left > 0; left--) {
        int most = 0;

        for (int i = 1; i < n; i++)
            most = rest[i] > rest[most] ? i : most;
        tenths[most]++;
        rest[most] = 0;
    }
}

static void put_row(struct buf *out, const char *name, uint64_t weight, uint32_t tenths,
                    const uint64_t *kinds, uint64_t scale) {
    buf_printf(out, "%s\t", name);
    weight_put(out, weight, scale);
    buf_printf(out, "\t%u.%u", tenths / 10, tenths % 10);
    for (int k = 0; opts.by_wait && k < KINDS; k++) {
        buf_addc(out, '\t');
        weight_put(out, kinds[k], scale);
    }
    buf_addc(out, '\n');
}

static void put_table(const struct stacks *s, const struct stages *g) {
    uint64_t weight[ROWS] = {0}, kinds[ROWS][KINDS] = {{0}}, sum[KINDS] = {0};
    uint32_t tenths[ROWS] = {0};
    uint8_t *stage = stages_of_nodes(g, &s->tree, !opts.no_wait);
    struct buf out = {0};

    for (uint32_t i = 1; i < s->tree.n; i++) {
        uint64_t w = s->tree.nodes[i].weight;
        size_t len;
        const char *frame = intern_text(&s->tree.frames, s->tree.nodes[i].frame, &len);
        bool waits =
            stage[i] == stages_waiting(g) || (w > 0 && !opts.no_wait && stacks_is_wait(frame, len));
        int kind = waits ? WAITING : RUNNING;

        weight[stage[i]] += w;
        kinds[stage[i]][kind] += w;
        sum[kind] += w;
    }
    shares(weight, g->count, s->tree.total, tenths);
    buf_printf(&out, "stage\t%s\tshare_pct", opts.unit);
    if (opts.by_wait)
        buf_printf(&out, "\trunning_%s\twaiting_%s", opts.unit, opts.unit);
    buf_addc(&out, '\n');
    for (int i = 0; i < g->count; i++)
        put_row(&out, g->names[i], weight[i], tenths[i], kinds[i], s->scale);
    if (opts.total)
        put_row(&out, "total", s->tree.total, ALL, sum, s->scale);
    (void)fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    free(stage);
}

int main(int argc, char **argv) {
    struct stages map;
    struct stacks s;
    int status = EX_DONE;

    err_name("stackstages");
    parse_options(argc, argv);
    stages_read(&map, opts.map);
    stacks_init(&s, false);
    stacks_read_all(&s, argv + optind);
    if (!opts.unit) {
        units_report(&s.units);
        opts.unit = units_common(&s.units) ? units_common(&s.units) : "samples";
    }
    if (s.tree.total > 0) {
        put_table(&s, &map);
    } else {
        warn("no stack with a weight in the input: nothing to share out");
        status = EX_NONE;
    }
    stacks_free(&s);
    stages_free(&map);
    return out_close(status);
}
