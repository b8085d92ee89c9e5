/* SPDX-License-Identifier: MIT
 * What procrun writes when its command has ended: TSV with `# key: value` lines.
 */
#ifndef EXPORTER_RUN_RESULT_H
#define EXPORTER_RUN_RESULT_H

#include <stdbool.h>

/* Numbers are -1 when the file does not say. */
struct run_result {
    double started, ended; /* Unix seconds */
    double duration_s;
    int exit_code;           /* as a shell has it: 128 + the signal that ended the command */
    double user_s, system_s; /* CPU of the command and all its descendants */
    double peak_rss_kib;     /* of the largest of them */
    bool failed;             /* the command could not be started */
    bool complete;           /* nothing more will be written */
};

/* False when the file is not there. It grows while the command runs: a line that is not whole yet
 * is left out. */
bool run_result_read(const char *file, struct run_result *result);

#endif
