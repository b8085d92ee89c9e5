/* SPDX-License-Identifier: MIT */
#include "smallfile.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PIECE ((size_t)4096)

static bool read_up_to(int fd, size_t max, struct buf *out) {
    while (out->len < max) {
        size_t want = max - out->len < PIECE ? max - out->len : PIECE;
        ssize_t n;

        buf_reserve(out, want + 1);
        n = read(fd, out->data + out->len, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0)
            break;
        out->len += (size_t)n;
    }
    buf_reserve(out, 1);
    out->data[out->len] = '\0';
    return true;
}

bool smallfile_read(const char *file, size_t max, struct buf *out, struct stat *st) {
    /* Without O_NONBLOCK the opening of a FIFO lasts until somebody writes into it. */
    int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
    bool good;

    *out = (struct buf){0};
    if (fd < 0)
        return false;
    good = fstat(fd, st) == 0 && S_ISREG(st->st_mode) && read_up_to(fd, max, out);
    (void)close(fd);
    if (!good)
        buf_free(out);
    return good;
}
