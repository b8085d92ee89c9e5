/* SPDX-License-Identifier: MIT
 * procrun's parts. Two processes stand between the user and the command: the front, whose pid the
 * user knows, and the guardian, its child, which starts the command and reaps all that descends
 * from it. Either survives the other's death just long enough to end the tree.
 */
#ifndef PROCRUN_H
#define PROCRUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>

struct options {
    char **command;
    const char *result, *pid_file, *cwd;
    uint64_t grace_ns;
    bool wait_all, die_with_parent, quiet;
};

/* The result file: header lines, a row per process that was reaped, and what became of the command.
 */
struct record {
    FILE *file; /* NULL: nothing is recorded */
    uint64_t started_ns, started_mono_ns;
};

/* Opens `path` for writing; exits 3 with a message where it cannot be, which is before anything was
 * started. */
void record_open(struct record *r, const char *path);
void record_begin(struct record *r, pid_t command);
/* Adds the row of `pid`, a zombie that is about to be reaped with `status` and `usage`. */
void record_row(struct record *r, pid_t pid, const char *comm, uint64_t start_ticks, int status,
                const struct rusage *usage);
/* Adds how the command itself ended. Rows of what it left running may follow. */
void record_end(struct record *r, int status);
/* False when something could not be written. */
bool record_close(struct record *r);

/* Sends `sig` to every descendant of this process. Returns how many there are. */
int tree_signal(int sig);
/* Kills every descendant of this process until none is left, and reaps those that come to it. */
void tree_kill(void);

/* The guardian's life. `life` is a pipe that ends with the front. Returns the exit status for both.
 */
int guard(const struct options *o, struct record *r, int life);

#endif
