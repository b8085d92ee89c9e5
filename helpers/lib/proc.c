/* SPDX-License-Identifier: MIT */
#include "proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "num.h"

int proc_open_root(const char *root) {
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        die(EX_FAIL, "%s:", root);
    return fd;
}

int proc_open_pid(int rootfd, pid_t pid) {
    char name[16];

    (void)snprintf(name, sizeof(name), "%d", pid);
    return openat(rootfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Reads up to `cap` bytes; the kernel may hand a /proc file out in several pieces. */
static ssize_t read_full(int fd, char *text, size_t cap) {
    size_t len = 0;

    while (len < cap) {
        ssize_t n = read(fd, text + len, cap - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

ssize_t proc_read(int dirfd, const char *name, char *text, size_t cap) {
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -1;
    n = read_full(fd, text, cap - 1);
    (void)close(fd);
    if (n >= 0)
        text[n] = '\0';
    return n;
}

bool proc_read_all(int dirfd, const char *name, struct buf *out, size_t max) {
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;

    if (fd < 0)
        return false;
    out->len = 0;
    while (out->len < max) {
        size_t want = max - out->len < 65536 ? max - out->len : 65536;

        buf_reserve(out, want);
        n = read_full(fd, out->data + out->len, want);
        if (n <= 0)
            break;
        out->len += (size_t)n;
    }
    (void)close(fd);
    buf_reserve(out, 1);
    out->data[out->len] = '\0';
    return n >= 0;
}

bool proc_parse_stat(const char *text, struct proc_stat *st) {
    const char *open_paren = strchr(text, '(');
    const char *close_paren = strrchr(text, ')');
    /* Fields 4 to 24 by number, after pid, comm and state. */
    int64_t field[25] = {0};
    const char *p;
    size_t n;

    if (!open_paren || !close_paren || close_paren < open_paren || close_paren[1] != ' ' ||
        !close_paren[2])
        return false;
    *st = (struct proc_stat){0};
    p = text;
    st->pid = (pid_t)num_read(&p);
    n = (size_t)(close_paren - open_paren - 1);
    if (n > sizeof(st->comm) - 1)
        n = sizeof(st->comm) - 1;
    memcpy(st->comm, open_paren + 1, n);
    st->state = close_paren[2];
    p = close_paren + 3;
    for (int i = 4; i <= 24; i++) {
        bool negative = p[0] == ' ' && p[1] == '-';
        const char *digits = p += negative ? 2 : p[0] == ' ';

        field[i] = (int64_t)num_read(&p);
        if (p == digits)
            return false;
        if (negative)
            field[i] = -field[i];
    }
    st->ppid = (pid_t)field[4];
    st->minflt = (uint64_t)field[10];
    st->majflt = (uint64_t)field[12];
    st->utime = (uint64_t)field[14];
    st->stime = (uint64_t)field[15];
    st->num_threads = (long)field[20];
    st->starttime = (uint64_t)field[22];
    st->vsize = (uint64_t)field[23];
    st->rss = field[24];
    return true;
}

bool proc_read_stat(int dirfd, const char *name, struct proc_stat *st) {
    char text[1024];

    return proc_read(dirfd, name, text, sizeof(text)) > 0 && proc_parse_stat(text, st);
}

long proc_each_number(int dirfd, const char *name, bool (*each)(long number, void *arg),
                      void *arg) {
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct dirent *e;
    long n = 0;
    DIR *dir;

    if (fd < 0)
        return -1;
    dir = fdopendir(fd);
    if (!dir) {
        (void)close(fd);
        return -1;
    }
    while ((e = readdir(dir)) != NULL) {
        char *end;
        long number;

        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        number = strtol(e->d_name, &end, 10);
        if (*end != '\0')
            continue;
        n++;
        if (!each(number, arg))
            break;
    }
    (void)closedir(dir);
    return n;
}

ssize_t proc_readlink(int dirfd, const char *name, char *text, size_t cap) {
    ssize_t n = readlinkat(dirfd, name, text, cap - 1);

    if (n >= 0)
        text[n] = '\0';
    return n;
}
