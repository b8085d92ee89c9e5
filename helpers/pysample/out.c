/* SPDX-License-Identifier: MIT */
#include "out.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frametext.h"

static const char *const view_name[VIEWS] = {"wall", "tasks", "threads"};

static double share(uint64_t part, uint64_t whole) {
    return whole ? (double)part / (double)whole : 0;
}

static void version_text(const struct session *s, char *text, size_t cap) {
    if (s->version)
        (void)snprintf(text, cap, "%u.%u.%u", s->version >> 24, s->version >> 16 & 255,
                       s->version >> 8 & 255);
    else
        (void)snprintf(text, cap, "n/a");
}

void out_folded(struct session *s, enum view_id id, const struct run_info *run, struct buf *out) {
    const struct view *v = &s->views.view[id];
    uint64_t sum = 0, written = 0;
    char version[32];

    version_text(s, version, sizeof(version));
    buf_printf(out,
               "# tool: pysample\n# view: %s\n# unit: us\n# pid: %d\n# python: %s\n# started: %s\n",
               view_name[id], (int)s->pid, version, run->started);
    buf_printf(out, "# rate_asked_hz: %g\n# rate_achieved_hz: %.2f\n# samples: %" PRIu64 "\n",
               run->rate_asked, run->elapsed_s > 0 ? (double)s->samples / run->elapsed_s : 0,
               s->samples);
    buf_printf(out,
               "# torn: %" PRIu64 "\n# missed: %" PRIu64 "\n# unknown_us: %" PRIu64
               "\n# elapsed_s: %.6f\n",
               s->torn, run->missed, s->views.unknown_ns[id] / 1000, run->elapsed_s);
    buf_printf(out, "# complete: %s\n", run->complete ? "yes" : "no");
    for (uint32_t i = 1; i < v->n; i++) {
        uint64_t us;

        if (v->nodes[i].ns == 0)
            continue;
        /* By the running sum, so that the lines sum to the whole. */
        sum += v->nodes[i].ns;
        us = sum / 1000 - written;
        if (us == 0)
            continue;
        written += us;
        views_stack(&s->views, id, i, out);
        buf_printf(out, " %" PRIu64 "\n", us);
    }
}

void out_summary(struct session *s, const struct run_info *run, struct buf *out) {
    char version[32];

    version_text(s, version, sizeof(version));
    buf_printf(out, "pid\t%d\npython\t%s\nloop\t%s\n", (int)s->pid, version, run->loop);
    buf_printf(out, "started\t%s\nelapsed_s\t%.6f\ncomplete\t%s\n", run->started, run->elapsed_s,
               run->complete ? "yes" : "no");
    buf_printf(out, "rate_asked\t%g\nrate_achieved\t%.2f\n", run->rate_asked,
               run->elapsed_s > 0 ? (double)s->samples / run->elapsed_s : 0);
    buf_printf(out, "samples\t%" PRIu64 "\ntorn\t%" PRIu64 "\nmissed\t%" PRIu64 "\n", s->samples,
               s->torn, run->missed);
    buf_printf(out, "longest_gap_s\t%.6f\n", (double)run->longest_gap_ns / 1e9);
    buf_printf(out, "retries\t%" PRIu64 "\nstops\t%" PRIu64 "\n",
               s->retries + s->threads.retries + s->tasks.retries, s->stops);
    for (int i = 0; i < VIEWS; i++) {
        buf_printf(out, "%s_us\t%" PRIu64 "\n", view_name[i], s->views.view[i].total_ns / 1000);
        buf_printf(out, "unknown_%s_us\t%" PRIu64 "\n", view_name[i],
                   s->views.unknown_ns[i] / 1000);
    }
    if (s->exact_ok && s->samples)
        buf_printf(out, "proven_exact\t%.4f\n", share(s->exact, s->samples));
    else
        buf_adds(out, "proven_exact\tn/a\n");
    buf_printf(out, "cpu_s\t%.6f\n", run->cpu_s);
    if (run->launched && run->exit_status >= 0)
        buf_printf(out, "exit_status\t%d\n", run->exit_status);
    else
        buf_adds(out, "exit_status\tn/a\n");
}

/* ---- the task tree ---- */

static const char *const state_name[] = {"running", "ready", "waiting", "new", "unknown"};

struct tree {
    struct session *s;
    struct buf *out;
    char prefix[1024];
    unsigned int budget;
    uint32_t frames;  /* of each stack so many at most, the innermost; 0: a line a task */
    uint32_t columns; /* 0: as many as it takes */
    uint32_t indent;
};

static void put_fit(const struct tree *t, size_t used, const char *text) {
    if (t->columns)
        frame_put_fit(t->out, text, strlen(text), t->columns > used + 10 ? t->columns - used : 10);
    else
        buf_adds(t->out, text);
}

static void tree_line(struct tree *t, size_t depth, const char *text) {
    buf_printf(t->out, "%.*s", (int)depth, t->prefix);
    put_fit(t, depth, text);
    buf_addc(t->out, '\n');
}

/* A task's chain, and the frames of a thread from `from` on, where there is one, with its state. */
struct stack {
    const struct task *k;
    const struct thread *th;
    uint32_t from;
};

static uint32_t stack_size(const struct stack *st) {
    return (st->k ? st->k->n : 0) + (st->th ? st->th->n - st->from : 0);
}

static const char *stack_text(const struct tree *t, const struct stack *st, uint32_t i) {
    uint32_t chain = st->k ? st->k->n : 0;

    return text_of(&t->s->texts,
                   i < chain ? t->s->tasks.chain[st->k->first + i]
                             : t->s->threads.frames[st->th->first + st->from + i - chain].text);
}

static void tree_stack(struct tree *t, size_t depth, const struct stack *st) {
    uint32_t n = stack_size(st), skip = n > t->frames ? n - t->frames : 0;

    /* One frame takes no more room than to say so. */
    if (skip > 1)
        buf_printf(t->out, "%.*s… %u frames\n", (int)depth, t->prefix, skip);
    for (uint32_t i = skip > 1 ? skip : 0; i < n; i++)
        tree_line(t, depth, stack_text(t, st, i));
    if (st->th)
        tree_line(t, depth, text_of(&t->s->texts, views_thread_state(&t->s->views, st->th)));
}

/* Where a task goes on: on the thread that runs it, or that works for it. */
static void find_stack(struct tree *t, const struct task *k, struct stack *st) {
    uint32_t at = 0;

    *st = (struct stack){.k = k};
    if (k->state == T_RUNNING) {
        st->th = views_find_frame(&t->s->views, k->exec_frame, &at);
        st->from = at + 1;
    } else if (k->state == T_WAITING && k->work) {
        st->th = views_find_work(&t->s->views, k->work);
        st->from = st->th ? st->th->work_frame : 0;
    }
}

bool out_is_asyncio(const char *frame) {
    return strstr(frame, " (asyncio/") != NULL;
}

/* `* Task-7: [sleep 0.5s]  fetch (app/fetch.py:7)` */
static void tree_brief(struct tree *t, size_t depth, const char *name, const struct stack *st) {
    const struct task *k = st->k;
    uint32_t n = stack_size(st);
    const char *state = state_name[k->state];
    size_t start = t->out->len;

    if (st->th)
        state = text_of(&t->s->texts, views_thread_state(&t->s->views, st->th));
    else if (k->state == T_WAITING)
        state = text_of(&t->s->texts, k->marker);
    buf_printf(t->out, "%.*s* %s: %s", (int)depth, t->prefix, name, state);
    while (n > 1 && out_is_asyncio(stack_text(t, st, n - 1)))
        n--;
    if (n) {
        buf_adds(t->out, "  ");
        put_fit(t, t->out->len - start, stack_text(t, st, n - 1));
    }
    buf_addc(t->out, '\n');
}

static void tree_task(struct tree *t, size_t depth, uint32_t i) {
    struct task *k = &t->s->tasks.list[i];
    char name[256] = "(future)";
    struct stack st;

    if (t->budget == 0 || depth + t->indent >= sizeof(t->prefix))
        return;
    t->budget--;
    if (is_task(k->kind) && !task_name(&t->s->tasks, k, name, sizeof(name)))
        (void)snprintf(name, sizeof(name), "(unnamed)");
    find_stack(t, k, &st);
    if (t->frames == 0)
        tree_brief(t, depth, name, &st);
    else
        buf_printf(t->out, "%.*s* %s: %s\n", (int)depth, t->prefix, name, state_name[k->state]);
    memset(t->prefix + depth, ' ', t->indent);
    depth += t->indent;
    if (t->frames)
        tree_stack(t, depth, &st);
    if (k->state != T_WAITING || st.th)
        return;
    if (t->frames)
        tree_line(t, depth, text_of(&t->s->texts, k->marker));
    if (k->visit) {
        tree_line(t, depth, "(see above)");
        return;
    }
    k->visit = 1;
    for (uint32_t e = k->child; e; e = t->s->tasks.edges[e - 1].next_child)
        tree_task(t, depth, t->s->tasks.edges[e - 1].to);
    k->visit = 0;
}

/* The tasks that a runner waits for, or those that nothing awaits. */
static void tree_roots(struct tree *t, bool runners) {
    bool first = true;

    for (uint32_t i = 0; i < t->s->tasks.ntasks; i++) {
        const struct task *k = &t->s->tasks.list[i];

        if (k->kind == K_NONE || k->root != runners || (k->awaited && !k->root))
            continue;
        if (first && !runners)
            buf_adds(t->out, "background (nothing awaits them yet)\n");
        first = false;
        tree_task(t, 0, i);
    }
}

static void put_tree(struct session *s, struct buf *out, uint32_t frames, uint32_t columns) {
    struct tree t = {.s = s,
                     .out = out,
                     .budget = 4 * s->tasks.n + 100,
                     .frames = frames,
                     .columns = columns,
                     .indent = columns ? 2 : 4};
    uint32_t counts[5] = {0};
    char version[32];

    version_text(s, version, sizeof(version));
    for (uint32_t i = 0; i < s->tasks.ntasks; i++) {
        if (s->tasks.list[i].kind != K_NONE)
            counts[s->tasks.list[i].state]++;
    }
    buf_printf(
        out,
        "process %d, Python %s, %u threads, %u tasks: %u running, %u ready, %u waiting, %u new",
        (int)s->pid, version, s->threads.n,
        counts[0] + counts[1] + counts[2] + counts[3] + counts[4], counts[0], counts[1], counts[2],
        counts[3]);
    if (counts[T_TORN])
        buf_printf(out, ", %u unknown", counts[T_TORN]);
    buf_adds(out, "\n");
    tree_roots(&t, true);
    tree_roots(&t, false);
    if (s->tasks.ntasks == 0) {
        buf_adds(out, "no asyncio task; threads:\n");
        for (uint32_t i = 0; i < s->threads.n; i++) {
            const struct thread *th = &s->threads.list[i];

            buf_printf(out, "* thread %d\n", (int)th->tid);
            memset(t.prefix, ' ', t.indent);
            tree_stack(&t, t.indent, &(struct stack){.th = th});
        }
    }
}

void out_tree(struct session *s, struct buf *out) {
    put_tree(s, out, UINT32_MAX, 0);
}

void out_tree_fit(struct session *s, struct buf *out, uint32_t rows, uint32_t columns) {
    static const uint32_t frames[] = {UINT32_MAX, 16, 8, 4, 2, 1, 0};
    size_t start = out->len;

    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        uint32_t lines = 0;

        out->len = start;
        put_tree(s, out, frames[i], columns);
        for (size_t at = start; at < out->len; at++)
            lines += out->data[at] == '\n';
        if (lines <= rows)
            return;
    }
}

/* ---- JSON ---- */

static void json_text(struct buf *out, const char *text) {
    buf_addc(out, '"');
    buf_add_json(out, text, strlen(text));
    buf_addc(out, '"');
}

static void json_frames(struct session *s, const struct thread *th, uint32_t from,
                        struct buf *out) {
    buf_adds(out, "[");
    for (uint32_t i = from; i < th->n; i++) {
        if (i > from)
            buf_adds(out, ", ");
        json_text(out, text_of(&s->texts, s->threads.frames[th->first + i].text));
    }
    buf_adds(out, "]");
}

static void json_thread(struct session *s, const struct thread *th, struct buf *out) {
    buf_printf(out,
               "{\"tid\": %d, \"interpreter\": %" PRId64 ", \"gil\": %s, \"torn\": %s, \"state\": ",
               (int)th->tid, s->threads.interps[th->interp].id,
               s->threads.interps[th->interp].holder == th->tstate ? "true" : "false",
               th->torn ? "true" : "false");
    json_text(out, text_of(&s->texts, views_thread_state(&s->views, th)));
    buf_adds(out, ", \"frames\": ");
    json_frames(s, th, 0, out);
    buf_adds(out, "}");
}

static void json_task(struct session *s, uint32_t i, struct buf *out) {
    const struct task *k = &s->tasks.list[i];
    const struct thread *th = views_find_work(&s->views, k->work);
    char name[256] = "";
    uint32_t at = th ? th->work_frame : 0;

    if (is_task(k->kind))
        (void)task_name(&s->tasks, k, name, sizeof(name));
    buf_printf(out, "{\"id\": %u, \"address\": %" PRIu64 ", \"task\": %s, \"name\": ", i, k->addr,
               is_task(k->kind) ? "true" : "false");
    json_text(out, name);
    buf_printf(out, ", \"state\": \"%s\", \"root\": %s, \"background\": %s, \"frames\": [",
               state_name[k->state], k->root ? "true" : "false",
               !k->awaited && !k->root ? "true" : "false");
    for (uint32_t f = 0; f < k->n; f++) {
        if (f)
            buf_adds(out, ", ");
        json_text(out, text_of(&s->texts, s->tasks.chain[k->first + f]));
    }
    buf_adds(out, "], \"waits_for\": ");
    if (k->state == T_WAITING)
        json_text(out, text_of(&s->texts, k->marker));
    else
        buf_adds(out, "null");
    if (k->state == T_RUNNING) {
        th = views_find_frame(&s->views, k->exec_frame, &at);
        at++;
    }
    /* Where the chain goes on: on the thread that runs it, or that works for it. */
    if (th) {
        buf_printf(out, ", \"thread\": %d, \"on_thread\": ", (int)th->tid);
        json_frames(s, th, at, out);
    } else {
        buf_adds(out, ", \"thread\": null, \"on_thread\": []");
    }
    buf_adds(out, ", \"awaits\": [");
    for (uint32_t e = k->child, first = 1; e; e = s->tasks.edges[e - 1].next_child, first = 0)
        buf_printf(out, "%s%u", first ? "" : ", ", s->tasks.edges[e - 1].to);
    buf_adds(out, "]}");
}

void out_json(struct session *s, struct buf *out) {
    char version[32];

    version_text(s, version, sizeof(version));
    buf_printf(
        out, "{\"pid\": %d, \"python\": \"%s\", \"loop\": \"%s\", \"exact\": %s,\n \"threads\": [",
        (int)s->pid, version, session_loop(s), s->tasks.exact ? "true" : "false");
    for (uint32_t i = 0; i < s->threads.n; i++) {
        buf_adds(out, i ? ",\n  " : "\n  ");
        json_thread(s, &s->threads.list[i], out);
    }
    buf_adds(out, "],\n \"tasks\": [");
    for (uint32_t i = 0, n = 0; i < s->tasks.n; i++) {
        if (s->tasks.list[i].kind == K_NONE)
            continue;
        buf_adds(out, n++ ? ",\n  " : "\n  ");
        json_task(s, i, out);
    }
    buf_adds(out, "]}\n");
}
