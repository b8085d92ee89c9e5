/* SPDX-License-Identifier: MIT */
#include "stacks.h"

#include <stdlib.h>
#include <string.h>

/* Makes room for the baseline of `n` nodes. */
static void grow_base(struct stacks *s, uint32_t n) {
    uint32_t cap = s->tree.cap > n ? s->tree.cap : n;

    if (n <= s->base_cap)
        return;
    s->base = xrealloc(s->base, cap * sizeof(*s->base));
    memset(s->base + s->base_cap, 0, (cap - s->base_cap) * sizeof(*s->base));
    s->base_cap = cap;
}

const uint64_t *stacks_base(struct stacks *s) {
    grow_base(s, s->tree.n);
    return s->base;
}

/* From now on weights are in millionths. */
static void rescale(struct stacks *s) {
    s->tree.total = weight_to_micro(s->tree.total);
    s->base_total = weight_to_micro(s->base_total);
    for (uint32_t i = 0; i < s->tree.n; i++)
        s->tree.nodes[i].weight *= WEIGHT_MICRO;
    for (uint32_t i = 0; i < s->base_cap; i++)
        s->base[i] *= WEIGHT_MICRO;
    s->scale = WEIGHT_MICRO;
}

static void add(void *arg, const char *stack, size_t len, const struct weight w[2]) {
    struct stacks *s = arg;
    uint32_t node = collapsed_node(&s->path, stack, len);
    bool diff = s->file.diff;

    if ((w[0].micro || w[1].micro) && s->scale == 1)
        rescale(s);
    calltree_add(&s->tree, node, weight_scaled(w[diff ? 1 : 0], s->scale));
    if (diff) {
        uint64_t base = weight_scaled(w[0], s->scale);

        weight_add(&s->base_total, base);
        grow_base(s, node + 1);
        s->base[node] += base;
    }
}

void stacks_init(struct stacks *s, bool diff) {
    *s = (struct stacks){.scale = 1,
                         .file = {.diff = diff, .each = add, .arg = s, .units = &s->units}};
    calltree_init(&s->tree);
    collapsed_init(&s->path, &s->tree);
}

void stacks_free(struct stacks *s) {
    collapsed_free(&s->path);
    calltree_free(&s->tree);
    stackfile_free(&s->file);
    units_free(&s->units);
    free(s->base);
}

void stacks_read_all(struct stacks *s, char *const *paths) {
    if (!*paths)
        stackfile_read(&s->file, "-");
    for (; *paths; paths++)
        stackfile_read(&s->file, *paths);
    stackfile_report_bad(&s->file);
}

uint64_t *stacks_totals(const struct calltree *t, const uint64_t *own) {
    uint64_t *sum = xcalloc(t->n, sizeof(*sum));

    for (uint32_t i = 0; i < t->n; i++)
        sum[i] = own ? own[i] : t->nodes[i].weight;
    /* A parent stands before its children. */
    for (uint32_t i = t->n - 1; i > 0; i--)
        sum[t->nodes[i].parent] += sum[i];
    return sum;
}

bool stacks_is_wait(const char *frame, size_t len) {
    static const char *const code[] = {
        "[running]", "[unknown]", "[kernel",  "[vdso",   "[vsyscall",  "[heap]",  "[stack", "[anon",
        "[jit",      "[[",        "[deleted", "[module", "[no Python", "[python", "[native"};

    if (len < 3 || frame[0] != '[' || memmem(frame, len, ".so", 3))
        return false;
    for (size_t i = 0; i < sizeof(code) / sizeof(code[0]); i++) {
        size_t n = strlen(code[i]);

        if (len >= n && memcmp(frame, code[i], n) == 0)
            return false;
    }
    return true;
}
