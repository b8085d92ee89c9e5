/* SPDX-License-Identifier: MIT
 * Starting the command that is to be sampled from its first instruction.
 */
#ifndef PYSAMPLE_LAUNCH_H
#define PYSAMPLE_LAUNCH_H

#include <sys/types.h>

/* Starts `command` (found in PATH, NULL behind its last word) with the signals as they are now.
 * Returns its pid once it executes; ends the program with a message (exit 3) when it cannot. */
pid_t launch(char **command);

#endif
