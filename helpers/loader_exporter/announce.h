/* SPDX-License-Identifier: MIT
 * The file that says where an exporter serves, which is its own as long as it runs.
 *
 * The file is locked (flock) from before it has its name until its exporter ends, however that
 * ends. Another one that is to write the same file while it is locked refuses, so that no target is
 * lost unseen; what one that was killed has left is replaced.
 */
#ifndef EXPORTER_ANNOUNCE_H
#define EXPORTER_ANNOUNCE_H

#include <stddef.h>

/* Puts these bytes into `file`, by a rename. Returns the descriptor that holds the lock. Exits 3
 * when it cannot be written, or is another's who runs. */
int announce(const char *file, const char *data, size_t len);

/* Removes `file` if it still has these bytes, and gives the lock back. */
void announce_end(int fd, const char *file, const char *data, size_t len);

#endif
