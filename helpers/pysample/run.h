/* SPDX-License-Identifier: MIT
 * Sampling over time, to files that are written as it goes or to a screen.
 */
#ifndef PYSAMPLE_RUN_H
#define PYSAMPLE_RUN_H

#include "out.h"
#include "output.h"

struct run_options {
    double rate;          /* Hz */
    uint64_t duration_ns; /* 0 = until the process ends or a signal comes */
    /* NULL = not wanted. What is written directly gets the views and the summary at the end. */
    struct output *view[VIEWS], *summary;
    struct output *samples;  /* each sample with its time: timed.h */
    const char *follow_file; /* a sample, also, whenever this file is written to */
    char **command;          /* NULL = attach */
    pid_t pid;
    bool stop; /* stop the thread that holds the GIL while it is read */
};

/* Samples to the end and writes the files. Returns the exit status of pysample. */
int run_record(struct session *s, const struct run_options *opt);

/* A screen that is refreshed until q, a signal or the end of the process. A layout that is not as
 * expected ends the program (exit 3). */
void run_top(struct session *s, const struct run_options *opt);

#endif
