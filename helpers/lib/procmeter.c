/* SPDX-License-Identifier: MIT */
#include "procmeter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "now.h"
#include "num.h"
#include "procfile.h"

/* An open file of /proc holds about 5 KiB in the kernel: thousands of threads are not worth that.
 */
#define KEEP_AT_MOST 1024

#define STAT_MAX 1024 /* more than 52 numbers and a name take */

enum file { F_STAT, F_STATUS, F_IO, F_FD, FILES };

static const char *const file_name[FILES] = {"stat", "status", "io", "fd"};

/* The lines of status and io that are read. */
static const struct line {
    const char *key;
    enum meter_value value;
} status_line[] =
    {
        {"\nVmHWM:", METER_PEAK_RSS},
        {"\nVmRSS:", METER_RSS},
        {"\nRssAnon:", METER_RSS_ANON},
        {"\nRssFile:", METER_RSS_FILE},
        {"\nRssShmem:", METER_RSS_SHMEM},
        {"\nVmSwap:", METER_SWAP},
        {"\nvoluntary_ctxt_switches:", METER_CTX_VOLUNTARY},
        {"\nnonvoluntary_ctxt_switches:", METER_CTX_INVOLUNTARY},
},
  io_line[] = {
      {"\nread_bytes:", METER_IO_READ},
      {"\nwrite_bytes:", METER_IO_WRITE},
      {"rchar:", METER_IO_RCHAR},
      {"\nwchar:", METER_IO_WCHAR},
};

struct procmeter {
    const struct meter_host *host;
    struct proc_id id;
    int dirfd;
    int fd[FILES]; /* kept open, or -1 */
    clockid_t cpu_clock;
    bool has_cpu_clock;
    bool refused;
    bool vanishing; /* a file was gone: is the process? */
    struct proctasks *tasks;
    struct proc_stat stat;
    char stat_text[STAT_MAX]; /* that it was parsed from: one that is the same is not parsed anew */
    ssize_t stat_len;
    int64_t last[METER_CUMULATIVE];
    size_t hint[METER_VALUES];
};

void meter_host_open(struct meter_host *host, const char *root) {
    struct rlimit files;
    struct statfs fs;
    const char *p;
    char self[16];

    *host = (struct meter_host){
        .rootfd = proc_open_root(root),
        .ns_per_tick = INT64_C(1000000000) / sysconf(_SC_CLK_TCK),
        .kib_per_page = sysconf(_SC_PAGESIZE) / 1024,
    };
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (fstatfs(host->rootfd, &fs) != 0 || fs.f_type != PROC_SUPER_MAGIC)
        return;
    host->keep_below = KEEP_AT_MOST;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 2 < KEEP_AT_MOST)
        host->keep_below = (int)(files.rlim_cur / 2);
    p = self;
    host->own_pids = proc_readlink(host->rootfd, "self", self, sizeof(self)) > 0 &&
                     num_read(&p) == (uint64_t)getpid();
}

struct procmeter *meter_open(const struct meter_host *host, pid_t pid) {
    int dirfd = proc_open_pid(host->rootfd, pid);
    struct procmeter *m;
    struct proc_stat st;

    if (dirfd < 0)
        return NULL;
    if (!proc_read_stat(dirfd, "stat", &st)) {
        (void)close(dirfd);
        return NULL;
    }
    m = xcalloc(1, sizeof(*m));
    m->host = host;
    m->id = (struct proc_id){.pid = pid, .starttime = st.starttime};
    m->dirfd = dirfd;
    for (int f = 0; f < FILES; f++)
        m->fd[f] = -1;
    for (int v = 0; v < METER_CUMULATIVE; v++)
        m->last[v] = METER_UNKNOWN;
    m->has_cpu_clock = host->own_pids && clock_getcpuclockid(pid, &m->cpu_clock) == 0;
    m->tasks = proctasks_new();
    return m;
}

void meter_close(struct procmeter *m) {
    for (int f = 0; f < FILES; f++) {
        if (m->fd[f] >= 0)
            (void)close(m->fd[f]);
    }
    if (m->dirfd >= 0)
        (void)close(m->dirfd);
    proctasks_free(m->tasks);
    free(m);
}

struct proc_id meter_id(const struct procmeter *m) {
    return m->id;
}

bool meter_refused(const struct procmeter *m) {
    return m->refused;
}

const struct proctasks *meter_tasks(const struct procmeter *m) {
    return m->tasks;
}

bool meter_task_ran(const struct procmeter *m, pid_t tid) {
    return proctasks_ran(m->tasks, tid);
}

/* Notes why a file could not be read. */
static void failed(struct procmeter *m) {
    if (errno == EACCES || errno == EPERM)
        m->refused = true;
    else
        m->vanishing = true;
}

static ssize_t read_file(struct procmeter *m, enum file f, char *text, size_t cap) {
    ssize_t n = procfile_read(m->dirfd, file_name[f], &m->fd[f], m->host->keep_below, text, cap);

    if (n < 0)
        failed(m);
    return n;
}

static void read_lines(struct procmeter *m, enum file f, const struct line *line, size_t lines,
                       int64_t *value) {
    char text[PROCFILE_MAX];
    ssize_t n = read_file(m, f, text, sizeof(text));

    for (size_t i = 0; n > 0 && i < lines; i++)
        value[line[i].value] =
            procfile_value(text, (size_t)n, line[i].key, &m->hint[line[i].value]);
}

static bool count_any(long number, void *arg) {
    (void)number;
    (void)arg;
    return true;
}

static int64_t count_fds(struct procmeter *m) {
    struct stat st;

    if (m->fd[F_FD] < 0)
        m->fd[F_FD] = openat(m->dirfd, file_name[F_FD], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (m->fd[F_FD] < 0) {
        failed(m);
        return METER_UNKNOWN;
    }
    /* Since Linux 6.2 the size of the directory is the number of descriptors; before it was 0. */
    if (m->host->keep_below == 0 || fstat(m->fd[F_FD], &st) != 0 || st.st_size == 0)
        st.st_size = proc_each_number(m->dirfd, file_name[F_FD], count_any, NULL);
    if (m->fd[F_FD] >= m->host->keep_below) {
        (void)close(m->fd[F_FD]);
        m->fd[F_FD] = -1;
    }
    return st.st_size < 0 ? METER_UNKNOWN : st.st_size;
}

struct socket_count {
    int dirfd;
    int64_t n;
};

static bool count_socket(long number, void *arg) {
    struct socket_count *count = arg;
    char name[32], target[16];

    (void)snprintf(name, sizeof(name), "fd/%ld", number);
    if (proc_readlink(count->dirfd, name, target, sizeof(target)) > 0 &&
        strncmp(target, "socket:", 7) == 0)
        count->n++;
    return true;
}

static void read_sockets(const struct procmeter *m, struct meter_reading *r) {
    struct socket_count count = {.dirfd = m->dirfd};
    uint64_t begin = now_ns();

    if (proc_each_number(m->dirfd, file_name[F_FD], count_socket, &count) >= 0)
        r->value[METER_SOCKETS] = count.n;
    r->sockets_ns = now_ns() - begin;
}

/* smaps_rollup is of the memory that the process had when the file was opened: it is opened anew,
 * for exec changes it. */
static void read_pss(const struct procmeter *m, struct meter_reading *r) {
    static const char *const uss_key[] = {
        "\nPrivate_Clean:", "\nPrivate_Dirty:", "\nPrivate_Hugetlb:"};
    uint64_t begin = now_ns();
    char text[4096];
    ssize_t n = proc_read(m->dirfd, "smaps_rollup", text, sizeof(text));
    size_t hint = 0;

    r->pss_ns = now_ns() - begin;
    if (n <= 0)
        return;
    r->value[METER_PSS] = procfile_value(text, (size_t)n, "\nPss:", &hint);
    for (int i = 0; i < 3; i++) {
        int64_t kib = procfile_value(text, (size_t)n, uss_key[i], &hint);

        if (kib >= 0)
            r->value[METER_USS] = kib + (r->value[METER_USS] > 0 ? r->value[METER_USS] : 0);
    }
}

static void read_tasks(struct procmeter *m, bool only_ran, int64_t *value) {
    struct proctask_sums sums;

    if (!proctasks_read(m->tasks, m->dirfd, m->host->keep_below, only_ran, &sums))
        return;
    value[METER_ONCPU] = sums.value[TASK_ONCPU];
    value[METER_RUN_DELAY] = sums.value[TASK_RUN_DELAY];
    value[METER_CTX_VOLUNTARY] = sums.value[TASK_CTX_VOLUNTARY];
    value[METER_CTX_INVOLUNTARY] = sums.value[TASK_CTX_INVOLUNTARY];
    value[METER_THREADS_RUNNING] = sums.running;
    value[METER_THREADS_SLEEPING] = sums.sleeping;
    value[METER_THREADS_DISK] = sums.disk;
    value[METER_THREADS_OTHER] = sums.other;
}

/* stat first: it says whether this is the process at all. */
static bool read_stat(struct procmeter *m) {
    char text[STAT_MAX];
    ssize_t n;

    if (m->host->keep_below == 0) {
        (void)close(m->dirfd);
        m->dirfd = proc_open_pid(m->host->rootfd, m->id.pid);
    }
    n = read_file(m, F_STAT, text, sizeof(text));
    if (n <= 0)
        return false;
    if (n != m->stat_len || memcmp(text, m->stat_text, (size_t)n) != 0) {
        m->stat_len = 0;
        if (!proc_parse_stat(text, &m->stat))
            return false;
        memcpy(m->stat_text, text, (size_t)n);
        m->stat_len = n;
    }
    return m->stat.starttime == m->id.starttime;
}

static int64_t at_least(int64_t value, int64_t *last) {
    *last = value > *last ? value : *last;
    return *last;
}

/* What was not asked for stays unknown while the process lives. */
static void keep_from_falling(struct procmeter *m, unsigned want, int64_t *value) {
    for (int v = 0; v < METER_IO_READ; v++)
        value[v] = at_least(value[v], &m->last[v]);
    for (int v = METER_IO_READ; v < METER_CUMULATIVE; v++) {
        if ((want & METER_DETAIL) || value[v] != METER_UNKNOWN)
            value[v] = at_least(value[v], &m->last[v]);
    }
}

enum meter_life meter_read(struct procmeter *m, unsigned want, struct meter_reading *r) {
    const struct meter_host *host = m->host;
    enum meter_life life = METER_ALIVE;
    int64_t *value = r->value;
    const struct proc_stat *st = &m->stat;
    struct timespec t;

    m->refused = m->vanishing = false;
    _Static_assert(METER_UNKNOWN == -1, "all bytes of what is unknown are 0xff");
    memset(value, 0xff, sizeof(r->value));
    r->state = '\0';
    r->pss_ns = r->sockets_ns = 0;
    if (!read_stat(m)) {
        keep_from_falling(m, METER_DETAIL, value);
        return METER_GONE;
    }
    memcpy(r->comm, st->comm, sizeof(r->comm));
    if (want & METER_DETAIL) {
        read_lines(m, F_STATUS, status_line, sizeof(status_line) / sizeof(status_line[0]), value);
        read_lines(m, F_IO, io_line, sizeof(io_line) / sizeof(io_line[0]), value);
    }
    value[METER_FDS] = count_fds(m);
    if (want & METER_TASKS)
        read_tasks(m, want & METER_TASKS_RAN, value);
    if (want & METER_PSS_USS)
        read_pss(m, r);
    if (want & METER_SOCKET_FDS)
        read_sockets(m, r);
    if (m->has_cpu_clock && clock_gettime(m->cpu_clock, &t) == 0)
        value[METER_ONCPU] = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    /* What vanished while it was read is read once more, and then says whether it is the file or
     * the process. */
    if (m->vanishing && !read_stat(m)) {
        for (int v = METER_CUMULATIVE; v < METER_VALUES; v++)
            value[v] = METER_UNKNOWN;
        r->state = '\0';
        life = METER_GONE;
    } else {
        r->state = st->state;
        value[METER_CPU_USER] = (int64_t)st->utime * host->ns_per_tick;
        value[METER_CPU_SYSTEM] = (int64_t)st->stime * host->ns_per_tick;
        value[METER_MINFLT] = (int64_t)st->minflt;
        value[METER_MAJFLT] = (int64_t)st->majflt;
        value[METER_THREADS] = st->num_threads;
        if ((value[METER_RSS] < 0 || (want & METER_STAT_RSS)) && st->state != 'Z')
            value[METER_RSS] = st->rss * host->kib_per_page;
    }
    /* The main thread may end before the others: a zombie with live threads is a live process. */
    if ((st->state == 'Z' || st->state == 'X') && st->num_threads <= 1 && life == METER_ALIVE) {
        for (int v = METER_CUMULATIVE; v < METER_VALUES; v++)
            value[v] = 0;
        life = METER_ENDED;
    }
    keep_from_falling(m, life == METER_ALIVE ? want : METER_DETAIL, value);
    return life;
}
