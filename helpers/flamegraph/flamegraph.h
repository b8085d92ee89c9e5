/* SPDX-License-Identifier: MIT
 * What the parts of flamegraph share: options, the frames that are drawn, their colours.
 *
 *   main.c    options; reads the stacks
 *   layout.c  which frames are drawn, and where
 *   paint.c   a colour class for each, the legend, the rules of the style sheet
 *   svg.c     writes the picture
 *   text.c    style.css and view.js, carried inside the program
 */
#ifndef FLAMEGRAPH_H
#define FLAMEGRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "stacks.h"
#include "stages.h"

enum colors { COLORS_PYTHON, COLORS_STAGES, COLORS_HASH, COLORS_DIFF };

struct options {
    const char *title, *subtitle, *unit, *stages;
    uint32_t width;     /* of the picture, px */
    uint32_t minwidth;  /* frames narrower than so many hundredths of a px are not drawn */
    uint32_t max_depth; /* rows */
    enum colors colors;
    bool icicle, no_wait;
    bool diff, widths_base, vanished;
};

/* A frame that is drawn. Weights in the tree's units; `start` counts from the left edge. */
struct frame {
    uint32_t node, parent; /* parent: place in `frames` */
    uint64_t start, weight, own, base;
    uint64_t used; /* of its weight, by children that are placed */
    uint8_t color;
};

struct picture {
    const struct options *opts;
    struct stacks *stacks;
    const uint64_t *own;  /* what widths are made of, by node */
    uint64_t *total;      /* the same with all that is beneath */
    uint64_t *base_total; /* diff: of the other run */
    uint64_t all;         /* total of the root */
    struct frame *frames; /* row by row from the root, each row from left to right */
    uint32_t count, cap;
    uint32_t *row; /* first frame of each row, and `count` after the last */
    uint32_t rows;
    bool cut;               /* there are more rows, but they are too narrow in all to be seen */
    uint64_t hidden;        /* frames that are not drawn */
    uint64_t hidden_weight; /* the weight that ends in them */
};

void layout(struct picture *p);
void layout_free(struct picture *p);

/* A place in the legend. */
struct legend {
    const char *label;
    size_t len;
    double share; /* percent; negative: not shown */
    uint8_t color;
};

enum { LEGEND_MAX = STAGES_MAX + 12 };

struct paint {
    struct legend legend[LEGEND_MAX];
    uint32_t legends;
    struct stages stages;
    struct intern packages;
};

/* Gives each frame of the picture a colour class, and fills the legend. */
void paint(struct paint *out, struct picture *p);
void paint_free(struct paint *out);

/* Appends the name of a class, at most 4 letters. */
void paint_class(struct buf *b, uint8_t color);
/* Appends the style rules of all classes that are in use. */
void paint_rules(struct buf *b, const struct picture *p, const struct paint *paint);

void svg_write(struct buf *b, const struct picture *p, const struct paint *paint);
void svg_write_empty(struct buf *b, const struct options *opts, const char *why);

/* text.c; both end with a NUL. */
extern const char style_css[], view_js[];

#endif
