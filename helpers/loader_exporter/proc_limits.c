/* SPDX-License-Identifier: MIT */
#include "proc_limits.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "buf.h"
#include "proc.h"

/* v1 writes "no limit" as the largest number of pages. */
#define NO_LIMIT 9e18

static void lower(double *limit, double to) {
    if (to > 0 && to < NO_LIMIT && (*limit < 0 || to < *limit))
        *limit = to;
}

/* The number that the file begins with, or -1: absent, or "max". `*second` is the number behind it,
 * or -1. */
static double read_number(int dirfd, const char *name, double *second) {
    char text[64], *end;
    double v = -1;

    if (second)
        *second = -1;
    if (proc_read(dirfd, name, text, sizeof(text)) > 0) {
        v = strtod(text, &end);
        if (end == text)
            v = -1;
        else if (second && *end == ' ')
            *second = strtod(end, NULL);
    }
    return v;
}

static void read_group(int dirfd, struct limits *l) {
    double quota, period;

    lower(&l->memory_bytes, read_number(dirfd, "memory.max", NULL));
    lower(&l->memory_bytes, read_number(dirfd, "memory.limit_in_bytes", NULL));
    quota = read_number(dirfd, "cpu.max", &period);
    if (quota > 0 && period > 0)
        lower(&l->cpus, quota / period);
    quota = read_number(dirfd, "cpu.cfs_quota_us", NULL);
    period = read_number(dirfd, "cpu.cfs_period_us", NULL);
    if (quota > 0 && period > 0)
        lower(&l->cpus, quota / period);
}

static void read_folder(const char *dir, struct limits *l) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    read_group(fd, l);
    (void)close(fd);
}

/* Reads a group and those above it, up to where the controller is mounted. */
static void read_groups(const char *root, const char *controller, const char *group,
                        struct limits *l) {
    struct buf dir = {0};
    size_t top;

    buf_printf(&dir, "%s%s%s", root, *controller ? "/" : "", controller);
    top = dir.len;
    if (strcmp(group, "/") != 0)
        buf_adds(&dir, group);
    while (dir.len > top) {
        read_folder(dir.data, l);
        while (dir.len > top && dir.data[dir.len - 1] != '/')
            dir.len--;
        if (dir.len > top)
            dir.len--;
        dir.data[dir.len] = '\0';
    }
    read_folder(dir.data, l);
    buf_free(&dir);
}

/* A group of another container, seen from this one: it is not in what is mounted here. */
static bool is_elsewhere(const char *group) {
    return strncmp(group, "/..", 3) == 0 && (group[3] == '/' || group[3] == '\0');
}

/* The top of what the process itself sees mounted, which is its container's group. What is below
 * its root is its own to make: only a file system of control groups is read. */
static bool read_own_top(int dirfd, const char *root, const char *controller, struct limits *l) {
    struct buf dir = {0};
    struct statfs fs;
    bool is_group;
    int fd;

    buf_printf(&dir, "root%s%s%s", root, *controller ? "/" : "", controller);
    fd = openat(dirfd, dir.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    buf_free(&dir);
    if (fd < 0)
        return false;
    is_group = fstatfs(fd, &fs) == 0 &&
               (fs.f_type == CGROUP_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC);
    if (is_group)
        read_group(fd, l);
    (void)close(fd);
    /* Where controllers are mounted each by itself, v2's line has no limits. */
    return is_group || *controller == '\0';
}

/* Each line is `hierarchy:controllers:group`; v2's is `0::group`. False when one cannot be read. */
static bool read_cgroup(int dirfd, const char *root, struct limits *l) {
    struct buf text = {0};
    char *rest, *line;
    bool good = true;

    if (!proc_read_all(dirfd, "cgroup", &text, 65536))
        return true;
    rest = text.data;
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *controllers = strchr(line, ':'),
             *group = controllers ? strchr(controllers + 1, ':') : NULL;

        if (!group)
            continue;
        *group++ = '\0';
        controllers++;
        if (*controllers != '\0' && !strstr(controllers, "memory") && !strstr(controllers, "cpu"))
            continue;
        if (!is_elsewhere(group))
            read_groups(root, controllers, group, l);
        else if (!read_own_top(dirfd, root, controllers, l))
            good = false;
    }
    buf_free(&text);
    return good;
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
    read_files(dirfd, l);
    /* The machine's would be a limit that is too high. */
    if (!read_cgroup(dirfd, cgroup, l)) {
        l->memory_bytes = l->cpus = -1;
        return;
    }
    read_machine(procfd, l);
    read_affinity(dirfd, l);
}
