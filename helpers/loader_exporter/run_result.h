/* SPDX-License-Identifier: MIT
 * What procrun writes when its command has ended: TSV with `# key: value` lines.
 */
#ifndef EXPORTER_RUN_RESULT_H
#define EXPORTER_RUN_RESULT_H

#include <stdbool.h>

struct run_result {
    double ended;            /* Unix seconds */
    double duration_s;       /* the rest -1 when the file does not say */
    int exit_code;           /* as a shell has it: 128 + the signal that ended it */
    double user_s, system_s; /* CPU of the command and all its descendants */
};

/* False when the file is not there, or not written to its end yet. */
bool run_result_read(const char *file, struct run_result *result);

#endif
