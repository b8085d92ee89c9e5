/* SPDX-License-Identifier: MIT
 * The command line.
 */
#ifndef EXPORTER_OPTIONS_H
#define EXPORTER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "exporter.h"

struct options {
    struct loader_config loader[FLEET_MAX];
    size_t loaders;
    const char *watch, *proc;
    uid_t uid[8];
    size_t uids;
    bool once, config_check;
    enum page_format format;
    struct process_config process;
    struct http_config http;
    struct web_config web;
    struct exporter_config exporter;
};

/* Prints help, or ends with a usage error, where that is asked for. */
void options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);

#endif
