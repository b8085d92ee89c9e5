/* SPDX-License-Identifier: MIT */
#include "live.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "proc.h"

static pid_t pid_of(const struct db_name *db) {
    char text[16], *end;
    long pid;

    if (db->pid_len == 0 || db->pid_len >= sizeof(text))
        return 0;
    memcpy(text, db->pid, db->pid_len);
    text[db->pid_len] = '\0';
    pid = strtol(text, &end, 10);
    return *end == '\0' && pid > 0 && pid <= 4194304 ? (pid_t)pid : 0;
}

static bool is_alive(int procfd, pid_t pid, uid_t owner, struct proc_stat *st) {
    int dirfd = proc_open_pid(procfd, pid);
    struct stat dir;
    bool alive;

    if (dirfd < 0)
        return false;
    alive = fstat(dirfd, &dir) == 0 && dir.st_uid == owner && proc_read_stat(dirfd, "stat", st) &&
            st->state != 'Z' && st->state != 'X';
    (void)close(dirfd);
    return alive;
}

bool live_is_over(struct live *live, int procfd, const struct db_name *db, uid_t owner,
                  double created) {
    pid_t pid = pid_of(db);
    struct proc_stat now;
    bool alive;

    if (live->over || live->dead || pid == 0)
        return live->over;
    alive = is_alive(procfd, pid, owner, &now);
    if (live->seen) {
        live->dead = !alive || now.starttime != live->starttime;
    } else if (alive && (created <= 0 || unix_time_of(now.starttime) <= created + 1)) {
        /* A process that began after its file was made is another one on a used pid. */
        live->seen = true;
        live->starttime = now.starttime;
    }
    return false;
}

void live_shown(struct live *live, unsigned enough) {
    if (live->dead && ++live->shown >= enough)
        live->over = true;
}

void live_shown_anew(struct live *live) {
    live->shown = 0;
}
