/* SPDX-License-Identifier: MIT */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"

void sink_open(struct sink *s, const char *path) {
    struct stat st;

    *s = (struct sink){.fd = STDOUT_FILENO, .name = path ? path : "standard output"};
    if (path)
        s->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (s->fd < 0)
        die(EX_FAIL, "%s:", path);
    s->can_cut = path && fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode);
}

bool sink_same(const struct sink *a, const struct sink *b) {
    struct stat one, other;

    return fstat(a->fd, &one) == 0 && fstat(b->fd, &other) == 0 && S_ISREG(one.st_mode) &&
           one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static void failed(struct sink *s) {
    int saved = errno;

    if (s->can_cut && ftruncate(s->fd, s->written) != 0)
        warn("%s: the last line is cut:", s->name);
    errno = saved;
    /* A reader that closed the pipe has said that it has enough. */
    if (errno == EPIPE)
        exit(EX_FAIL);
    die(EX_FAIL,
        "%s: %s; the rows before it are kept. Make room, or write elsewhere with --output.",
        s->name, strerror(errno));
}

void sink_flush(struct sink *s) {
    for (size_t done = 0; done < s->text.len;) {
        ssize_t n = write(s->fd, s->text.data + done, s->text.len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            failed(s);
        done += (size_t)n;
    }
    s->written += (off_t)s->text.len;
    s->text.len = 0;
}

void sink_close(struct sink *s) {
    if (close(s->fd) != 0)
        failed(s);
    buf_free(&s->text);
}
