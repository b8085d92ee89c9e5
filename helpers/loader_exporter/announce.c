/* SPDX-License-Identifier: MIT */
#include "announce.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "outfile.h"
#include "smallfile.h"

#define ANNOUNCEMENT_MAX ((size_t)64 << 10)
/* How often the file may become another one while it is looked at. */
#define TRIES 100

enum outcome { DONE, AGAIN, TAKEN, FAILED };

/* Ends the program, with the address that stands in the other's file. */
static void refuse(const char *file) {
    static const char before[] = "\"targets\":[\"";
    struct buf text = {0};
    struct stat st;
    const char *at = NULL;
    size_t len = 0;

    if (smallfile_read(file, ANNOUNCEMENT_MAX, &text, &st))
        at = strstr(text.data, before);
    if (at) {
        at += strlen(before);
        len = strcspn(at, "\"\\\n");
    }
    die(EX_FAIL,
        "%s: is the file of another exporter that runs (%.*s): give this one a name of its own "
        "with --file-sd, in the same folder",
        file, len > 0 && len < 300 ? (int)len : 3, len > 0 && len < 300 ? at : "n/a");
}

/* What has the name now, to lock it; over NFS that takes the right to write. */
static int open_named(const char *file) {
    int flags = O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
    int fd = open(file, O_RDWR | flags);

    return fd >= 0 || errno == ENOENT ? fd : open(file, O_RDONLY | flags);
}

static bool has_name(int fd, const char *file) {
    struct stat ours, named;

    return fstat(fd, &ours) == 0 && lstat(file, &named) == 0 && ours.st_dev == named.st_dev &&
           ours.st_ino == named.st_ino;
}

/* Over what has the name, if that is nobody's who runs. */
static enum outcome replace(int old, const char *beside, const char *file) {
    bool locked = flock(old, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;

    if (!has_name(old, file))
        return AGAIN;
    if (!locked)
        return TAKEN;
    return rename(beside, file) == 0 ? DONE : FAILED;
}

/* Gives the new file its name, if nobody else takes it first. */
static enum outcome take_name(const char *beside, const char *file) {
    int old = open_named(file);
    enum outcome outcome;

    if (old >= 0) {
        outcome = replace(old, beside, file);
        (void)close(old);
        return outcome;
    }
    if (errno == ENOENT) {
        if (renameat2(AT_FDCWD, beside, AT_FDCWD, file, RENAME_NOREPLACE) == 0)
            return DONE;
        if (errno == EEXIST)
            return AGAIN;
    }
    /* A link, or something else that is nobody's announcement; or a file system that knows no such
     * flag. */
    return rename(beside, file) == 0 ? DONE : FAILED;
}

int announce(const char *file, const char *data, size_t len) {
    struct buf beside = {0};
    int fd = outfile_beside(file, data, len, &beside);
    enum outcome outcome = fd < 0 ? FAILED : AGAIN;

    /* Where nothing can be locked, the last one has the file. */
    if (fd >= 0)
        (void)flock(fd, LOCK_EX | LOCK_NB);
    for (int i = 0; outcome == AGAIN && i < TRIES; i++)
        outcome = take_name(beside.data, file);
    if (outcome == FAILED)
        warn("%s:", file);
    if (outcome != DONE)
        (void)unlink(beside.data);
    buf_free(&beside);
    if (outcome == TAKEN || outcome == AGAIN)
        refuse(file);
    if (outcome == FAILED)
        exit(EX_FAIL);
    return fd;
}

void announce_end(int fd, const char *file, const char *data, size_t len) {
    outfile_remove(file, data, len);
    (void)close(fd);
}
