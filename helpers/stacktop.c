/* SPDX-License-Identifier: MIT
 * stacktop: collapsed stacks to the functions with the most weight, their own and with all that
 * they call.
 *
 * Input:
 *   main (a.py:9);parse (b.py:3);parse (b.py:3) 6
 *   main (a.py:9);emit (b.py:8) 2
 *   main (a.py:9) 2
 * Output:
 *   self   self%  total  total%  function
 *      6   60.0%      6   60.0%  parse (b.py:3)
 *      2   20.0%     10  100.0%  main (a.py:9)
 *      2   20.0%      2   20.0%  emit (b.py:8)
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "frametext.h"
#include "opt.h"
#include "stacks.h"

enum { WIDTH = 79, NAME_MIN = 20 };

static struct {
    bool by_total, tsv, merge_lines, seconds;
    uint64_t rows, width;
} opts = {.rows = 20, .width = WIDTH};

static const char usage[] =
    "usage: stacktop [OPTION]... [FILE]...\n"
    "Prints the functions with the most weight in collapsed stacks.\n"
    "Without a FILE, or for -, standard input is read.\n"
    "\n"
    "      --by KEY        order by self (the default) or total\n"
    "  -n, --rows N        at most N functions, 0 for all (default 20)\n"
    "      --merge-lines   f (a.py:3) and f (a.py:7) are one function, f (a.py)\n"
    "      --width N       columns of the table (40 to 10000, default 79)\n"
    "      --unit us       weights are microseconds: the table has seconds\n"
    "      --tsv           tab-separated columns, full names, weights as they are\n"
    "      --help          print this and exit\n"
    "\n"
    "self: weight of the stacks that end in the function. total: weight of those\n"
    "that hold it, each counted once however often it calls itself.\n"
    "\n"
    "Exit status: 0 done, 1 no weight in the input, 2 usage, 3 failure.\n"
    "\n"
    "Examples:\n"
    "  stacktop results/latest/profile.folded\n"
    "  stacktop --by total --merge-lines -n 40 profile.folded\n"
    "  perf script --no-inline | stackfold | stacktop --tsv -n 0 >functions.tsv\n";

/* A row; every frame has one, and frames that are one function share it. */
struct row {
    uint64_t self, total;
    const char *name;
    size_t len;
    uint32_t active; /* how often it is on the path that is walked */
};

static void parse_options(int argc, char **argv) {
    enum { BY = 256, MERGE, COLUMNS, UNIT, TSV, HELP };
    static const struct option longs[] = {
        {"by", required_argument, NULL, BY},       {"rows", required_argument, NULL, 'n'},
        {"merge-lines", no_argument, NULL, MERGE}, {"width", required_argument, NULL, COLUMNS},
        {"unit", required_argument, NULL, UNIT},   {"tsv", no_argument, NULL, TSV},
        {"help", no_argument, NULL, HELP},         {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "n:", longs, NULL)) != -1) {
        switch (c) {
        case BY:
            opts.by_total = strcmp(optarg, "total") == 0;
            if (!opts.by_total && strcmp(optarg, "self") != 0)
                die_usage("--by: not self or total: '%s'", optarg);
            break;
        case 'n':
            opts.rows = opt_u64("--rows", optarg, 0, UINT32_MAX);
            break;
        case MERGE:
            opts.merge_lines = true;
            break;
        case COLUMNS:
            opts.width = opt_u64("--width", optarg, 40, 10000);
            break;
        case UNIT:
            if (strcmp(optarg, "us") != 0)
                die_usage("--unit: not us: '%s'", optarg);
            opts.seconds = true;
            break;
        case TSV:
            opts.tsv = true;
            break;
        case HELP:
            (void)fputs(usage, stdout);
            exit(out_close(EX_DONE));
        default:
            die_usage("the options are wrong");
        }
    }
}

/* Which row each frame counts for, and their names in `names`. */
static uint32_t *rows_of_frames(const struct intern *frames, struct intern *names) {
    uint32_t *row = xcalloc((size_t)frames->n + 1, sizeof(*row));
    struct buf merged = {0};

    for (uint32_t id = 1; id <= frames->n; id++) {
        size_t len, at, number = 0;
        const char *text = intern_text(frames, id, &len);

        merged.len = 0;
        if (opts.merge_lines)
            number = frame_line_number(text, len, &at);
        buf_add(&merged, text, number > 0 ? at : len);
        if (number > 0)
            buf_addc(&merged, ')');
        row[id] = intern(names, merged.data, merged.len);
    }
    buf_free(&merged);
    return row;
}

/* Walks the tree, and adds a node's total to its row where the row is not on the path already. */
static void add_totals(const struct calltree *t, const uint32_t *row_of, struct row *rows) {
    uint64_t *total = stacks_totals(t, NULL);
    uint32_t *first = xcalloc(t->n, sizeof(*first)), *next = xcalloc(t->n, sizeof(*next)), node;

    for (node = t->n - 1; node > 0; node--) {
        next[node] = first[t->nodes[node].parent];
        first[t->nodes[node].parent] = node;
    }
    for (node = first[0]; node;) {
        struct row *r = &rows[row_of[t->nodes[node].frame]];

        r->self += t->nodes[node].weight;
        if (r->active++ == 0)
            r->total += total[node];
        if (first[node]) {
            node = first[node];
            continue;
        }
        for (; node; node = t->nodes[node].parent) {
            rows[row_of[t->nodes[node].frame]].active--;
            if (next[node])
                break;
        }
        node = next[node]; /* the root has no sibling: 0 ends the walk */
    }
    free(total);
    free(first);
    free(next);
}

static int by_weight(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    uint64_t wx[2] = {x->self, x->total}, wy[2] = {y->self, y->total};
    int key = opts.by_total ? 1 : 0, order;

    for (int i = 0; i < 2; i++, key = !key) {
        if (wx[key] != wy[key])
            return wx[key] > wy[key] ? -1 : 1;
    }
    order = memcmp(x->name, y->name, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static void put_weight(struct buf *out, uint64_t weight, uint64_t scale) {
    if (opts.seconds)
        buf_printf(out, "%.3f", (double)weight / (double)scale / 1e6);
    else
        weight_put(out, weight, scale);
}

static int digits(uint64_t weight, uint64_t scale) {
    struct buf b = {0};
    int n;

    put_weight(&b, weight, scale);
    n = (int)b.len;
    buf_free(&b);
    return n;
}

static void put_padded(struct buf *out, uint64_t weight, uint64_t scale, int width) {
    for (int n = digits(weight, scale); n < width; n++)
        buf_addc(out, ' ');
    put_weight(out, weight, scale);
}

static void put_table(const struct stacks *s, const struct row *rows, uint32_t n) {
    double all = (double)s->tree.total;
    struct buf out = {0};
    const char *self = opts.seconds ? "self s" : "self",
               *whole = opts.seconds ? "total s" : "total";
    int self_width = (int)strlen(self), total_width = (int)strlen(whole);
    size_t room;

    for (uint32_t i = 0; i < n && !opts.tsv; i++) {
        int d = digits(rows[i].self, s->scale), e = digits(rows[i].total, s->scale);

        self_width = d > self_width ? d : self_width;
        total_width = e > total_width ? e : total_width;
    }
    if (opts.tsv) {
        buf_adds(&out, "# total: ");
        weight_put(&out, s->tree.total, s->scale);
        buf_adds(&out, "\nself\tself_pct\ttotal\ttotal_pct\tfunction\n");
    } else {
        buf_printf(&out, "%*s   self%%  %*s  total%%  function\n", self_width, self, total_width,
                   whole);
    }
    room = (size_t)(self_width + total_width) + 20;
    room = opts.width > room + NAME_MIN ? opts.width - room : NAME_MIN;
    for (uint32_t i = 0; i < n; i++) {
        double self_pct = 100 * (double)rows[i].self / all,
               total_pct = 100 * (double)rows[i].total / all;

        if (opts.tsv) {
            weight_put(&out, rows[i].self, s->scale);
            buf_printf(&out, "\t%.2f\t", self_pct);
            weight_put(&out, rows[i].total, s->scale);
            buf_printf(&out, "\t%.2f\t", total_pct);
            frame_put(&out, rows[i].name, rows[i].len, 0);
        } else {
            put_padded(&out, rows[i].self, s->scale, self_width);
            buf_printf(&out, "  %5.1f%%  ", self_pct);
            put_padded(&out, rows[i].total, s->scale, total_width);
            buf_printf(&out, "  %5.1f%%  ", total_pct);
            frame_put_fit(&out, rows[i].name, rows[i].len, room);
        }
        buf_addc(&out, '\n');
    }
    (void)fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
}

static void put_functions(const struct stacks *s) {
    struct intern names;
    struct row *rows;
    uint32_t *row_of, n, shown = 0;

    intern_init(&names);
    row_of = rows_of_frames(&s->tree.frames, &names);
    rows = xcalloc((size_t)names.n + 1, sizeof(*rows));
    for (n = 1; n <= names.n; n++)
        rows[n].name = intern_text(&names, n, &rows[n].len);
    add_totals(&s->tree, row_of, rows);
    qsort(rows + 1, names.n, sizeof(*rows), by_weight);
    while (shown < names.n && (opts.rows == 0 || shown < opts.rows) && rows[shown + 1].total > 0)
        shown++;
    put_table(s, rows + 1, shown);
    free(rows);
    free(row_of);
    intern_free(&names);
}

int main(int argc, char **argv) {
    struct stacks s;
    int status = EX_DONE;

    err_name("stacktop");
    parse_options(argc, argv);
    stacks_init(&s, false);
    stacks_read_all(&s, argv + optind);
    if (!opts.seconds)
        units_report(&s.units);
    if (s.tree.total > 0) {
        put_functions(&s);
    } else {
        warn("no stack with a weight in the input: no function to show");
        status = EX_NONE;
    }
    stacks_free(&s);
    return out_close(status);
}
