/* SPDX-License-Identifier: MIT
 * How to get the right to read a process's memory: ptrace(2), kernel.yama.ptrace_scope.
 */
#ifndef PYSAMPLE_RIGHTS_H
#define PYSAMPLE_RIGHTS_H

#include "session.h"

/* After A_DENIED: prints why, and the next step to take, as two messages. `launched`: it is a
 * command of ours. */
void rights_explain(const struct session *s, bool launched);

#endif
