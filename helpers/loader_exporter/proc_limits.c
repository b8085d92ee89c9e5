/* SPDX-License-Identifier: MIT */
#include "proc_limits.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "proc.h"

/* v1 writes "no limit" as the largest number of pages. */
#define NO_LIMIT 9e18

static void lower(double *limit, double to) {
    if (to > 0 && to < NO_LIMIT && (*limit < 0 || to < *limit))
        *limit = to;
}

/* The number that the file ROOT/CONTROLLER/GROUP/NAME begins with, or -1: absent, or "max".
 * `*second` is the number behind it, or -1. */
static double read_number(const char *dir, const char *name, double *second) {
    struct buf path = {0};
    char text[64], *end;
    double v = -1;

    if (second)
        *second = -1;
    buf_printf(&path, "%s/%s", dir, name);
    if (proc_read(AT_FDCWD, path.data, text, sizeof(text)) > 0) {
        v = strtod(text, &end);
        if (end == text)
            v = -1;
        else if (second && *end == ' ')
            *second = strtod(end, NULL);
    }
    buf_free(&path);
    return v;
}

static void read_group(const char *dir, struct limits *l) {
    double quota, period;

    lower(&l->memory_bytes, read_number(dir, "memory.max", NULL));
    lower(&l->memory_bytes, read_number(dir, "memory.limit_in_bytes", NULL));
    quota = read_number(dir, "cpu.max", &period);
    if (quota > 0 && period > 0)
        lower(&l->cpus, quota / period);
    quota = read_number(dir, "cpu.cfs_quota_us", NULL);
    period = read_number(dir, "cpu.cfs_period_us", NULL);
    if (quota > 0 && period > 0)
        lower(&l->cpus, quota / period);
}

/* Reads a group and those above it, up to where the controller is mounted. */
static void read_groups(const char *root, const char *controller, const char *group,
                        struct limits *l) {
    struct buf dir = {0};
    size_t top;

    buf_printf(&dir, "%s%s%s", root, *controller ? "/" : "", controller);
    top = dir.len;
    if (strcmp(group, "/") != 0 && !strstr(group, ".."))
        buf_adds(&dir, group);
    while (dir.len > top) {
        read_group(dir.data, l);
        while (dir.len > top && dir.data[dir.len - 1] != '/')
            dir.len--;
        if (dir.len > top)
            dir.len--;
        dir.data[dir.len] = '\0';
    }
    read_group(dir.data, l);
    buf_free(&dir);
}

/* Each line is `hierarchy:controllers:group`; v2's is `0::group`. */
static void read_cgroup(int dirfd, const char *root, struct limits *l) {
    struct buf text = {0};
    char *rest, *line;

    if (!proc_read_all(dirfd, "cgroup", &text, 65536))
        return;
    rest = text.data;
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *controllers = strchr(line, ':'),
             *group = controllers ? strchr(controllers + 1, ':') : NULL;

        if (!group)
            continue;
        *group++ = '\0';
        controllers++;
        if (*controllers == '\0' || strstr(controllers, "memory") || strstr(controllers, "cpu"))
            read_groups(root, controllers, group, l);
    }
    buf_free(&text);
}

static void read_machine(int procfd, struct limits *l) {
    struct buf text = {0};
    const char *line;

    if (proc_read_all(procfd, "meminfo", &text, 65536) &&
        (line = strstr(text.data, "MemTotal:")) != NULL)
        lower(&l->memory_bytes, strtod(line + strlen("MemTotal:"), NULL) * 1024);
    buf_free(&text);
}

/* Cpus_allowed is the process's affinity: hexadecimal words with commas. */
static void read_affinity(int dirfd, struct limits *l) {
    struct buf text = {0};
    const char *line;
    double n = 0;

    if (proc_read_all(dirfd, "status", &text, 65536) &&
        (line = strstr(text.data, "\nCpus_allowed:")) != NULL) {
        for (line += strlen("\nCpus_allowed:"); *line && *line != '\n'; line++) {
            char digit[2] = {*line, '\0'};

            n += __builtin_popcountl(strtoul(digit, NULL, 16));
        }
        lower(&l->cpus, n);
    }
    buf_free(&text);
}

static void read_files(int dirfd, struct limits *l) {
    struct buf text = {0};
    const char *line;

    if (proc_read_all(dirfd, "limits", &text, 65536) &&
        (line = strstr(text.data, "\nMax open files")) != NULL)
        lower(&l->files, strtod(line + strlen("\nMax open files"), NULL));
    buf_free(&text);
}

void limits_read(int procfd, int dirfd, const char *cgroup, struct limits *l) {
    *l = (struct limits){-1, -1, -1};
    read_cgroup(dirfd, cgroup, l);
    read_machine(procfd, l);
    read_affinity(dirfd, l);
    read_files(dirfd, l);
}
