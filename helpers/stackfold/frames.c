/* SPDX-License-Identifier: MIT */
#include "frames.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "perftext.h"

/* A line's frame with this bit set is a place in `lists`. */
#define LIST UINT32_C(0x80000000)

void frames_init(struct frames *f, struct calltree *tree, const struct frames_options *opts) {
    *f = (struct frames){.opts = opts, .tree = tree};
    linecache_init(&f->cache);
}

void frames_free(struct frames *f) {
    linecache_free(&f->cache);
    free(f->lists);
    buf_free(&f->name);
}

static uint32_t frame_id(struct frames *f, const char *suffix) {
    if (f->opts->annotate)
        buf_adds(&f->name, suffix);
    return intern(&f->tree->frames, f->name.data, f->name.len);
}

/* A JIT names what it inlined after the method itself: `Lcom/a;::f->Lcom/b;::g`. The arrow of a
 * return type has blanks around it, and that of C++ is `operator->`. */
static const char *jit_arrow(const char *s, size_t len) {
    for (size_t i = 1; i + 2 < len; i++) {
        if (s[i] == '-' && s[i + 1] == '>' && s[i - 1] != ' ' && s[i + 2] != ' ' &&
            !(i >= 8 && memcmp(s + i - 8, "operator", 8) == 0))
            return s + i;
    }
    return NULL;
}

static void list_add(struct frames *f, uint32_t v) {
    if (f->n_lists >= LIST)
        die(EX_FAIL, "too many different inlined frames");
    if (f->n_lists == f->cap_lists)
        f->lists = xrealloc(f->lists, (f->cap_lists = f->cap_lists ? f->cap_lists * 2 : 64) *
                                          sizeof(*f->lists));
    f->lists[f->n_lists++] = v;
}

/* The frames of a method with what was inlined into it, the outer one first. */
static uint32_t jit_list(struct frames *f, struct perf_frame *frame, const char *arrow) {
    struct text rest = frame->symbol;
    size_t list = f->n_lists;

    list_add(f, 0);
    for (;;) {
        frame->symbol.len = arrow ? (size_t)(arrow - rest.s) : rest.len;
        frame->symbol.s = rest.s;
        f->name.len = 0;
        perf_frame_name(frame, &f->name);
        list_add(f, frame_id(f, f->lists[list] ? "_[i]" : "_[j]"));
        f->lists[list]++;
        if (!arrow)
            break;
        rest = (struct text){arrow + 2, rest.len - frame->symbol.len - 2};
        arrow = jit_arrow(rest.s, rest.len);
    }
    return LIST + (uint32_t)list;
}

static uint32_t parse_line(struct frames *f, const char *line, size_t len) {
    static const char *const suffix[] = {
        [PERF_USER] = "", [PERF_KERNEL] = "_[k]", [PERF_JIT] = "_[j]", [PERF_INLINED] = "_[i]"};
    struct perf_frame frame;
    const char *arrow;

    if (!perf_frame(line, len, &frame) || (frame.kind == PERF_KERNEL && f->opts->no_kernel))
        return 0;
    if (frame.kind == PERF_INLINED && !f->opts->inlined) {
        f->merged = true;
        return 0;
    }
    if (frame.kind == PERF_JIT && f->opts->inlined &&
        (arrow = jit_arrow(frame.symbol.s, frame.symbol.len)) != NULL)
        return jit_list(f, &frame, arrow);
    f->name.len = 0;
    perf_frame_name(&frame, &f->name);
    return frame_id(f, suffix[frame.kind]);
}

void frames_find(struct frames *f, struct frames_line *lines, size_t n) {
    for (size_t i = 0; i < n; i++) {
        lines[i].hash = linecache_hash(lines[i].s, lines[i].len);
        linecache_prefetch(&f->cache, lines[i].hash);
    }
    for (size_t i = 0; i < n; i++)
        linecache_prefetch_text(&f->cache, lines[i].hash);
    for (size_t i = 0; i < n; i++) {
        struct frames_line *line = &lines[i];

        if (linecache_find(&f->cache, line->hash, line->s, line->len, &line->frame))
            continue;
        line->frame = parse_line(f, line->s, line->len);
        linecache_put(&f->cache, line->hash, line->s, line->len, line->frame);
    }
}

struct calltree_at frames_descend(struct frames *f, struct calltree_at at, uint32_t frame) {
    if (frame & LIST) {
        const uint32_t *list = &f->lists[frame - LIST];

        for (uint32_t i = 1; i <= list[0]; i++)
            at = calltree_child(f->tree, at, list[i]);
        return at;
    }
    return frame ? calltree_child(f->tree, at, frame) : at;
}

uint64_t frames_hash(const struct frames *f, uint64_t path, uint32_t frame) {
    if (frame & LIST) {
        const uint32_t *list = &f->lists[frame - LIST];

        for (uint32_t i = 1; i <= list[0]; i++)
            path = calltree_hash(path, list[i]);
        return path;
    }
    return frame ? calltree_hash(path, frame) : path;
}
