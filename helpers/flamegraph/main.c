/* SPDX-License-Identifier: MIT
 * flamegraph: collapsed stacks to one self-contained interactive SVG.
 *
 * Input:
 *   main (app.py:9);parse (app.py:3);read (io.py:5) 30
 *   main (app.py:9);emit (app.py:7) 10
 * Output, a picture in which `parse` stands on `main` and is three times as wide as `emit`:
 *   <svg xmlns="http://www.w3.org/2000/svg" class="fg" width="1200" …
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "flamegraph.h"
#include "opt.h"

static struct options opts = {.width = 1200, .minwidth = 10, .max_depth = 1000};

static const char usage[] =
    "usage: flamegraph [OPTION]... [FILE]...\n"
    "Draws collapsed stacks as an interactive SVG on standard output.\n"
    "Without a FILE, or for -, standard input is read.\n"
    "\n"
    "      --title TEXT     default: Flame graph\n"
    "      --subtitle TEXT  a line below it\n"
    "      --unit NAME      what the weights are; ns, us, ms, s are shown as times\n"
    "                       (default: the file's own `# unit:`, else samples)\n"
    "      --icicle         the outermost frames on top\n"
    "      --colors HOW     python: by package; stages: by --stages; hash: by name\n"
    "                       (default: stages with --stages, else python)\n"
    "      --stages MAP     patterns of frames and their stages (stages.map)\n"
    "      --no-wait        innermost frames in brackets mean no waiting\n"
    "      --width PX       of the picture (300 to 20000, default 1200)\n"
    "      --minwidth PX    frames narrower than this are not drawn (0 to 100,\n"
    "                       default 0.1); 0 draws them all\n"
    "      --depth N        at most N rows (2 to 100000, default 1000)\n"
    "      --diff           lines have two weights, as stackdiff writes them; colour\n"
    "                       shows what grew and what shrank\n"
    "      --widths RUN     with --diff, the run whose weights are the widths:\n"
    "                       candidate (the default) or baseline\n"
    "      --vanished       with --diff, only stacks that the candidate lacks\n"
    "      --help           print this and exit\n"
    "\n"
    "Waiting is blue: an innermost frame such as [sleep(0.5s)] or [gil], any in\n"
    "brackets but [running], and every frame whose weight is mostly such.\n"
    "\n"
    "Exit status: 0 done, 1 no weight in the input (the picture says so), 2 usage,\n"
    "3 failure.\n"
    "\n"
    "Examples:\n"
    "  flamegraph --title 'My run' profile.folded >profile.svg\n"
    "  flamegraph --stages scripts/stages.map --unit us wall.folded >wall.svg\n"
    "  stackdiff before.folded after.folded | flamegraph --diff >diff.svg\n";

static void parse_diff_options(int given_widths) {
    if (!opts.diff && (given_widths || opts.vanished))
        die_usage("--widths and --vanished: only with --diff");
    if (opts.vanished && given_widths && !opts.widths_base)
        die_usage("--vanished: what the candidate lacks has no width in it");
    opts.widths_base |= opts.vanished;
    if (opts.diff && opts.stages)
        die_usage("--diff: colours show change, and not --stages");
}

static void parse_options(int argc, char **argv) {
    enum {
        TITLE = 256,
        SUBTITLE,
        UNIT,
        ICICLE,
        COLORS,
        STAGES,
        NO_WAIT,
        WIDTH,
        MINWIDTH,
        DEPTH,
        DIFF,
        WIDTHS,
        VANISHED,
        HELP
    };
    static const struct option longs[] = {{"title", required_argument, NULL, TITLE},
                                          {"subtitle", required_argument, NULL, SUBTITLE},
                                          {"unit", required_argument, NULL, UNIT},
                                          {"icicle", no_argument, NULL, ICICLE},
                                          {"colors", required_argument, NULL, COLORS},
                                          {"stages", required_argument, NULL, STAGES},
                                          {"no-wait", no_argument, NULL, NO_WAIT},
                                          {"width", required_argument, NULL, WIDTH},
                                          {"minwidth", required_argument, NULL, MINWIDTH},
                                          {"depth", required_argument, NULL, DEPTH},
                                          {"diff", no_argument, NULL, DIFF},
                                          {"widths", required_argument, NULL, WIDTHS},
                                          {"vanished", no_argument, NULL, VANISHED},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    static const char *const hows[] = {"python", "stages", "hash"};
    int c, how = -1, given_widths = 0;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case TITLE:
            opts.title = optarg;
            break;
        case SUBTITLE:
            opts.subtitle = optarg;
            break;
        case UNIT:
            opts.unit = optarg;
            break;
        case ICICLE:
            opts.icicle = true;
            break;
        case COLORS:
            for (how = 2; how >= 0 && strcmp(optarg, hows[how]) != 0; how--)
                continue;
            if (how < 0)
                die_usage("--colors: not python, stages or hash: '%s'", optarg);
            break;
        case STAGES:
            opts.stages = optarg;
            break;
        case NO_WAIT:
            opts.no_wait = true;
            break;
        case WIDTH:
            opts.width = (uint32_t)opt_u64("--width", optarg, 300, 20000);
            break;
        case MINWIDTH:
            opts.minwidth = (uint32_t)lround(opt_double("--minwidth", optarg, 0, 100) * 100);
            break;
        case DEPTH:
            opts.max_depth = (uint32_t)opt_u64("--depth", optarg, 2, 100000);
            break;
        case DIFF:
            opts.diff = true;
            break;
        case WIDTHS:
            given_widths = 1;
            opts.widths_base = strcmp(optarg, "baseline") == 0;
            if (!opts.widths_base && strcmp(optarg, "candidate") != 0)
                die_usage("--widths: not candidate or baseline: '%s'", optarg);
            break;
        case VANISHED:
            opts.vanished = true;
            break;
        case HELP:
            (void)fputs(usage, stdout);
            exit(out_close(EX_DONE));
        default:
            die_usage("the options are wrong");
        }
    }
    parse_diff_options(given_widths);
    if (how == COLORS_STAGES && !opts.stages)
        die_usage("--colors stages: --stages MAP says which they are");
    opts.colors = how >= 0 ? (enum colors)how : opts.stages ? COLORS_STAGES : COLORS_PYTHON;
    if (opts.diff)
        opts.colors = COLORS_DIFF;
}

/* The weights that widths are made of, and those of the other run. */
static void weigh(struct picture *p, uint64_t **own) {
    const struct calltree *t = &p->stacks->tree;
    const uint64_t *base = opts.diff ? stacks_base(p->stacks) : NULL;

    *own = xcalloc(t->n, sizeof(**own));
    for (uint32_t i = 0; i < t->n; i++) {
        uint64_t weight = t->nodes[i].weight;

        (*own)[i] = !opts.widths_base ? weight : opts.vanished && weight > 0 ? 0 : base[i];
    }
    p->own = *own;
    p->total = stacks_totals(t, *own);
    if (opts.vanished)
        p->base_total = xcalloc(t->n, sizeof(*p->base_total));
    else if (opts.diff)
        p->base_total = stacks_totals(t, opts.widths_base ? NULL : base);
    p->all = p->total[0];
}

/* Why there is nothing to draw, and what to do. */
static const char *why_empty(const struct stacks *s) {
    if (opts.diff && s->base_total > 0 && s->tree.total == 0 && !opts.widths_base)
        return "Nothing to draw: the candidate has no stack with a weight, and its weights are the "
               "widths. See why it took no samples, or draw the baseline with --widths baseline.";
    if (opts.vanished && s->base_total > 0)
        return "No stack vanished: the candidate has all stacks of the baseline.";
    if (opts.diff && s->tree.total > 0)
        return "Nothing to draw: the baseline has no stack with a weight, and its weights are the "
               "widths. See why it took no samples, or draw the candidate, without --widths and "
               "--vanished.";
    return s->file.bad > 0 ? "Nothing to draw: the input holds lines, but no stack with a weight."
                           : "Nothing to draw: the input holds no stack with a weight.";
}

/* A difference of which one side has nothing is drawn where the other is the widths. */
static void warn_one_sided(const struct stacks *s) {
    if (s->base_total == 0)
        warn("the baseline has no stack with a weight: all is drawn as new; see why it took no "
             "samples");
    else if (s->tree.total == 0)
        warn("the candidate has no stack with a weight: all is drawn as vanished; see why it took "
             "no samples");
}

static int draw(struct stacks *s) {
    struct picture p = {.opts = &opts, .stacks = s};
    int status = EX_DONE;
    struct buf out = {0};
    struct paint colors;
    uint64_t *own;

    weigh(&p, &own);
    if (p.all > 0) {
        if (opts.diff)
            warn_one_sided(s);
        layout(&p);
        paint(&colors, &p);
        svg_write(&out, &p, &colors);
        paint_free(&colors);
    } else {
        const char *why = why_empty(s);

        warn("%s", why);
        svg_write_empty(&out, &opts, why);
        status = EX_NONE;
    }
    (void)fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    layout_free(&p);
    free(own);
    free(p.total);
    free(p.base_total);
    return status;
}

int main(int argc, char **argv) {
    struct stacks s;
    int status;

    err_name("flamegraph");
    parse_options(argc, argv);
    stacks_init(&s, opts.diff);
    stacks_read_all(&s, argv + optind);
    if (!opts.unit) {
        units_report(&s.units);
        opts.unit = units_common(&s.units) ? units_common(&s.units) : "samples";
    }
    if (!opts.title)
        opts.title = opts.diff ? "Differential flame graph" : "Flame graph";
    status = draw(&s);
    stacks_free(&s);
    return out_close(status);
}
