/* SPDX-License-Identifier: MIT
 * procsample: what a process and its descendants use, over time.
 *
 *   $ procsample --rate 10 --duration 60s --output samples.tsv 4711
 *   $ grep -v '^#' samples.tsv | cut -f 1-10
 *   t_s       pid    comm     starttime_ticks  state  processes  cpu_user_s  cpu_system_s  oncpu_s
 * run_delay_s 0.000046  4711   python3  129871           S      1          1.48
 * 0.21          1.693215  0.012950 0.000046  total  total    n/a              n/a 1          1.48
 * 0.21          1.693215  0.012950 0.100051  4711   python3  129871           R 1          1.57
 * 0.21          1.788100  0.013077
 *
 * Format: docs/formats/samples-tsv.md.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "now.h"
#include "options.h"
#include "rows.h"
#include "sampler.h"

static volatile sig_atomic_t stopped;

static void on_signal(int sig) {
    (void)sig;
    stopped = 1;
}

/* Samples slot by slot; returns what ended it. */
static const char *run(struct sampler *s) {
    for (;;) {
        while (!slots_wait(&s->slots) && !stopped)
            ;
        if (stopped)
            return "signal";
        if (!sampler_sample(s))
            return "target-exited";
        if (s->samples >= s->opts->count)
            return "count";
        slots_done(&s->slots);
        if (s->slots.next > s->slots.end)
            return "duration";
    }
}

static const char *schedstat_of(const struct sampler *s) {
    int dirfd = proc_open_pid(s->host.rootfd, s->opts->pid);
    ssize_t n = -1;
    char text[128];

    if (dirfd >= 0) {
        n = proc_read(dirfd, "schedstat", text, sizeof(text));
        (void)close(dirfd);
    }
    if (n <= 0)
        return "absent";
    return strncmp(text, "0 0 0", 5) == 0 ? "zero" : "yes";
}

static void write_header(struct sampler *s) {
    struct buf *out = &s->rows.text;
    struct utsname host;
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    s->slots.start = now_ns();
    (void)uname(&host);
    buf_printf(out, "# started: %lld%09ld\n", (long long)t.tv_sec, t.tv_nsec);
    buf_printf(out, "# started_monotonic: %" PRIu64 "\n", s->slots.start);
    buf_printf(out, "# pid: %d\n", s->opts->pid);
    buf_printf(out, "# starttime_ticks: %" PRIu64 "\n", s->tree.node[0].id.starttime);
    buf_printf(out, "# rate_asked: %g\n", s->opts->rate);
    buf_printf(out, "# mode: %s\n", s->opts->light ? "light" : "full");
    buf_printf(out, "# tree: %s\n", s->opts->tree ? "yes" : "no");
    buf_printf(out, "# pss_interval_asked_s: %g\n", (double)s->opts->pss_interval / 1e9);
    buf_printf(out, "# context_switches_of: %s\n",
               s->opts->threads ? "all threads" : "main thread");
    buf_printf(out, "# oncpu_from: %s\n",
               s->host.own_pids   ? "CPU clock"
               : s->opts->threads ? "schedstat"
                                  : "n/a");
    buf_printf(out, "# schedstat: %s\n", schedstat_of(s));
    buf_printf(out, "# kernel: %s %s %s\n", host.sysname, host.release, host.machine);
    buf_printf(out, "# clk_tck: %ld\n", sysconf(_SC_CLK_TCK));
    buf_printf(out, "# page_size: %ld\n", sysconf(_SC_PAGESIZE));
    buf_printf(out, "# cpus: %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
    rows_header(out);
    if (s->opts->per_thread)
        rows_thread_header(&s->threads.text);
}

static void add_rate(struct buf *out, const char *key, double value) {
    if (value < 0)
        buf_printf(out, "# %s: n/a\n", key);
    else
        buf_printf(out, "# %s: %.3f\n", key, value);
}

static void write_trailer(struct sampler *s, const char *ended) {
    struct buf *out = &s->rows.text;
    struct rusage self;
    double took = (double)(s->last - s->first) / 1e9;

    (void)getrusage(RUSAGE_SELF, &self);
    buf_printf(out, "# ended: %s\n", ended);
    add_rate(out, "rate_achieved", s->samples > 1 ? (double)(s->samples - 1) / took : -1);
    buf_printf(out, "# samples: %" PRIu64 "\n", s->samples);
    buf_printf(out, "# missed: %" PRIu64 "\n", s->slots.missed);
    buf_printf(out, "# pss_readings: %" PRIu64 "\n", s->pss.times);
    add_rate(out, "pss_interval_achieved_s", pace_achieved(&s->pss));
    add_rate(out, "pss_spent_s", (double)s->pss.spent / 1e9);
    add_rate(out, "self_cpu_s",
             (double)(self.ru_utime.tv_sec + self.ru_stime.tv_sec) +
                 (double)(self.ru_utime.tv_usec + self.ru_stime.tv_usec) / 1e6);
    sink_flush(&s->rows);
}

static void catch_signals(void) {
    struct sigaction act = {.sa_handler = on_signal};
    struct sigaction hup;

    /* A shell starts background jobs with SIGINT ignored; this one is ended by it all the same. */
    (void)sigaction(SIGINT, &act, NULL);
    (void)sigaction(SIGTERM, &act, NULL);
    if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler != SIG_IGN)
        (void)sigaction(SIGHUP, &act, NULL);
    /* Failures of write are told as such. */
    act.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &act, NULL);
    (void)sigaction(SIGXFSZ, &act, NULL);
}

int main(int argc, char **argv) {
    struct options opts;
    struct sampler s = {0};

    err_name("procsample");
    options_parse(&opts, argc, argv);
    catch_signals();
    sampler_open(&s, &opts);
    write_header(&s);
    write_trailer(&s, run(&s));
    sampler_close(&s);
    if (s.readings == 0 && !stopped)
        die(EX_NONE, "PID %d: gone before the first sample. The file holds no row of it.",
            opts.pid);
    return EX_DONE;
}
