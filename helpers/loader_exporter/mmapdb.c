/* SPDX-License-Identifier: MIT */
#include "mmapdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* More than is expected is read in the first go: most files then take one call. */
#define READ_MORE 512
#define AGREE_TRIES 8

const char *const db_fault_name[DB_FAULTS] = {
    [DB_OK] = "ok",       [DB_EMPTY] = "empty", [DB_BAD_NAME] = "name", [DB_BAD_TYPE] = "type",
    [DB_OWNER] = "owner", [DB_OPEN] = "open",   [DB_SIZE] = "size",     [DB_USED] = "used",
    [DB_ENTRY] = "entry", [DB_LIMIT] = "limit",
};

static bool starts(const char *s, const char *with) {
    return strncmp(s, with, strlen(with)) == 0;
}

bool db_name_parse(const char *name, struct db_name *db) {
    static const char *const type_name[] = {[DB_COUNTER] = "counter_",
                                            [DB_GAUGE] = "gauge_",
                                            [DB_HISTOGRAM] = "histogram_",
                                            [DB_SUMMARY] = "summary_"};
    static const struct {
        const char *name;
        enum db_mode mode;
    } modes[] = {{"min_", MODE_MIN},
                 {"max_", MODE_MAX},
                 {"sum_", MODE_SUM},
                 {"mostrecent_", MODE_MOSTRECENT}};
    size_t len = strlen(name), type = 0;

    *db = (struct db_name){.mode = MODE_ALL};
    if (name[0] == '.' || len < 3 || strcmp(name + len - 3, ".db") != 0)
        return false;
    while (type < 4 && !starts(name, type_name[type]))
        type++;
    if (type == 4)
        return false;
    db->type = (enum db_type)type;
    db->pid = name + strlen(type_name[type]);
    if (db->type == DB_GAUGE) {
        const char *mode = db->pid, *end = strchr(mode, '_');

        if (!end)
            return false;
        db->pid = end + 1;
        db->live = starts(mode, "live");
        if (db->live)
            mode += strlen("live");
        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
            if (starts(mode, modes[i].name))
                db->mode = modes[i].mode;
        }
    }
    db->pid_len = (size_t)(name + len - 3 - db->pid);
    return true;
}

size_t db_used(const void *header, size_t size, enum db_fault *fault) {
    int32_t used;

    *fault = DB_OK;
    memcpy(&used, header, sizeof(used));
    if (used == 0) {
        *fault = DB_EMPTY;
        return 0;
    }
    if (used < (int32_t)MMAPDB_HEADER) {
        *fault = DB_USED;
        return 0;
    }
    if ((size_t)used <= size)
        return (size_t)used;
    /* The file was cut, or the number is wrong: what entries there are still begin where they
     * begin. */
    *fault = DB_USED;
    return size;
}

bool db_entry_at(const char *data, size_t used, size_t pos, struct db_entry *e) {
    int32_t len;
    size_t room;

    if (pos > used || used - pos < sizeof(len) + 1 + 16)
        return false;
    memcpy(&len, data + pos, sizeof(len));
    room = used - pos - sizeof(len) - 16;
    if (len < 1 || (size_t)len > MMAPDB_KEY_MAX || (size_t)len > room)
        return false;
    e->key = data + pos + sizeof(len);
    e->key_len = (size_t)len;
    /* 1 to 8 blanks, never none: the value lies on the next multiple of 8. */
    e->value = pos + sizeof(len) + e->key_len + (8 - (e->key_len + sizeof(len)) % 8);
    e->next = e->value + 16;
    /* On machines that order writes loosely the key may come to light before it is whole. */
    return e->next <= used && e->key[0] == '[' && e->key[e->key_len - 1] == ']';
}

static bool may_write_here(const struct db_folder *folder, uid_t owner) {
    struct stat st;

    if (owner == geteuid())
        return true;
    for (size_t i = 0; i < folder->uids; i++) {
        if (folder->uid[i] == owner)
            return true;
    }
    return fstat(folder->fd, &st) == 0 && st.st_uid == owner;
}

static ssize_t read_at(int fd, char *to, size_t len, size_t from) {
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, to + done, len - done, (off_t)(from + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* One reading into `data`. The bytes in use come with the first bytes, before the entries they
 * stand for. */
static enum db_fault read_once(int fd, size_t expected, struct buf *data) {
    size_t want = expected + READ_MORE, used;
    enum db_fault fault;
    struct stat st;
    ssize_t n;

    data->len = 0;
    buf_reserve(data, want);
    n = read_at(fd, data->data, want, 0);
    if (n < 0)
        return DB_OPEN;
    if (n < (ssize_t)MMAPDB_HEADER)
        return n == 0 ? DB_EMPTY : DB_SIZE;
    used = db_used(data->data, SIZE_MAX, &fault);
    if (used <= (size_t)n) {
        data->len = used;
        return fault;
    }
    if (fstat(fd, &st) != 0)
        return DB_OPEN;
    used = db_used(data->data, (size_t)st.st_size, &fault);
    if (used > MMAPDB_FILE_MAX)
        return DB_SIZE;
    data->len = (size_t)n;
    buf_reserve(data, used);
    n = read_at(fd, data->data + data->len, used - data->len, data->len);
    if (n < 0)
        return DB_OPEN;
    data->len += (size_t)n;
    /* Cut while it was read. */
    return data->len < used ? DB_USED : fault;
}

static enum db_fault read_until_same(int fd, size_t expected, struct buf *data) {
    struct buf second = {0};
    enum db_fault fault = read_once(fd, expected, data);

    /* Value and time are written by one copy of 16 bytes, which a reader may see half done. */
    for (int i = 0; i < AGREE_TRIES && fault == DB_OK; i++) {
        struct buf first = *data;
        bool same;

        fault = read_once(fd, expected, &second);
        same = second.len == first.len && memcmp(second.data, first.data, first.len) == 0;
        *data = second;
        second = first;
        if (same)
            break;
    }
    buf_free(&second);
    return fault;
}

int db_open(const struct db_folder *folder, const char *name, struct stat *st,
            enum db_fault *fault) {
    int fd = openat(folder->fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);

    *fault = DB_OK;
    if (fd < 0) {
        /* Deleted since the folder was listed: nothing in it. */
        *fault = errno == ENOENT                    ? DB_EMPTY
                 : errno == ELOOP || errno == ENXIO ? DB_BAD_TYPE
                                                    : DB_OPEN;
        return -1;
    }
    if (fstat(fd, st) != 0)
        *fault = DB_OPEN;
    else if (!S_ISREG(st->st_mode))
        *fault = DB_BAD_TYPE;
    else if (!may_write_here(folder, st->st_uid))
        *fault = DB_OWNER;
    if (*fault == DB_OK)
        return fd;
    (void)close(fd);
    return -1;
}

enum db_fault db_read(int fd, size_t expected, bool again, struct buf *data) {
    return again ? read_until_same(fd, expected, data) : read_once(fd, expected, data);
}
