/* SPDX-License-Identifier: MIT
 * The result file: `# key: value` lines and a row for each process that ended. Format:
 * docs/formats/procrun-result.md.
 *
 * Every piece is one write to a file opened for appending, so that the file is whole at any moment.
 */
#ifndef PROCRUN_RESULT_H
#define PROCRUN_RESULT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct result {
    const char *path; /* NULL: nobody wants one */
    int fd;
    bool failed; /* something could not be written; it was said once */
};

/* A process that was reaped. */
struct ended {
    pid_t pid;
    bool is_command;    /* else an orphan that we adopted */
    const char *comm;   /* NULL: not known */
    const char *argv0;  /* NULL: not known */
    double started;     /* seconds since the epoch; below 0: not known */
    int wait_status;    /* of wait4 */
    struct rusage used; /* by it and by all that it waited for itself */
};

/* Nanoseconds since the epoch. */
int64_t epoch_ns(void);

/* Empties or creates the file and writes the first line; exits 3 with a message when it cannot. */
void result_open(struct result *r, const char *path);

void result_key(struct result *r, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* `key` with a time in seconds, nine decimals. */
void result_time(struct result *r, const char *key, int64_t ns);

/* The line with the names of the columns. */
void result_columns(struct result *r);
void result_row(struct result *r, const struct ended *e);

#endif
