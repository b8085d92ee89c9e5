/* SPDX-License-Identifier: MIT */
#include "join.h"

#include <stdlib.h>
#include <string.h>

void join_init(struct join *j, const struct join_options *opts, struct calltree *tree,
               struct paths *paths) {
    *j = (struct join){.opts = opts, .tree = tree, .timeline = paths->timeline, .paths = paths};
}

void join_free(struct join *j) {
    for (size_t i = 0; i < j->n_waiting; i++)
        free(j->waiting[i].frames);
    free(j->waiting);
    tids_free(&j->waiting_tids);
    free(j->now.frames);
    free(j->distances);
    buf_free(&j->name);
    *j = (struct join){0};
}

/* ---- the native stack ------------------------------------------------------------------------ */

/* What a native stack says of the Python stack it belongs to. */
struct reading {
    size_t tail;       /* frames beneath the innermost Python function: frames[0 .. tail) */
    uint32_t entries;  /* calls of the interpreter */
    bool whole;        /* down to where the thread began */
    uint32_t python;   /* the innermost Python function by its perf map name; 0: not named */
    uint32_t function; /* the same, where it was sampled; 0: nowhere */
};

static struct reading read_native(const struct native *s) {
    struct reading r = {.tail = s->n, .whole = s->n > 0 && s->frames[s->n - 1].kind == N_ROOT};

    for (size_t i = 0; i < s->n; i++) {
        if (s->frames[i].kind != N_EVAL && s->frames[i].kind != N_PYTHON)
            continue;
        if (r.tail == s->n) {
            r.tail = i;
            /* A trampoline calls the interpreter: it is the caller of the first such frame. */
            if (s->frames[i].kind == N_PYTHON)
                r.python = s->frames[i].name;
            else if (i + 1 < s->n && s->frames[i + 1].kind == N_PYTHON)
                r.python = s->frames[i + 1].name;
        }
        r.entries += s->frames[i].kind == N_EVAL;
    }
    return r;
}

/* ---- the Python stack ------------------------------------------------------------------------ */

static struct text text_of(const struct join *j, uint32_t id) {
    struct text t;

    t.s = intern_text(&j->tree->frames, id, &t.len);
    return t;
}

/* How well a Python stack agrees with a native one, best first. */
enum fit { FITS, FITS_CUT, FITS_GUESS, FITS_NOT };

struct candidate {
    uint32_t stack;
    uint64_t distance; /* ns */
    enum fit fit;
    uint32_t keep; /* of its frames */
};

static void judge(const struct join *j, const struct reading *r, struct candidate *c) {
    const struct pystack *st = &j->timeline->stacks[c->stack];

    c->keep = st->n;
    c->fit = FITS;
    if (r->python) {
        c->keep = paths_within(j->paths, c->stack, r->function);
        c->fit = c->keep == st->n ? FITS : c->keep > 0 ? FITS_CUT : FITS_NOT;
    } else if (r->entries > st->n_entries) {
        c->fit = FITS_NOT;
    } else if (r->whole && r->entries < st->n_entries) {
        c->fit = FITS_CUT;
        c->keep = j->timeline->entries[st->first_entry + r->entries];
    }
    if (c->fit == FITS_NOT || c->keep == 0) {
        c->fit = FITS_NOT;
        c->keep = st->n;
    }
}

/* The stacks next before and next after a sample that are near enough: list[0 .. return). `there`:
 * the thread's stack was looked for and it had none. */
static size_t candidates(const struct join *j, const struct native *s, uint64_t end,
                         struct candidate list[2], bool *there) {
    const struct timeline *t = j->timeline;
    const struct pythread *th = timeline_thread(t, s->tid);
    size_t after = timeline_until(t, s->ns), n = 0;
    size_t moments[2] = {after - 1, after};

    *there = false;
    /* A thread that waits keeps its stack: any moment in between is as good as it. */
    if (end > s->ns && after < t->n && t->moments[after] <= end)
        moments[0] = after;
    for (int i = moments[0] == after; i < 2; i++) {
        struct candidate c = {0};

        if (moments[i] >= t->n)
            continue;
        if (t->moments[moments[i]] > s->ns)
            c.distance = t->moments[moments[i]] <= end ? 0 : t->moments[moments[i]] - s->ns;
        else
            c.distance = s->ns - t->moments[moments[i]];
        if (c.distance > j->opts->max_distance_ns)
            continue;
        c.stack = th ? timeline_stack(th, moments[i]) : STACK_NONE;
        if (c.stack == STACK_NONE)
            *there = true;
        else if (c.stack != STACK_UNREADABLE)
            list[n++] = c;
    }
    return n;
}

/* For a sample that fits no stack near it: what is most likely, out of the stacks next before and
 * next after it, however far they are. */
static void guess(const struct join *j, const struct native *s, const struct reading *r,
                  struct candidate *c) {
    const struct timeline *t = j->timeline;
    const struct pythread *th = timeline_thread(t, s->tid);
    size_t after = timeline_until(t, s->ns), moments[2] = {after - 1, after};
    uint32_t near[2], n = 0, most = 0;

    for (int i = 0; i < 2; i++) {
        uint32_t stack = moments[i] < t->n ? timeline_stack(th, moments[i]) : STACK_NONE;

        if (stack != STACK_NONE && stack != STACK_UNREADABLE)
            near[n++] = stack;
    }
    /* A path to the function that perf names, seen in another sample: the one that has most in
     * common with the neighbours. */
    for (uint32_t i = 0; i < n; i++) {
        uint32_t stack, keep, shared;

        if (paths_like(j->paths, r->function, near[i], &stack, &keep, &shared) && shared > most) {
            most = shared;
            c->stack = stack;
            c->keep = keep;
            c->fit = FITS_GUESS;
        }
    }
    if (most > 0)
        return;
    /* Else what the neighbours have in common has, most likely, not changed in between; that the
     * innermost of it called the function is not said. */
    if (n == 2 && paths_common(j->paths, near[0], near[1]) < c->keep)
        c->keep = paths_common(j->paths, near[0], near[1]);
    if (r->function == 0 && r->python == 0)
        return;
    for (uint32_t i = 0; i < n; i++) {
        if (c->keep > 1 && c->keep == t->stacks[near[i]].n)
            c->keep--;
    }
}

/* ---- joined ---------------------------------------------------------------------------------- */

static struct calltree_at marker(struct join *j, struct calltree_at at, const char *text) {
    return calltree_child(j->tree, at, intern(&j->tree->frames, text, strlen(text)));
}

/* Beneath `at`, the native frames [0 .. n), and the sample's weight. */
static void put(struct join *j, struct calltree_at at, const struct native *s, size_t n,
                uint64_t weight) {
    while (n-- > 0)
        at = calltree_child(j->tree, at, s->frames[n].name);
    if (s->runnable)
        at = marker(j, at, "[runnable]");
    calltree_add(j->tree, at.node, weight);
}

static void put_alone(struct join *j, const struct native *s, const char *why, uint64_t weight) {
    struct calltree_at at = calltree_root(j->tree);

    if (s->comm)
        at = calltree_child(j->tree, at, s->comm);
    put(j, marker(j, at, why), s, s->n, weight);
}

static void note_distance(struct join *j, uint64_t ns) {
    if (j->n_distances == j->cap_distances) {
        j->cap_distances = j->cap_distances ? 2 * j->cap_distances : 1024;
        j->distances = xrealloc(j->distances, j->cap_distances * sizeof(*j->distances));
    }
    j->distances[j->n_distances++] = ns;
}

void join_place(struct join *j, const struct native *s, uint64_t end, uint64_t weight) {
    struct reading r = read_native(s);
    struct candidate list[2], best;
    struct calltree_at at = calltree_root(j->tree);
    const uint32_t *frames;
    bool there;
    size_t n;

    j->counts.samples++;
    j->counts.weight += weight;
    if (r.python)
        r.function = paths_function(j->paths, text_of(j, r.python));
    n = candidates(j, s, end, list, &there);
    if ((r.whole && r.tail == s->n) || (n == 0 && there)) {
        j->counts.outside += weight;
        put_alone(j, s, "[no Python frame]", weight);
        return;
    }
    if (n == 0) {
        j->counts.alone += weight;
        put_alone(j, s, "[python stack unknown]", weight);
        return;
    }
    for (size_t i = 0; i < n; i++)
        judge(j, &r, &list[i]);
    best = list[0];
    if (n == 2 &&
        (list[1].fit < best.fit || (list[1].fit == best.fit && list[1].distance < best.distance)))
        best = list[1];
    if (best.fit == FITS_NOT)
        guess(j, s, &r, &best);
    frames = &j->timeline->frames[j->timeline->stacks[best.stack].first];
    for (uint32_t i = 0; i < best.keep; i++)
        at = calltree_child(j->tree, at, frames[i]);
    if (best.fit == FITS_NOT) {
        at = marker(j, at, "[python frames unknown]");
        if (r.python) {
            j->name.len = 0;
            paths_text(text_of(j, r.python), &j->name);
            at = calltree_child(j->tree, at, intern(&j->tree->frames, j->name.data, j->name.len));
        }
    }
    if (!r.whole && !r.python) {
        j->counts.short_native += weight;
        if (r.tail == s->n)
            at = marker(j, at, "[native frames missing]");
    }
    *(best.fit == FITS         ? &j->counts.whole
      : best.fit == FITS_CUT   ? &j->counts.cut
      : best.fit == FITS_GUESS ? &j->counts.guessed
                               : &j->counts.partly) += weight;
    if (n == 2 && list[0].stack == list[1].stack)
        j->counts.same += weight;
    if (r.python)
        j->counts.named += weight;
    note_distance(j, best.distance);
    put(j, at, s, r.tail, weight);
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

bool join_distance(struct join *j, uint64_t *median, uint64_t *max) {
    if (j->n_distances == 0)
        return false;
    qsort(j->distances, j->n_distances, sizeof(*j->distances), by_size);
    *median = j->distances[j->n_distances / 2];
    *max = j->distances[j->n_distances - 1];
    return true;
}
