/* SPDX-License-Identifier: MIT */
#include "stages.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "input.h"
#include "pattern.h"
#include "stacks.h"

enum { NAME_MAX_LEN = 24 };

/* The number of a stage, a new one where it is not known yet. */
static int stage_number(struct stages *s, const char *path, size_t line_number, const char *name,
                        size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
            len = 0;
    }
    if (len == 0 || len > NAME_MAX_LEN)
        die(EX_FAIL, "%s:%zu: a stage is 1 to %d letters, digits, - or _", path, line_number,
            NAME_MAX_LEN);
    if (len == 1 && name[0] == '-')
        return STAGES_NOTHING;
    for (int i = 0; i < s->count; i++) {
        if (strlen(s->names[i]) == len && memcmp(s->names[i], name, len) == 0)
            return i;
    }
    if (s->count == STAGES_MAX)
        die(EX_FAIL, "%s:%zu: more than %d stages", path, line_number, STAGES_MAX);
    s->names[s->count] = xcalloc(len + 1, 1);
    memcpy(s->names[s->count], name, len);
    return s->count++;
}

static void add_line(struct stages *s, const char *path, size_t line_number, const char *line,
                     size_t len) {
    static const char order[] = "# stages: ";
    const char *tab;

    while (len > 0 && isspace((unsigned char)line[len - 1]))
        len--;
    if (len > sizeof(order) - 1 && memcmp(line, order, sizeof(order) - 1) == 0) {
        for (size_t i = sizeof(order) - 1, n; i < len; i += n + 1) {
            const char *blank = memchr(line + i, ' ', len - i);

            n = blank ? (size_t)(blank - line) - i : len - i;
            if (n > 0)
                (void)stage_number(s, path, line_number, line + i, n);
        }
    }
    if (len == 0 || line[0] == '#')
        return;
    tab = memchr(line, '\t', len);
    if (!tab || tab == line)
        die(EX_FAIL, "%s:%zu: not 'pattern<TAB>stage': '%.*s'", path, line_number,
            len < 80 ? (int)len : 80, line);
    if (s->n == s->cap)
        s->lines = xrealloc(s->lines, (s->cap = s->cap * 2 + 64) * sizeof(*s->lines));
    s->lines[s->n].pattern = s->text.len;
    s->lines[s->n].len = (size_t)(tab - line);
    buf_add(&s->text, line, s->lines[s->n].len);
    while (*tab == '\t')
        tab++;
    s->lines[s->n++].stage = stage_number(s, path, line_number, tab, len - (size_t)(tab - line));
}

/* Puts a built-in stage behind all others; the file may have named it. */
static void put_last(struct stages *s, const char *name) {
    int from = 0;

    while (from < s->count && strcmp(s->names[from], name) != 0)
        from++;
    if (from == s->count) {
        s->names[s->count++] = xstrdup(name);
        return;
    }
    for (size_t i = 0; i < s->n; i++) {
        int *stage = &s->lines[i].stage;

        *stage = *stage == from ? s->count - 1 : *stage - (*stage > from);
    }
    for (char *moved = s->names[from]; from < s->count; from++)
        s->names[from] = from + 1 < s->count ? s->names[from + 1] : moved;
}

void stages_read(struct stages *s, const char *path) {
    struct input in;
    size_t number = 0;

    *s = (struct stages){0};
    input_open(&in, path);
    while (input_fill(&in)) {
        const char *nl;

        while ((nl = memchr(in.data + in.pos, '\n', in.len - in.pos)) != NULL) {
            size_t len = (size_t)(nl - in.data) - in.pos;

            add_line(s, in.name, ++number, in.data + in.pos, len);
            in.pos += len + 1;
        }
    }
    input_close(&in);
    put_last(s, "waiting");
    put_last(s, "other");
}

void stages_free(struct stages *s) {
    for (int i = 0; i < s->count; i++)
        free(s->names[i]);
    free(s->lines);
    buf_free(&s->text);
}

int stages_match(const struct stages *s, const char *frame, size_t len) {
    for (size_t i = 0; i < s->n; i++) {
        if (pattern_match(s->text.data + s->lines[i].pattern, s->lines[i].len, frame, len))
            return s->lines[i].stage;
    }
    return STAGES_NOTHING;
}

/* C code, by how py-spy and perf name it: no Python file, and no remark in brackets. */
static bool is_native(const char *frame, size_t len) {
    return len > 0 && frame[0] != '[' && !memmem(frame, len, ".py", 3) &&
           !memmem(frame, len, "<frozen", 7);
}

uint8_t *stages_of_nodes(const struct stages *s, const struct calltree *t, bool waits) {
    uint8_t *of_node = xcalloc(t->n, 1), *of_frame = xcalloc((size_t)t->frames.n + 1, 1);
    uint8_t waiting = (uint8_t)stages_waiting(s), other = (uint8_t)stages_other(s);
    uint8_t native = (uint8_t)(other + 1);

    for (uint32_t id = 1; id <= t->frames.n; id++) {
        size_t len;
        const char *frame = intern_text(&t->frames, id, &len);
        int stage = stages_match(s, frame, len);

        if (stage == STAGES_NOTHING && waits && stacks_is_wait(frame, len))
            stage = waiting;
        else if (stage == STAGES_NOTHING)
            stage = is_native(frame, len) ? native : other;
        of_frame[id] = (uint8_t)stage;
    }
    of_node[0] = other;
    for (uint32_t i = 1; i < t->n; i++) {
        uint8_t own = of_frame[t->nodes[i].frame], outer = of_node[t->nodes[i].parent];

        /* What waits says nothing of what it waits for: that is for the frames around it to say. C
         * code beneath a frame that waits is how it waits. */
        of_node[i] = own >= waiting && (outer < waiting || own == native) ? outer : own;
    }
    free(of_frame);
    return of_node;
}
