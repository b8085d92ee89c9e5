/* SPDX-License-Identifier: MIT
 * The command line of procsample.
 */
#ifndef PROCSAMPLE_OPTIONS_H
#define PROCSAMPLE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct options {
    pid_t pid;
    double rate;                     /* Hz */
    uint64_t duration, pss_interval; /* ns */
    uint64_t count;
    bool tree, threads, light;
    const char *output, *per_thread, *proc;
    pid_t exclude[64];
    size_t excludes;
};

/* Exits 0 after --help, 2 with a message when the command line is wrong. */
void options_parse(struct options *o, int argc, char **argv);

#endif
