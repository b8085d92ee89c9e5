/* SPDX-License-Identifier: MIT */
#include "fold.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "odd.h"
#include "perftext.h"

enum {
    THREADS = 64,
    KEEP = 256 << 10, /* bytes of stack text that are kept of a thread at most */
    GATHER = 256,     /* samples, or lines, that are looked up together */
};

struct fold_step {
    size_t off; /* from the start of the line to the end of the text */
    struct calltree_at at;
};

/* The last stack whose header began with `prefix`. Its text is kept when a sample is gathered, its
 * steps when it is looked up. */
struct fold_thread {
    char prefix[64];
    size_t prefix_len;
    struct calltree_at root;
    char *text; /* from the end of the header to the end of the stack; it ends where the buffer ends
                 */
    size_t len, cap;
    struct fold_step *steps; /* the outermost frame first */
    size_t n, cap_steps;
};

struct fold_sample {
    struct fold_thread *thread; /* NULL: its steps are not kept */
    struct calltree_at base;    /* of its first line's caller; the node only when depth is 0 */
    size_t depth;               /* steps of the thread that it shares with the stack before */
    size_t first, n;            /* the other lines, the innermost frame first */
    uint64_t weight;
};

void fold_init(struct fold *f, struct calltree *tree, const struct fold_options *opts) {
    *f = (struct fold){.opts = opts, .tree = tree, .cap_lines = GATHER, .blank = true};
    frames_init(&f->frames, tree, &opts->frames);
    f->threads = xcalloc(THREADS, sizeof(*f->threads));
    f->samples = xcalloc(GATHER, sizeof(*f->samples));
    f->lines = xcalloc(f->cap_lines, sizeof(*f->lines));
}

void fold_free(struct fold *f) {
    for (int i = 0; i < THREADS; i++) {
        free(f->threads[i].text);
        free(f->threads[i].steps);
    }
    frames_free(&f->frames);
    events_free(&f->events);
    free(f->threads);
    free(f->samples);
    free(f->lines);
    buf_free(&f->name);
    buf_free(&f->first_odd);
}

bool fold_is_perf(const char *line, size_t len) {
    struct perf_header h;

    return len > 0 && (line[0] == '\t' ? perf_is_frame(line, len)
                                       : !perf_is_comment(line, len) && perf_header(line, len, &h));
}

void fold_count(struct fold *f, struct calltree_at at, uint64_t weight) {
    if (at.node == 0)
        at = calltree_child(f->tree, at, intern(&f->tree->frames, "[unknown]", 9));
    calltree_add(f->tree, at.node, weight);
}

/* --- looking up what was gathered --- */

/* Computes the hashes of a sample's paths, and asks memory for the places where they are looked
 * for. */
static void prepare(struct fold *f, struct fold_sample *sample) {
    struct fold_step *steps = sample->thread ? sample->thread->steps + sample->depth : NULL;

    if (steps && sample->depth > 0)
        sample->base.hash = steps[-1].at.hash;
    for (size_t i = 0, hash = sample->base.hash; i < sample->n; i++) {
        hash = frames_hash(&f->frames, hash, f->lines[sample->first + sample->n - 1 - i].frame);
        calltree_prefetch(f->tree, hash);
        if (steps)
            steps[i].at.hash = hash;
    }
}

static void resolve(struct fold *f, const struct fold_sample *sample) {
    struct fold_step *steps = sample->thread ? sample->thread->steps + sample->depth : NULL;
    struct calltree_at at = sample->base;

    if (steps && sample->depth > 0)
        at.node = steps[-1].at.node;
    for (size_t i = 0; i < sample->n; i++) {
        at = frames_descend(&f->frames, at, f->lines[sample->first + sample->n - 1 - i].frame);
        if (steps)
            steps[i].at.node = at.node;
    }
    fold_count(f, at, sample->weight);
}

/* In three passes over all that was gathered, each of which asks for what the next one reads. A
 * step's `off` is of the last sample that was gathered, its hash of the last prepared, its node of
 * the last resolved. */
static void resolve_all(struct fold *f) {
    frames_find(&f->frames, f->lines, f->n_lines);
    for (size_t i = 0; i < f->n_samples; i++)
        prepare(f, &f->samples[i]);
    for (size_t i = 0; i < f->n_samples; i++)
        resolve(f, &f->samples[i]);
    f->n_samples = f->n_lines = 0;
}

/* --- threads --- */

static size_t common_suffix(const char *a_end, const char *b_end, size_t max) {
    size_t i = 0;

    while (i + 8 <= max && hash_load8(a_end - i - 8) == hash_load8(b_end - i - 8))
        i += 8;
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

/* The first frame of a stack. A name must not look like two frames, or like a weight. */
struct calltree_at fold_root(struct fold *f, const struct perf_header *h) {
    const struct text none = {"?", 1}, pid = h->pid.len > 0 ? h->pid : none,
                      tid = h->tid.len > 0 ? h->tid : none;
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
        buf_add(&f->name, pid.s, pid.len);
    }
    if (f->opts->tid) {
        buf_addc(&f->name, '/');
        buf_add(&f->name, tid.s, tid.len);
    }
    if (f->name.len == 0)
        return root;
    return calltree_child(f->tree, root, intern(&f->tree->frames, f->name.data, f->name.len));
}

/* Parses a header. `*thread` is where its last stack is kept, or NULL when the header is not of the
 * usual kind. */
static bool header(struct fold *f, const char *line, size_t len, struct perf_header *h,
                   struct fold_thread **thread) {
    size_t colon, prefix = perf_prefix(line, len, &colon);
    struct fold_thread *t = &f->threads[hash_bytes(line, prefix, 0) % THREADS];
    struct calltree_at root;

    if (prefix > 0 && t->prefix_len == prefix && memcmp(t->prefix, line, prefix) == 0) {
        *thread = t;
        return perf_after_time(line + colon + 1, len - colon - 1, h);
    }
    *thread = NULL;
    if (!perf_header(line, len, h))
        return false;
    if (prefix == 0 || prefix > sizeof(t->prefix) || h->prefix != prefix)
        return true;
    root = fold_root(f, h);
    if (root.node != t->root.node)
        t->len = t->n = 0; /* the nodes of its steps are under another root */
    t->root = root;
    memcpy(t->prefix, line, prefix);
    t->prefix_len = prefix;
    *thread = t;
    return true;
}

/* --- samples --- */

static void gather_line(struct fold *f, const char *s, size_t len) {
    if (len > UINT32_MAX)
        die(EX_FAIL, "a line of more than 4 GiB");
    if (f->n_lines == f->cap_lines)
        f->lines = xrealloc(f->lines, (f->cap_lines *= 2) * sizeof(*f->lines));
    f->lines[f->n_lines].s = s;
    f->lines[f->n_lines++].len = (uint32_t)len;
}

/* Gathers the lines of the stack from `p` on. Returns where they end: at a blank line, a header, or
 * the end; NULL when that is not in the text yet. `*plain` is unset when other lines stand between
 * them. */
static const char *gather_stack(struct fold *f, const char *p, const char *end, bool eof,
                                bool *plain) {
    while (p < end && *p != '\n') {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        struct perf_header h;
        size_t len;

        if (!nl)
            return NULL;
        len = (size_t)(nl - p);
        if (*p == '\t') {
            gather_line(f, p, len);
        } else if (*p == ' ' && !perf_header(p, len, &h) && perf_is_frame(p, len)) {
            /* perf puts a short name to the right: the next sample may begin with a blank, too. */
            gather_line(f, p, len);
            *plain = false;
        } else {
            if (*p == '\r' || perf_header(p, len, &h))
                return p;
            /* A source line, or the rest of a symbol with a newline in it. */
            if (*p != ' ' && *p != '|')
                fold_odd_line(f, p, len, true);
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

/* Takes away from the end of f->lines[first ..] what the stack shares with the thread's last one,
 * and makes it the last one. Returns how many steps are shared. */
static size_t share(struct fold *f, struct fold_thread *t, size_t first, const char *s,
                    size_t len) {
    const char *end = s + len;
    size_t same =
               t->len == 0 ? 0 : common_suffix(end, t->text + t->cap, len < t->len ? len : t->len),
           depth, n;

    /* A line is the same only when the newline before it is, too. */
    while (t->n > 0 && t->steps[t->n - 1].off >= same)
        t->n--;
    depth = t->n;
    f->n_lines -= depth;
    n = f->n_lines - first;
    if (depth + n >= t->cap_steps) {
        t->cap_steps = 2 * (depth + n) + 16;
        t->steps = xrealloc(t->steps, t->cap_steps * sizeof(*t->steps));
    }
    for (size_t i = 0; i < n; i++)
        t->steps[t->n++].off = (size_t)(end - f->lines[f->n_lines - 1 - i].s);
    keep_text(t, s, len, same);
    return depth;
}

/* Adds the sample with the stack f->lines[first ..] and the text s[0 .. len) from the header's
 * newline to its end. */
static void gather_sample(struct fold *f, struct fold_thread *t, const struct perf_header *h,
                          size_t first, const char *s, size_t len, bool plain) {
    struct fold_sample sample = {.first = first,
                                 .weight = events_weigh(&f->events, &f->opts->events, h)};

    if (sample.weight == 0) {
        f->n_lines = first;
        return;
    }
    sample.base = t ? t->root : fold_root(f, h);
    if (f->n_lines == first && h->rest.len > 0 && perf_is_frame(h->rest.s, h->rest.len) &&
        h->rest.s[h->rest.len - 1] == ')') {
        gather_line(f, h->rest.s, h->rest.len);
    } else if (t && plain && len <= KEEP) {
        sample.thread = t;
        sample.depth = share(f, t, first, s, len);
    }
    sample.n = f->n_lines - first;
    f->samples[f->n_samples++] = sample;
    if (f->n_samples == GATHER || f->n_lines >= GATHER)
        resolve_all(f);
}

/* Takes the sample that begins at `p`, with the header or, under `-F ip,sym`, the first frame.
 * Returns where it ends, or NULL when that is not in the text yet. */
static const char *sample(struct fold *f, const char *p, const char *line_end, const char *end,
                          bool eof, bool cut) {
    struct perf_header h = {0};
    struct fold_thread *t = NULL;
    size_t first = f->n_lines, len = (size_t)(line_end - p);
    bool ok, plain = *p != '\t';
    uint64_t odd;
    const char *stack = plain ? line_end + 1 : p, *next;

    len -= p[len - 1] == '\r';
    if (plain)
        ok = !perf_is_comment(p, len) && header(f, p, len, &h, &t);
    else
        ok = f->blank && perf_is_frame(p, len);
    /* `-F comm,ip,sym`: a line that frames follow is a name; `-F period,ip,sym`: a period, which is
     * a sample without frames, too. */
    if (!ok && plain && f->blank && *p != '#') {
        const char *nl = memchr(stack, '\n', (size_t)(end - stack));

        if (!nl && !eof)
            return NULL;
        ok = nl && *stack == '\t' && perf_is_frame(stack, (size_t)(nl - stack));
        if (perf_bare_period(p, len, &h))
            ok |= h.comm.len == 0 || f->named;
        else
            h = (struct perf_header){.comm = perf_trim(p, len)};
        f->named |= ok;
        t = NULL;
    }
    /* A header that ends with the input before its event was cut, and its period may be, too. */
    if (ok && plain && eof && cut && stack == end && h.event.len == 0)
        ok = false;
    if (!ok) {
        f->blank = false;
        if (*p != '#')
            fold_odd_line(f, p, len, eof && cut && stack == end);
        return line_end + 1;
    }
    odd = f->odd;
    next = gather_stack(f, stack, end, eof, &plain);
    if (!next || is_record(f, &h))
        f->n_lines = first;
    else
        gather_sample(f, t, &h, first, line_end, (size_t)(next - line_end), plain);
    /* An incomplete sample comes again as a whole. */
    if (!next)
        f->odd = odd;
    else
        f->blank = false;
    return next;
}

size_t fold_perf(struct fold *f, const char *s, size_t len, bool eof, bool cut) {
    const char *p = s, *end = s + len;

    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p)), *next;

        if (!nl)
            break;
        if (nl == p || (*p == '\r' && nl == p + 1)) {
            f->blank = true;
            p = nl + 1;
            continue;
        }
        next = sample(f, p, nl, end, eof, cut);
        if (!next)
            break;
        p = next;
    }
    resolve_all(f); /* the text does not stay where it is */
    f->blank |= eof;
    return (size_t)(p - s);
}
