/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "buf.h"

enum { LINKS_MAX = 40 };

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The folder of `name` as the kernel sees it, and the name in it; NULL with errno set. */
static char *in_real_folder(const char *name) {
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    struct buf b = {0};
    char *folder;

    if (*base == '\0') {
        errno = *name ? EISDIR : ENOENT;
        return NULL;
    }
    buf_add(&b, slash ? name : ".", slash ? (size_t)(slash - name) + 1 : 1);
    buf_addc(&b, '\0');
    folder = realpath(b.data, NULL);
    b.len = 0;
    if (folder)
        buf_printf(&b, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, base);
    free(folder);
    if (b.len == 0) {
        buf_free(&b);
        return NULL;
    }
    return b.data;
}

/* Where the links of `name` lead to, which need not exist; NULL with errno set. */
static char *resolve(const char *name) {
    char *path = in_real_folder(name);

    for (int i = 0; path && i < LINKS_MAX; i++) {
        char target[PATH_MAX];
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        struct buf b = {0};
        const char *slash;

        if (n < 0)
            return path; /* no link, or nothing */
        target[n] = '\0';
        slash = strrchr(path, '/');
        if (target[0] != '/')
            buf_add(&b, path, (size_t)(slash - path) + 1);
        buf_printf(&b, "%s", target);
        free(path);
        path = in_real_folder(b.data);
        buf_free(&b);
    }
    if (path)
        errno = ELOOP;
    free(path);
    return NULL;
}

/* The file that is renamed when it is whole: beside the other, and no other process's. */
static int open_beside(const struct output *o, struct buf *name) {
    buf_printf(name, "%s.%d.new", o->path, (int)getpid());
    (void)unlink(name->data);
    return open(name->data, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
}

/* Whether a file can be made beside the one that is to be replaced. */
static bool try_beside(const struct output *o) {
    struct buf name = {0};
    int fd = open_beside(o, &name), saved = errno;

    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(name.data);
    }
    buf_free(&name);
    errno = saved;
    return fd >= 0;
}

static int connect_to(const char *name) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(name) >= sizeof(to.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    (void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", name);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
        int saved = errno;

        (void)close(fd);
        errno = saved;
        fd = -1;
    }
    return fd;
}

bool output_open(struct output *o, const char *name, bool dash) {
    struct stat st, out, real;

    *o = (struct output){.name = name, .fd = -1};
    if (dash && strcmp(name, "-") == 0) {
        o->name = "standard output";
        o->standard = true;
        o->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (o->fd >= 0 && fstat(o->fd, &st) == 0) {
            o->there = true;
            o->dev = st.st_dev;
            o->ino = st.st_ino;
        }
        return o->fd >= 0;
    }
    if (stat(name, &st) != 0) {
        if (errno != ENOENT)
            return false;
        o->path = resolve(name);
        if (o->path && try_beside(o))
            return true;
        free(o->path);
        o->path = NULL;
        return false;
    }
    o->there = true;
    o->dev = st.st_dev;
    o->ino = st.st_ino;
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        o->fd =
            S_ISSOCK(st.st_mode) ? connect_to(name) : open(name, O_WRONLY | O_NOCTTY | O_CLOEXEC);
        return o->fd >= 0;
    }
    /* /dev/stdout, to which others may write too: they keep their place in it. */
    if (fstat(STDOUT_FILENO, &out) == 0 && same_file(&st, &out)) {
        o->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        return o->fd >= 0;
    }
    o->path = resolve(name);
    /* A name in /proc may lead to a file that has no name any more. */
    if (o->path && (stat(o->path, &real) != 0 || !same_file(&st, &real))) {
        free(o->path);
        o->path = NULL;
        o->fd = open(name, O_WRONLY | O_TRUNC | O_CLOEXEC);
        return o->fd >= 0;
    }
    if (o->path && try_beside(o))
        return true;
    free(o->path);
    o->path = NULL;
    return false;
}

static bool write_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

bool output_write(const struct output *o, const void *data, size_t len) {
    struct buf name = {0};
    int fd, saved;
    bool good;

    if (!o->path)
        return write_all(o->fd, data, len);
    fd = open_beside(o, &name);
    good = fd >= 0 && write_all(fd, data, len);
    saved = errno;
    if (fd >= 0 && close(fd) != 0 && good) {
        good = false;
        saved = errno;
    }
    if (good && rename(name.data, o->path) != 0) {
        good = false;
        saved = errno;
    }
    if (!good)
        (void)unlink(name.data);
    buf_free(&name);
    errno = saved;
    return good;
}

bool output_same(const struct output *a, const struct output *b) {
    if (a->path && b->path)
        return strcmp(a->path, b->path) == 0;
    return a->there && b->there && a->dev == b->dev && a->ino == b->ino;
}

bool output_close(struct output *o) {
    bool good = o->fd < 0 || close(o->fd) == 0;

    free(o->path);
    o->path = NULL;
    o->fd = -1;
    return good;
}
