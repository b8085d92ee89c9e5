/* SPDX-License-Identifier: MIT */
#include "fold.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"

/* A line's frame is one frame, none (0: it was left out), or LIST + the place of several in
 * `lists`. */
#define LIST UINT32_C(0x80000000)

enum { KEEP = 256 << 10 }; /* bytes of stack text that are kept of a thread at most */

struct fold_line {
    const char *s;
    size_t len;
    uint64_t hash;
    uint32_t frame;
};

/* The last stack with a header that began with `prefix`. */
struct fold_thread {
    char prefix[64];
    size_t prefix_len;
    struct calltree_at root;
    char *text; /* from the end of the header to the end of the stack; it ends where the buffer ends
                 */
    size_t len, cap;
    struct fold_step {
        size_t off; /* from the start of the line to the end of the text */
        struct calltree_at at;
    } * steps; /* the outermost frame first */
    size_t n, cap_steps;
};

void fold_init(struct fold *f, struct calltree *tree, const struct fold_options *opts) {
    *f = (struct fold){.opts = opts, .tree = tree, .cap = 256};
    linecache_init(&f->lines);
    f->threads = xcalloc(THREADS, sizeof(*f->threads));
    f->at = xcalloc(f->cap, sizeof(*f->at));
}

void fold_free(struct fold *f) {
    for (int i = 0; i < THREADS; i++) {
        free(f->threads[i].text);
        free(f->threads[i].steps);
    }
    for (size_t i = 0; i < f->n_events; i++)
        free(f->events[i].name);
    linecache_free(&f->lines);
    free(f->threads);
    free(f->events);
    free(f->at);
    free(f->lists);
    buf_free(&f->name);
    buf_free(&f->first_odd);
}

void fold_odd(struct fold *f, const char *line, size_t len) {
    if (f->odd++ == 0)
        buf_add(&f->first_odd, line, len < 60 ? len : 60);
}

bool fold_is_perf(const char *line, size_t len) {
    struct perf_header h;

    return len > 0 && (line[0] == '\t' ? perf_is_frame(line, len) : perf_header(line, len, &h));
}

/* --- frames --- */

static uint32_t frame_id(struct fold *f, const char *suffix) {
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

static void list_add(struct fold *f, uint32_t v) {
    if (f->n_lists == f->cap_lists)
        f->lists = xrealloc(f->lists, (f->cap_lists = f->cap_lists ? f->cap_lists * 2 : 64) *
                                          sizeof(*f->lists));
    f->lists[f->n_lists++] = v;
}

/* The frames of a method with what was inlined into it, the outer one first. */
static uint32_t jit_list(struct fold *f, struct perf_frame *frame, const char *arrow) {
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

static uint32_t parse_line(struct fold *f, const char *line, size_t len) {
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

/* Finds the frames of the lines at[0 .. n). Each pass asks memory for what the next one reads. */
static void look_up(struct fold *f, size_t n) {
    struct fold_line *at = f->at;

    for (size_t i = 0; i < n; i++) {
        at[i].hash = linecache_hash(at[i].s, at[i].len);
        linecache_prefetch(&f->lines, at[i].hash);
    }
    for (size_t i = 0; i < n; i++)
        linecache_prefetch_text(&f->lines, at[i].hash);
    for (size_t i = 0; i < n; i++) {
        if (linecache_find(&f->lines, at[i].hash, at[i].s, at[i].len, &at[i].frame))
            continue;
        at[i].frame = parse_line(f, at[i].s, at[i].len);
        linecache_put(&f->lines, at[i].hash, at[i].s, at[i].len, at[i].frame);
    }
}

/* The path goes on by what a line stands for. */
static struct calltree_at descend(struct fold *f, struct calltree_at at, uint32_t frame) {
    if (frame & LIST) {
        const uint32_t *list = &f->lists[frame - LIST];

        for (uint32_t i = 1; i <= list[0]; i++)
            at = calltree_child(f->tree, at, list[i]);
        return at;
    }
    return frame ? calltree_child(f->tree, at, frame) : at;
}

static void prefetch_paths(const struct fold *f, struct calltree_at at, size_t n) {
    uint64_t path = at.hash;

    for (size_t i = n; i-- > 0;) {
        path = calltree_hash(path, f->at[i].frame);
        calltree_prefetch(f->tree, path);
    }
}

/* --- threads --- */

static size_t common_suffix(const char *a_end, const char *b_end, size_t max) {
    size_t i = 0;

    for (; i + 8 <= max; i += 8) {
        uint64_t d = hash_load8(a_end - i - 8) ^ hash_load8(b_end - i - 8);

        if (d != 0)
            break;
    }
    while (i < max && a_end[-1 - (ptrdiff_t)i] == b_end[-1 - (ptrdiff_t)i])
        i++;
    return i;
}

static void keep_text(struct fold_thread *t, const char *s, size_t len, size_t same) {
    if (len > t->cap) {
        size_t cap = t->cap ? t->cap : 4096;
        char *text;

        while (cap < len)
            cap *= 2;
        text = xmalloc(cap);
        if (same > 0)
            memcpy(text + cap - same, t->text + t->cap - same, same);
        free(t->text);
        t->text = text;
        t->cap = cap;
    }
    memcpy(t->text + t->cap - len, s, len - same);
    t->len = len;
}

/* Folds the stack whose lines are at[0 .. n), with the text `s` from the header's newline to the
 * end of the last line. Returns its node. */
static struct calltree_at thread_stack(struct fold *f, struct fold_thread *t, const char *s,
                                       size_t len) {
    size_t same = common_suffix(s + len, t->text + t->cap, len < t->len ? len : t->len), n = f->n;
    struct calltree_at at;

    /* A line is the same only when the newline before it is, too. */
    while (t->n > 0 && t->steps[t->n - 1].off >= same)
        t->n--;
    at = t->n > 0 ? t->steps[t->n - 1].at : t->root;
    n -= t->n;
    look_up(f, n);
    prefetch_paths(f, at, n);
    if (f->n > t->cap_steps)
        t->steps = xrealloc(t->steps, (t->cap_steps = f->n * 2) * sizeof(*t->steps));
    for (size_t i = n; i-- > 0;) {
        at = descend(f, at, f->at[i].frame);
        t->steps[t->n++] = (struct fold_step){(size_t)(s + len - f->at[i].s), at};
    }
    keep_text(t, s, len, same);
    return at;
}

/* --- samples --- */

static struct calltree_at root_of(struct fold *f, const struct perf_header *h) {
    const struct calltree_at root = calltree_root(f->tree);

    f->name.len = 0;
    buf_add(&f->name, h->comm.s, h->comm.len);
    for (size_t i = 0; i < f->name.len; i++) {
        if (f->name.data[i] == ' ' || f->name.data[i] == '\t')
            f->name.data[i] = '_';
        else if (f->name.data[i] == ';')
            f->name.data[i] = ':';
    }
    if (f->opts->pid || f->opts->tid) {
        buf_addc(&f->name, '-');
        if (h->pid.len > 0)
            buf_add(&f->name, h->pid.s, h->pid.len);
        else
            buf_addc(&f->name, '?');
    }
    if (f->opts->tid) {
        buf_addc(&f->name, '/');
        if (h->tid.len > 0)
            buf_add(&f->name, h->tid.s, h->tid.len);
        else
            buf_addc(&f->name, '?');
    }
    return f->name.len > 0
               ? calltree_child(f->tree, root, intern(&f->tree->frames, f->name.data, f->name.len))
               : root;
}

/* `cycles` names `cycles`, `cycles:u`, `cycles:ppp`: perf adds modifiers by itself. */
static bool event_matches(const char *wanted, struct text name) {
    size_t len = strlen(wanted);

    if (name.len < len || memcmp(name.s, wanted, len) != 0)
        return false;
    return name.len == len ||
           (name.s[len] == ':' && strspn(name.s + len + 1, "ukhpPSDGHIWeb") >= name.len - len - 1);
}

static struct fold_event *event_of(struct fold *f, struct text name) {
    for (size_t i = f->last_event, k = 0; k < f->n_events;
         k++, i = i + 1 < f->n_events ? i + 1 : 0) {
        if (f->events[i].len == name.len && memcmp(f->events[i].name, name.s, name.len) == 0) {
            f->last_event = i;
            return &f->events[i];
        }
    }
    f->events = xrealloc(f->events, (f->n_events + 1) * sizeof(*f->events));
    f->last_event = f->n_events++;
    f->events[f->last_event] = (struct fold_event){.name = xmalloc(name.len + 1), .len = name.len};
    memcpy(f->events[f->last_event].name, name.s, name.len);
    f->events[f->last_event].name[name.len] = '\0';
    f->events[f->last_event].wanted =
        !f->opts->event ||
        event_matches(f->opts->event, (struct text){f->events[f->last_event].name, name.len});
    return &f->events[f->last_event];
}

/* The thread slot of a header, its root set; NULL when the header's prefix is not simple. */
static struct fold_thread *thread_of(struct fold *f, const char *line, size_t len,
                                     struct perf_header *h, bool *ok) {
    size_t prefix = perf_prefix(line, len);
    struct fold_thread *t = NULL;

    if (prefix > 0 && prefix <= sizeof(t->prefix)) {
        t = &f->threads[hash_bytes(line, prefix, 0) % THREADS];
        if (t->prefix_len == prefix && memcmp(t->prefix, line, prefix) == 0) {
            *ok = perf_header_after(line, len, prefix, h);
            return t;
        }
    }
    *ok = perf_header(line, len, h);
    if (!*ok || !t || h->prefix != prefix)
        return NULL;
    {
        struct calltree_at root = root_of(f, h);

        if (root.node != t->root.node)
            t->n = t->len = 0;
        t->root = root;
    }
    memcpy(t->prefix, line, prefix);
    t->prefix_len = prefix;
    return t;
}

static void add_line(struct fold *f, const char *s, size_t len) {
    if (f->n == f->cap)
        f->at = xrealloc(f->at, (f->cap *= 2) * sizeof(*f->at));
    f->at[f->n].s = s;
    f->at[f->n++].len = len;
}

/* Collects the lines of the stack from `p` on. Returns where they end, NULL when that is not in the
 * text yet;
 * `*plain` is unset when other lines stand between them. */
static const char *stack_lines(struct fold *f, const char *p, const char *end, bool eof,
                               bool *plain) {
    struct perf_header h;

    for (f->n = 0; p < end && (*p == '\t' || *p == ' ');) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));

        if (!nl)
            return NULL;
        if (*p == '\t') {
            add_line(f, p, (size_t)(nl - p));
        } else {
            if (perf_is_frame(p, (size_t)(nl - p)))
                add_line(f, p, (size_t)(nl - p));
            else if (perf_header(p, (size_t)(nl - p), &h))
                return p;
            *plain = false;
        }
        p = nl + 1;
    }
    return p < end || eof ? p : NULL;
}

/* What perf writes between samples about other things, with --show-lost-events and the like. */
static bool is_record(struct fold *f, const struct perf_header *h) {
    static const char record[] = "PERF_RECORD_";
    struct text t = h->event.len > 0 ? h->event : h->rest;
    const char *lost;

    if (t.len < sizeof(record) - 1 || memcmp(t.s, record, sizeof(record) - 1) != 0)
        return false;
    lost = memmem(h->rest.s, h->rest.len, "lost ", 5);
    if (lost)
        f->lost += strtoull(lost + 5, NULL, 10);
    return true;
}

static void add_sample(struct fold *f, struct fold_thread *t, const struct perf_header *h,
                       const char *s, size_t len, bool plain) {
    struct calltree_at at;
    struct fold_event *event = event_of(f, h->event);

    if (f->opts->periods && !h->has_period)
        die(EX_FAIL,
            "%.*s: a sample without a period; record with `perf script -F +period`, or use "
            "--weight samples",
            (int)h->comm.len, h->comm.s);
    event->samples++;
    if (__builtin_add_overflow(event->period, h->period, &event->period))
        event->period = UINT64_MAX;
    if (!event->wanted)
        return;
    if (f->n == 0 && h->rest.len > 0 && perf_is_frame(h->rest.s, h->rest.len) &&
        h->rest.s[h->rest.len - 1] == ')') {
        add_line(f, h->rest.s, h->rest.len);
        plain = false;
    }
    if (t && plain && len <= KEEP) {
        at = thread_stack(f, t, s, len);
    } else {
        at = t ? t->root : root_of(f, h);
        look_up(f, f->n);
        prefetch_paths(f, at, f->n);
        for (size_t i = f->n; i-- > 0;)
            at = descend(f, at, f->at[i].frame);
    }
    if (at.node == 0)
        at = calltree_child(f->tree, at, intern(&f->tree->frames, "[unknown]", 9));
    calltree_add(f->tree, at.node, f->opts->periods ? h->period : 1);
}

/* Folds the sample that begins at `p`, with the header or, under `-F ip,sym`, the first frame.
 * Returns where it ends, or NULL when that is not in the text yet. */
static const char *sample(struct fold *f, const char *p, const char *line_end, const char *end,
                          bool eof) {
    struct perf_header h = {0};
    struct fold_thread *t = NULL;
    bool ok, plain = *p != '\t';
    const char *stack = p, *next;

    if (plain) {
        size_t len = (size_t)(line_end - p);

        t = thread_of(f, p, len > 0 && p[len - 1] == '\r' ? len - 1 : len, &h, &ok);
        stack = line_end + 1;
    } else {
        ok = perf_is_frame(p, (size_t)(line_end - p));
    }
    if (!ok) {
        if (*p != '#')
            fold_odd(f, p, (size_t)(line_end - p));
        return line_end + 1;
    }
    next = stack_lines(f, stack, end, eof, &plain);
    if (next && !is_record(f, &h))
        add_sample(f, t, &h, line_end, (size_t)(next - line_end), plain);
    return next;
}

size_t fold_perf(struct fold *f, const char *s, size_t len, bool eof) {
    const char *p = s, *end = s + len;

    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p)), *next;

        if (!nl)
            break;
        if (nl == p || (*p == '\r' && nl == p + 1)) {
            p = nl + 1;
            continue;
        }
        next = sample(f, p, nl, end, eof);
        if (!next)
            break;
        p = next;
    }
    return (size_t)(p - s);
}
