/* SPDX-License-Identifier: MIT */
#include "loader.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "process_page.h"
#include "run_result.h"
#include "smallfile.h"
#include "tasks.h"

#define PID_FILE_MAX ((size_t)64)
/* The result is written after the process is gone: how long to wait for it. */
#define RESULT_WAIT_NS (INT64_C(5) * 1000000000)

struct loader {
    struct loader_config config;
    char *own[5]; /* its strings */
    char *labels; /* loader="name", or "" */
    const struct process_config *process_config;
    struct multiproc *files; /* NULL: no folder */
    struct tasks *tasks;     /* NULL: nobody counts them */
    bool tasks_up;
    struct process *process; /* NULL: no pid and no pid file */
    struct process_page *process_page;
    int pidfd;
    struct stat pid_file; /* as it was read */
    enum loader_state state;
    bool final; /* nothing more comes of this run */
    int64_t ended_ns;
    double started, ended, last_success, duration; /* Unix seconds, or seconds; 0: none */
    int exit_code;                                 /* -1: not known */
};

const char *const source_name[SOURCES] = {"multiprocess", "shim", "proc", "tasks"};

static char *copy(const char *s) {
    return s ? xstrdup(s) : NULL;
}

static void forget_run(struct loader *l) {
    l->state = LOADER_UNKNOWN;
    l->final = false;
    l->started = l->ended = l->duration = 0;
    l->exit_code = -1;
    if (l->pidfd >= 0)
        (void)close(l->pidfd);
    l->pidfd = -1;
    if (l->process)
        process_clear(l->process);
}

/* Begins to follow a process. False when it is gone. */
static bool follow(struct loader *l, struct proc_id id) {
    if (!process_add(l->process, id))
        return false;
    if (l->pidfd < 0 && l->process_config->host.own_pids)
        l->pidfd = (int)syscall(SYS_pidfd_open, id.pid, 0);
    process_read(l->process);
    /* Did it end before its descriptor was opened, and another one has its pid? */
    if (!process_values(l->process)->root_alive && l->pidfd >= 0) {
        (void)close(l->pidfd);
        l->pidfd = -1;
    }
    l->state = LOADER_RUNNING;
    l->started = process_values(l->process)->start;
    if (l->files)
        multiproc_allow(l->files, process_values(l->process)->uid);
    return true;
}

struct loader *loader_new(const struct loader_config *config, const struct process_config *process,
                          const uid_t *uid, size_t uids) {
    struct loader *l = xcalloc(1, sizeof(*l));
    struct buf labels = {0};

    l->config = *config;
    l->config.name = l->own[0] = copy(config->name);
    l->config.multiproc_dir = l->own[1] = copy(config->multiproc_dir);
    l->config.pid_file = l->own[2] = copy(config->pid_file);
    l->config.run_result = l->own[3] = copy(config->run_result);
    l->config.tasks = l->own[4] = copy(config->tasks);
    if (config->tasks)
        l->tasks = tasks_new(config->tasks);
    l->process_config = process;
    l->pidfd = -1;
    buf_adds(&labels, "");
    if (config->name)
        page_label(&labels, "loader", strlen("loader"), config->name, strlen(config->name));
    l->labels = labels.data;
    if (config->multiproc_dir)
        l->files = multiproc_new(config->multiproc_dir, config->name, process->host.rootfd);
    for (size_t i = 0; l->files && i < uids; i++)
        multiproc_allow(l->files, uid[i]);
    if (config->pids > 0 || config->pid_file) {
        l->process = process_new(process);
        l->process_page = process_page_new(l->labels);
    }
    forget_run(l);
    for (size_t i = 0; i < config->pids; i++) {
        if (!follow(l, (struct proc_id){.pid = config->pid[i]}))
            die(EX_NONE, "PID %d: no such process. pidfind finds the loader that runs now.",
                config->pid[i]);
    }
    return l;
}

void loader_free(struct loader *l) {
    if (l->pidfd >= 0)
        (void)close(l->pidfd);
    if (l->files)
        multiproc_free(l->files);
    if (l->process) {
        process_free(l->process);
        process_page_free(l->process_page);
    }
    if (l->tasks)
        tasks_free(l->tasks);
    for (size_t i = 0; i < sizeof(l->own) / sizeof(l->own[0]); i++)
        free(l->own[i]);
    free(l->labels);
    free(l);
}

static void ended_at(struct loader *l, double when) {
    l->state = LOADER_ENDED;
    l->ended_ns = monotonic_ns();
    l->ended = when;
    if (l->pidfd >= 0)
        (void)close(l->pidfd);
    l->pidfd = -1;
}

static bool is_same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* `st` is of the file that was read. */
static bool read_pid_file(const char *file, struct proc_id *id, struct stat *st) {
    struct buf text;
    char *end;
    long pid;
    bool good;

    if (!smallfile_read(file, PID_FILE_MAX, &text, st))
        return false;
    pid = strtol(text.data, &end, 10);
    good = end != text.data && pid > 0 && pid <= 4194304;
    if (good)
        *id = (struct proc_id){.pid = (pid_t)pid, .starttime = strtoull(end, NULL, 10)};
    buf_free(&text);
    return good;
}

/* A pid file that was written anew is another run. */
static void look_at_pid_file(struct loader *l) {
    struct stat now;
    struct proc_id id;

    if (lstat(l->config.pid_file, &now) != 0 || is_same_file(&now, &l->pid_file))
        return;
    if (!read_pid_file(l->config.pid_file, &id, &now))
        return;
    l->pid_file = now;
    forget_run(l);
    if (!follow(l, id)) {
        /* It ended before it was seen. */
        ended_at(l, 0);
    }
}

static void take_result(struct loader *l, const struct run_result *r) {
    if (l->started <= 0)
        l->started = r->started;
    if (r->ended > 0)
        l->ended = r->ended;
    else if (r->failed)
        l->ended = l->started;
    l->exit_code = r->exit_code;
    l->duration = r->duration_s;
    if (r->exit_code == 0)
        l->last_success = l->ended;
    if (l->process)
        process_final(l->process, r->user_s, r->system_s, r->peak_rss_kib);
}

/* True when the file says of this run that it is over. A result that is older than the run is
 * another one's. */
static bool read_result(const struct loader *l, struct run_result *r) {
    if (!l->config.run_result || !run_result_read(l->config.run_result, r))
        return false;
    /* procrun writes no pid file when it could not start the command. */
    if (r->failed)
        return l->state == LOADER_UNKNOWN || r->started >= l->started - 1;
    return r->ended > 0 && r->ended >= l->started - 1 &&
           (l->state != LOADER_UNKNOWN || !l->process);
}

static void look_at_end(struct loader *l) {
    struct run_result result;
    bool told = read_result(l, &result);

    if (told && l->state != LOADER_ENDED)
        ended_at(l, result.ended);
    if (l->state != LOADER_ENDED)
        return;
    if (told)
        take_result(l, &result);
    l->final = !l->config.run_result || (told && (result.complete || result.failed)) ||
               monotonic_ns() - l->ended_ns > RESULT_WAIT_NS;
    if (l->final && l->duration <= 0 && l->started > 0 && l->ended > 0)
        l->duration = l->ended - l->started;
}

static void look_at_processes(struct loader *l) {
    struct pollfd end = {.fd = l->pidfd, .events = POLLIN};

    if (poll(&end, 1, 0) > 0)
        process_refresh(l->process);
    process_read(l->process);
    if (l->state == LOADER_RUNNING && !process_values(l->process)->root_alive)
        ended_at(l, unix_now());
}

bool loader_update(struct loader *l) {
    if (l->config.pid_file)
        look_at_pid_file(l);
    /* What the loader leaves behind is looked after until it is gone too. */
    if (l->process && (l->state == LOADER_RUNNING || process_values(l->process)->alive > 0))
        look_at_processes(l);
    if (l->final || (l->state == LOADER_RUNNING && l->process))
        return false;
    look_at_end(l);
    if (l->final && l->files)
        multiproc_shown_anew(l->files);
    return l->final;
}

enum loader_state loader_state(const struct loader *l) {
    return l->state;
}

bool loader_is_final(const struct loader *l) {
    return l->final;
}

int loader_fd(const struct loader *l) {
    return l->pidfd;
}

void loader_read(struct loader *l) {
    if (l->files)
        (void)multiproc_read(l->files);
    /* The shim knows better, and what a loader did that has ended is not under way. */
    l->tasks_up = l->tasks && l->state == LOADER_RUNNING && !loader_source_up(l, SOURCE_SHIM) &&
                  tasks_read(l->tasks);
}

static void gauge(const struct loader *l, struct page *page, const char *name, const char *help,
                  double value) {
    struct page_family *f = page_family(page, name, strlen(name), PAGE_GAUGE, help, strlen(help));

    if (f)
        page_sample(f, "", l->labels, value);
}

static void write_run(const struct loader *l, struct page *page, bool snapshot) {
    if (l->state == LOADER_ENDED || (l->state == LOADER_RUNNING && !snapshot))
        gauge(l, page, "qdrant_loader_up", "1 while the loader runs, 0 when it has ended.",
              l->state == LOADER_RUNNING);
    if (l->started > 0)
        gauge(l, page, "qdrant_loader_run_start_timestamp_seconds",
              "When the run began, in Unix time.", l->started);
    if (l->last_success > 0)
        gauge(l, page, "qdrant_loader_run_last_success_timestamp_seconds",
              "When a run last ended with exit status 0, in Unix time.", l->last_success);
    if (l->state != LOADER_ENDED)
        return;
    if (l->ended > 0)
        gauge(l, page, "qdrant_loader_run_end_timestamp_seconds",
              "When the run ended, in Unix time.", l->ended);
    if (l->exit_code >= 0)
        gauge(l, page, "qdrant_loader_run_exit_code",
              "Exit status of the run, 128 + N when signal N ended it.", l->exit_code);
    if (l->duration > 0)
        gauge(l, page, "qdrant_loader_run_duration_seconds", "Wall time of the run.", l->duration);
}

void loader_write(struct loader *l, struct page *page, bool snapshot) {
    if (l->files)
        multiproc_write(l->files, page, snapshot);
    if (l->process)
        process_page_write(l->process_page, process_values(l->process), page, snapshot);
    if (l->tasks_up && !snapshot)
        tasks_write(l->tasks, l->labels, page);
    write_run(l, page, snapshot);
}

void loader_shown(struct loader *l, unsigned enough) {
    /* Until its result is known, a page does not count as one of the end. */
    if (l->files && (l->state != LOADER_ENDED || l->final))
        multiproc_shown(l->files, enough);
}

bool loader_source_up(const struct loader *l, enum source s) {
    const struct multiproc_stats *files = loader_files(l);

    if (s == SOURCE_TASKS)
        return l->tasks_up;
    if (s == SOURCE_PROC)
        return l->process && process_values(l->process)->alive > 0;
    if (!files || !files->readable)
        return false;
    return s == SOURCE_SHIM ? files->has_shim : true;
}

bool loader_has_source(const struct loader *l, enum source s) {
    return s != SOURCE_TASKS || l->tasks;
}

const struct multiproc_stats *loader_files(const struct loader *l) {
    return l->files ? multiproc_stats(l->files) : NULL;
}

const char *loader_labels(const struct loader *l) {
    return l->labels;
}

const char *loader_name(const struct loader *l) {
    return l->config.name ? l->config.name : "";
}
