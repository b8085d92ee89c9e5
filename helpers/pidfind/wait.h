/* SPDX-License-Identifier: MIT
 * Waiting for programs to start.
 */
#ifndef PIDFIND_WAIT_H
#define PIDFIND_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct waiting {
    int rootfd;
    bool poll_only;  /* no kernel events */
    int root_pidfd;  /* ends the wait when this process ends; -1: none */
    uint64_t for_ns; /* ends the wait when so long has passed */
};

enum wait_end {
    WAIT_FOUND,
    WAIT_DEADLINE,
    WAIT_ROOT_ENDED,
    WAIT_REFUSED, /* what was to be waited for is there, and may not be read */
};

/* Calls `look(pid, arg)` for every process that has just begun to run a program, and `look(0, arg)`
 * at first and now and then to look at all of them, until it returns true or the wait ends.
 *
 * Starts are told by the kernel's process connector (netlink,
 * Documentation/driver-api/connector.rst) where it is open to us: root, or anyone from Linux 6.6
 * on, and only outside of pid and user namespaces. Elsewhere the newest pid, of loadavg, is read
 * every half millisecond, and the pids given out since then are looked at. */
enum wait_end wait_for(const struct waiting *w, bool (*look)(pid_t pid, void *arg), void *arg);

#endif
