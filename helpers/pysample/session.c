/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc.h"

enum { BELOW_MAX = 4 }; /* levels of processes below a command in which Python is looked for */

/* The process that a thread belongs to; /proc/N is there for threads too. 0 = not told. */
static pid_t process_of(int procfd) {
    char status[8192];
    const char *p;

    if (proc_read(procfd, "status", status, sizeof(status)) <= 0 ||
        (p = strstr(status, "\nTgid:")) == NULL)
        return 0;
    return (pid_t)strtol(p + strlen("\nTgid:"), NULL, 10);
}

enum attach session_adopt(struct session *s, pid_t pid) {
    struct proc_stat st;
    int root = proc_open_root("/proc");
    pid_t process;

    if (s->procfd >= 0)
        (void)close(s->procfd);
    s->pid = s->ns_pid = pid;
    s->procfd = proc_open_pid(root, pid);
    (void)close(root);
    (void)snprintf(s->why, sizeof(s->why), "no such process");
    if (s->procfd < 0 || !proc_read_stat(s->procfd, "stat", &st) || st.state == 'Z' ||
        st.state == 'X')
        return A_GONE;
    process = process_of(s->procfd);
    if (process > 0 && process != pid) {
        (void)snprintf(s->why, sizeof(s->why), "no process, but a thread of %d: name that instead",
                       (int)process);
        return A_GONE;
    }
    s->starttime = st.starttime;
    (void)os_ns_pids(s->procfd, "status", &s->ns_pid);
    return A_OK;
}

enum attach session_open(struct session *s, pid_t pid) {
    *s = (struct session){.procfd = -1, .rootfd = -1};
    texts_open(&s->texts);
    views_open(&s->views, &s->texts, &s->threads, &s->tasks);
    return session_adopt(s, pid);
}

static pid_t find_below(int root, pid_t pid, int depth) {
    int procfd = proc_open_pid(root, pid);
    struct py_binary binary;
    char children[4096], name[64], why[512];
    pid_t found = 0;
    char *p = children;

    if (procfd < 0)
        return 0;
    (void)snprintf(name, sizeof(name), "task/%d/children", pid);
    if (depth > 0 && elf_find_python(procfd, &binary, why, sizeof(why)))
        found = pid;
    else if (depth < BELOW_MAX && proc_read(procfd, name, children, sizeof(children)) > 0) {
        while (!found) {
            char *end;
            long child = strtol(p, &end, 10);

            if (end == p)
                break;
            p = end;
            found = find_below(root, (pid_t)child, depth + 1);
        }
    }
    (void)close(procfd);
    return found;
}

pid_t session_find_below(pid_t pid) {
    int root = proc_open_root("/proc");
    pid_t found = find_below(root, pid, 0);

    (void)close(root);
    return found;
}

bool session_alive(const struct session *s) {
    struct proc_stat st;

    return proc_read_stat(s->procfd, "stat", &st) && st.state != 'Z' && st.state != 'X' &&
           st.starttime == s->starttime;
}

/* A process that ends has given its memory back before it is a zombie. Linux 6.18 and what took the
 * change over then refuse it to everybody without CAP_SYS_PTRACE. */
static bool has_memory(const struct session *s) {
    char text[64];

    return proc_read(s->procfd, "statm", text, sizeof(text)) <= 0 || strncmp(text, "0 ", 2) != 0;
}

static enum attach denied_or(struct session *s, enum attach other) {
    int error = errno;

    if (!session_alive(s) || !has_memory(s)) {
        (void)snprintf(s->why, sizeof(s->why), "the process has ended");
        return A_GONE;
    }
    if (error == EACCES || error == EPERM) {
        (void)snprintf(s->why, sizeof(s->why), "not allowed to read its memory: %s",
                       strerror(error));
        return A_DENIED;
    }
    return other;
}

static void close_parts(struct session *s) {
    threads_close(&s->threads);
    tasks_close(&s->tasks);
    codes_close(&s->codes);
    world_close(&s->world);
    os_close(&s->os);
    mem_close(&s->mem);
    if (s->rootfd >= 0)
        (void)close(s->rootfd);
    s->rootfd = -1;
}

static void open_parts(struct session *s) {
    s->rootfd = openat(s->procfd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    world_open(&s->world, &s->mem, s->layout);
    codes_open(&s->codes, &s->world, &s->texts, s->rootfd);
    os_open(&s->os, s->procfd);
    threads_open(&s->threads, &s->world, &s->codes, &s->os, s->binary.runtime);
    tasks_open(&s->tasks, &s->world, &s->codes, &s->threads, &s->texts);
    s->views.main_tid = s->ns_pid;
}

/* Py_Version, or what the debug offsets say where no symbol is left. */
static bool read_version(struct session *s) {
    uint64_t word;

    if (s->binary.version)
        return mem_u32(&s->mem, s->binary.version, &s->version);
    if (!mem_u64(&s->mem, s->binary.runtime, &word) || memcmp(&word, "xdebugpy", 8) != 0 ||
        !mem_u64(&s->mem, s->binary.runtime + 8, &word))
        return false;
    s->version = (uint32_t)word;
    return true;
}

enum attach session_attach(struct session *s) {
    uint64_t free_threaded = 0;
    bool checked;

    errno = 0;
    if (!elf_find_python(s->procfd, &s->binary, s->why, sizeof(s->why)))
        return denied_or(s, A_NOT_YET);
    mem_open(&s->mem, s->pid);
    mem_begin(&s->mem, 0);
    if (!read_version(s)) {
        errno = s->mem.error;
        mem_close(&s->mem);
        (void)snprintf(s->why, sizeof(s->why), "the version of %.400s cannot be read",
                       s->binary.path);
        return denied_or(s, A_NOT_YET);
    }
    s->layout = layout_find(s->version);
    if (!s->layout) {
        mem_close(&s->mem);
        (void)snprintf(s->why, sizeof(s->why), "it runs Python %u.%u.%u; only %s are known",
                       s->version >> 24, s->version >> 16 & 255, s->version >> 8 & 255,
                       layout_versions());
        return A_REFUSED;
    }
    if (s->layout->rt_debug_free_threaded &&
        mem_u64(&s->mem, s->binary.runtime + s->layout->rt_debug_free_threaded, &free_threaded) &&
        free_threaded) {
        mem_close(&s->mem);
        (void)snprintf(s->why, sizeof(s->why),
                       "it is a free-threaded build, whose layout is not known");
        return A_REFUSED;
    }
    open_parts(s);
    if (!threads_ready(&s->threads)) {
        close_parts(s);
        (void)snprintf(s->why, sizeof(s->why), "the interpreter is not initialised");
        return A_NOT_YET;
    }
    s->attached = true;
    /* A first look: the module _asyncio, if it is there, and its layouts. */
    mem_begin(&s->mem, 0);
    if (threads_read(&s->threads))
        tasks_read(&s->tasks, 1);
    if (!tasks_check(&s->tasks, &checked, s->why, sizeof(s->why))) {
        session_detach(s);
        return A_REFUSED;
    }
    s->checked = checked;
    return A_OK;
}

void session_detach(struct session *s) {
    if (s->attached)
        close_parts(s);
    s->attached = false;
    s->checked = false;
}

void session_close(struct session *s) {
    session_detach(s);
    views_close(&s->views);
    texts_close(&s->texts);
    if (s->procfd >= 0)
        (void)close(s->procfd);
    s->procfd = -1;
}

const char *session_loop(struct session *s) {
    const char *kind = "none";

    for (uint32_t i = 0; i < s->threads.n; i++) {
        const struct type_info *type;

        if (!s->threads.list[i].loop)
            continue;
        type = py_type(&s->world, s->threads.list[i].loop);
        kind = "asyncio";
        if (type && type->uvloop)
            return "uvloop";
    }
    return kind;
}
