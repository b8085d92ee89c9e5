/* SPDX-License-Identifier: MIT */
#include "mapped.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"

/* Reading a page of a mapped file that the file has no more: it is this program's own reading that
 * is interrupted, so it can print. */
static void cut_short(int sig) {
    (void)sig;
    // NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c,cert-msc54-cpp): see above
    warn("a file was cut short by another program while it was read; try again when it is written");
    _exit(EX_FAIL);
}

struct mapped mapped_fd(int fd) {
    struct mapped m = {NULL, 0};
    struct stat st;
    void *p;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
        return m;
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return m;
    (void)signal(SIGBUS, cut_short);
    return (struct mapped){p, (size_t)st.st_size};
}

struct mapped mapped_path(const char *path) {
    struct mapped m = {NULL, 0};
    struct stat st;
    int fd;

    /* Opening a device may do something. */
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return m;
    m = mapped_fd(fd);
    (void)close(fd);
    return m;
}

void mapped_free(struct mapped *m) {
    if (m->data)
        (void)munmap(m->data, m->size);
    *m = (struct mapped){NULL, 0};
}

void mapped_files_add(struct mapped_files *files, struct mapped m) {
    files->file = xrealloc(files->file, (files->n + 1) * sizeof(*files->file));
    files->file[files->n++] = m;
}

void mapped_files_free(struct mapped_files *files) {
    for (size_t i = 0; i < files->n; i++)
        mapped_free(&files->file[i]);
    free(files->file);
    *files = (struct mapped_files){NULL, 0};
}
