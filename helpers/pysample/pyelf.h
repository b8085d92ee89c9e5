/* SPDX-License-Identifier: MIT
 * Finding the Python runtime in a process: its maps, the ELF file that holds `_PyRuntime`, the load
 * bias.
 */
#ifndef PYSAMPLE_PYELF_H
#define PYSAMPLE_PYELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct py_binary {
    char path[4096];  /* as the target names it */
    uint64_t runtime; /* address of _PyRuntime in the target */
    uint64_t version; /* address of Py_Version, 0 when only the section .PyRuntime was found */
};

/* Looks through the maps of the process whose /proc/PID is open as `procfd`. False: `why` says what
 * is missing, and errno is EACCES or EPERM where rights are. */
bool elf_find_python(int procfd, struct py_binary *out, char *why, size_t why_cap);

#endif
