/* SPDX-License-Identifier: MIT */
#include "process_page.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"

#define PREFIX "qdrant_loader_process_"

/* What a value is divided by for its base unit. */
#define NS 1e9
#define KIB (1.0 / 1024)

/* The metrics; those of one family follow one another. */
static const struct metric {
    const char *name, *help, *label;
    double per;
    enum page_type type;
    enum meter_value value;
} metrics[] = {
    {PREFIX "cpu_seconds", "CPU time used.", "mode=\"user\"", NS, PAGE_COUNTER, METER_CPU_USER},
    {PREFIX "cpu_seconds", "CPU time used.", "mode=\"system\"", NS, PAGE_COUNTER, METER_CPU_SYSTEM},
    {PREFIX "run_queue_delay_seconds", "Time that threads were runnable but waited for a CPU.", "",
     NS, PAGE_COUNTER, METER_RUN_DELAY},
    {PREFIX "io_read_bytes", "Bytes read from storage.", "", 1, PAGE_COUNTER, METER_IO_READ},
    {PREFIX "io_write_bytes", "Bytes written to storage.", "", 1, PAGE_COUNTER, METER_IO_WRITE},
    {PREFIX "io_read_call_bytes", "Bytes returned by read calls, cached or not.", "", 1,
     PAGE_COUNTER, METER_IO_RCHAR},
    {PREFIX "io_write_call_bytes", "Bytes taken by write calls, cached or not.", "", 1,
     PAGE_COUNTER, METER_IO_WCHAR},
    {PREFIX "page_faults", "Page faults: minor without I/O, major with.", "kind=\"minor\"", 1,
     PAGE_COUNTER, METER_MINFLT},
    {PREFIX "page_faults", "Page faults: minor without I/O, major with.", "kind=\"major\"", 1,
     PAGE_COUNTER, METER_MAJFLT},
    {PREFIX "context_switches", "Context switches of all threads.", "kind=\"voluntary\"", 1,
     PAGE_COUNTER, METER_CTX_VOLUNTARY},
    {PREFIX "context_switches", "Context switches of all threads.", "kind=\"involuntary\"", 1,
     PAGE_COUNTER, METER_CTX_INVOLUNTARY},
    {PREFIX "resident_memory_bytes", "Resident memory (RSS); shared pages count in every process.",
     "", KIB, PAGE_GAUGE, METER_RSS},
    {PREFIX "resident_memory_peak_bytes",
     "Highest RSS of the trees when read, or of one process ever.", "", KIB, PAGE_GAUGE,
     METER_PEAK_RSS},
    {PREFIX "resident_anon_memory_bytes", "Resident memory that no file backs.", "", KIB,
     PAGE_GAUGE, METER_RSS_ANON},
    {PREFIX "resident_file_memory_bytes", "Resident pages of files.", "", KIB, PAGE_GAUGE,
     METER_RSS_FILE},
    {PREFIX "resident_shmem_memory_bytes", "Resident shared memory.", "", KIB, PAGE_GAUGE,
     METER_RSS_SHMEM},
    {PREFIX "swap_bytes", "Memory swapped out.", "", KIB, PAGE_GAUGE, METER_SWAP},
    {PREFIX "pss_bytes", "Resident memory, shared pages divided among their users (PSS).", "", KIB,
     PAGE_GAUGE, METER_PSS},
    {PREFIX "uss_bytes", "Memory that would be freed at the end (USS).", "", KIB, PAGE_GAUGE,
     METER_USS},
    {PREFIX "threads", "Threads.", "", 1, PAGE_GAUGE, METER_THREADS},
    {PREFIX "threads_by_state", "Threads by state.", "state=\"running\"", 1, PAGE_GAUGE,
     METER_THREADS_RUNNING},
    {PREFIX "threads_by_state", "Threads by state.", "state=\"sleeping\"", 1, PAGE_GAUGE,
     METER_THREADS_SLEEPING},
    {PREFIX "threads_by_state", "Threads by state.", "state=\"disk\"", 1, PAGE_GAUGE,
     METER_THREADS_DISK},
    {PREFIX "threads_by_state", "Threads by state.", "state=\"other\"", 1, PAGE_GAUGE,
     METER_THREADS_OTHER},
    {PREFIX "open_fds", "Open file descriptors.", "", 1, PAGE_GAUGE, METER_FDS},
};

#define METRICS (sizeof(metrics) / sizeof(metrics[0]))

struct process_page {
    char *labels;
    char *line[METRICS], *created[METRICS]; /* ready but for the value */
};

static char *line_of(const char *name, const char *suffix, const char *label, const char *labels) {
    struct buf line = {0};

    buf_printf(&line, "%s%s", name, suffix);
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
    return page_family(page, name, strlen(name), type, help, strlen(help));
}

static void write_gauge(const struct process_page *pp, struct page *page, const char *name,
                        const char *help, double value) {
    struct page_family *f = value >= 0 ? family(page, name, PAGE_GAUGE, help) : NULL;

    if (f)
        page_sample(f, "", pp->labels, value);
}

static void write_metrics(const struct process_page *pp, const struct process_values *v,
                          struct page *page, bool of_now) {
    struct page_family *f = NULL;

    for (size_t i = 0; i < METRICS; i++) {
        const struct metric *m = &metrics[i];

        if (v->sum[m->value] < 0 || (!of_now && m->value >= METER_CUMULATIVE))
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
                        struct page *page, bool snapshot) {
    bool of_now = v->alive > 0 && !snapshot;

    /* Of one that had ended before it was seen, what the result of its run says. */
    write_metrics(pp, v, page, of_now);
    if (v->trees == 0)
        return;
    if (!snapshot)
        write_gauge(pp, page, PREFIX "processes", "Live processes of the trees.", (double)v->alive);
    write_gauge(pp, page, PREFIX "start_time_seconds",
                "When the first process was started, in Unix time.", v->start);
    if (!of_now)
        return;
    write_gauge(pp, page, PREFIX "max_fds", "Limit of open file descriptors of the first process.",
                v->limits.files);
    write_gauge(pp, page, PREFIX "memory_limit_bytes",
                "Memory that the first process may use: its control groups' limit, or the "
                "machine's memory.",
                v->limits.memory_bytes);
    write_gauge(pp, page, PREFIX "cpu_limit_cores",
                "CPUs that the first process may use: quota and affinity.", v->limits.cpus);
}
