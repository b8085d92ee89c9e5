/* SPDX-License-Identifier: MIT */
#include "sampler.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "now.h"

/* The tree is looked through, and its sockets are counted, at most this often: ns. */
#define SCAN_INTERVAL UINT64_C(100000000)
#define SOCKET_INTERVAL UINT64_C(1000000000)
/* With --light, status and io are read at most this often. */
#define DETAIL_INTERVAL UINT64_C(10000000)

/* One process of the tree. */
struct target {
    struct procmeter *meter; /* NULL: excluded, or ended */
    char comm[65];           /* as it stands in stat */
    char clean[65];          /* as it stands in a row */
};

static bool is_excluded(const struct sampler *s, pid_t pid) {
    for (size_t i = 0; i < s->opts->excludes; i++) {
        if (s->opts->exclude[i] == pid)
            return true;
    }
    return s->host.own_pids && pid == getpid();
}

/* Takes a new process of the tree on; false when it is gone already. */
static bool adopt(const struct sampler *s, struct tree_node *node) {
    struct target *target = xcalloc(1, sizeof(*target));

    node->user = target;
    if (is_excluded(s, node->id.pid))
        return true;
    target->meter = meter_open(&s->host, node->id.pid);
    return target->meter && meter_id(target->meter).starttime == node->id.starttime;
}

static void drop(struct sampler *s, size_t i) {
    struct target *target = s->tree.node[i].user;

    if (target && target->meter)
        meter_close(target->meter);
    free(target);
    proctree_remove(&s->tree, i);
}

/* Finds new processes, and looks after those that are in the tree without being read: excluded or
 * ended ones. */
static void scan(struct sampler *s) {
    (void)proctree_scan(&s->tree, s->host.own_pids, NULL);
    s->excluded_root_lives = false;
    for (size_t i = s->tree.n; i-- > 0;) {
        const struct target *target = s->tree.node[i].user;
        char state;

        if (target && target->meter)
            continue;
        state = proctree_state(&s->tree, i);
        if (s->tree.node[i].id.pid == s->opts->pid && is_excluded(s, s->opts->pid))
            s->excluded_root_lives = state != '\0' && state != 'Z';
        if (state == '\0')
            drop(s, i);
    }
}

static void write_process(struct sampler *s, uint64_t t, struct target *target, bool alive,
                          const struct meter_reading *r) {
    if (strcmp(target->comm, r->comm) != 0) {
        memcpy(target->comm, r->comm, sizeof(target->comm));
        rows_clean(target->clean, r->comm);
    }
    rows_process(&s->rows.text, &s->memo, t, meter_id(target->meter), target->clean, alive, r);
    if (s->opts->per_thread)
        rows_threads(&s->threads.text, t, meter_id(target->meter).pid, meter_tasks(target->meter));
}

/* Reads every process of the tree; returns how many are alive. Adds up the time that PSS and
 * sockets took. */
static uint64_t read_tree(struct sampler *s, uint64_t t, unsigned want, uint64_t *pss_ns,
                          uint64_t *sockets_ns) {
    uint64_t alive = 0;

    for (size_t i = 0; i < s->tree.n;) {
        struct tree_node *node = &s->tree.node[i];
        struct target *target;
        struct meter_reading r;
        enum meter_life life;

        if (!node->user && !adopt(s, node)) {
            drop(s, i);
            continue;
        }
        target = node->user;
        if (!target->meter) {
            i++;
            continue;
        }
        life = meter_read(target->meter, want, &r);
        total_add(&s->total, life, &r);
        *pss_ns += r.pss_ns;
        *sockets_ns += r.sockets_ns;
        if (life == METER_GONE) {
            drop(s, i);
            continue;
        }
        if (s->readings++ == 0 && meter_refused(target->meter))
            warn("PID %d: io and fd may not be read, their columns are n/a. Run as its user or as "
                 "root.",
                 node->id.pid);
        write_process(s, t, target, life == METER_ALIVE, &r);
        if (life == METER_ALIVE) {
            alive++;
        } else {
            meter_close(target->meter);
            target->meter = NULL;
        }
        i++;
    }
    return alive;
}

bool sampler_sample(struct sampler *s) {
    uint64_t at = slots_next(&s->slots), begin = now_ns(), pss_ns = 0, sockets_ns = 0, alive;
    bool pss = pace_is_due(&s->pss, at), sockets = pace_is_due(&s->sockets, at);
    unsigned want = s->opts->light ? METER_STAT_RSS : METER_DETAIL;

    s->last = begin - s->slots.start;
    if (s->samples++ == 0)
        s->first = s->last;
    if (pace_is_due(&s->scan, at)) {
        scan(s);
        pace_took(&s->scan, at, now_ns() - begin);
    }
    if (pace_is_due(&s->detail, at)) {
        want |= METER_DETAIL;
        pace_took(&s->detail, at, 0);
    }
    want |= s->opts->threads ? METER_TASKS : 0;
    want |= pss ? METER_PSS_USS : 0;
    want |= sockets ? METER_SOCKET_FDS : 0;
    total_begin(&s->total);
    alive = read_tree(s, s->last, want, &pss_ns, &sockets_ns);
    total_end(&s->total);
    rows_total(&s->rows.text, &s->memo, s->last, alive, &s->total.sum);
    sink_flush(&s->rows);
    if (s->opts->per_thread)
        sink_flush(&s->threads);
    if (pss)
        pace_took(&s->pss, at, pss_ns);
    if (sockets)
        pace_took(&s->sockets, at, sockets_ns);
    return alive > 0 || s->excluded_root_lives;
}

void sampler_open(struct sampler *s, const struct options *opts) {
    s->opts = opts;
    meter_host_open(&s->host, opts->proc);
    if (!proctree_init(&s->tree, s->host.rootfd, opts->pid))
        die(EX_NONE, "PID %d: no such process. pidfind finds the one that runs now.", opts->pid);
    if (is_excluded(s, opts->pid) && !opts->tree)
        die_usage("--exclude %d: nothing is left with --no-tree", opts->pid);
    s->slots.rate = opts->rate;
    s->slots.end = (uint64_t)((double)opts->duration * opts->rate / 1e9 + 1e-6);
    s->scan.interval = opts->tree ? SCAN_INTERVAL : 0;
    s->sockets.interval = opts->light ? 0 : SOCKET_INTERVAL;
    s->detail.interval = opts->light ? DETAIL_INTERVAL : 0;
    s->pss.interval = opts->pss_interval;
    sink_open(&s->rows, opts->output);
    if (opts->per_thread) {
        sink_open(&s->threads, opts->per_thread);
        if (sink_same(&s->rows, &s->threads))
            die_usage("--output and --per-thread: the same file for both");
    }
}

void sampler_close(struct sampler *s) {
    while (s->tree.n > 0)
        drop(s, s->tree.n - 1);
    proctree_free(&s->tree);
    (void)close(s->host.rootfd);
    sink_close(&s->rows);
    if (s->opts->per_thread)
        sink_close(&s->threads);
}
