/* SPDX-License-Identifier: MIT */
#include "show.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "utf8.h"

/* Bytes that no shell treats in its own way. */
static const char plain[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";

static bool needs_escapes(const char *text) {
    size_t n, len = strlen(text);

    for (size_t i = 0; i < len; i += n) {
        n = utf8_len(text + i, len - i);
        if (n == 0 || (unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return true;
    }
    return false;
}

static void add_escaped(struct buf *b, const char *text) {
    size_t n, len = strlen(text);

    buf_adds(b, "$'");
    for (size_t i = 0; i < len; i += n) {
        unsigned char c = (unsigned char)text[i];

        n = utf8_len(text + i, len - i);
        if (c == '\n')
            buf_adds(b, "\\n");
        else if (c == '\t')
            buf_adds(b, "\\t");
        else if (c == '\'' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (n == 0 || c < 0x20 || c == 0x7f)
            buf_printf(b, "\\x%02x", c);
        else
            buf_add(b, text + i, n);
        n = n ? n : 1;
    }
    buf_addc(b, '\'');
}

static void add_quoted(struct buf *b, const char *text) {
    if (text[0] != '\0' && strspn(text, plain) == strlen(text)) {
        buf_adds(b, text);
    } else if (needs_escapes(text)) {
        add_escaped(b, text);
    } else {
        buf_addc(b, '\'');
        for (; *text; text++)
            *text == '\'' ? buf_adds(b, "'\\''") : buf_addc(b, *text);
        buf_addc(b, '\'');
    }
}

static void add_argv(struct buf *b, const struct found *f) {
    for (size_t i = 0; i < f->argc; i++) {
        if (i > 0)
            buf_addc(b, ' ');
        add_quoted(b, f->argv[i]);
    }
}

void show_line(const struct found *f) {
    struct buf b = {0};

    buf_printf(&b, "%d %" PRIu64 " ", f->id.pid, f->id.starttime);
    add_argv(&b, f);
    (void)puts(b.data);
    buf_free(&b);
}

/* When a process started, by the clocks of the tree that it is in. */
struct clocks {
    double started; /* seconds since the epoch, whole as btime is; below 0: not known */
    double age;     /* seconds; below 0: not known */
};

static struct clocks clocks_of(int rootfd, const struct found *f) {
    double since_boot = (double)f->id.starttime / (double)sysconf(_SC_CLK_TCK);
    struct clocks c = {.started = -1, .age = -1};
    struct buf text = {0};
    const char *at;

    if (proc_read_all(rootfd, "stat", &text, (size_t)1 << 20) &&
        (at = strstr(text.data, "\nbtime ")) != NULL)
        c.started = strtod(at + 7, NULL) + since_boot;
    if (proc_read_all(rootfd, "uptime", &text, 64) && text.len > 0)
        c.age = strtod(text.data, NULL) - since_boot;
    buf_free(&text);
    return c;
}

static void format_time(double epoch, char *text, size_t cap) {
    time_t t = (time_t)epoch;
    struct tm tm;

    if (epoch < 0 || !gmtime_r(&t, &tm) || strftime(text, cap, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(text, cap, "n/a");
}

static const char *user_name(uid_t uid) {
    const struct passwd *pw = getpwuid(uid);

    return pw ? pw->pw_name : NULL;
}

static void add_json_text(struct buf *b, const char *key, const char *text) {
    buf_printf(b, ",\"%s\":", key);
    if (!text) {
        buf_adds(b, "null");
        return;
    }
    buf_addc(b, '"');
    buf_add_json(b, text, strlen(text));
    buf_addc(b, '"');
}

void show_json(int rootfd, const struct found *f) {
    static const char *const held[] = {
        [FILES_NOT] = "false", [FILES_HELD] = "true", [FILES_UNKNOWN] = "null"};
    struct clocks c = clocks_of(rootfd, f);
    char time_text[32];
    struct buf b = {0};

    format_time(c.started, time_text, sizeof(time_text));
    buf_printf(&b, "{\"pid\":%d,\"starttime\":%" PRIu64 ",\"ppid\":%d", f->id.pid, f->id.starttime,
               f->ppid);
    add_json_text(&b, "started", c.started < 0 ? NULL : time_text);
    if (c.age < 0)
        buf_adds(&b, ",\"age_s\":null");
    else
        buf_printf(&b, ",\"age_s\":%.2f", c.age);
    if (f->uid == (uid_t)-1)
        buf_adds(&b, ",\"uid\":null,\"user\":null");
    else {
        buf_printf(&b, ",\"uid\":%u", f->uid);
        add_json_text(&b, "user", user_name(f->uid));
    }
    add_json_text(&b, "exe", f->exe);
    add_json_text(&b, "cwd", f->cwd);
    add_json_text(&b, "workspace", f->workspace);
    buf_printf(&b, ",\"argv_matches\":%s,\"files_open\":%s,\"argv\":[",
               f->by_argv ? "true" : "false", held[f->files]);
    for (size_t i = 0; i < f->argc; i++) {
        buf_adds(&b, i > 0 ? ",\"" : "\"");
        buf_add_json(&b, f->argv[i], strlen(f->argv[i]));
        buf_addc(&b, '"');
    }
    buf_adds(&b, "]}");
    (void)puts(b.data);
    buf_free(&b);
}

static void format_age(double s, char *text, size_t cap) {
    unsigned long long n = s < 0 ? 0 : (unsigned long long)s;

    if (s < 0)
        (void)snprintf(text, cap, "n/a");
    else if (n < 60)
        (void)snprintf(text, cap, "%.1fs", s);
    else if (n < 3600)
        (void)snprintf(text, cap, "%llum%02llus", n / 60, n % 60);
    else
        (void)snprintf(text, cap, "%lluh%02llum", n / 3600, n / 60 % 60);
}

void show_table(const struct search *s) {
    struct buf b = {0};

    buf_printf(&b, "%7s %-20s %9s %-10s %s\n", "PID", "STARTED", "AGE", "USER",
               "WORKSPACE or CWD, ARGV");
    for (size_t i = 0; i < s->n; i++) {
        const struct found *f = &s->found[i];
        struct clocks c = clocks_of(s->rootfd, f);
        const char *user = f->uid == (uid_t)-1 ? "n/a" : user_name(f->uid);
        const char *place = f->workspace ? f->workspace : f->cwd ? f->cwd : "n/a";
        char started[32], age[32], uid[16];

        format_time(c.started, started, sizeof(started));
        format_age(c.age, age, sizeof(age));
        (void)snprintf(uid, sizeof(uid), "%u", f->uid);
        buf_printf(&b, "%7d %-20s %9s %-10s ", f->id.pid, started, age, user ? user : uid);
        add_quoted(&b, place);
        buf_adds(&b, "  ");
        add_argv(&b, f);
        buf_addc(&b, '\n');
    }
    (void)fputs(b.data, stderr);
    buf_free(&b);
}
