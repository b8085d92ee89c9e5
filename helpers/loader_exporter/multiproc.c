/* SPDX-License-Identifier: MIT */
#include "multiproc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "metrics_file.h"

/* A file that becomes another one in every reading is left out of this one. */
#define RESTARTS_MAX 3
/* The first files of a folder stay open, which halves the cost of a reading. */
#define KEEP_OPEN 64

struct multiproc {
    char *dir, *loader;
    int procfd;
    uid_t uid[8];
    size_t uids;
    struct metrics_file *file; /* by name */
    size_t n, cap;
    struct model model;
    struct multiproc_stats stats;
    struct buf data, scratch;
    size_t bytes;       /* read in this reading */
    size_t too_many;    /* files above MULTIPROC_FILES_MAX */
    struct stat listed; /* the folder when its names were taken */
    bool list_again; /* it had just changed then, and may have changed once more in the same tick of
                        its clock */
};

struct multiproc *multiproc_new(const char *dir, const char *loader, int procfd) {
    struct multiproc *mp = xcalloc(1, sizeof(*mp));

    mp->dir = xstrdup(dir);
    mp->loader = loader ? xstrdup(loader) : NULL;
    mp->model.loader = mp->loader;
    mp->procfd = procfd;
    return mp;
}

/* Forgets all that was learnt, the set of files too. */
static void start_anew(struct multiproc *mp) {
    for (size_t i = 0; i < mp->n; i++)
        metrics_file_free(&mp->file[i]);
    mp->n = 0;
    model_clear(&mp->model);
}

void multiproc_free(struct multiproc *mp) {
    start_anew(mp);
    model_free(&mp->model);
    buf_free(&mp->data);
    buf_free(&mp->scratch);
    free(mp->file);
    free(mp->dir);
    free(mp->loader);
    free(mp);
}

void multiproc_allow(struct multiproc *mp, uid_t uid) {
    for (size_t i = 0; i < mp->uids; i++) {
        if (mp->uid[i] == uid)
            return;
    }
    if (mp->uids < sizeof(mp->uid) / sizeof(mp->uid[0]))
        mp->uid[mp->uids++] = uid;
}

const struct multiproc_stats *multiproc_stats(const struct multiproc *mp) {
    return &mp->stats;
}

static struct metrics_file *add_file(struct multiproc *mp, const char *name) {
    struct metrics_file *f;

    if (mp->n == mp->cap) {
        mp->cap = mp->cap ? 2 * mp->cap : 8;
        mp->file = xrealloc(mp->file, mp->cap * sizeof(mp->file[0]));
    }
    f = &mp->file[mp->n++];
    metrics_file_init(f, name);
    return f;
}

static void count_file(struct multiproc *mp, enum db_fault fault) {
    if (fault == DB_OK) {
        mp->stats.ok++;
    } else if (fault == DB_EMPTY) {
        mp->stats.empty++;
    } else {
        mp->stats.bad++;
        mp->stats.file_fault[fault]++;
    }
}

/* Parses what is new in a file. */
static enum db_fault parse(struct multiproc *mp, struct metrics_file *f, const char *data,
                           size_t len) {
    enum db_fault fault = metrics_file_parse(f, &mp->model, &mp->scratch, data, len);

    mp->stats.series = mp->model.series;
    return fault;
}

/* Reads one file and parses what is new in it. False when it is not the one that is known. */
static bool read_entries(struct multiproc *mp, struct metrics_file *f,
                         const struct db_folder *folder, enum db_fault *fault) {
    enum db_fault parsed = DB_OK;

    if (!metrics_file_read(f, folder, &mp->data, fault))
        return false;
    if (mp->bytes + mp->data.len > MULTIPROC_BYTES_MAX) {
        parsed = DB_LIMIT;
        mp->data.len = 0;
    } else if (mp->data.len > 0) {
        parsed = parse(mp, f, mp->data.data, mp->data.len);
    }
    if (*fault == DB_OK)
        *fault = parsed;
    return true;
}

/* Reads one file and counts its values. False when it is not the one that is known. */
static bool read_file(struct multiproc *mp, struct metrics_file *f,
                      const struct db_folder *folder) {
    enum db_fault fault = DB_BAD_NAME;

    /* A fault is looked at twice: the writer may have been in the middle of it. */
    for (int i = 0; f->name_is_good && i < 2 && fault != DB_OK && fault != DB_EMPTY; i++) {
        if (!read_entries(mp, f, folder, &fault))
            return false;
    }
    count_file(mp, fault);
    if (fault != DB_OK || (size_t)(f - mp->file) >= KEEP_OPEN)
        metrics_file_close(f);
    if (!f->name_is_good || mp->data.len == 0)
        return true;
    mp->bytes += mp->data.len;
    if (!f->db.live || mp->procfd < 0 ||
        !live_is_over(&f->live, mp->procfd, &f->db, f->owner, f->created))
        metrics_file_count(f, mp->data.data, mp->stats.entry_fault);
    return true;
}

/* The names of the folder, in order. A set of names is a run of strings, each with its NUL. */
static size_t list_names(DIR *dir, struct buf *names, size_t *too_many) {
    const struct dirent *e;
    size_t n = 0;

    names->len = 0;
    *too_many = 0;
    while ((e = readdir(dir)) != NULL) {
        size_t len = strlen(e->d_name);

        if (e->d_name[0] == '.' || len < 3 || strcmp(e->d_name + len - 3, ".db") != 0)
            continue;
        if (n == MULTIPROC_FILES_MAX) {
            ++*too_many;
            continue;
        }
        buf_add(names, e->d_name, len + 1);
        n++;
    }
    return n;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct metrics_file *)a)->name, ((const struct metrics_file *)b)->name);
}

static int name_of(const void *name, const void *file) {
    return strcmp(name, ((const struct metrics_file *)file)->name);
}

static struct metrics_file *find_file(struct metrics_file *sorted, size_t n, const char *name) {
    return n > 0 ? bsearch(name, sorted, n, sizeof(*sorted), name_of) : NULL;
}

/* Makes mp->file the files of those names. */
static void take_names(struct multiproc *mp, const struct buf *names, size_t n) {
    struct metrics_file *before = mp->file;
    size_t had = mp->n;
    bool same = n == had;

    for (size_t at = 0; same && at < names->len; at += strlen(names->data + at) + 1)
        same = find_file(before, had, names->data + at) != NULL;
    if (same)
        return;
    model_clear(&mp->model);
    mp->file = NULL;
    mp->n = mp->cap = 0;
    for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1) {
        const struct metrics_file *old = find_file(before, had, names->data + at);
        struct metrics_file *f = add_file(mp, names->data + at);

        if (old)
            f->live = old->live;
    }
    if (mp->n > 0)
        qsort(mp->file, mp->n, sizeof(mp->file[0]), by_name);
    for (size_t i = 0; i < had; i++)
        metrics_file_free(&before[i]);
    free(before);
}

/* Forgets the entries of all files, but not which files there are. */
static void forget_entries(struct multiproc *mp) {
    model_clear(&mp->model);
    for (size_t i = 0; i < mp->n; i++)
        metrics_file_forget(&mp->file[i]);
}

static void begin_reading(struct multiproc *mp) {
    mp->bytes = mp->stats.ok = mp->stats.empty = mp->stats.bad = 0;
    model_reset(&mp->model);
}

static bool unreadable(struct multiproc *mp) {
    start_anew(mp);
    mp->listed = (struct stat){0};
    mp->stats.readable = mp->stats.has_shim = false;
    mp->stats.series = 0;
    return false;
}

/* True when no name came or went since the names were taken. */
static bool is_as_listed(const struct multiproc *mp, const struct stat *now) {
    return !mp->list_again && now->st_dev == mp->listed.st_dev &&
           now->st_ino == mp->listed.st_ino && now->st_mtim.tv_sec == mp->listed.st_mtim.tv_sec &&
           now->st_mtim.tv_nsec == mp->listed.st_mtim.tv_nsec;
}

/* Takes the names of the folder. False when it cannot be read. */
static bool list_files(struct multiproc *mp, size_t *too_many) {
    struct timespec now;
    DIR *dir = opendir(mp->dir);
    size_t n;

    if (!dir)
        return false;
    (void)fstat(dirfd(dir), &mp->listed);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    mp->list_again = now.tv_sec - mp->listed.st_mtim.tv_sec < 2;
    n = list_names(dir, &mp->data, too_many);
    (void)closedir(dir);
    take_names(mp, &mp->data, n);
    /* A name that stayed may stand for another file now. */
    for (size_t i = 0; i < mp->n; i++)
        metrics_file_close(&mp->file[i]);
    return true;
}

static void read_files(struct multiproc *mp) {
    struct db_folder folder = {.fd = AT_FDCWD, .uid = mp->uid, .uids = mp->uids};
    int restarts = 0;

    for (size_t i = 0; i < mp->n;) {
        if (mp->file[i].fd < 0 && folder.fd == AT_FDCWD)
            folder.fd = open(mp->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (read_file(mp, &mp->file[i], &folder) || restarts++ >= RESTARTS_MAX) {
            i++;
        } else {
            forget_entries(mp);
            begin_reading(mp);
            i = 0;
        }
    }
    if (folder.fd >= 0)
        (void)close(folder.fd);
}

bool multiproc_read(struct multiproc *mp) {
    struct stat now;

    begin_reading(mp);
    if (stat(mp->dir, &now) != 0 || !S_ISDIR(now.st_mode))
        return unreadable(mp);
    if (!is_as_listed(mp, &now) && !list_files(mp, &mp->too_many))
        return unreadable(mp);
    read_files(mp);
    mp->stats.bad += mp->too_many;
    mp->stats.file_fault[DB_LIMIT] += mp->too_many;
    mp->stats.readable = true;
    mp->stats.has_shim = mp->model.has_shim;
    mp->stats.series = mp->model.series;
    return true;
}

void multiproc_feed(struct multiproc *mp, const char *name, const char *data, size_t len) {
    struct metrics_file *f = NULL;
    enum db_fault fault = len < MMAPDB_HEADER ? DB_SIZE : DB_OK;
    size_t used = fault == DB_OK ? db_used(data, len, &fault) : 0;

    for (size_t i = 0; i < mp->n; i++) {
        if (strcmp(mp->file[i].name, name) == 0)
            f = &mp->file[i];
    }
    if (!f)
        f = add_file(mp, name);
    if (!f->name_is_good)
        fault = DB_BAD_NAME;
    if (!f->name_is_good || used == 0) {
        count_file(mp, fault);
        return;
    }
    if (!metrics_file_is_same(f, data, used))
        forget_entries(mp);
    if (f == mp->file)
        begin_reading(mp);
    count_file(mp, parse(mp, f, data, used));
    metrics_file_count(f, data, mp->stats.entry_fault);
}

void multiproc_write(struct multiproc *mp, struct page *page, bool snapshot) {
    mp->stats.refused += model_write(&mp->model, page, snapshot);
}

void multiproc_shown(struct multiproc *mp, unsigned enough) {
    for (size_t i = 0; i < mp->n; i++)
        live_shown(&mp->file[i].live, enough);
}

void multiproc_shown_anew(struct multiproc *mp) {
    for (size_t i = 0; i < mp->n; i++)
        live_shown_anew(&mp->file[i].live);
}
