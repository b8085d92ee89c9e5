/* SPDX-License-Identifier: MIT
 * The picture as SVG. It can be looked at where scripts do not run: every frame is a rectangle,
 * labelled where there is room. For the script, what was rounded or left out of the drawing stands
 * in two <metadata> elements: fg-n   the names, one a line fg-d   a line for each row from the
 * root: `name gap weight own` for each frame (and `base` in a difference), where gap is the weight
 * between this frame's start and the end of the one before
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flamegraph.h"
#include "frametext.h"

enum {
    MARGIN = 10,
    ROW = 17,
    BAR = 16,
    PAD = 3,
    BASELINE = 12,
    LINE = 17,
    TITLED = 300 /* 3 px */,
    LABELLED = 3,
    TITLE_PX = 10
};
/* Of the label's font, by which labels are cut: 11 px of a fixed-width font. The others are
 * estimates. */
static const double char_px = 6.65, small_px = 6.4;

/* Hundredths, as 12.3 for 1230. */
static void put_hundredths(struct buf *b, uint64_t n) {
    buf_addu(b, n / 100);
    if (n % 100 == 0)
        return;
    buf_addc(b, '.');
    buf_addc(b, (char)('0' + n / 10 % 10));
    if (n % 10)
        buf_addc(b, (char)('0' + n % 10));
}

/* A weight for people: in seconds and parts where it is a time. */
static void put_amount(struct buf *b, const struct picture *p, uint64_t weight) {
    static const struct {
        const char *unit;
        double s;
    } times[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
    const char *unit = p->opts->unit;

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        double s = (double)weight / (double)p->stacks->scale * times[i].s;

        if (strcmp(unit, times[i].unit) != 0)
            continue;
        if (s >= 1)
            buf_printf(b, "%.2f s", s);
        else if (s >= 1e-3)
            buf_printf(b, "%.2f ms", s * 1e3);
        else
            buf_printf(b, "%.2f us", s * 1e6);
        return;
    }
    if (p->stacks->scale == 1)
        put_grouped(b, weight);
    else
        weight_put(b, weight, p->stacks->scale);
    buf_addc(b, ' ');
    frame_put_xml(b, unit, strlen(unit), 0);
}

static void put_percent(struct buf *b, uint64_t part, uint64_t all) {
    put_hundredths(b, all > 0 ? (uint64_t)(1e4 * (double)part / (double)all + 0.5) : 0);
    buf_adds(b, " %");
}

/* ---- frames
 * ----------------------------------------------------------------------------------------------------
 */

struct name {
    size_t off, len;
};

/* The names of the frames that are drawn, escaped: each distinct one once. */
struct names {
    struct buf text;
    struct name *list;
    uint32_t *number; /* by frame id; 0: not drawn */
    uint32_t count;
};

static uint32_t frame_id(const struct picture *p, const struct frame *f) {
    return p->stacks->tree.nodes[f->node].frame;
}

static void collect_names(struct names *n, const struct picture *p) {
    const struct intern *frames = &p->stacks->tree.frames;

    *n = (struct names){.count = 1};
    n->number = xcalloc((size_t)frames->n + 1, sizeof(*n->number));
    n->list = xcalloc((size_t)frames->n + 1, sizeof(*n->list));
    buf_adds(&n->text, "all");
    n->list[0].len = n->text.len;
    for (uint32_t i = 1; i < p->count; i++) {
        uint32_t id = frame_id(p, &p->frames[i]);
        size_t len;
        const char *text = intern_text(frames, id, &len);

        if (n->number[id])
            continue;
        n->number[id] = n->count;
        buf_addc(&n->text, '\n');
        n->list[n->count].off = n->text.len;
        (void)frame_put_xml(&n->text, text, len, 0);
        n->list[n->count].len = n->text.len - n->list[n->count].off;
        n->count++;
    }
}

static void names_free(struct names *n) {
    free(n->number);
    free(n->list);
    buf_free(&n->text);
}

/* Left edge and width in hundredths of a px; a gap of half a px parts a frame from the next where
 * it is wide enough. */
static void place(const struct picture *p, const struct frame *f, uint64_t *x, uint64_t *width) {
    double scale = 100.0 * (p->opts->width - 2 * MARGIN) / (double)p->all;

    *x = (uint64_t)((double)f->start * scale + 0.5);
    *width = (uint64_t)((double)(f->start + f->weight) * scale + 0.5) - *x;
    *x += 100 * (uint64_t)MARGIN;
    if (*width > 150)
        *width -= 50;
}

static void put_title(struct buf *b, const struct picture *p, const struct frame *f,
                      const char *name, size_t len) {
    buf_adds(b, "<title>");
    buf_add(b, name, len);
    buf_addc(b, '\n');
    put_amount(b, p, f->weight);
    buf_adds(b, ", ");
    put_percent(b, f->weight, p->all);
    if (p->opts->diff) {
        buf_adds(b, p->opts->widths_base ? "; candidate " : "; baseline ");
        put_amount(b, p, f->base);
    }
    buf_adds(b, "</title>");
}

static void put_row(struct buf *b, const struct picture *p, const struct names *names, uint32_t row,
                    uint32_t top) {
    uint32_t y = top + ROW * (p->opts->icicle ? row : p->rows - 1 - row);
    struct buf labels = {0};

    buf_printf(b, "<g class=\"r\" transform=\"translate(0 %u)\">", y);
    for (uint32_t i = p->row[row]; i < p->row[row + 1]; i++) {
        const struct frame *f = &p->frames[i];
        const struct name *name = &names->list[i > 0 ? names->number[frame_id(p, f)] : 0];
        uint64_t x, width;
        double room;

        place(p, f, &x, &width);
        buf_adds(b, "<rect x=\"");
        put_hundredths(b, x);
        buf_adds(b, "\" width=\"");
        put_hundredths(b, width > 0 ? width : 1);
        buf_adds(b, "\" height=\"16\" class=\"");
        paint_class(b, f->color);
        buf_addc(b, '"');
        if (width < TITLED) {
            buf_adds(b, "/>");
            continue;
        }
        buf_addc(b, '>');
        put_title(b, p, f, names->text.data + name->off, name->len);
        buf_adds(b, "</rect>");
        room = ((double)width / 100 - 2 * PAD) / char_px;
        if (room >= LABELLED) {
            size_t len = 3;
            const char *text =
                i > 0 ? intern_text(&p->stacks->tree.frames, frame_id(p, f), &len) : "all";

            buf_adds(&labels, "<text x=\"");
            put_hundredths(&labels, x);
            buf_adds(&labels, "\">");
            (void)frame_put_xml(&labels, text, len, (size_t)room);
            buf_adds(&labels, "</text>");
        }
    }
    buf_printf(b, "<g transform=\"translate(%d %d)\">", PAD, BASELINE);
    buf_add(b, labels.data, labels.len);
    buf_adds(b, "</g></g>\n");
    buf_free(&labels);
}

static void put_data(struct buf *b, const struct picture *p, const struct names *names) {
    buf_adds(b, "<metadata class=\"fg-n\">");
    buf_add(b, names->text.data, names->text.len);
    buf_adds(b, "</metadata>\n<metadata class=\"fg-d\">");
    for (uint32_t row = 0; row < p->rows; row++) {
        uint64_t end = 0;

        for (uint32_t i = p->row[row]; i < p->row[row + 1]; i++) {
            const struct frame *f = &p->frames[i];
            uint64_t numbers[] = {i > 0 ? names->number[frame_id(p, f)] : 0, f->start - end,
                                  f->weight, f->own, f->base};

            for (int n = 0; n < (p->opts->diff ? 5 : 4); n++) {
                if (n > 0 || i > p->row[row])
                    buf_addc(b, ' ');
                buf_addu(b, numbers[n]);
            }
            end = f->start + f->weight;
        }
        buf_addc(b, '\n');
    }
    buf_adds(b, "</metadata>\n");
}

/* ---- what stands above them
 * ------------------------------------------------------------------------------------ */

/* A line of text above the frames; returns where the next one goes. */
static uint32_t put_line(struct buf *b, const struct options *o, uint32_t y, const char *class,
                         const char *text, size_t len, double px) {
    buf_printf(b, "<text class=\"%s\" x=\"%d\" y=\"%u\">", class, MARGIN, y);
    (void)frame_put_xml(b, text, len, (size_t)((o->width - 2 * MARGIN) / px));
    buf_adds(b, "</text>\n");
    return y + LINE;
}

static uint32_t put_diff_facts(struct buf *b, const struct picture *p, uint32_t y) {
    static const char vanished[] =
        "Only stacks of the baseline that the candidate does not have. Widths: baseline";
    const struct options *o = p->opts;
    const struct stacks *s = p->stacks;
    struct buf line = {0};
    uint64_t gone = 0;

    if (o->vanished) {
        y = put_line(b, o, y, "s", vanished, sizeof(vanished) - 1, small_px);
    } else {
        buf_printf(&line,
                   "Widths: %s. Red grew and blue shrank from baseline to candidate, in points of "
                   "the whole",
                   o->widths_base ? "baseline" : "candidate");
        y = put_line(b, o, y, "s", line.data, line.len, small_px);
    }
    for (uint32_t i = 1; i < s->tree.n; i++)
        gone += s->tree.nodes[i].weight == 0 ? s->base[i] : 0;
    line.len = 0;
    buf_adds(&line, "Baseline ");
    put_amount(&line, p, s->base_total);
    buf_adds(&line, ", candidate ");
    put_amount(&line, p, s->tree.total);
    buf_adds(&line, "; ");
    put_percent(&line, gone, s->base_total);
    buf_adds(&line, " of the baseline is in stacks that vanished");
    y = put_line(b, o, y, "s", line.data, line.len, small_px);
    buf_free(&line);
    return y;
}

static uint32_t put_facts(struct buf *b, const struct picture *p, uint32_t y) {
    const struct options *o = p->opts;
    struct buf line = {0};
    uint64_t stacks = 0;

    for (uint32_t i = 1; i < p->stacks->tree.n; i++)
        stacks += p->own[i] > 0;
    put_amount(&line, p, p->all);
    buf_adds(&line, " in ");
    put_grouped(&line, stacks);
    buf_adds(&line, stacks == 1 ? " stack" : " stacks");
    if (p->hidden > 0) {
        buf_adds(&line, ". Not drawn: ");
        put_grouped(&line, p->hidden);
        buf_printf(&line, " frames narrower than %g px or deeper than %u", o->minwidth / 100.0,
                   p->cut ? p->rows : o->max_depth);
        buf_adds(&line, p->cut ? ", where all is narrower than 1 px; " : "; ");
        put_percent(&line, p->hidden_weight, p->all);
        buf_adds(&line, " of the weight ends in them");
    }
    if (p->stacks->file.bad > 0)
        buf_printf(&line, ". %" PRIu64 " lines of the input were no stacks", p->stacks->file.bad);
    y = put_line(b, o, y, "s", line.data, line.len, small_px);
    buf_free(&line);
    return o->diff ? put_diff_facts(b, p, y) : y;
}

static uint32_t put_legend(struct buf *b, const struct picture *p, const struct paint *paint,
                           uint32_t y) {
    double x = MARGIN;

    if (paint->legends == 0)
        return y;
    y += 4;
    for (uint32_t i = 0; i < paint->legends; i++) {
        const struct legend *l = &paint->legend[i];
        double room = 21 + small_px * (double)(l->len + (l->share >= 0 ? 9 : 1));

        if (x > MARGIN && x + room > p->opts->width - MARGIN) {
            x = MARGIN;
            y += LINE;
        }
        buf_adds(b, "<g class=\"l\"><rect class=\"");
        paint_class(b, l->color);
        buf_printf(b,
                   "\" x=\"%.0f\" y=\"%u\" width=\"12\" height=\"12\" rx=\"2\"/><text class=\"s\" "
                   "x=\"%.0f\" y=\"%u\">",
                   x, y - 10, x + 17, y);
        (void)frame_put_xml(b, l->label, l->len, 40);
        if (l->share >= 0)
            buf_printf(b, " %.1f %%", l->share);
        buf_adds(b, "</text></g>\n");
        x += room;
    }
    return y + LINE;
}

/* The opening of the picture and what stands above the frames; `height` in px, `data` more
 * attributes. */
static void put_head(struct buf *b, const struct options *o, uint32_t height,
                     const struct buf *data, const struct buf *rules, const struct buf *above) {
    buf_printf(b,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fg\" width=\"%u\" height=\"%u\" "
               "viewBox=\"0 0 %u %u\"",
               o->width, height, o->width, height);
    buf_add(b, data->data, data->len);
    buf_adds(b, ">\n<title>");
    (void)frame_put_xml(b, o->title, strlen(o->title), 0);
    buf_adds(b, "</title>\n<style>\n");
    buf_adds(b, style_css);
    buf_add(b, rules->data, rules->len);
    buf_adds(b, "</style>\n<rect class=\"bg\" width=\"100%\" height=\"100%\"/>\n");
    buf_add(b, above->data, above->len);
}

static uint32_t put_titles(struct buf *b, const struct options *o) {
    uint32_t y = put_line(b, o, 28, "h", o->title, strlen(o->title), TITLE_PX) + 2;

    if (o->subtitle && *o->subtitle)
        y = put_line(b, o, y, "s", o->subtitle, strlen(o->subtitle), small_px);
    return y;
}

void svg_write(struct buf *b, const struct picture *p, const struct paint *paint) {
    const struct options *o = p->opts;
    struct buf above = {0}, rules = {0}, data = {0};
    struct names names;
    uint32_t y;

    y = put_facts(&above, p, put_titles(&above, o));
    y = put_legend(&above, p, paint, y);
    buf_adds(&data, " data-unit=\"");
    (void)frame_put_xml(&data, o->unit, strlen(o->unit), 0);
    buf_printf(&data, "\" data-scale=\"%" PRIu64 "\"", p->stacks->scale);
    if (o->diff)
        buf_printf(&data, " data-other=\"%s\"", o->widths_base ? "candidate" : "baseline");
    paint_rules(&rules, p, paint);
    put_head(b, o, y + p->rows * ROW + MARGIN, &data, &rules, &above);
    collect_names(&names, p);
    buf_adds(b, "<g class=\"f\">\n");
    for (uint32_t row = 0; row < p->rows; row++)
        put_row(b, p, &names, row, y);
    buf_adds(b, "</g>\n");
    put_data(b, p, &names);
    buf_adds(b, "<script><![CDATA[\n");
    buf_adds(b, view_js);
    buf_adds(b, "]]></script>\n</svg>\n");
    names_free(&names);
    buf_free(&above);
    buf_free(&rules);
    buf_free(&data);
}

void svg_write_empty(struct buf *b, const struct options *o, const char *why) {
    struct buf above = {0}, none = {0};
    uint32_t y = put_line(&above, o, put_titles(&above, o), "s", why, strlen(why), small_px);

    put_head(b, o, y + MARGIN, &none, &none, &above);
    buf_adds(b, "</svg>\n");
    buf_free(&above);
}
