/* SPDX-License-Identifier: MIT */
#include "merge.h"

#include <stdlib.h>
#include <string.h>

#include "collapsed.h"
#include "err.h"
#include "odd.h"
#include "perftext.h"

enum { FLUSH = 256 << 10 };

void merge_init(struct merge *m, struct fold *fold) {
    *m = (struct merge){.fold = fold};
    stacktable_init(&m->table);
    m->file.units = &m->units;
}

void merge_free(struct merge *m) {
    stacktable_free(&m->table);
    stackfile_free(&m->file);
    units_free(&m->units);
}

static void add_stack(struct merge *m, const char *stack, size_t len, bool stays,
                      struct weight weight) {
    m->file.stacks++;
    stacktable_add(&m->table, stacktable_find(&m->table, stack, len, stays), 0, weight);
}

static void add_line(struct merge *m, const char *line, size_t len, bool stays) {
    struct perf_header header;
    struct weight weight[2];
    size_t stack_len;

    if (collapsed_is_blank(line, len)) {
        stackfile_comment(&m->file, line, len);
        return;
    }
    if (!stackfile_split(line, len, false, &stack_len, weight)) {
        if (fold_is_perf(line, len))
            fold_mixed(m->fold, line, len);
        fold_odd(m->fold, line, len);
        return;
    }
    /* The fields of a tracepoint may end in a number. */
    if (stack_len > 0 && !memchr(line, ';', stack_len) && perf_header(line, len, &header) &&
        header.prefix > 0 && header.tid.len > 0)
        fold_mixed(m->fold, line, len);
    if (stack_len > 0)
        add_stack(m, line, stack_len, stays, weight[0]);
    else
        add_stack(m, "(no frames)", 11, true, weight[0]);
}

void merge_lines(struct merge *m, const char *s, size_t len, bool stays) {
    const char *end = s + len, *nl;

    for (; s < end; s = nl + 1) {
        nl = memchr(s, '\n', (size_t)(end - s));
        if (!nl)
            nl = end;
        add_line(m, s, (size_t)(nl - s), stays);
    }
}

void merge_file(struct merge *m, struct input *in) {
    size_t len;
    const char *mapped = input_map(in, &m->table.files, &len);

    if (mapped)
        merge_lines(m, mapped, len, true);
    do {
        const char *s = in->data + in->pos, *last = memrchr(s, '\n', in->len - in->pos);

        len = last ? (size_t)(last + 1 - s) : 0;
        merge_lines(m, s, len, false);
        in->pos += len;
    } while (!in->eof && input_fill(in));
}

static void add_path(void *arg, struct buf *stack, uint64_t weight) {
    add_stack(arg, stack->data, stack->len, false, (struct weight){.whole = weight});
}

void merge_tree(struct merge *m, const struct calltree *tree) {
    collapsed_each(tree, add_path, m);
}

void merge_write(const struct merge *m, FILE *out) {
    uint32_t n = m->table.n;
    struct text_key *order = xcalloc(n, sizeof(*order));
    struct buf b = {0};

    for (uint32_t i = 0; i < n; i++)
        order[i] = stacktable_key(&m->table, i);
    textsort_frames(order, n);
    if (units_common(&m->units))
        buf_printf(&b, "# unit: %s\n", units_common(&m->units));
    for (uint32_t i = 0; i < n; i++) {
        uint64_t weight = m->table.stacks[order[i].id].weight[0];

        stacktable_prefetch(order, n, i);
        if (weight == 0)
            continue;
        buf_add(&b, order[i].s, order[i].len);
        buf_addc(&b, ' ');
        weight_put(&b, weight, m->table.scale);
        buf_addc(&b, '\n');
        if (b.len > FLUSH) {
            (void)fwrite(b.data, 1, b.len, out);
            b.len = 0;
        }
    }
    if (b.len > 0)
        (void)fwrite(b.data, 1, b.len, out);
    buf_free(&b);
    free(order);
}
