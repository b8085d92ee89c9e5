/* SPDX-License-Identifier: MIT
 * What the event loop's tasks of a loader do, as somebody else has counted them from outside: for
 * a loader that was started without the shim. A table as stackstages prints it, with rows of these
 * names; others are left out:
 *
 *     stage	tasks	share_pct
 *     rate-limit	2	4.9
 *     chunk-wait	30	73.2
 *     chunk	5	12.2
 *     embed	4	9.8
 *
 * fetch, convert, chunk, embed, upsert and state are calls under way; rate-limit are such of embed
 * that wait for their turn; chunk-wait are documents whose chunking has not begun.
 */
#ifndef EXPORTER_TASKS_H
#define EXPORTER_TASKS_H

#include <stdbool.h>

#include "page.h"

struct tasks;

struct tasks *tasks_new(const char *file);
void tasks_free(struct tasks *t);

/* Reads the file. False when it is not there, is no such table, or was not written anew for 15
 * seconds: what was true then says nothing of now. */
bool tasks_read(struct tasks *t);

/* Writes the gauges that the shim has, under the same names, when the last reading was good. */
void tasks_write(const struct tasks *t, const char *labels, struct page *page);

#endif
