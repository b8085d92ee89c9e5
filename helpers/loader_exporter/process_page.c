/* SPDX-License-Identifier: MIT */
#include "process_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

static const char prefix[] = "qdrant_loader_process_";

/* What a value is divided by for its base unit. */
#define NS 1e9
#define KIB (1.0 / 1024)

/* The metrics; those of one family follow one another. */
static const struct metric {
    const char *name;
    enum page_type type;
    const char *help;
    enum meter_value value;
    double per;
    const char *label;
} metrics[] = {
    {"cpu_seconds", PAGE_COUNTER, "CPU time used.", METER_CPU_USER, NS, "mode=\"user\""},
    {"cpu_seconds", PAGE_COUNTER, "CPU time used.", METER_CPU_SYSTEM, NS, "mode=\"system\""},
    {"run_queue_delay_seconds", PAGE_COUNTER,
     "Time that threads were runnable but waited for a CPU.", METER_RUN_DELAY, NS, ""},
    {"io_read_bytes", PAGE_COUNTER, "Bytes read from storage.", METER_IO_READ, 1, ""},
    {"io_write_bytes", PAGE_COUNTER, "Bytes written to storage.", METER_IO_WRITE, 1, ""},
    {"io_read_call_bytes", PAGE_COUNTER, "Bytes returned by read calls, cached or not.",
     METER_IO_RCHAR, 1, ""},
    {"io_write_call_bytes", PAGE_COUNTER, "Bytes taken by write calls, cached or not.",
     METER_IO_WCHAR, 1, ""},
    {"page_faults", PAGE_COUNTER, "Page faults: minor without I/O, major with.", METER_MINFLT, 1,
     "kind=\"minor\""},
    {"page_faults", PAGE_COUNTER, "Page faults: minor without I/O, major with.", METER_MAJFLT, 1,
     "kind=\"major\""},
    {"context_switches", PAGE_COUNTER, "Context switches of all threads.", METER_CTX_VOLUNTARY, 1,
     "kind=\"voluntary\""},
    {"context_switches", PAGE_COUNTER, "Context switches of all threads.", METER_CTX_INVOLUNTARY, 1,
     "kind=\"involuntary\""},
    {"resident_memory_bytes", PAGE_GAUGE,
     "Resident memory (RSS); shared pages count in every process.", METER_RSS, KIB, ""},
    {"resident_memory_peak_bytes", PAGE_GAUGE,
     "Highest RSS of the trees when read, or of one process ever.", METER_PEAK_RSS, KIB, ""},
    {"resident_anon_memory_bytes", PAGE_GAUGE, "Resident memory that no file backs.",
     METER_RSS_ANON, KIB, ""},
    {"resident_file_memory_bytes", PAGE_GAUGE, "Resident pages of files.", METER_RSS_FILE, KIB, ""},
    {"resident_shmem_memory_bytes", PAGE_GAUGE, "Resident shared memory.", METER_RSS_SHMEM, KIB,
     ""},
    {"swap_bytes", PAGE_GAUGE, "Memory swapped out.", METER_SWAP, KIB, ""},
    {"pss_bytes", PAGE_GAUGE, "Resident memory, shared pages divided among their users (PSS).",
     METER_PSS, KIB, ""},
    {"uss_bytes", PAGE_GAUGE, "Memory that would be freed at the end (USS).", METER_USS, KIB, ""},
    {"threads", PAGE_GAUGE, "Threads.", METER_THREADS, 1, ""},
    {"threads_by_state", PAGE_GAUGE, "Threads by state.", METER_THREADS_RUNNING, 1,
     "state=\"running\""},
    {"threads_by_state", PAGE_GAUGE, "Threads by state.", METER_THREADS_SLEEPING, 1,
     "state=\"sleeping\""},
    {"threads_by_state", PAGE_GAUGE, "Threads by state.", METER_THREADS_DISK, 1, "state=\"disk\""},
    {"threads_by_state", PAGE_GAUGE, "Threads by state.", METER_THREADS_OTHER, 1,
     "state=\"other\""},
    {"open_fds", PAGE_GAUGE, "Open file descriptors.", METER_FDS, 1, ""},
};

#define METRICS (sizeof(metrics) / sizeof(metrics[0]))

struct process_page {
    char *labels;
    char *line[METRICS], *created[METRICS]; /* ready but for the value */
};

static char *line_of(const char *name, const char *suffix, const char *label, const char *labels) {
    struct buf line = {0};

    buf_printf(&line, "%s%s%s", prefix, name, suffix);
    if (*label || *labels)
        buf_printf(&line, "{%s%s%s}", label, *label && *labels ? "," : "", labels);
    buf_addc(&line, ' ');
    return line.data;
}

struct process_page *process_page_new(const char *labels) {
    struct process_page *pp = xcalloc(1, sizeof(*pp));

    pp->labels = xstrdup(labels);
    for (size_t i = 0; i < METRICS; i++) {
        pp->line[i] = line_of(metrics[i].name, metrics[i].type == PAGE_COUNTER ? "_total" : "",
                              metrics[i].label, labels);
        pp->created[i] = line_of(metrics[i].name, "_created", metrics[i].label, labels);
    }
    return pp;
}

void process_page_free(struct process_page *pp) {
    for (size_t i = 0; i < METRICS; i++) {
        free(pp->line[i]);
        free(pp->created[i]);
    }
    free(pp->labels);
    free(pp);
}

static struct page_family *family(struct page *page, const char *name, enum page_type type,
                                  const char *help) {
    char full[96];
    int len = snprintf(full, sizeof(full), "%s%s", prefix, name);

    return page_family(page, full, (size_t)len, type, help, strlen(help));
}

static void write_gauge(const struct process_page *pp, struct page *page, const char *name,
                        const char *help, double value) {
    struct page_family *f = value >= 0 ? family(page, name, PAGE_GAUGE, help) : NULL;

    if (f)
        page_sample(f, "", pp->labels, value);
}

static void write_metrics(const struct process_page *pp, const struct process_values *v,
                          struct page *page) {
    struct page_family *f = NULL;

    for (size_t i = 0; i < METRICS; i++) {
        const struct metric *m = &metrics[i];

        if (v->sum[m->value] < 0 || (v->alive == 0 && m->value >= METER_CUMULATIVE))
            continue;
        if (!f || strcmp(m->name, i > 0 ? metrics[i - 1].name : "") != 0)
            f = family(page, m->name, m->type, m->help);
        if (!f)
            continue;
        page_line(f, pp->line[i], strlen(pp->line[i]), (double)v->sum[m->value] / m->per);
        if (m->type == PAGE_COUNTER && page->format == PAGE_OPENMETRICS && v->start > 0)
            page_line(f, pp->created[i], strlen(pp->created[i]), v->start);
    }
}

void process_page_write(const struct process_page *pp, const struct process_values *v,
                        struct page *page) {
    if (v->trees == 0)
        return;
    write_metrics(pp, v, page);
    write_gauge(pp, page, "processes", "Live processes of the trees.", (double)v->alive);
    write_gauge(pp, page, "start_time_seconds", "When the first process was started, in Unix time.",
                v->start);
    if (v->alive == 0)
        return;
    write_gauge(pp, page, "max_fds", "Limit of open file descriptors of the first process.",
                v->limits.files);
    write_gauge(pp, page, "memory_limit_bytes",
                "Memory that the first process may use: its control groups' limit, or the "
                "machine's memory.",
                v->limits.memory_bytes);
    write_gauge(pp, page, "cpu_limit_cores",
                "CPUs that the first process may use: quota and affinity.", v->limits.cpus);
}
