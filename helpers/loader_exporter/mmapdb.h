/* SPDX-License-Identifier: MIT
 * The files of prometheus_client's multiprocess mode: docs/formats/multiprocess-files.md. Nothing
 * in a file is trusted.
 */
#ifndef EXPORTER_MMAPDB_H
#define EXPORTER_MMAPDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "buf.h"

#define MMAPDB_HEADER 8u
#define MMAPDB_KEY_MAX (1u << 20)   /* bytes of one key */
#define MMAPDB_FILE_MAX (64u << 20) /* bytes in use of one file */

enum db_type { DB_COUNTER, DB_GAUGE, DB_HISTOGRAM, DB_SUMMARY };

enum db_mode { MODE_ALL, MODE_MIN, MODE_MAX, MODE_SUM, MODE_MOSTRECENT };

/* What the name of a file says. */
struct db_name {
    enum db_type type;
    enum db_mode mode; /* of gauges */
    bool live;         /* a live* gauge: forgotten when its process is dead */
    const char *pid;   /* within the name, not NUL-terminated: a process id, or whatever the
                          application chose */
    size_t pid_len;
};

/* Parses counter_12.db, gauge_all_12.db …; false for any other name. */
bool db_name_parse(const char *name, struct db_name *db);

/* Why a file is not read, or not to its end. */
enum db_fault {
    DB_OK,
    DB_EMPTY,    /* just created, nothing in it yet: no fault */
    DB_BAD_NAME, /* .db, but not of prometheus_client's names */
    DB_BAD_TYPE, /* no regular file: a directory, link, FIFO … */
    DB_OWNER,    /* belongs to somebody who should not write here */
    DB_OPEN,     /* cannot be opened or read */
    DB_SIZE,     /* smaller than its header, or larger than MMAPDB_FILE_MAX */
    DB_USED,     /* the number of bytes in use is impossible */
    DB_ENTRY,    /* an entry reaches beyond the bytes in use */
    DB_LIMIT,    /* more files, series or bytes than one exporter takes */
    DB_FAULTS,
};

extern const char *const db_fault_name[DB_FAULTS];

/* The bytes in use of a file of `size` bytes that begins with `header`, cut to what there is. Sets
 * *fault. */
size_t db_used(const void *header, size_t size, enum db_fault *fault);

struct db_entry {
    const char *key;
    size_t key_len;
    size_t value; /* offset of two doubles: value, Unix time in seconds (0: none) */
    size_t next;  /* offset of the next entry */
};

/* Finds the entry at `pos` (MMAPDB_HEADER for the first) in the `used` bytes of a file; false when
 * none is there that fits. */
bool db_entry_at(const char *data, size_t used, size_t pos, struct db_entry *e);

/* Where files are read from, and whose they may be. */
struct db_folder {
    int fd;
    const uid_t *uid; /* besides the folder's owner and this process's user */
    size_t uids;
};

/* Opens the file `name` for reading and says what it is. Does not block on a FIFO and follows no
 * link. -1 and *fault when it is not read at all. */
int db_open(const struct db_folder *folder, const char *name, struct stat *st,
            enum db_fault *fault);

/* Reads the file up to its bytes in use into `data` (data->len). `expected`: how many that will be,
 * at a guess. `again` for files whose time stamps count: reads until two readings agree. */
enum db_fault db_read(int fd, size_t expected, bool again, struct buf *data);

#endif
