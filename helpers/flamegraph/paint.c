/* SPDX-License-Identifier: MIT
 * A colour for each frame. Running is warm or its category's hue, waiting is blue or that hue
 * turned to blue; the text on all of them is dark. Measured contrast of text to fill: 5.4 and more
 * (WCAG asks for 4.5).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "flamegraph.h"
#include "frametext.h"

/* Colour classes: a letter and a digit of base 36. 'r' and 'w' are categories, 'h' and 'c' shades
 * by name, each running and waiting; 'd' is change, from most shrunk to most grown; 'a' is the
 * root. */
enum {
    SHADES = 12,
    RUN = 0,
    WAIT = 12,
    HOT = 24,
    COLD = 36,
    CHANGE = 48,
    CHANGES = 9,
    ROOT = 57,
    CLASSES = 58
};
enum { OTHER = 10, NATIVE = 11, NAMED = 10 };

static const uint32_t category_rgb[SHADES] = {0xdcb98c, 0x8fd3b6, 0xc9d95f, 0xfbc658,
                                              0xf58a61, 0xc6a3ee, 0xf19acb, 0xf4a6a0,
                                              0x9ccf77, 0xf3e08b, 0xd6d2cb, 0xbdb3a6};
static const uint32_t change_rgb[CHANGES] = {0x4f8fe0, 0x7cabeb, 0xa6c6f2, 0xcbdff8, 0xe9e7e3,
                                             0xfcd5c8, 0xfbb09b, 0xf6876c, 0xee5f45};
static const uint32_t wait_rgb = 0x82b1ee, root_rgb = 0xe4e0da;
/* Percentage points of the whole from which a frame is so much grown or shrunk. */
static const double change_points[] = {0.1, 0.5, 2, 10};
/* Packages take the hues in this order, the widest first. */
static const uint8_t package_order[NAMED] = {4, 3, 5, 1, 6, 2, 7, 8, 0, 9};

static uint32_t mix(uint32_t a, uint32_t b, double part) {
    uint32_t out = 0;

    for (int shift = 0; shift < 24; shift += 8) {
        double from = (a >> shift) & 255, to = (b >> shift) & 255;

        out |= (uint32_t)(from + (to - from) * part + 0.5) << shift;
    }
    return out;
}

static uint32_t rgb_of(uint8_t color) {
    uint8_t n = color % SHADES;

    if (color < WAIT)
        return category_rgb[n];
    if (color < HOT)
        return mix(category_rgb[n], wait_rgb, 0.82);
    if (color < COLD)
        return mix(0xf2774f, 0xfbdc6a, n / 11.0);
    if (color < CHANGE)
        return mix(0x7fb2ee, 0x9fdcd6, n / 11.0);
    return color == ROOT ? root_rgb : change_rgb[color - CHANGE];
}

void paint_class(struct buf *b, uint8_t color) {
    static const char letters[] = "rwhcd", digits[] = "0123456789ab";
    char name[2] = {'a', '0'};

    if (color < ROOT) {
        name[0] = letters[color / SHADES];
        name[1] = digits[color % SHADES];
    }
    buf_add(b, name, 2);
}

void paint_rules(struct buf *b, const struct picture *p, const struct paint *paint) {
    bool used[CLASSES] = {false};

    for (uint32_t i = 0; i < p->count; i++)
        used[p->frames[i].color] = true;
    for (uint32_t i = 0; i < paint->legends; i++)
        used[paint->legend[i].color] = true;
    for (int c = 0; c < CLASSES; c++) {
        if (!used[c])
            continue;
        buf_adds(b, ".fg .");
        paint_class(b, (uint8_t)c);
        buf_printf(b, "{fill:#%06x}", rgb_of((uint8_t)c));
    }
}

/* ---- what a frame is coloured by
 * ------------------------------------------------------------------------------- */

/* The part of `function (package/file.py:12)` that names the package: the first folder, or the
 * file's own name. False when the frame is no Python code. */
static bool package_of(const char *s, size_t len, const char **name, size_t *n) {
    static const char *const roots[] = {"site-packages/", "dist-packages/", "lib/python3."};
    const char *p = s, *end = s + len, *found, *slash;

    while ((found = memmem(p, (size_t)(end - p), " (", 2)) != NULL)
        p = found + 2;
    if (p == s || end[-1] != ')' || (!memmem(p, (size_t)(end - p), ".py", 3) && *p != '<'))
        return false;
    for (size_t i = 0; i < 3; i++) {
        found = memmem(p, (size_t)(end - p), roots[i], strlen(roots[i]));
        if (found) {
            p = found + strlen(roots[i]);
            if (i == 2 && (slash = memchr(p, '/', (size_t)(end - p))) != NULL)
                p = slash + 1;
            break;
        }
    }
    if ((size_t)(end - p) > 8 && memcmp(p, "<frozen ", 8) == 0)
        p += 8;
    /* An absolute path outside of all packages: the folder that the file is in. */
    if (*p == '/') {
        const char *last = memrchr(p, '/', (size_t)(end - p));

        end = last > p ? last : end;
        slash = memrchr(p, '/', (size_t)(end - p));
        p = slash ? slash + 1 : p;
    }
    *name = p;
    while (p < end && *p != '/' && *p != '.' && *p != ':' && *p != ')' && *p != '>')
        p++;
    *n = (size_t)(p - *name);
    return *n > 0;
}

/* A package, or the category that stands for code without one, and the weight of its own. */
struct weighed {
    uint64_t weight;
    uint32_t id;
};

static int by_weight(const void *a, const void *b) {
    const struct weighed *x = a, *y = b;

    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void add_legend(struct paint *paint, const char *label, size_t len, uint8_t color,
                       uint64_t weight, uint64_t all) {
    paint->legend[paint->legends++] =
        (struct legend){label, len, all > 0 ? 100 * (double)weight / (double)all : 0, color};
}

/* What a sampler remarks about the frame before it is no code of its own: `[running]`, `[gil]`. */
static bool is_remark(const char *s, size_t len) {
    return stacks_is_wait(s, len) || (len == 9 && memcmp(s, "[running]", 9) == 0);
}

/* The package of each node: a number from paint->packages, 0 for code without a Python file. The
 * caller frees it. */
static uint32_t *packages_of_nodes(struct paint *paint, const struct calltree *t) {
    enum { REMARK = UINT32_MAX };
    uint32_t *of_frame = xcalloc((size_t)t->frames.n + 1, sizeof(*of_frame)),
             *of_node = xcalloc(t->n, sizeof(*of_node));

    intern_init(&paint->packages);
    for (uint32_t id = 1; id <= t->frames.n; id++) {
        size_t len, n;
        const char *text = intern_text(&t->frames, id, &len), *name;

        if (is_remark(text, len))
            of_frame[id] = REMARK;
        else if (len > 0 && package_of(text, len, &name, &n))
            of_frame[id] = intern(&paint->packages, name, n);
    }
    for (uint32_t i = 1; i < t->n; i++) {
        uint32_t own = of_frame[t->nodes[i].frame];

        of_node[i] = own == REMARK ? of_node[t->nodes[i].parent] : own;
    }
    free(of_frame);
    return of_node;
}

/* By package: those of most weight have hues of their own. Fills the legend. False when no frame
 * has one. */
static bool paint_packages(struct paint *paint, struct picture *p) {
    const struct calltree *t = &p->stacks->tree;
    uint32_t *package = packages_of_nodes(paint, t), n = paint->packages.n;
    struct weighed *order = xcalloc((size_t)n + 1, sizeof(*order));
    uint8_t *category = xcalloc((size_t)n + 1, 1);
    uint64_t others = 0;

    for (uint32_t i = 1; i < t->n; i++)
        order[package[i]].weight += p->own[i];
    for (uint32_t i = 1; i <= n; i++)
        order[i].id = i;
    qsort(order + 1, n, sizeof(*order), by_weight);
    category[0] = NATIVE;
    for (uint32_t i = 1; i <= n; i++) {
        bool named = i <= NAMED && order[i].weight > 0;

        category[order[i].id] = named ? package_order[i - 1] : OTHER;
        others += named ? 0 : order[i].weight;
        if (named) {
            size_t len;
            const char *name = intern_text(&paint->packages, order[i].id, &len);

            add_legend(paint, name, len, package_order[i - 1], order[i].weight, p->all);
        }
    }
    if (others > 0)
        add_legend(paint, "other packages", 14, OTHER, others, p->all);
    if (order[0].weight > 0)
        add_legend(paint, "no Python file", 14, NATIVE, order[0].weight, p->all);
    for (uint32_t i = 1; i < p->count; i++)
        p->frames[i].color = (uint8_t)(RUN + category[package[p->frames[i].node]]);
    free(category);
    free(order);
    free(package);
    if (n == 0)
        paint->legends = 0;
    return n > 0;
}

/* By name: a shade that the name always has. */
static void paint_names(struct picture *p) {
    const struct calltree *t = &p->stacks->tree;

    for (uint32_t i = 1; i < p->count; i++) {
        size_t len;
        const char *s = intern_text(&t->frames, t->nodes[p->frames[i].node].frame, &len);
        uint32_t h = 2166136261U; /* FNV-1a */

        for (size_t c = 0; c < len; c++)
            h = (h ^ (unsigned char)s[c]) * 16777619U;
        p->frames[i].color = (uint8_t)(HOT + (h >> 16) % SHADES);
    }
}

/* The hue of a stage: the last two, waiting and other, have none. */
static uint8_t stage_color(const struct paint *paint, int stage) {
    return (uint8_t)(stage >= stages_waiting(&paint->stages) ? OTHER : stage % NAMED);
}

/* By stage; adds the weight of stacks in the stage `waiting` to `waits`. */
static void paint_stages(struct paint *paint, struct picture *p, uint64_t *waits) {
    const struct calltree *t = &p->stacks->tree;
    uint64_t weight[STAGES_MAX + 2] = {0};
    uint8_t *stage;
    int waiting;

    stages_read(&paint->stages, p->opts->stages);
    waiting = stages_waiting(&paint->stages);
    stage = stages_of_nodes(&paint->stages, t, !p->opts->no_wait);
    for (uint32_t i = 1; i < t->n; i++) {
        weight[stage[i]] += p->own[i];
        if (stage[i] == waiting)
            waits[i] = p->own[i];
    }
    for (uint32_t i = 1; i < p->count; i++)
        p->frames[i].color = stage_color(paint, stage[p->frames[i].node]);
    for (int i = 0; i < paint->stages.count; i++) {
        if (weight[i] > 0)
            add_legend(paint, paint->stages.names[i], strlen(paint->stages.names[i]),
                       (uint8_t)(stage_color(paint, i) + (i == waiting ? WAIT : 0)), weight[i],
                       p->all);
    }
    free(stage);
}

static void paint_change(struct paint *paint, struct picture *p) {
    static const char *const labels[CHANGES] = {"-10 points", "-2",   "-0.5", "-0.1",      "0",
                                                "+0.1",       "+0.5", "+2",   "+10 points"};
    bool base = p->opts->widths_base;
    double whole = (double)(base ? p->stacks->base_total : p->stacks->tree.total);

    for (uint32_t i = 1; i < p->count; i++) {
        const struct frame *f = &p->frames[i];
        double grown = (double)f->weight - (double)f->base,
               points = 100 * (base ? -grown : grown) / whole;
        int step = 0;

        while (step < 4 && fabs(points) >= change_points[step])
            step++;
        p->frames[i].color = (uint8_t)(CHANGE + 4 + (points < 0 ? -step : step));
    }
    for (int i = 0; i < CHANGES; i++)
        paint->legend[paint->legends++] =
            (struct legend){labels[i], strlen(labels[i]), -1, (uint8_t)(CHANGE + i)};
}

/* Adds the weight of stacks whose innermost frame waits to `waits`; returns its sum. */
static uint64_t find_waits(const struct picture *p, uint64_t *waits) {
    const struct calltree *t = &p->stacks->tree;
    bool *is_wait = xcalloc((size_t)t->frames.n + 1, sizeof(*is_wait));
    uint64_t sum = 0;

    for (uint32_t id = 1; id <= t->frames.n; id++) {
        size_t len;
        const char *text = intern_text(&t->frames, id, &len);

        is_wait[id] = stacks_is_wait(text, len);
    }
    for (uint32_t i = 1; i < t->n; i++) {
        if (is_wait[t->nodes[i].frame]) {
            waits[i] = p->own[i];
            sum += p->own[i];
        }
    }
    free(is_wait);
    return sum;
}

/* Turns the colours of frames to blue that wait for more than half of their weight. */
static void paint_waits(struct picture *p, const uint64_t *waits) {
    uint64_t *total = stacks_totals(&p->stacks->tree, waits);

    for (uint32_t i = 1; i < p->count; i++) {
        struct frame *f = &p->frames[i];

        if (total[f->node] > f->weight / 2)
            f->color = (uint8_t)(f->color + WAIT);
    }
    free(total);
}

void paint(struct paint *out, struct picture *p) {
    uint64_t *waits = xcalloc(p->stacks->tree.n, sizeof(*waits)), sum = 0;
    uint8_t base = RUN;

    *out = (struct paint){0};
    if (p->opts->colors == COLORS_DIFF) {
        paint_change(out, p);
    } else if (p->opts->colors == COLORS_STAGES) {
        paint_stages(out, p, waits);
    } else if (p->opts->colors == COLORS_HASH || !paint_packages(out, p)) {
        paint_names(p);
        base = HOT;
    }
    if (p->opts->colors != COLORS_DIFF) {
        if (!p->opts->no_wait)
            sum = find_waits(p, waits);
        paint_waits(p, waits);
        if (sum > 0)
            add_legend(out, "all that waits", 14, (uint8_t)(base + WAIT + OTHER), sum, p->all);
    }
    p->frames[0].color = ROOT;
    free(waits);
}

void paint_free(struct paint *out) {
    stages_free(&out->stages);
    if (out->packages.slots)
        intern_free(&out->packages);
}
