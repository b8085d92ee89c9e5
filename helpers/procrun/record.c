/* SPDX-License-Identifier: MIT */
#include "procrun.h"

#include <inttypes.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "err.h"

static uint64_t now_ns(clockid_t clock) {
    struct timespec t = {0};

    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double seconds(struct timeval t) {
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

void record_open(struct record *r, const char *path) {
    *r = (struct record){0};
    if (!path)
        return;
    r->file = fopen(path, "we");
    if (!r->file)
        die(EX_FAIL, "%s:", path);
    (void)setvbuf(r->file, NULL, _IOLBF, 0);
}

void record_begin(struct record *r, pid_t command) {
    r->started_ns = now_ns(CLOCK_REALTIME);
    r->started_mono_ns = now_ns(CLOCK_MONOTONIC);
    if (!r->file)
        return;
    (void)fprintf(
        r->file,
        "# pid: %d\n# started: %" PRIu64 "\n"
        "pid\tcomm\tstarted_s\tended_s\texit_status\tsignal\tcpu_user_s\tcpu_system_s\tmaxrss_kib\t"
        "ctx_voluntary\tctx_involuntary\tminflt\tmajflt\tinblock\toublock\n",
        command, r->started_ns);
}

void record_row(struct record *r, pid_t pid, const char *comm, uint64_t start_ticks, int status,
                const struct rusage *usage) {
    double boot_now = (double)now_ns(CLOCK_BOOTTIME) / 1e9;
    double ended = (double)(now_ns(CLOCK_MONOTONIC) - r->started_mono_ns) / 1e9;

    if (!r->file)
        return;
    (void)fprintf(r->file, "%d\t", pid);
    /* A thread may give its process any name; a tab or newline in it must not make another column
     * or row. */
    for (const char *c = comm; *c; c++)
        (void)fputc((unsigned char)*c < ' ' ? '?' : *c, r->file);
    if (start_ticks > 0)
        (void)fprintf(r->file, "\t%.2f\t%.3f\t",
                      ended - (boot_now - (double)start_ticks / (double)sysconf(_SC_CLK_TCK)),
                      ended);
    else
        (void)fprintf(r->file, "\tn/a\t%.3f\t", ended);
    if (WIFSIGNALED(status))
        (void)fprintf(r->file, "n/a\t%d", WTERMSIG(status));
    else
        (void)fprintf(r->file, "%d\tn/a", WEXITSTATUS(status));
    (void)fprintf(r->file, "\t%.6f\t%.6f\t%ld\t%ld\t%ld\t%ld\t%ld\t%ld\t%ld\n",
                  seconds(usage->ru_utime), seconds(usage->ru_stime), usage->ru_maxrss,
                  usage->ru_nvcsw, usage->ru_nivcsw, usage->ru_minflt, usage->ru_majflt,
                  usage->ru_inblock, usage->ru_oublock);
}

void record_end(struct record *r, int status) {
    if (!r->file)
        return;
    if (WIFSIGNALED(status))
        (void)fprintf(r->file, "# signal: %d\n", WTERMSIG(status));
    else
        (void)fprintf(r->file, "# exit_status: %d\n", WEXITSTATUS(status));
    (void)fprintf(r->file, "# ended: %" PRIu64 "\n# wall_s: %.6f\n", now_ns(CLOCK_REALTIME),
                  (double)(now_ns(CLOCK_MONOTONIC) - r->started_mono_ns) / 1e9);
}

bool record_close(struct record *r) {
    bool good;

    if (!r->file)
        return true;
    good = !ferror(r->file);
    return fclose(r->file) == 0 && good;
}
