/* SPDX-License-Identifier: MIT */
#include "paths.h"

#include <stdlib.h>
#include <string.h>

enum { PLACES_MAX = 4096 }; /* of a function that are looked at: the time for each stays bounded */

static struct text base_name(struct text path) {
    const char *slash = path.len ? memrchr(path.s, '/', path.len) : NULL;

    return slash ? (struct text){slash + 1, path.len - (size_t)(slash + 1 - path.s)} : path;
}

/* A function by its name and its file's. */
static uint32_t function_of(struct paths *p, struct text name, struct text path) {
    struct text file = base_name(path);

    p->key.len = 0;
    buf_add(&p->key, name.s, name.len);
    buf_addc(&p->key, '\0');
    buf_add(&p->key, file.s, file.len);
    return intern(&p->functions, p->key.data, p->key.len);
}

/* Of a frame `NAME (PATH:LINE)`; one of another form is a function of its own. */
static uint32_t function_of_frame(struct paths *p, struct text t) {
    const char *open = memmem(t.s, t.len, " (", 2), *colon;
    struct text path;

    if (!open)
        return function_of(p, t, (struct text){"", 0});
    path = (struct text){open + 2, (size_t)(t.s + t.len - open - 2)};
    if (path.len && path.s[path.len - 1] == ')')
        path.len--;
    colon = path.len ? memrchr(path.s, ':', path.len) : NULL;
    if (colon)
        path.len = (size_t)(colon - path.s);
    return function_of(p, (struct text){t.s, (size_t)(open - t.s)}, path);
}

static const uint32_t *frames_of(const struct paths *p, uint32_t stack, uint32_t *n) {
    const struct pystack *st = &p->timeline->stacks[stack];

    *n = st->n;
    return &p->timeline->frames[st->first];
}

void paths_init(struct paths *p, const struct timeline *timeline) {
    size_t total = timeline->n_frames, *next;

    *p = (struct paths){.timeline = timeline, .n_frames = timeline->names->n + 1};
    intern_init(&p->functions);
    p->of_frame = xcalloc(p->n_frames, sizeof(*p->of_frame));
    for (size_t i = 0; i < total; i++) {
        uint32_t frame = timeline->frames[i];
        struct text t;

        if (p->of_frame[frame])
            continue;
        t.s = intern_text(timeline->names, frame, &t.len);
        p->of_frame[frame] = function_of_frame(p, t);
    }
    p->n_functions = p->functions.n + 1;
    p->first = xcalloc((size_t)p->n_functions + 2, sizeof(*p->first));
    p->places = xcalloc(total + 1, sizeof(*p->places));
    for (size_t s = 1; s < timeline->n_stacks; s++) {
        uint32_t n;
        const uint32_t *frames = frames_of(p, (uint32_t)s, &n);

        for (uint32_t i = 0; i < n; i++)
            p->first[p->of_frame[frames[i]] + 1]++;
    }
    for (uint32_t f = 0; f <= p->n_functions; f++)
        p->first[f + 1] += p->first[f];
    next = xcalloc((size_t)p->n_functions + 2, sizeof(*next));
    memcpy(next, p->first, ((size_t)p->n_functions + 2) * sizeof(*next));
    for (size_t s = 1; s < timeline->n_stacks; s++) {
        uint32_t n;
        const uint32_t *frames = frames_of(p, (uint32_t)s, &n);

        for (uint32_t i = 0; i < n; i++)
            p->places[next[p->of_frame[frames[i]]]++] = (struct place){(uint32_t)s, i};
    }
    free(next);
}

void paths_free(struct paths *p) {
    intern_free(&p->functions);
    free(p->of_frame);
    free(p->places);
    free(p->first);
    buf_free(&p->key);
    *p = (struct paths){0};
}

/* Splits `py::NAME:PATH`. */
static bool split_map(struct text map, struct text *name, struct text *path) {
    const char *colon;

    map = (struct text){map.s + strlen("py::"), map.len - strlen("py::")};
    *name = map;
    *path = (struct text){"", 0};
    colon = memchr(map.s, ':', map.len);
    if (!colon)
        return false;
    name->len = (size_t)(colon - map.s);
    *path = (struct text){colon + 1, map.len - name->len - 1};
    return true;
}

uint32_t paths_function(struct paths *p, struct text map) {
    struct text name, path;
    uint32_t f;

    (void)split_map(map, &name, &path);
    f = function_of(p, name, path);
    return f < p->n_functions ? f : 0;
}

uint32_t paths_within(const struct paths *p, uint32_t stack, uint32_t function) {
    uint32_t n;
    const uint32_t *frames = frames_of(p, stack, &n);

    while (n > 0 && p->of_frame[frames[n - 1]] != function)
        n--;
    return function ? n : 0;
}

uint32_t paths_common(const struct paths *p, uint32_t a, uint32_t b) {
    uint32_t na, nb, n = 0;
    const uint32_t *fa = frames_of(p, a, &na), *fb = frames_of(p, b, &nb);

    while (n < na && n < nb && p->of_frame[fa[n]] == p->of_frame[fb[n]])
        n++;
    return n;
}

bool paths_like(const struct paths *p, uint32_t function, uint32_t like, uint32_t *stack,
                uint32_t *keep, uint32_t *shared) {
    size_t from = function ? p->first[function] : 0, to = function ? p->first[function + 1] : 0;

    *shared = 0;
    if (to - from > PLACES_MAX)
        from = to - PLACES_MAX;
    for (size_t i = from; i < to; i++) {
        uint32_t common = paths_common(p, p->places[i].stack, like);

        if (common > p->places[i].at)
            common = p->places[i].at;
        if (common > *shared) {
            *shared = common;
            *stack = p->places[i].stack;
            *keep = p->places[i].at + 1;
        }
    }
    return *shared > 0;
}

void paths_text(struct text map, struct buf *out) {
    static const char packages[] = "/site-packages/", library[] = "/lib/python";
    struct text name, path;
    const char *at;

    if (!split_map(map, &name, &path)) {
        buf_add(out, name.s, name.len);
        return;
    }
    at = memmem(path.s, path.len, packages, strlen(packages));
    if (at) {
        at += strlen(packages);
    } else if ((at = memmem(path.s, path.len, library, strlen(library))) != NULL) {
        at += strlen(library);
        at = memchr(at, '/', (size_t)(path.s + path.len - at));
        at = at ? at + 1 : NULL;
    }
    if (at)
        path = (struct text){at, (size_t)(path.s + path.len - at)};
    buf_add(out, name.s, name.len);
    buf_adds(out, " (");
    buf_add(out, path.s, path.len);
    buf_addc(out, ')');
}
