/* SPDX-License-Identifier: MIT */
#include "collapsed.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

void collapsed_init(struct collapsed *c, struct calltree *tree) {
    *c = (struct collapsed){.tree = tree, .cap = 64};
    c->steps = xcalloc(c->cap, sizeof(*c->steps));
}

void collapsed_free(struct collapsed *c) {
    buf_free(&c->last);
    free(c->steps);
    *c = (struct collapsed){0};
}

static size_t trimmed(const char *s, size_t len) {
    while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t' || s[len - 1] == '\r'))
        len--;
    return len;
}

bool collapsed_split(const char *line, size_t len, size_t *stack_len, uint64_t *weight) {
    size_t end = trimmed(line, len), at = end;
    uint64_t w = 0;

    while (at > 0 && line[at - 1] >= '0' && line[at - 1] <= '9')
        at--;
    if (at == end || at == 0 || (line[at - 1] != ' ' && line[at - 1] != '\t'))
        return false;
    for (size_t i = at; i < end; i++) {
        if (__builtin_mul_overflow(w, 10U, &w) ||
            __builtin_add_overflow(w, (uint64_t)(line[i] - '0'), &w))
            return false;
    }
    *stack_len = trimmed(line, at);
    *weight = w;
    return true;
}

uint32_t collapsed_node(struct collapsed *c, const char *stack, size_t stack_len) {
    struct calltree_at at = calltree_root(c->tree);
    size_t same, from = 0, known;

    same = bytes_common(stack, c->last.data, stack_len < c->last.len ? stack_len : c->last.len);
    while (c->n > 0 && (c->steps[c->n - 1].end > same || (c->steps[c->n - 1].end < stack_len &&
                                                          stack[c->steps[c->n - 1].end] != ';')))
        c->n--;
    if (c->n > 0) {
        at = c->steps[c->n - 1].at;
        from = c->steps[c->n - 1].end + 1;
    }
    /* Finding a path is waiting for memory: all are asked for before the first is needed. Until
     * then a step's node is its frame. */
    known = c->n;
    for (uint64_t path = at.hash; from <= stack_len;) {
        const char *semicolon = memchr(stack + from, ';', stack_len - from);
        size_t end = semicolon ? (size_t)(semicolon - stack) : stack_len;
        uint32_t frame = intern(&c->tree->frames, stack + from, end - from);

        path = calltree_hash(path, frame);
        calltree_prefetch(c->tree, path);
        if (c->n == c->cap)
            c->steps = xrealloc(c->steps, (c->cap *= 2) * sizeof(*c->steps));
        c->steps[c->n++] = (struct collapsed_step){end, {frame, path}};
        from = end + 1;
    }
    for (size_t i = known; i < c->n; i++)
        at = c->steps[i].at = calltree_child(c->tree, at, c->steps[i].at.node);
    c->last.len = same;
    buf_add(&c->last, stack + same, stack_len - same);
    return at.node;
}

bool collapsed_add(struct collapsed *c, const char *line, size_t len) {
    size_t stack_len;
    uint64_t weight;

    if (!collapsed_split(line, len, &stack_len, &weight))
        return false;
    if (stack_len == 0) {
        line = "(no frames)";
        stack_len = strlen(line);
    }
    calltree_add(c->tree, collapsed_node(c, line, stack_len), weight);
    return true;
}

bool collapsed_is_blank(const char *line, size_t len) {
    return trimmed(line, len) == 0 ||
           (line[0] == '#' && (len == 1 || line[1] == ' ' || line[1] == '\r'));
}

enum { OUTPUT = 64 << 10 }; /* bytes that are written at once: what a pipe holds */

/* The text of the path to the node at hand. */
struct path {
    const struct calltree *tree;
    void (*each)(void *arg, struct buf *stack, uint64_t weight);
    void *arg;
    struct buf text;
    size_t *ends; /* ends[depth]: length of the text of that many frames */
    size_t cap;
};

static void descend(void *arg, uint32_t depth, uint32_t frame, uint64_t weight) {
    struct path *path = arg;
    size_t len, keep = path->ends[depth - 1];
    const char *name = intern_text(&path->tree->frames, frame, &len);

    if (depth + 1 >= path->cap)
        path->ends = xrealloc(path->ends, (path->cap *= 2) * sizeof(*path->ends));
    path->text.len = keep;
    buf_reserve(&path->text, len + 1);
    if (depth > 1)
        path->text.data[path->text.len++] = ';';
    memcpy(path->text.data + path->text.len, name, len);
    path->text.len += len;
    path->ends[depth] = path->text.len;
    if (weight > 0)
        path->each(path->arg, &path->text, weight);
}

void collapsed_each(const struct calltree *tree,
                    void (*each)(void *arg, struct buf *stack, uint64_t weight), void *arg) {
    struct path path = {.tree = tree, .each = each, .arg = arg, .cap = 256};

    path.ends = xcalloc(path.cap, sizeof(*path.ends));
    calltree_walk(tree, descend, &path);
    free(path.ends);
    buf_free(&path.text);
}

static void write_stack(void *arg, struct buf *stack, uint64_t weight) {
    buf_addc(stack, ' ');
    buf_addu(stack, weight);
    buf_addc(stack, '\n');
    (void)fwrite(stack->data, 1, stack->len, arg);
}

void collapsed_write(const struct calltree *tree, FILE *to) {
    (void)setvbuf(to, NULL, _IOFBF, OUTPUT);
    collapsed_each(tree, write_stack, to);
}
