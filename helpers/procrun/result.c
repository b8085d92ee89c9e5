/* SPDX-License-Identifier: MIT */
#include "result.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"

#define SECOND INT64_C(1000000000)

int64_t epoch_ns(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

/* One write; a full disk in the middle of a run must not end the run. */
static void put(struct result *r, struct buf *b) {
    ssize_t n;

    do
        n = write(r->fd, b->data, b->len);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)b->len && !r->failed) {
        if (n >= 0)
            errno = ENOSPC;
        warn("%s: %s: the command goes on, but its figures are lost", r->path, strerror(errno));
        r->failed = true;
    }
    buf_free(b);
}

void result_open(struct result *r, const char *path) {
    struct buf b = {0};

    *r = (struct result){.path = path, .fd = -1};
    if (!path)
        return;
    r->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    buf_adds(&b, "# format: procrun 1\n");
    if (r->fd < 0 || write(r->fd, b.data, b.len) != (ssize_t)b.len)
        die(EX_FAIL, "--result %s: %s: nothing was started; give a file that can be written", path,
            strerror(errno));
    buf_free(&b);
}

void result_key(struct result *r, const char *key, const char *fmt, ...) {
    struct buf b = {0};
    char value[512];
    va_list ap;

    if (!r->path)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    for (char *p = value; *p; p++) {
        if ((unsigned char)*p < 0x20)
            *p = ' ';
    }
    buf_printf(&b, "# %s: %s\n", key, value);
    put(r, &b);
}

void result_time(struct result *r, const char *key, int64_t ns) {
    result_key(r, key, "%" PRId64 ".%09" PRId64, ns / SECOND, ns % SECOND);
}

void result_columns(struct result *r) {
    struct buf b = {0};

    if (!r->path)
        return;
    buf_adds(&b, "pid\trole\tcomm\targv0\tstarted_epoch_s\tended_epoch_s\texit_status\tsignal\t"
                 "cpu_user_s\tcpu_system_s\tmaxrss_kib\tctx_voluntary\tctx_involuntary\tminflt\t"
                 "majflt\tinblock\toublock\n");
    put(r, &b);
}

/* Text as one field of a row: a backslash and controls are escaped as \\, \t, \n and \xNN. */
static void add_field(struct buf *b, const char *text) {
    if (!text || !*text) {
        buf_adds(b, "n/a");
        return;
    }
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '\\')
            buf_adds(b, "\\\\");
        else if (c == '\t')
            buf_adds(b, "\\t");
        else if (c == '\n')
            buf_adds(b, "\\n");
        else if (c < 0x20 || c == 0x7f)
            buf_printf(b, "\\x%02x", c);
        else
            buf_addc(b, (char)c);
    }
}

void result_row(struct result *r, const struct ended *e) {
    const struct rusage *u = &e->used;
    int64_t now = epoch_ns();
    struct buf b = {0};

    if (!r->path)
        return;
    buf_printf(&b, "%d\t%s\t", e->pid, e->is_command ? "command" : "orphan");
    add_field(&b, e->comm);
    buf_addc(&b, '\t');
    add_field(&b, e->argv0);
    if (e->started < 0)
        buf_adds(&b, "\tn/a");
    else
        buf_printf(&b, "\t%.2f", e->started);
    buf_printf(&b, "\t%" PRId64 ".%09" PRId64 "\t", now / SECOND, now % SECOND);
    if (WIFSIGNALED(e->wait_status))
        buf_printf(&b, "n/a\t%d", WTERMSIG(e->wait_status));
    else
        buf_printf(&b, "%d\tn/a", WEXITSTATUS(e->wait_status));
    buf_printf(&b, "\t%lld.%06ld\t%lld.%06ld", (long long)u->ru_utime.tv_sec,
               (long)u->ru_utime.tv_usec, (long long)u->ru_stime.tv_sec, (long)u->ru_stime.tv_usec);
    buf_printf(&b, "\t%ld\t%ld\t%ld\t%ld\t%ld\t%ld\t%ld\n", u->ru_maxrss, u->ru_nvcsw, u->ru_nivcsw,
               u->ru_minflt, u->ru_majflt, u->ru_inblock, u->ru_oublock);
    put(r, &b);
}
