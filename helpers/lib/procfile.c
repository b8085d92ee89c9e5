/* SPDX-License-Identifier: MIT */
#include "procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "num.h"

ssize_t procfile_read(int dirfd, const char *name, int *fd, int keep_below, char *text,
                      size_t cap) {
    ssize_t n;

    if (*fd < 0)
        *fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return -1;
    do
        n = pread(*fd, text, cap - 1, 0);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        text[n] = '\0';
    if (n < 0 || *fd >= keep_below) {
        int saved = errno;

        (void)close(*fd);
        *fd = -1;
        errno = saved;
    }
    return n;
}

int64_t procfile_value(const char *text, size_t len, const char *key, size_t *hint) {
    size_t keylen = strlen(key);
    const char *p;

    if (*hint + keylen <= len && memcmp(text + *hint, key, keylen) == 0) {
        p = text + *hint;
    } else {
        p = memmem(text, len, key, keylen);
        if (!p)
            return -1;
        *hint = (size_t)(p - text);
    }
    p += keylen;
    return (int64_t)num_read(&p);
}
