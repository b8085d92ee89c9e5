/* SPDX-License-Identifier: MIT
 * stackexport: collapsed stacks to the formats that other viewers read.
 *
 * Input:
 *   main (app.py:3);chunk (app.py:7) 41
 * Output, speedscope:
 *   {"$schema":"https://www.speedscope.app/file-format-schema.json","shared":{"frames":[
 *   {"name":"main","file":"app.py","line":3},{"name":"chunk","file":"app.py","line":7}]},
 *   "profiles":[{"type":"sampled",...,"samples":[[0,1]],"weights":[41]}]}
 * or pprof: the same as a gzip-compressed protocol buffer.
 */
#include <ctype.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "export.h"
#include "opt.h"
#include "stacks.h"

enum format { SPEEDSCOPE, PPROF, COLLAPSED };

static struct {
    enum format format;
    double rate; /* Hz; 0: unknown */
    struct export_options profile;
} opts = {.profile = {.name = "stacks"}};

static const char usage[] =
    "usage: stackexport [OPTION]... [FILE]...\n"
    "Writes collapsed stacks as speedscope or pprof profiles.\n"
    "FILEs are merged; without one, or for -, standard input is read.\n"
    "\n"
    "      --format FORMAT  speedscope (the default), pprof or collapsed\n"
    "      --unit UNIT      what the weights count: samples, nanoseconds,\n"
    "                       microseconds, milliseconds, seconds, bytes, or another word\n"
    "                       (default: the file's own `# unit:`, else samples)\n"
    "      --rate HZ        samples were taken at this rate: they are times, too\n"
    "      --type TYPE      what is measured, for pprof: cpu, wall ... (default: cpu\n"
    "                       for times, space for bytes, else samples)\n"
    "      --name NAME      the profile's title, for speedscope (default: stacks)\n"
    "      --help           print this and exit\n"
    "\n"
    "A frame `name (file.py:12)` becomes a function with its file and line.\n"
    "\n"
    "Exit status: 0 done, 1 no stack in the input, 2 usage, 3 failure.\n"
    "\n"
    "Examples:\n"
    "  stackexport --rate 100 profile.folded >profile.speedscope.json\n"
    "  stackexport --format pprof --unit microseconds --type wall wall.folded >wall.pb.gz\n"
    "  go tool pprof -top wall.pb.gz\n";

static void parse_options(int argc, char **argv) {
    enum { FORMAT = 256, UNIT, RATE, TYPE, NAME, HELP };
    static const struct option longs[] = {{"format", required_argument, NULL, FORMAT},
                                          {"unit", required_argument, NULL, UNIT},
                                          {"rate", required_argument, NULL, RATE},
                                          {"type", required_argument, NULL, TYPE},
                                          {"name", required_argument, NULL, NAME},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    static const char *const formats[] = {"speedscope", "pprof", "collapsed"};
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case FORMAT:
            for (opts.format = 0; strcmp(optarg, formats[opts.format]) != 0;) {
                if (opts.format++ == COLLAPSED)
                    die_usage("--format: not speedscope, pprof or collapsed: '%s'", optarg);
            }
            break;
        case UNIT:
            opts.profile.unit = optarg;
            break;
        case RATE:
            opts.rate = opt_double("--rate", optarg, 0.001, 1e9);
            break;
        case TYPE:
            opts.profile.type = optarg;
            break;
        case NAME:
            opts.profile.name = optarg;
            break;
        case HELP:
            (void)fputs(usage, stdout);
            exit(out_close(EX_DONE));
        default:
            die_usage("the options are wrong");
        }
    }
    if (opts.rate > 0 && opts.profile.unit && strcmp(opts.profile.unit, "samples") != 0)
        die_usage("--rate: is of samples, not of %s", opts.profile.unit);
    if (opts.format == PPROF && isatty(STDOUT_FILENO))
        die_usage("a pprof profile is binary: redirect it to a file");
}

struct frame frame_of(const struct calltree *tree, uint32_t id) {
    struct frame f = {0};
    const char *s = f.name = f.file = intern_text(&tree->frames, id, &f.name_len), *paren;
    size_t len = f.name_len, digits = 0;
    uint32_t line = 0, power = 1;

    if (len < 6 || s[len - 1] != ')')
        return f;
    for (; digits < 9 && digits + 2 < len && isdigit((unsigned char)s[len - 2 - digits]);
         digits++, power *= 10)
        line += (uint32_t)(s[len - 2 - digits] - '0') * power;
    /* The shortest is "a (b:1)": a name, " (", a file, ':'. */
    if (digits == 0 || len < digits + 6 || s[len - 2 - digits] != ':')
        return f;
    paren = memrchr(s, '(', len - 3 - digits);
    if (!paren || paren - s < 2 || paren[-1] != ' ')
        return f;
    f.name_len = (size_t)(paren - 1 - s);
    f.file = paren + 1;
    f.file_len = (size_t)(s + len - 2 - digits - f.file);
    f.line = line;
    return f;
}

static void walk_node(void *arg, uint32_t depth, uint32_t frame, uint64_t weight) {
    struct walk *w = arg;

    if (depth > w->cap)
        w->path = xrealloc(w->path, (w->cap = 2 * (size_t)depth) * sizeof(*w->path));
    w->path[depth - 1] = frame;
    w->depth = depth;
    if (weight > 0)
        w->stack(w, weight);
}

void walk_stacks(struct walk *w, void (*stack)(struct walk *, uint64_t)) {
    w->stack = stack;
    calltree_walk(w->tree, walk_node, w);
}

uint64_t walk_round(const struct walk *w, struct rounding *r, uint64_t weight, uint64_t factor) {
    uint64_t before = r->before;

    r->sum += (unsigned __int128)weight * factor;
    r->before = (uint64_t)((r->sum + w->scale / 2) / w->scale);
    return r->before - before;
}

static void collapsed_stack(struct walk *w, uint64_t weight) {
    for (uint32_t i = 0; i < w->depth; i++) {
        size_t len;
        const char *s = intern_text(&w->tree->frames, w->path[i], &len);

        if (i > 0)
            (void)putchar(';');
        (void)fwrite(s, 1, len, stdout);
    }
    w->more.len = 0;
    weight_put(&w->more, weight, w->scale);
    (void)printf(" %s\n", w->more.data);
}

/* The unit by the word that the formats have for it. */
static const char *long_unit(const char *unit) {
    static const char *const names[][2] = {
        {"ns", "nanoseconds"}, {"us", "microseconds"}, {"ms", "milliseconds"}, {"s", "seconds"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(unit, names[i][0]) == 0)
            return names[i][1];
    }
    return unit;
}

/* What the files say themselves. */
static void use_units(const struct units *u) {
    const char *own = units_common(u);

    if (opts.rate > 0 && u->written && strcmp(u->unit.data, "samples") != 0)
        die(EX_FAIL, "%s: its weights are %s already, and --rate is of samples: leave it out",
            u->file.data, u->unit.data);
    if (!opts.profile.unit) {
        units_report(u);
        opts.profile.unit = own ? long_unit(own) : "samples";
    }
    if (own && opts.format == COLLAPSED)
        (void)printf("# unit: %s\n", own);
}

int main(int argc, char **argv) {
    struct stacks stacks;
    struct walk w = {.tree = &stacks.tree, .opts = &opts.profile};
    uint64_t limit;

    err_name("stackexport");
    parse_options(argc, argv);
    stacks_init(&stacks, false);
    stacks_read_all(&stacks, argv + optind);
    if (stacks.tree.total == 0) {
        warn("no stack in the input");
        stacks_free(&stacks);
        return out_close(EX_NONE);
    }
    use_units(&stacks.units);
    w.scale = stacks.scale;
    limit = opts.format == PPROF ? INT64_MAX : UINT64_MAX;
    w.period = opts.rate > 0 ? (uint64_t)llround(1e9 / opts.rate) : 0;
    if (((unsigned __int128)w.tree->total * (w.period ? w.period : 1) + w.scale / 2) / w.scale >
        limit)
        die(EX_FAIL, "the weights are too large for the format");
    if (opts.format == SPEEDSCOPE)
        write_speedscope(&w);
    else if (opts.format == PPROF)
        write_pprof(&w);
    else
        walk_stacks(&w, collapsed_stack);
    buf_free(&w.out);
    buf_free(&w.more);
    free(w.path);
    stacks_free(&stacks);
    return out_close(EX_DONE);
}
