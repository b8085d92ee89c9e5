/* SPDX-License-Identifier: MIT
 * Printing what was found.
 */
#ifndef PIDFIND_SHOW_H
#define PIDFIND_SHOW_H

#include "scan.h"

/* `pid starttime argv…` to stdout, the arguments quoted for a shell: one line whatever they hold.
 */
void show_line(const struct found *f);

/* One JSON object on a line to stdout. */
void show_json(int rootfd, const struct found *f);

/* A table of all to stderr, with what tells them apart. */
void show_table(const struct search *s);

#endif
