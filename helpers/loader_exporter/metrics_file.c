/* SPDX-License-Identifier: MIT */
#include "metrics_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct metrics_entry {
    size_t pos, next, value;
    struct slot *slot; /* NULL: left out */
    enum entry_fault fault;
};

void metrics_file_init(struct metrics_file *f, const char *name) {
    *f = (struct metrics_file){.name = xstrdup(name), .fd = -1};
    f->name_is_good = db_name_parse(f->name, &f->db);
}

void metrics_file_close(struct metrics_file *f) {
    if (f->fd >= 0)
        (void)close(f->fd);
    f->fd = -1;
}

void metrics_file_free(struct metrics_file *f) {
    metrics_file_close(f);
    free(f->name);
    free(f->entry);
    buf_free(&f->seen);
}

void metrics_file_forget(struct metrics_file *f) {
    f->n = 0;
    f->seen.len = 0;
    f->created = 0;
    metrics_file_close(f);
}

bool metrics_file_is_same(const struct metrics_file *f, const char *data, size_t len) {
    if (f->n > 0 && f->entry[f->n - 1].next > len)
        return false;
    for (size_t i = 0; i < f->n; i++) {
        const struct metrics_entry *e = &f->entry[i];

        if (memcmp(data + e->pos, f->seen.data + e->pos, e->value - e->pos) != 0)
            return false;
    }
    return true;
}

static double birth_time(int dirfd, const char *name) {
    struct statx st;

    if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &st) != 0 ||
        !(st.stx_mask & STATX_BTIME))
        return 0;
    return (double)st.stx_btime.tv_sec + (double)st.stx_btime.tv_nsec / 1e9;
}

/* False when it is another one than the one that is known. */
static bool open_file(struct metrics_file *f, const struct db_folder *folder,
                      enum db_fault *fault) {
    struct stat st;

    f->fd = db_open(folder, f->name, &st, fault);
    if (f->fd < 0)
        return true;
    if (f->n > 0 && (st.st_dev != f->dev || st.st_ino != f->ino)) {
        metrics_file_close(f);
        return false;
    }
    f->dev = st.st_dev;
    f->ino = st.st_ino;
    f->owner = st.st_uid;
    if (f->created <= 0)
        f->created = birth_time(folder->fd, f->name);
    return true;
}

bool metrics_file_read(struct metrics_file *f, const struct db_folder *folder, struct buf *data,
                       enum db_fault *fault) {
    bool pairs = f->db.type == DB_GAUGE && f->db.mode == MODE_MOSTRECENT;

    data->len = 0;
    if (f->fd < 0 && !open_file(f, folder, fault))
        return false;
    if (f->fd < 0)
        return true;
    *fault = db_read(f->fd, f->seen.len, pairs, data);
    return metrics_file_is_same(f, data->data, data->len);
}

static void add_entry(struct metrics_file *f, struct model *m, struct buf *scratch, size_t pos,
                      const struct db_entry *found) {
    struct metrics_entry e = {.pos = pos, .next = found->next, .value = found->value};
    struct key key;

    /* enum entry_fault goes on where enum key_fault ends. */
    e.fault = (enum entry_fault)key_parse(found->key, found->key_len, scratch, &key);
    if (e.fault == ENTRY_OK)
        e.slot = model_slot(m, &f->db, &key, f->created, &e.fault);
    if (f->n == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 64;
        f->entry = xrealloc(f->entry, f->cap * sizeof(f->entry[0]));
    }
    f->entry[f->n++] = e;
}

enum db_fault metrics_file_parse(struct metrics_file *f, struct model *m, struct buf *scratch,
                                 const char *data, size_t len) {
    size_t pos = f->n > 0 ? f->entry[f->n - 1].next : MMAPDB_HEADER;
    size_t before = f->n;
    struct db_entry found;

    while (pos < len && m->series < MODEL_SERIES_MAX && db_entry_at(data, len, pos, &found)) {
        add_entry(f, m, scratch, pos, &found);
        pos = found.next;
    }
    if (f->n > before)
        buf_add(&f->seen, data + f->seen.len, pos - f->seen.len);
    if (pos >= len)
        return DB_OK;
    return m->series < MODEL_SERIES_MAX ? DB_ENTRY : DB_LIMIT;
}

void metrics_file_count(const struct metrics_file *f, const char *data,
                        uint64_t entry_fault[ENTRY_FAULTS]) {
    for (size_t i = 0; i < f->n; i++) {
        const struct metrics_entry *e = &f->entry[i];
        double pair[2];

        if (!e->slot) {
            entry_fault[e->fault]++;
            continue;
        }
        memcpy(pair, data + e->value, sizeof(pair));
        model_count(e->slot, &f->db, pair[0], pair[1]);
    }
}
