/* SPDX-License-Identifier: MIT
 * Fuzzes flamegraph: three bytes of options, then the file. Besides crashes it looks for
 *   - a name that becomes markup: all tags, entities and bytes of the picture are such as
 * flamegraph writes;
 *   - lost weight: what ends in drawn and in hidden frames adds up to the whole;
 *   - a frame that is not within its caller;
 *   - a pattern (the first line) that matches where a slow and simple matcher says that it does
 * not, or the other way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ended.h"
#include "flamegraph/flamegraph.h"
#include "pattern.h"
#include "utf8.h"

static const char *const tags[] = {
    "svg", "/svg", "title>", "/title>", "style>",   "/style>",    "rect",    "/rect>",
    "g",   "/g>",  "text",   "/text>",  "metadata", "/metadata>", "script>", "![CDATA["};
static const char *const entities[] = {"amp;", "lt;", "gt;", "quot;", "#39;"};

static bool begins(const char *s, const char *const *with, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (strncmp(s, with[i], strlen(with[i])) == 0)
            return true;
    }
    return false;
}

static void check_markup(const struct buf *b) {
    const char *end = memmem(b->data, b->len, "<script>", 8);

    for (const char *p = b->data; p < (end ? end : b->data + b->len); p++) {
        if (*p == '<' && !begins(p + 1, tags, sizeof(tags) / sizeof(tags[0])))
            abort();
        if (*p == '&' && !begins(p + 1, entities, sizeof(entities) / sizeof(entities[0])))
            abort();
        if ((unsigned char)*p < ' ' && *p != '\n')
            abort();
    }
    /* The script follows the last name, and nothing follows the script. */
    if (end && memmem(end + 1, b->len - (size_t)(end + 1 - b->data), "<script>", 8))
        abort();
    for (size_t i = 0, n; i < b->len; i += n) {
        n = utf8_len(b->data + i, b->len - i);
        if (n == 0)
            abort();
    }
}

static void check_weights(const struct picture *p) {
    uint64_t sum = p->hidden_weight;

    for (uint32_t i = 0; i < p->count; i++) {
        const struct frame *f = &p->frames[i], *above = &p->frames[f->parent];

        sum += f->own;
        if (i > 0 &&
            (f->start < above->start || f->start + f->weight > above->start + above->weight))
            abort();
        if (f->used + f->own > f->weight)
            abort();
    }
    if (sum != p->all)
        abort();
}

/* Does the text begin with the pattern; with `whole`, is it no more than that? */
static bool slow_match(const char *p, size_t n, const char *s, size_t len, bool whole) {
    if (n == 0)
        return !whole || len == 0;
    if (*p != '*')
        return len > 0 && *s == *p && slow_match(p + 1, n - 1, s + 1, len - 1, whole);
    for (size_t i = 0; i <= len; i++) {
        if (slow_match(p + 1, n - 1, s + i, len - i, whole))
            return true;
    }
    return false;
}

static void check_pattern(const char *p, size_t n, const char *s, size_t len) {
    bool fast = pattern_match(p, n, s, len), slow = false;
    bool start = n > 0 && p[0] == '^', whole = n > (start ? 1U : 0U) && p[n - 1] == '$';

    for (size_t i = 0; i <= (start ? 0 : len) && !slow; i++)
        slow = slow_match(p + start, n - start - whole, s + i, len - i, whole);
    if (fast != slow)
        abort();
}

static const char *map_file(void) {
    static char path[] = "/tmp/flamegraph-fuzz-XXXXXX";
    static bool made;
    static const char map[] = "^a\t-\nb\tone\n*c$\ttwo\n(\tthree\nd\twaiting\n";

    if (!made) {
        int fd = mkstemp(path);

        if (fd < 0 || write(fd, map, sizeof(map) - 1) != (ssize_t)sizeof(map) - 1)
            abort();
        (void)close(fd);
        made = true;
    }
    return path;
}

static void draw(struct stacks *s, struct options *o, const char *text, size_t len) {
    struct picture p = {.opts = o, .stacks = s};
    struct paint colors;
    struct buf out = {0};
    const uint64_t *base;
    char title[64];
    uint64_t *own;

    for (size_t at = 0, n; at < len; at += n + 1) {
        const char *nl = memchr(text + at, '\n', len - at);

        n = nl ? (size_t)(nl - text) - at : len - at;
        stackfile_line(&s->file, text + at, n);
    }
    /* Titles are any bytes, too: those that the input begins with. */
    (void)snprintf(title, sizeof(title), "%.*s", (int)(len < 60 ? len : 60), text);
    o->unit = units_common(&s->units) ? units_common(&s->units) : title;
    o->title = o->subtitle = title;
    base = o->diff ? stacks_base(s) : NULL;
    own = xcalloc(s->tree.n, sizeof(*own));
    for (uint32_t i = 0; i < s->tree.n; i++)
        own[i] = o->widths_base ? base[i] : s->tree.nodes[i].weight;
    p.own = own;
    p.total = stacks_totals(&s->tree, own);
    p.base_total = o->diff ? stacks_totals(&s->tree, base) : NULL;
    p.all = p.total[0];
    if (p.all > 0) {
        layout(&p);
        check_weights(&p);
        paint(&colors, &p);
        svg_write(&out, &p, &colors);
        paint_free(&colors);
        layout_free(&p);
    } else {
        svg_write_empty(&out, o, "none");
    }
    check_markup(&out);
    buf_free(&out);
    free(own);
    free(p.total);
    free(p.base_total);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct stacks s;
    struct options o = {.width = 300};
    const char *text = (const char *)data + 3, *nl;

    if (size < 3)
        return 0;
    o.diff = data[0] & 1;
    o.widths_base = o.diff && (data[0] & 2);
    o.icicle = data[0] & 4;
    o.no_wait = data[0] & 8;
    o.colors = o.diff ? COLORS_DIFF : (enum colors)(data[0] >> 4 & 3) % 3;
    o.stages = map_file();
    o.minwidth = data[1];
    o.max_depth = 2U + data[2];
    nl = memchr(text, '\n', size - 3);
    if (nl && nl - text < 12 && size < 200)
        check_pattern(text, (size_t)(nl - text), nl + 1, size - 3 - (size_t)(nl + 1 - text));
    stacks_init(&s, o.diff);
    if (setjmp(ended) == 0)
        draw(&s, &o, text, size - 3);
    stacks_free(&s);
    return 0;
}
