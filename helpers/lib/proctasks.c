/* SPDX-License-Identifier: MIT */
#include "proctasks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "num.h"
#include "proc.h"
#include "procfile.h"

struct task {
    struct proctask now;
    uint64_t turns;        /* on a CPU: field 3 of schedstat; 0: not known */
    int schedstat, status; /* descriptors that are kept open, or -1 */
    bool seen;             /* in the reading that is under way */
    bool ran;              /* since the reading before the last one */
};

struct proctasks {
    struct task *task;
    size_t n, cap;
    size_t expect;     /* where the next tid should stand: the kernel lists threads in one order */
    size_t expect_ran; /* the same for proctasks_ran */
    int64_t ended[TASK_VALUES];
    size_t hint_ctx[2];
};

struct proctasks *proctasks_new(void) {
    return xcalloc(1, sizeof(struct proctasks));
}

static void task_close(const struct task *k) {
    if (k->schedstat >= 0)
        (void)close(k->schedstat);
    if (k->status >= 0)
        (void)close(k->status);
}

void proctasks_free(struct proctasks *t) {
    for (size_t i = 0; i < t->n; i++)
        task_close(&t->task[i]);
    free(t->task);
    free(t);
}

/* Called for each entry of `task`: finds or adds the thread. */
static bool see(long tid, void *arg) {
    struct proctasks *t = arg;

    for (size_t tried = 0; tried < t->n; tried++) {
        size_t i = t->expect + tried;

        i -= i < t->n ? 0 : t->n;
        if (t->task[i].now.tid == tid) {
            t->task[i].seen = true;
            t->expect = i + 1 < t->n ? i + 1 : 0;
            return true;
        }
    }
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 32;
        t->task = xrealloc(t->task, t->cap * sizeof(t->task[0]));
    }
    t->task[t->n] =
        (struct task){.now.tid = (pid_t)tid, .schedstat = -1, .status = -1, .seen = true};
    for (int v = 0; v < TASK_VALUES; v++)
        t->task[t->n].now.value[v] = -1;
    t->n++;
    return true;
}

/* Takes the threads that were not seen out of the table, and adds what they used to the ended ones.
 */
static void drop_ended(struct proctasks *t) {
    size_t kept = 0;

    for (size_t i = 0; i < t->n; i++) {
        const struct task *k = &t->task[i];

        if (k->seen) {
            t->task[kept++] = *k;
            continue;
        }
        for (int v = 0; v < TASK_VALUES; v++)
            t->ended[v] += k->now.value[v] > 0 ? k->now.value[v] : 0;
        task_close(k);
    }
    t->n = kept;
    t->expect = t->expect_ran = 0;
}

/* A value that falls is that of a new thread with an old tid. */
static void take(struct proctasks *t, struct task *k, enum proctask_value v, int64_t fresh) {
    if (fresh < 0)
        return;
    if (fresh < k->now.value[v])
        t->ended[v] += k->now.value[v];
    k->now.value[v] = fresh;
}

/* Copies the name out of "Name:\tCOMM\n…". */
static void copy_comm(char comm[65], const char *text) {
    size_t n;

    if (strncmp(text, "Name:\t", 6) != 0)
        return;
    n = strcspn(text + 6, "\n");
    n = n < 64 ? n : 64;
    memcpy(comm, text + 6, n);
    comm[n] = '\0';
}

/* Reads schedstat, and with it whether the thread has been on a CPU since the last reading. One
 * that is not counted is taken to have been. */
static void read_schedstat(struct proctasks *t, struct task *k, int dirfd, int keep_below) {
    int64_t oncpu = k->now.value[TASK_ONCPU];
    uint64_t turns = k->turns;
    char name[48], text[PROCFILE_MAX];
    const char *p = text;

    k->ran = true;
    k->turns = 0;
    (void)snprintf(name, sizeof(name), "task/%d/schedstat", k->now.tid);
    if (procfile_read(dirfd, name, &k->schedstat, keep_below, text, sizeof(text)) <= 0)
        return;
    take(t, k, TASK_ONCPU, (int64_t)num_read(&p));
    take(t, k, TASK_RUN_DELAY, (int64_t)num_read(&p));
    k->turns = num_read(&p);
    k->ran = k->turns == 0 || k->turns != turns || k->now.value[TASK_ONCPU] != oncpu;
}

static bool is_asleep(char state) {
    return state == 'S' || state == 'I' || state == 'D';
}

static void task_read(struct proctasks *t, struct task *k, int dirfd, int keep_below,
                      bool only_ran) {
    char name[48], text[PROCFILE_MAX];
    const char *p;
    ssize_t n;

    read_schedstat(t, k, dirfd, keep_below);
    /* Nothing in its status has changed, but for one that was woken and still waits for a CPU. */
    if (only_ran && !k->ran && is_asleep(k->now.state))
        return;
    k->now.state = '\0';
    (void)snprintf(name, sizeof(name), "task/%d/status", k->now.tid);
    n = procfile_read(dirfd, name, &k->status, keep_below, text, sizeof(text));
    if (n <= 0)
        return;
    copy_comm(k->now.comm, text);
    p = strstr(text, "\nState:\t");
    if (p)
        k->now.state = p[8];
    take(t, k, TASK_CTX_VOLUNTARY,
         procfile_value(text, (size_t)n, "\nvoluntary_ctxt_switches:", &t->hint_ctx[0]));
    take(t, k, TASK_CTX_INVOLUNTARY,
         procfile_value(text, (size_t)n, "\nnonvoluntary_ctxt_switches:", &t->hint_ctx[1]));
}

static void count_state(struct proctask_sums *sums, char state) {
    if (state == 'R')
        sums->running++;
    else if (state == 'S' || state == 'I')
        sums->sleeping++;
    else if (state == 'D')
        sums->disk++;
    else if (state != '\0')
        sums->other++;
}

bool proctasks_read(struct proctasks *t, int dirfd, int keep_below, bool only_ran,
                    struct proctask_sums *sums) {
    bool known[TASK_VALUES] = {false};

    for (size_t i = 0; i < t->n; i++)
        t->task[i].seen = false;
    if (proc_each_number(dirfd, "task", see, t) < 0)
        return false;
    drop_ended(t);
    *sums = (struct proctask_sums){0};
    for (size_t i = 0; i < t->n; i++) {
        task_read(t, &t->task[i], dirfd, keep_below, only_ran);
        count_state(sums, t->task[i].now.state);
    }
    for (int v = 0; v < TASK_VALUES; v++) {
        for (size_t i = 0; i < t->n; i++) {
            known[v] = known[v] || t->task[i].now.value[v] >= 0;
            sums->value[v] += t->task[i].now.value[v] > 0 ? t->task[i].now.value[v] : 0;
        }
        sums->value[v] += t->ended[v];
        if (!known[v])
            sums->value[v] = -1;
    }
    /* No process has run without having been on a CPU. */
    if (sums->value[TASK_ONCPU] == 0)
        sums->value[TASK_ONCPU] = sums->value[TASK_RUN_DELAY] = -1;
    return true;
}

const struct proctask *proctasks_next(const struct proctasks *t, size_t *at) {
    return *at < t->n ? &t->task[(*at)++].now : NULL;
}

bool proctasks_ran(struct proctasks *t, pid_t tid) {
    for (size_t tried = 0; tried < t->n; tried++) {
        size_t i = t->expect_ran + tried;

        i -= i < t->n ? 0 : t->n;
        if (t->task[i].now.tid == tid) {
            t->expect_ran = i + 1 < t->n ? i + 1 : 0;
            return t->task[i].ran;
        }
    }
    return true;
}
