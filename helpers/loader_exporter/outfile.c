/* SPDX-License-Identifier: MIT */
#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "smallfile.h"

static bool write_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0;
}

int outfile_beside(const char *file, const char *data, size_t len, struct buf *name) {
    const char *slash = strrchr(file, '/');
    size_t dir = slash ? (size_t)(slash - file) + 1 : 0;
    int fd;

    /* Hidden, and not called *.prom or *.json: nobody takes it for the file itself. */
    buf_add(name, file, dir);
    buf_printf(name, ".%s.%d.new", file + dir, (int)getpid());
    fd = open(name->data, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    /* For those who read it, whatever the umask. */
    if (fd < 0 || (fchmod(fd, 0644) == 0 && write_all(fd, data, len)))
        return fd;
    (void)close(fd);
    return -1;
}

bool outfile_write(const char *file, const char *data, size_t len) {
    struct buf beside = {0};
    int fd = outfile_beside(file, data, len, &beside);
    bool good = fd >= 0;

    if (fd >= 0 && close(fd) != 0)
        good = false;
    if (good && rename(beside.data, file) != 0)
        good = false;
    if (!good) {
        warn("%s:", file);
        (void)unlink(beside.data);
    }
    buf_free(&beside);
    return good;
}

bool outfile_can_write(const char *file) {
    const char *slash = strrchr(file, '/');
    struct buf dir = {0};
    bool good;

    if (slash)
        buf_add(&dir, file, (size_t)(slash - file) + 1);
    else
        buf_adds(&dir, ".");
    good = access(dir.data, W_OK | X_OK) == 0;
    if (!good)
        warn("%s:", file);
    buf_free(&dir);
    return good;
}

void outfile_remove(const char *file, const char *data, size_t len) {
    struct buf now;
    struct stat st;

    if (!smallfile_read(file, len + 1, &now, &st))
        return;
    if (now.len == len && memcmp(now.data, data, len) == 0)
        (void)unlink(file);
    buf_free(&now);
}
