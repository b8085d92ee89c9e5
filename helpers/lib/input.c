/* SPDX-License-Identifier: MIT */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"

enum { FIRST_CAP = 256 << 10 }; /* fits the second-level cache; larger measured slower */

void input_open(struct input *in, const char *path) {
    *in = (struct input){.name = path, .cap = FIRST_CAP};
    if (strcmp(path, "-") == 0)
        in->name = "standard input";
    else if ((in->fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        die(EX_FAIL, "%s:", path);
    in->data = xmalloc(in->cap);
}

bool input_fill(struct input *in) {
    size_t left = in->len - in->pos;

    if (in->eof)
        return left > 0;
    memmove(in->data, in->data + in->pos, left);
    in->pos = 0;
    in->len = left;
    if (left > in->cap / 2)
        in->data = xrealloc(in->data, in->cap *= 2);
    /* One byte is kept for the newline that a last line may lack. */
    while (in->len < in->cap - 1) {
        ssize_t n = read(in->fd, in->data + in->len, in->cap - 1 - in->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            die(EX_FAIL, "%s: read:", in->name);
        if (n == 0) {
            in->eof = true;
            in->cut = in->len > 0 && in->data[in->len - 1] != '\n';
            if (in->cut)
                in->data[in->len++] = '\n';
            break;
        }
        in->len += (size_t)n;
    }
    return in->len > 0;
}

const char *input_map(struct input *in, struct mapped_files *files, size_t *len) {
    size_t unread = in->len - in->pos, from;
    const char *text = NULL, *last;
    off_t at = in->eof ? -1 : lseek(in->fd, 0, SEEK_CUR);
    struct mapped m;

    if (at < (off_t)unread)
        return NULL;
    from = (size_t)at - unread;
    m = mapped_fd(in->fd);
    if (m.size > from) {
        text = (const char *)m.data + from;
        last = memrchr(text, '\n', m.size - from);
        *len = last ? (size_t)(last + 1 - text) : 0;
    }
    if (!text || *len == 0 || lseek(in->fd, (off_t)(from + *len), SEEK_SET) < 0) {
        mapped_free(&m);
        return NULL;
    }
    in->pos = in->len = 0;
    mapped_files_add(files, m);
    return text;
}

void input_close(struct input *in) {
    free(in->data);
    if (in->fd > 0)
        (void)close(in->fd);
    *in = (struct input){0};
}
