/* SPDX-License-Identifier: MIT
 * What tells the loader from any other Python program: its argv and its open files. The only code
 * of the helpers that names it.
 */
#ifndef PIDFIND_LOADER_H
#define PIDFIND_LOADER_H

#include <stdbool.h>
#include <stddef.h>

enum loader_argv {
    ARGV_OTHER, /* some other program */
    ARGV_NAMED, /* the loader, with another command than ingest; or code that only mentions it */
    ARGV_INGEST,
};

/* Judges the argv of a Python interpreter. */
enum loader_argv loader_argv(char *const *argv, size_t argc);

/* The `--workspace` (or `-w`) of that argv, or NULL. */
const char *loader_workspace(char *const *argv, size_t argc);

enum loader_files {
    FILES_NOT,
    FILES_HELD,
    FILES_UNKNOWN, /* another user's process */
};

/* FILES_HELD when the process of `dirfd` (a /proc/PID) has the log of an ingest open for writing,
 * and its state database open. `workspace` then gets the folder that holds both, cut at cap - 1. */
enum loader_files loader_files(int dirfd, char *workspace, size_t cap);

#endif
