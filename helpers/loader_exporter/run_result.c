/* SPDX-License-Identifier: MIT */
#include "run_result.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buf.h"
#include "proc.h"

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
    char *end;

    if (!rest)
        return number(text);
    end = (char *)(size_t)rest;
    if (*rest == '.')
        fraction = strtod(rest, &end);
    return strcmp(end, "Z") == 0 ? (double)timegm(&tm) + fraction : -1;
}

bool run_result_read(const char *file, struct run_result *result) {
    struct buf text = {0};
    double signal = -1, status = -1;
    char *rest, *line;

    *result = (struct run_result){-1, -1, -1, -1, -1};
    if (!proc_read_all(AT_FDCWD, file, &text, RESULT_MAX))
        return false;
    rest = text.data;
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *value = strncmp(line, "# ", 2) == 0 ? strstr(line, ": ") : NULL;
        const char *key = line + 2;

        /* A line without its end may be half a number. */
        if (!value || !rest)
            continue;
        *value = '\0';
        value += 2;
        if (strcmp(key, "ended") == 0)
            result->ended = point_in_time(value);
        else if (strcmp(key, "wall_s") == 0)
            result->duration_s = number(value);
        else if (strcmp(key, "exit_status") == 0)
            status = number(value);
        else if (strcmp(key, "signal") == 0)
            signal = number(value);
    }
    buf_free(&text);
    if (signal > 0)
        result->exit_code = 128 + (int)signal;
    else if (status >= 0)
        result->exit_code = (int)status;
    return result->ended > 0;
}
