/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "proctree.h"

#define ROOTS_MAX 16
#define LIMITS_EVERY_NS (INT64_C(30) * 1000000000)
/* PSS is read sooner than its interval when RSS has moved by a quarter since; that takes at most so
 * much of the time. */
#define PSS_SOON_NS (INT64_C(1) * 1000000000)
#define PSS_SHARE 200

struct process {
    const struct process_config *config;
    struct process_values v;
    struct proctree tree[ROOTS_MAX];
    struct proc_id root[ROOTS_MAX];
    int64_t read_at, full_at, pss_at,
        limits_at;                   /* CLOCK_MONOTONIC ns of the last one; 0: none yet */
    int64_t ended[METER_CUMULATIVE]; /* of processes that are gone */
    int64_t peak;                    /* KiB: of the trees' RSS, or of one process */
    int64_t pss_rss;                 /* KiB: RSS when PSS was read last */
    uint64_t pss_ns;                 /* what that took */
};

/* Read only now and then. */
static bool is_full_value(int v) {
    return v == METER_RUN_DELAY || v == METER_CTX_VOLUNTARY || v == METER_CTX_INVOLUNTARY ||
           (v >= METER_THREADS_RUNNING && v <= METER_THREADS_OTHER);
}

static bool is_pss_value(int v) {
    return v == METER_PSS || v == METER_USS;
}

struct process *process_new(const struct process_config *config) {
    struct process *p = xcalloc(1, sizeof(*p));

    p->config = config;
    process_clear(p);
    return p;
}

static void drop(struct proctree *tree, size_t i) {
    if (tree->node[i].user)
        meter_close(tree->node[i].user);
    proctree_remove(tree, i);
}

void process_clear(struct process *p) {
    const struct process_config *config = p->config;

    for (size_t t = 0; t < p->v.trees; t++) {
        while (p->tree[t].n > 0)
            drop(&p->tree[t], p->tree[t].n - 1);
        proctree_free(&p->tree[t]);
    }
    *p = (struct process){.config = config, .v.limits = {-1, -1, -1}};
    for (int v = 0; v < METER_VALUES; v++)
        p->v.sum[v] = METER_UNKNOWN;
}

void process_free(struct process *p) {
    process_clear(p);
    free(p);
}

bool process_add(struct process *p, struct proc_id root) {
    struct proctree *tree = &p->tree[p->v.trees];
    struct stat st;
    int dirfd;

    if (p->v.trees == ROOTS_MAX || !proctree_init(tree, p->config->host.rootfd, root.pid))
        return false;
    if (root.starttime != 0 && tree->node[0].id.starttime != root.starttime) {
        proctree_free(tree);
        return false;
    }
    dirfd = proc_open_pid(p->config->host.rootfd, root.pid);
    if (p->v.trees == 0) {
        p->v.start = unix_time_of(tree->node[0].id.starttime);
        if (dirfd >= 0 && fstat(dirfd, &st) == 0)
            p->v.uid = st.st_uid;
    }
    if (dirfd >= 0)
        (void)close(dirfd);
    p->root[p->v.trees++] = tree->node[0].id;
    p->v.root_alive = true;
    process_refresh(p);
    return true;
}

void process_refresh(struct process *p) {
    p->read_at = p->full_at = 0;
}

static bool is_in_another_tree(const struct process *p, const struct proctree *tree, pid_t pid) {
    for (size_t t = 0; t < p->v.trees; t++) {
        for (size_t i = 0; &p->tree[t] != tree && i < p->tree[t].n; i++) {
            if (p->tree[t].node[i].id.pid == pid && p->tree[t].node[i].user)
                return true;
        }
    }
    return false;
}

/* Takes a new process on; false when it is gone, this one, or counted already. */
static bool adopt(const struct process *p, const struct proctree *tree, struct tree_node *node) {
    if ((p->config->host.own_pids && node->id.pid == getpid()) ||
        is_in_another_tree(p, tree, node->id.pid))
        return false;
    node->user = meter_open(&p->config->host, node->id.pid);
    return node->user && meter_id(node->user).starttime == node->id.starttime;
}

static void add(int64_t *sum, int64_t v) {
    if (v < 0)
        *sum = METER_UNKNOWN;
    else if (*sum >= 0)
        *sum += v;
}

static bool is_root(const struct process *p, struct proc_id id) {
    for (size_t t = 0; t < p->v.trees; t++) {
        if (p->root[t].pid == id.pid && p->root[t].starttime == id.starttime)
            return true;
    }
    return false;
}

static bool may_have_forked(const struct tree_node *node, pid_t tid) {
    return !node->user || meter_task_ran(node->user, tid);
}

/* Looks for new processes when those that are known have been read: that tells which threads were
 * on a CPU. True when there are some. */
static bool scan(const struct process *p, struct proctree *tree, unsigned want, bool *scanned) {
    if (*scanned || !(want & METER_TASKS))
        return false;
    *scanned = true;
    return proctree_scan(tree, p->config->host.own_pids, may_have_forked) > 0;
}

/* Reads a tree and adds it up in `now`. */
static void read_tree(struct process *p, struct proctree *tree, unsigned want, int64_t *now) {
    bool scanned = false;

    for (size_t i = 0; i < tree->n || scan(p, tree, want, &scanned);) {
        struct tree_node *node = &tree->node[i];
        enum meter_life life;
        struct meter_reading r = {0};

        if (!node->user && !adopt(p, tree, node)) {
            drop(tree, i);
            continue;
        }
        life = meter_read(node->user, want, &r);
        if (want & METER_PSS_USS)
            p->pss_ns += r.pss_ns;
        if (r.value[METER_PEAK_RSS] > p->peak)
            p->peak = r.value[METER_PEAK_RSS];
        for (int v = 0; v < METER_VALUES; v++) {
            if (life == METER_ALIVE)
                add(&now[v], r.value[v]);
            else if (v < METER_CUMULATIVE && r.value[v] > 0)
                p->ended[v] += r.value[v];
        }
        if (life != METER_ALIVE) {
            drop(tree, i);
            continue;
        }
        p->v.alive++;
        if (is_root(p, node->id))
            p->v.root_alive = true;
        i++;
    }
}

/* Takes over what was read; the rest stays as it was. */
static void take(struct process *p, unsigned want, const int64_t *now) {
    for (int v = 0; v < METER_VALUES; v++) {
        int64_t value = now[v];

        bool is_read = (!is_full_value(v) || (want & METER_TASKS)) &&
                       (!is_pss_value(v) || (want & METER_PSS_USS));

        if (!is_read && p->v.alive > 0)
            continue;
        if (v < METER_CUMULATIVE) {
            /* Without a live process the last sum is the final one; it does not become unknown
             * again, nor less. */
            if (value < 0 || (p->v.alive == 0 && p->v.sum[v] == METER_UNKNOWN && p->ended[v] == 0))
                continue;
            value += p->ended[v];
            if (value < p->v.sum[v])
                continue;
        }
        p->v.sum[v] = value;
    }
    if (now[METER_RSS] > p->peak)
        p->peak = now[METER_RSS];
    p->v.sum[METER_PEAK_RSS] = p->v.trees > 0 ? p->peak : METER_UNKNOWN;
}

/* Limits are those of the first root. */
static void read_limits(struct process *p, int64_t now) {
    int dirfd = p->v.trees > 0 ? proc_open_pid(p->config->host.rootfd, p->root[0].pid) : -1;

    p->limits_at = now;
    if (dirfd < 0)
        return;
    limits_read(p->config->host.rootfd, dirfd, p->config->cgroup, &p->v.limits);
    (void)close(dirfd);
}

static bool is_due(int64_t last, int64_t now, int64_t every) {
    return last == 0 || now - last >= every;
}

/* One that begins holds a few MiB, and hundreds a moment later. */
static bool is_pss_due(const struct process *p, int64_t now) {
    int64_t every = p->config->pss_every_ns, soon = (int64_t)p->pss_ns * PSS_SHARE;
    int64_t rss = p->v.sum[METER_RSS];

    if (every <= 0)
        return false;
    if (4 * rss > 3 * p->pss_rss && 4 * rss < 5 * p->pss_rss)
        return is_due(p->pss_at, now, every);
    soon = soon > PSS_SOON_NS ? soon : PSS_SOON_NS;
    return is_due(p->pss_at, now, soon < every ? soon : every);
}

void process_read(struct process *p) {
    const struct process_config *config = p->config;
    int64_t sums[METER_VALUES] = {0}, now = monotonic_ns();
    unsigned want = METER_DETAIL;

    if (!is_due(p->read_at, now, config->read_every_ns))
        return;
    p->read_at = now;
    if (is_due(p->full_at, now, config->full_every_ns)) {
        want |= METER_TASKS | METER_TASKS_RAN;
        p->full_at = now;
    }
    if (is_pss_due(p, now)) {
        want |= METER_PSS_USS;
        p->pss_at = now;
        p->pss_ns = 0;
    }
    p->v.alive = 0;
    p->v.root_alive = false;
    for (size_t t = 0; t < p->v.trees; t++)
        read_tree(p, &p->tree[t], want, sums);
    take(p, want, sums);
    if (want & METER_PSS_USS)
        p->pss_rss = p->v.sum[METER_RSS];
    if (p->v.root_alive && is_due(p->limits_at, now, LIMITS_EVERY_NS))
        read_limits(p, now);
}

const struct process_values *process_values(const struct process *p) {
    return &p->v;
}

static void raise(int64_t *to, double value) {
    if (value > (double)*to)
        *to = (int64_t)value;
}

void process_final(struct process *p, double user_s, double system_s, double peak_rss_kib) {
    raise(&p->v.sum[METER_CPU_USER], user_s * 1e9);
    raise(&p->v.sum[METER_CPU_SYSTEM], system_s * 1e9);
    raise(&p->v.sum[METER_PEAK_RSS], peak_rss_kib);
}
