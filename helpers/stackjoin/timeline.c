/* SPDX-License-Identifier: MIT */
#include "timeline.h"

#include <stdlib.h>
#include <string.h>

#include "input.h"

enum { FRAMES_MAX = 100000 }; /* of one stack; pysample writes at most 1024 */

/* Room for one more element. */
#define GROW(array, n, cap)                                                                        \
    do {                                                                                           \
        if ((n) == (cap)) {                                                                        \
            (cap) = (cap) ? 2 * (cap) : 64;                                                        \
            (array) = xrealloc((array), (cap) * sizeof(*(array)));                                 \
        }                                                                                          \
    } while (0)

void timeline_init(struct timeline *t, struct intern *names) {
    *t = (struct timeline){.names = names};
}

void timeline_free(struct timeline *t) {
    for (size_t i = 0; i < t->n_threads; i++)
        free(t->threads[i].changes);
    free(t->threads);
    tids_free(&t->tids);
    free(t->moments);
    free(t->stacks);
    free(t->frames);
    free(t->entries);
    *t = (struct timeline){0};
}

/* A word of a line: the bytes up to the next blank, or to the end. */
struct word {
    const char *s;
    size_t len;
};

static struct word next_word(const char **at, const char *end) {
    struct word w = {*at, 0};

    while (*at < end && **at != ' ')
        (*at)++;
    w.len = (size_t)(*at - w.s);
    if (*at < end)
        (*at)++;
    return w;
}

static bool number(struct word w, uint64_t max, uint64_t *value) {
    *value = 0;
    for (size_t i = 0; i < w.len; i++) {
        unsigned digit = (unsigned)(w.s[i] - '0');

        if (digit > 9 || *value > (max - digit) / 10)
            return false;
        *value = *value * 10 + digit;
    }
    return w.len > 0;
}

static struct pythread *thread_of(struct timeline *t, int64_t tid) {
    size_t place = tids_add(&t->tids, tid);

    if (place < t->n_threads)
        return &t->threads[place];
    GROW(t->threads, t->n_threads, t->cap_threads);
    t->threads[place] = (struct pythread){.tid = tid};
    return &t->threads[t->n_threads++];
}

static bool add_change(struct timeline *t, struct word tid_word, uint32_t stack) {
    struct pythread *th;
    uint64_t tid;

    if (!number(tid_word, INT32_MAX, &tid) || t->n == 0)
        return false;
    th = thread_of(t, (int64_t)tid);
    GROW(th->changes, th->n, th->cap);
    th->changes[th->n++] = (struct change){t->n - 1, stack};
    return true;
}

/* `stack NUMBER ENTRIES FRAME;FRAME…`, numbers from 1 on in order. */
static bool add_stack(struct timeline *t, const char *at, const char *end) {
    struct pystack st = {.first = t->n_frames, .first_entry = t->n_entries};
    struct word entries;
    uint64_t n, last = 0;

    if (!number(next_word(&at, end), UINT32_MAX - 1, &n))
        return false;
    if (t->n_stacks == 0) {
        GROW(t->stacks, t->n_stacks, t->cap_stacks);
        t->stacks[t->n_stacks++] = (struct pystack){0};
    }
    entries = next_word(&at, end);
    if (n != t->n_stacks || entries.len == 0)
        return false;
    for (;; at++) {
        const char *semicolon = memchr(at, ';', (size_t)(end - at));
        size_t len = (size_t)((semicolon ? semicolon : end) - at);

        if (st.n == FRAMES_MAX)
            return false;
        GROW(t->frames, t->n_frames, t->cap_frames);
        t->frames[t->n_frames++] = intern(t->names, at, len);
        st.n++;
        if (!semicolon)
            break;
        at = semicolon;
    }
    for (const char *e = entries.s, *stop = e + entries.len; e < stop && *entries.s != '-';) {
        struct word w = {e, 0};
        uint64_t entry;

        while (e < stop && *e != ',')
            e++;
        w.len = (size_t)(e - w.s);
        if (!number(w, st.n - 1, &entry) || (st.n_entries && entry <= last))
            return false;
        last = entry;
        GROW(t->entries, t->n_entries, t->cap_entries);
        t->entries[t->n_entries++] = (uint32_t)entry;
        st.n_entries++;
        e += e < stop;
    }
    GROW(t->stacks, t->n_stacks, t->cap_stacks);
    t->stacks[t->n_stacks++] = st;
    return true;
}

static bool is(struct word w, const char *s) {
    return w.len == strlen(s) && memcmp(w.s, s, w.len) == 0;
}

static bool take(struct timeline *t, const char *at, const char *end) {
    struct word what = next_word(&at, end), tid, stack;
    uint64_t n;

    if (is(what, "at")) {
        if (!number(next_word(&at, end), UINT64_MAX, &n) || (t->n > 0 && n < t->moments[t->n - 1]))
            return false;
        GROW(t->moments, t->n, t->cap);
        t->moments[t->n++] = n;
        return true;
    }
    if (is(what, "stack"))
        return add_stack(t, at, end);
    tid = next_word(&at, end);
    if (is(what, "gone"))
        return add_change(t, tid, STACK_NONE);
    if (!is(what, "thread"))
        return false;
    stack = next_word(&at, end);
    if (is(stack, "?"))
        return add_change(t, tid, STACK_UNREADABLE);
    if (!number(stack, UINT32_MAX - 1, &n) || (n > 0 && n >= t->n_stacks))
        return false;
    return add_change(t, tid, (uint32_t)n);
}

void timeline_line(struct timeline *t, const char *line, size_t len) {
    if (len > 0 && *line != '#' && !take(t, line, line + len))
        t->odd++;
}

void timeline_read(struct timeline *t, const char *path) {
    struct input in;

    input_open(&in, path);
    while (input_fill(&in)) {
        const char *p = in.data + in.pos, *end = in.data + in.len, *nl;

        for (; (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1)
            timeline_line(t, p, (size_t)(nl - p));
        in.pos = (size_t)(p - in.data);
        if (in.eof)
            break;
    }
    input_close(&in);
}

size_t timeline_until(const struct timeline *t, uint64_t ns) {
    size_t low = 0, high = t->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (t->moments[middle] <= ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct pythread *timeline_thread(const struct timeline *t, int64_t tid) {
    size_t place = tids_find(&t->tids, tid);

    return place == TIDS_NONE ? NULL : &t->threads[place];
}

uint32_t timeline_stack(const struct pythread *th, size_t moment) {
    size_t low = 0, high = th->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (th->changes[middle].moment <= moment)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? th->changes[low - 1].stack : STACK_NONE;
}
