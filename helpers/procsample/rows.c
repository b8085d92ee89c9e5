/* SPDX-License-Identifier: MIT */
#include "rows.h"

#include <string.h>

#include "num.h"
#include "utf8.h"

/* No row is longer: 32 columns of at most 21 bytes, and a name of 64. */
#define ROW_MAX 1024

enum format { NUMBER, TICKS, NANOSECONDS };

static const struct column {
    const char *name;
    enum meter_value value;
    enum format format;
} column[] = {
    {"cpu_user_s", METER_CPU_USER, TICKS},
    {"cpu_system_s", METER_CPU_SYSTEM, TICKS},
    {"oncpu_s", METER_ONCPU, NANOSECONDS},
    {"run_delay_s", METER_RUN_DELAY, NANOSECONDS},
    {"rss_kib", METER_RSS, NUMBER},
    {"pss_kib", METER_PSS, NUMBER},
    {"uss_kib", METER_USS, NUMBER},
    {"rss_anon_kib", METER_RSS_ANON, NUMBER},
    {"rss_file_kib", METER_RSS_FILE, NUMBER},
    {"rss_shmem_kib", METER_RSS_SHMEM, NUMBER},
    {"swap_kib", METER_SWAP, NUMBER},
    {"peak_rss_kib", METER_PEAK_RSS, NUMBER},
    {"io_read_bytes", METER_IO_READ, NUMBER},
    {"io_write_bytes", METER_IO_WRITE, NUMBER},
    {"io_rchar", METER_IO_RCHAR, NUMBER},
    {"io_wchar", METER_IO_WCHAR, NUMBER},
    {"minflt", METER_MINFLT, NUMBER},
    {"majflt", METER_MAJFLT, NUMBER},
    {"ctx_voluntary", METER_CTX_VOLUNTARY, NUMBER},
    {"ctx_involuntary", METER_CTX_INVOLUNTARY, NUMBER},
    {"threads", METER_THREADS, NUMBER},
    {"threads_running", METER_THREADS_RUNNING, NUMBER},
    {"threads_sleeping", METER_THREADS_SLEEPING, NUMBER},
    {"threads_disk", METER_THREADS_DISK, NUMBER},
    {"threads_other", METER_THREADS_OTHER, NUMBER},
    {"fds", METER_FDS, NUMBER},
    {"sockets", METER_SOCKETS, NUMBER},
};

#define COLUMNS (sizeof(column) / sizeof(column[0]))
_Static_assert(COLUMNS <= METER_VALUES, "the memo has a place for every column");

void rows_clean(char to[65], const char *comm) {
    size_t len = strnlen(comm, 64);

    for (size_t i = 0; i < len;) {
        size_t n = utf8_len(comm + i, len - i);

        if (n == 0 || (unsigned char)comm[i] < 0x20 || comm[i] == 0x7f) {
            to[i++] = '?';
            continue;
        }
        memcpy(to + i, comm + i, n);
        i += n;
    }
    to[len] = '\0';
}

static char *put_text(char *p, const char *text) {
    return stpcpy(p, text);
}

static char *put_seconds(char *p, uint64_t ns, uint64_t unit_ns, int digits) {
    p = num_write(p, ns / 1000000000, 1);
    *p++ = '.';
    return num_write(p, ns % 1000000000 / unit_ns, digits);
}

static char *put_unknown(char *p) {
    static const char unknown[4] = {'\t', 'n', '/', 'a'};

    memcpy(p, unknown, sizeof(unknown));
    return p + sizeof(unknown);
}

static char *put_value(char *p, int64_t v, enum format format) {
    if (v < 0)
        return put_unknown(p);
    *p++ = '\t';
    switch (format) {
    case TICKS:
        return put_seconds(p, (uint64_t)v, 10000000, 2);
    case NANOSECONDS:
        return put_seconds(p, (uint64_t)v, 1000, 6);
    default:
        return num_write(p, (uint64_t)v, 1);
    }
}

static char *row_begin(struct buf *out, struct rows_memo *memo, uint64_t t_ns) {
    char *p;

    buf_reserve(out, ROW_MAX);
    p = out->data + out->len;
    if (memo->t_len == 0 || memo->t_ns != t_ns) {
        memo->t_ns = t_ns;
        memo->t_len = (uint8_t)(put_seconds(memo->t_text, t_ns, 1000, 6) - memo->t_text);
    }
    memcpy(p, memo->t_text, sizeof(memo->t_text));
    return p + memo->t_len;
}

static void row_end(struct buf *out, char *p) {
    *p++ = '\n';
    *p = '\0';
    out->len = (size_t)(p - out->data);
}

static char *put_values(char *p, struct rows_memo *memo, const struct meter_reading *r) {
    for (size_t i = 0; i < COLUMNS; i++) {
        int64_t v = r->value[column[i].value];
        char *end;

        if (v < 0) {
            /* Written here, it leaves the memo to values that come and go: details, the peak. */
            p = put_unknown(p);
            continue;
        }
        if (memo->of[i].len > 0 && memo->of[i].value == v) {
            /* All of it, which costs less than its length does; the row has room. */
            memcpy(p, memo->of[i].text, sizeof(memo->of[i].text));
            p += memo->of[i].len;
            continue;
        }
        end = put_value(p, v, column[i].format);
        memo->of[i].value = v;
        memo->of[i].len = (uint8_t)(end - p);
        memcpy(memo->of[i].text, p, sizeof(memo->of[i].text));
        p = end;
    }
    return p;
}

void rows_header(struct buf *out) {
    buf_adds(out, "t_s\tpid\tcomm\tstarttime_ticks\tstate\tprocesses");
    for (size_t i = 0; i < COLUMNS; i++)
        buf_printf(out, "\t%s", column[i].name);
    buf_addc(out, '\n');
}

void rows_process(struct buf *out, struct rows_memo *memo, uint64_t t_ns, struct proc_id id,
                  const char *comm, bool alive, const struct meter_reading *r) {
    char *p = row_begin(out, memo, t_ns);

    *p++ = '\t';
    p = num_write(p, (uint64_t)id.pid, 1);
    *p++ = '\t';
    p = put_text(p, comm);
    *p++ = '\t';
    p = num_write(p, id.starttime, 1);
    *p++ = '\t';
    *p++ = r->state;
    p = put_text(p, alive ? "\t1" : "\t0");
    row_end(out, put_values(p, memo, r));
}

void rows_total(struct buf *out, struct rows_memo *memo, uint64_t t_ns, uint64_t processes,
                const struct meter_reading *r) {
    char *p = row_begin(out, memo, t_ns);

    p = put_text(p, "\ttotal\ttotal\tn/a\tn/a\t");
    p = num_write(p, processes, 1);
    row_end(out, put_values(p, memo, r));
}

void rows_thread_header(struct buf *out) {
    buf_adds(out,
             "t_s\tpid\ttid\tcomm\tstate\toncpu_s\trun_delay_s\tctx_voluntary\tctx_involuntary\n");
}

void rows_threads(struct buf *out, uint64_t t_ns, pid_t pid, const struct proctasks *tasks) {
    const struct proctask *task;
    struct rows_memo memo = {.t_len = 0};
    size_t at = 0;
    char comm[65];

    while ((task = proctasks_next(tasks, &at)) != NULL) {
        char *p;

        if (task->state == '\0')
            continue;
        rows_clean(comm, task->comm);
        p = row_begin(out, &memo, t_ns);
        *p++ = '\t';
        p = num_write(p, (uint64_t)pid, 1);
        *p++ = '\t';
        p = num_write(p, (uint64_t)task->tid, 1);
        *p++ = '\t';
        p = put_text(p, comm);
        *p++ = '\t';
        *p++ = task->state;
        p = put_value(p, task->value[TASK_ONCPU], NANOSECONDS);
        p = put_value(p, task->value[TASK_RUN_DELAY], NANOSECONDS);
        p = put_value(p, task->value[TASK_CTX_VOLUNTARY], NUMBER);
        p = put_value(p, task->value[TASK_CTX_INVOLUNTARY], NUMBER);
        row_end(out, p);
    }
}
