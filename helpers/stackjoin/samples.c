/* SPDX-License-Identifier: MIT
 * perf script text to samples, one line after the other: the native stack of each, and off-CPU the
 * wait that it began.
 */
#include <string.h>

#include "join.h"

enum { NS_PER_US = 1000 };

/* ---- the native stack ------------------------------------------------------------------------ */

static bool begins(struct text t, const char *s) {
    return t.len >= strlen(s) && memcmp(t.s, s, strlen(s)) == 0;
}

static bool ends(struct text t, const char *s) {
    return t.len >= strlen(s) && memcmp(t.s + t.len - strlen(s), s, strlen(s)) == 0;
}

static bool is_or_version(struct text t, const char *s) {
    return begins(t, s) && (t.len == strlen(s) || t.s[strlen(s)] == '@' || t.s[strlen(s)] == '.');
}

static enum native_kind kind_of(const struct perf_frame *f) {
    static const char *const roots[] = {
        "_start",        "__libc_start_main", "clone",
        "clone3",        "__clone",           "__clone3",
        "__GI___clone",  "start_thread",      "__libc_start_call_main",
        "ret_from_fork", "ret_from_fork_asm"};

    if (is_or_version(f->symbol, "_PyEval_EvalFrameDefault") && !ends(f->symbol, "@plt"))
        return N_EVAL;
    if (begins(f->symbol, "py::"))
        return N_PYTHON;
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        if (is_or_version(f->symbol, roots[i]))
            return N_ROOT;
    }
    return N_OTHER;
}

static void add_native(struct join *j, const char *line, size_t len) {
    struct native *s = &j->now;
    struct perf_frame f;

    if (!perf_frame(line, len, &f))
        return;
    j->name.len = 0;
    perf_frame_name(&f, &j->name);
    if (f.kind == PERF_KERNEL)
        buf_adds(&j->name, "_[k]");
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->frames = xrealloc(s->frames, s->cap * sizeof(*s->frames));
    }
    s->frames[s->n++] = (struct native_frame){
        .name = intern(&j->tree->frames, j->name.data, j->name.len), .kind = kind_of(&f)};
}

/* ---- perf script text ------------------------------------------------------------------------ */

/* Off-CPU: the sample that a thread was put off the processor with; a free place when it has none.
 */
static struct native *waiting_of(struct join *j, int64_t tid) {
    size_t place = tids_add(&j->waiting_tids, tid);

    if (place < j->n_waiting)
        return &j->waiting[place];
    if (j->n_waiting == j->cap_waiting) {
        j->cap_waiting = j->cap_waiting ? 2 * j->cap_waiting : 64;
        j->waiting = xrealloc(j->waiting, j->cap_waiting * sizeof(*j->waiting));
    }
    j->waiting[place] = (struct native){.tid = tid};
    return &j->waiting[j->n_waiting++];
}

/* A thread's wait is over: its microseconds. */
static void end_wait(struct join *j, struct native *s, uint64_t ns) {
    uint64_t took;

    if (!s->used)
        return;
    s->used = false;
    took = (ns > s->ns ? ns - s->ns : 0) + j->left_ns;
    j->left_ns = took % NS_PER_US;
    join_place(j, s, ns, took / NS_PER_US);
}

/* The sample whose frames were read. */
static void close_sample(struct join *j) {
    struct native *s;

    if (!j->open)
        return;
    j->open = false;
    if (!j->opts->off_cpu) {
        join_place(j, &j->now, j->now.ns, j->opts->periods ? j->now.period : 1);
        return;
    }
    s = waiting_of(j, j->now.tid);
    end_wait(j, s, j->now.ns);
    /* The two change places, so that each keeps its room for frames. */
    struct native old = *s;
    *s = j->now;
    s->used = true;
    j->now = old;
}

/* Digits of `t`; -1 where there are none. */
static int64_t integer(struct text t) {
    int64_t v = 0;

    if (t.len == 0 || t.len > 18)
        return -1;
    for (size_t i = 0; i < t.len; i++) {
        if (t.s[i] < '0' || t.s[i] > '9')
            return -1;
        v = v * 10 + (t.s[i] - '0');
    }
    return v;
}

/* `SECONDS.FRACTION` in ns, up to nine decimals; false when it is none. */
static bool time_of(const char *s, size_t len, uint64_t *ns) {
    const char *dot = memchr(s, '.', len), *colon = memchr(s, ':', len);
    int64_t whole, part;
    size_t decimals;

    if (!dot || !colon || colon < dot)
        return false;
    decimals = (size_t)(colon - dot - 1);
    whole = integer((struct text){s, (size_t)(dot - s)});
    part = integer((struct text){dot + 1, decimals});
    if (whole < 0 || whole > INT64_MAX / 2000000000 || part < 0 || decimals > 9)
        return false;
    for (; decimals < 9; decimals++)
        part *= 10;
    *ns = (uint64_t)whole * 1000000000 + (uint64_t)part;
    return true;
}

static bool has(struct text t, const char *s) {
    return t.len > 0 && memmem(t.s, t.len, s, strlen(s)) != NULL;
}

/* Records that are no samples: `PERF_RECORD_SWITCH IN`, `PERF_RECORD_LOST lost 12` and others. */
static void take_record(struct join *j, const struct perf_header *h, int64_t tid, uint64_t ns) {
    const char *lost = memmem(h->rest.s, h->rest.len, "lost ", 5);
    struct native *s;

    if (begins(h->rest, "PERF_RECORD_LOST") && lost) {
        int64_t n = integer(perf_trim(lost + 5, (size_t)(h->rest.s + h->rest.len - lost - 5)));

        j->counts.lost += n > 0 ? (uint64_t)n : 0;
    }
    if (!j->opts->off_cpu || !begins(h->rest, "PERF_RECORD_SWITCH"))
        return;
    s = waiting_of(j, tid);
    if (has(h->rest, " IN"))
        end_wait(j, s, ns);
    else if (has(h->rest, "preempt"))
        s->runnable = s->used;
}

static void take_header(struct join *j, const char *line, size_t len) {
    struct perf_header h;
    uint64_t ns;
    int64_t tid;

    close_sample(j);
    if (!perf_header(line, len, &h) || !time_of(line + h.prefix, len - h.prefix, &ns) ||
        (tid = integer(h.tid)) < 0) {
        j->counts.odd++;
        return;
    }
    if (ns > j->last_ns)
        j->last_ns = ns;
    if (h.event.len == 0 || begins(h.rest, "PERF_RECORD_")) {
        take_record(j, &h, tid, ns);
        return;
    }
    j->now.tid = tid;
    j->now.ns = ns;
    j->now.period = h.has_period ? h.period : 1;
    j->now.n = 0;
    j->now.runnable = false;
    j->name.len = 0;
    buf_add(&j->name, h.comm.s, h.comm.len);
    for (char *c; (c = memchr(j->name.data, ';', j->name.len)) != NULL;)
        *c = ':';
    j->now.comm = j->name.len ? intern(&j->tree->frames, j->name.data, j->name.len) : 0;
    j->open = true;
}

/* perf puts a short name to the right: the next sample may begin with a blank, too. */
static bool is_native(const char *line, size_t len) {
    struct perf_header h;

    return (*line == '\t' || (*line == ' ' && !perf_header(line, len, &h))) &&
           perf_is_frame(line, len);
}

void join_line(struct join *j, const char *line, size_t len) {
    if (perf_trim(line, len).len == 0)
        close_sample(j);
    else if (j->open && is_native(line, len))
        add_native(j, line, len);
    else if (!perf_is_comment(line, len))
        take_header(j, line, len);
}

void join_end(struct join *j) {
    close_sample(j);
    for (size_t i = 0; i < j->n_waiting; i++)
        end_wait(j, &j->waiting[i], j->last_ns);
}
