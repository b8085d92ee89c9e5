/* SPDX-License-Identifier: MIT */
#include "run_result.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buf.h"
#include "smallfile.h"

#define RESULT_MAX ((size_t)4 << 20)

/* The number that `text` is, or -1: n/a, none … */
static double number(const char *text) {
    char *end;
    double v = strtod(text, &end);

    return end != text && *end == '\0' && v >= 0 ? v : -1;
}

/* Unix seconds of a number, or of 2026-11-24T08:15:02.5Z; -1 for neither. */
static double point_in_time(const char *text) {
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    double fraction = 0;

    if (!rest)
        return number(text);
    if (*rest == '.') {
        size_t digits = strspn(rest + 1, "0123456789");

        fraction = strtod(rest, NULL);
        rest += 1 + digits;
    }
    return strcmp(rest, "Z") == 0 ? (double)timegm(&tm) + fraction : -1;
}

/* Takes one `key: value`. procrun writes one of exit_status and signal. */
static void take(struct run_result *r, const char *key, const char *value) {
    const struct {
        const char *key;
        double *to;
    } numbers[] = {
        {"wall_s", &r->duration_s},
        {"cpu_user_s", &r->user_s},
        {"cpu_system_s", &r->system_s},
        {"maxrss_kib", &r->peak_rss_kib},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(key, numbers[i].key) == 0)
            *numbers[i].to = number(value);
    }
    if (strcmp(key, "started") == 0)
        r->started = point_in_time(value);
    else if (strcmp(key, "ended") == 0)
        r->ended = point_in_time(value);
    else if (strcmp(key, "exit_status") == 0 && number(value) >= 0)
        r->exit_code = (int)number(value);
    else if (strcmp(key, "signal") == 0 && number(value) > 0)
        r->exit_code = 128 + (int)number(value);
    else if (strcmp(key, "error") == 0)
        r->failed = r->ended < 0;
    else if (strcmp(key, "complete") == 0)
        r->complete = true;
}

bool run_result_read(const char *file, struct run_result *result) {
    struct buf text;
    struct stat st;
    char *rest, *line;

    *result = (struct run_result){-1, -1, -1, -1, -1, -1, -1, false, false};
    if (!smallfile_read(file, RESULT_MAX, &text, &st))
        return false;
    rest = text.data;
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *value = strncmp(line, "# ", 2) == 0 ? strstr(line, ": ") : NULL;

        if (!value || !rest)
            continue;
        *value = '\0';
        take(result, line + 2, value + 2);
    }
    buf_free(&text);
    return true;
}
