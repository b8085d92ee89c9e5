/* SPDX-License-Identifier: MIT */
#include "procrun.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "proc.h"

struct scan {
    int root;
    struct {
        pid_t pid, ppid;
        bool ours;
    } * p;
    size_t n, cap;
};

static bool add(long number, void *arg) {
    struct scan *s = arg;
    struct proc_stat st;
    char name[32];

    (void)snprintf(name, sizeof(name), "%ld/stat", number);
    if (!proc_read_stat(s->root, name, &st) || st.state == 'Z')
        return true;
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 256;
        s->p = xrealloc(s->p, s->cap * sizeof(*s->p));
    }
    s->p[s->n].pid = st.pid;
    s->p[s->n].ppid = st.ppid;
    s->p[s->n++].ours = false;
    return true;
}

/* By parent, since children of a process's other threads are in no single `children` file. */
int tree_signal(int sig) {
    struct scan s = {.root = proc_open_root("/proc")};
    pid_t self = getpid();
    bool more = true;
    int n = 0;

    (void)proc_each_number(s.root, ".", add, &s);
    while (more) {
        more = false;
        for (size_t i = 0; i < s.n; i++) {
            if (s.p[i].ours)
                continue;
            s.p[i].ours = s.p[i].ppid == self;
            for (size_t j = 0; j < s.n && !s.p[i].ours; j++)
                s.p[i].ours = s.p[j].ours && s.p[j].pid == s.p[i].ppid;
            more |= s.p[i].ours;
        }
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i].ours && kill(s.p[i].pid, sig) == 0)
            n++;
    }
    (void)close(s.root);
    free(s.p);
    return n;
}

void tree_kill(void) {
    struct timespec pause = {0, 2000000};

    /* Again until there is none: what forks while it is being killed leaves children behind. */
    for (int i = 0; i < 1000 && tree_signal(SIGKILL) > 0; i++) {
        (void)nanosleep(&pause, NULL);
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
}
