/* SPDX-License-Identifier: MIT */
#include "loader.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proc.h"

enum kind {
    MODULE,    /* -m TEXT */
    SCRIPT,    /* a script with the basename TEXT */
    PATH_END,  /* a script whose path ends in TEXT */
    PATH_PART, /* a script whose path has TEXT in it */
    CODE,      /* -c with TEXT in the code */
    RUNNER,    /* a tool, by -m or as a script, that runs the rest of its argv in its own process */
};

/* Every argv that starts the loader in this very process. mprof, which starts another one, is not
 * here. */
static const struct pattern {
    enum kind kind;
    const char *text;
    const char *verb; /* the runner's own command that does so, when it has several */
} patterns[] = {
    {MODULE, "qdrant_loader.cli", NULL},
    {MODULE, "qdrant_loader.cli.cli", NULL},
    {MODULE, "qdrant_loader.main", NULL},
    {SCRIPT, "qdrant-loader", NULL},
    {PATH_END, "qdrant_loader/main.py", NULL},
    {PATH_PART, "qdrant_loader/cli/", NULL},
    {CODE, "qdrant_loader", NULL},
    {RUNNER, "memray", "run"},
    {RUNNER, "pyinstrument", NULL},
    {RUNNER, "cProfile", NULL},
    {RUNNER, "profile", NULL},
};
#define PATTERNS (sizeof(patterns) / sizeof(patterns[0]))

static const char command[] = "ingest";
static const char log_file[] = "/logs/ingest.log";
static const char state_file[] = "/data/qdrant-loader.db";

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

/* True when `part` stands in `path` at the beginning of a name. */
static bool has_path_part(const char *path, const char *part) {
    for (const char *at = path; (at = strstr(at, part)) != NULL; at++) {
        if (at == path || at[-1] == '/')
            return true;
    }
    return false;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool fits(const struct pattern *p, enum kind kind, const char *text) {
    switch (p->kind) {
    case MODULE:
        return kind == MODULE && strcmp(text, p->text) == 0;
    case SCRIPT:
        return kind == SCRIPT && strcmp(base_name(text), p->text) == 0;
    case PATH_END:
        return kind == SCRIPT && ends_in(text, p->text) && has_path_part(text, p->text);
    case PATH_PART:
        return kind == SCRIPT && has_path_part(text, p->text);
    case CODE:
        return kind == CODE && strstr(text, p->text) != NULL;
    case RUNNER:
        return (kind == MODULE && strcmp(text, p->text) == 0) ||
               (kind == SCRIPT && strcmp(base_name(text), p->text) == 0);
    }
    return false;
}

static const struct pattern *find_pattern(enum kind kind, const char *text) {
    for (size_t i = 0; i < PATTERNS; i++) {
        if (fits(&patterns[i], kind, text))
            return &patterns[i];
    }
    return NULL;
}

static bool has_word(char *const *argv, size_t argc, size_t from, const char *word) {
    for (size_t i = from; i < argc; i++) {
        if (strcmp(argv[i], word) == 0)
            return true;
    }
    return false;
}

/* What an interpreter or a runner is told to run: kind and text, and where its own arguments begin.
 */
struct target {
    enum kind kind;
    const char *text;
    size_t rest;
};

/* Reads the cluster of short options at argv[i] ("-uBm", "-Wignore", "-X"). True when it holds -m
 * or -c, which end the options; otherwise `*i` is left behind it and behind its argument. */
static bool read_cluster(char *const *argv, size_t argc, size_t *i, struct target *t) {
    const char *p = argv[*i] + 1;

    for (; *p != '\0'; p++) {
        if (*p == 'm' || *p == 'c') {
            bool joined = p[1] != '\0';

            if (!joined && *i + 1 >= argc)
                break;
            t->kind = *p == 'm' ? MODULE : CODE;
            t->text = joined ? p + 1 : argv[*i + 1];
            t->rest = *i + (joined ? 1 : 2);
            return true;
        }
        if (*p == 'W' || *p == 'X') {
            if (p[1] == '\0')
                (*i)++;
            break;
        }
    }
    (*i)++;
    return false;
}

/* Options of the interpreter: Python/getopt.c of CPython ("bBc:dEhiIJm:OPqRsStuvVW:xX:" and one
 * long option that has an argument). */
static bool interpreter_target(char *const *argv, size_t argc, struct target *t) {
    for (size_t i = 1; i < argc;) {
        const char *a = argv[i];

        if (strcmp(a, "--check-hash-based-pycs") == 0) {
            i += 2;
        } else if (strcmp(a, "--") == 0 || a[0] != '-' || a[1] == '\0') {
            i += strcmp(a, "--") == 0;
            if (i >= argc)
                return false;
            *t = (struct target){.kind = SCRIPT, .text = argv[i], .rest = i + 1};
            return true;
        } else if (a[1] == '-') {
            i++;
        } else if (read_cluster(argv, argc, &i, t)) {
            return true;
        }
    }
    return false;
}

/* True when the first argument behind the runner's general options is `verb`. */
static bool has_verb(char *const *argv, size_t argc, size_t from, const char *verb) {
    while (from < argc && argv[from][0] == '-')
        from++;
    return from < argc && strcmp(argv[from], verb) == 0;
}

/* The same behind a runner, whose options are its own: the first thing there that is the loader. */
static const struct pattern *runner_target(char *const *argv, size_t argc, size_t from,
                                           struct target *t) {
    const struct pattern *p = NULL;

    for (size_t i = from; i < argc && !p; i++) {
        if (i + 1 < argc && (strcmp(argv[i], "-m") == 0 || strcmp(argv[i], "-c") == 0))
            *t = (struct target){
                .kind = argv[i][1] == 'm' ? MODULE : CODE, .text = argv[i + 1], .rest = i + 2};
        else if (argv[i][0] != '-')
            *t = (struct target){.kind = SCRIPT, .text = argv[i], .rest = i + 1};
        else
            continue;
        p = find_pattern(t->kind, t->text);
        if (p && p->kind == RUNNER)
            p = NULL;
    }
    return p;
}

enum loader_argv loader_argv(char *const *argv, size_t argc) {
    const struct pattern *p;
    struct target t;

    if (!interpreter_target(argv, argc, &t))
        return ARGV_OTHER;
    p = find_pattern(t.kind, t.text);
    if (p && p->kind == RUNNER) {
        if (p->verb && !has_verb(argv, argc, t.rest, p->verb))
            return ARGV_OTHER;
        p = runner_target(argv, argc, t.rest, &t);
    }
    if (!p)
        return ARGV_OTHER;
    return has_word(argv, argc, t.rest, command) ? ARGV_INGEST : ARGV_NAMED;
}

const char *loader_workspace(char *const *argv, size_t argc) {
    static const char option[] = "--workspace";

    for (size_t i = 1; i < argc; i++) {
        if (strncmp(argv[i], option, sizeof(option) - 1) == 0 && argv[i][sizeof(option) - 1] == '=')
            return argv[i] + sizeof(option);
        if (i + 1 < argc && (strcmp(argv[i], option) == 0 || strcmp(argv[i], "-w") == 0))
            return argv[i + 1];
    }
    return NULL;
}

struct open_files {
    int dirfd;
    bool log, state;
    char *workspace;
    size_t cap;
};

/* flags of fdinfo is octal; its lowest two bits are the access mode (open(2)). */
static bool open_for_writing(int dirfd, long fd) {
    char name[48], text[256];
    const char *flags;

    (void)snprintf(name, sizeof(name), "fdinfo/%ld", fd);
    if (proc_read(dirfd, name, text, sizeof(text)) < 0 || !(flags = strstr(text, "flags:")))
        return false;
    return (strtoul(flags + 6, NULL, 8) & O_ACCMODE) != O_RDONLY;
}

static bool look_at_fd(long fd, void *arg) {
    struct open_files *f = arg;
    char name[48], path[PATH_MAX];

    (void)snprintf(name, sizeof(name), "fd/%ld", fd);
    if (proc_readlink(f->dirfd, name, path, sizeof(path)) < 0)
        return true;
    if (ends_in(path, state_file))
        f->state = true;
    if (!f->log && ends_in(path, log_file) && open_for_writing(f->dirfd, fd)) {
        f->log = true;
        path[strlen(path) - strlen(log_file)] = '\0';
        (void)snprintf(f->workspace, f->cap, "%s", path);
    }
    return !(f->log && f->state);
}

enum loader_files loader_files(int dirfd, char *workspace, size_t cap) {
    struct open_files f = {.dirfd = dirfd, .workspace = workspace, .cap = cap};

    if (proc_each_number(dirfd, "fd", look_at_fd, &f) < 0)
        return errno == EACCES || errno == EPERM ? FILES_UNKNOWN : FILES_NOT;
    return f.log && f.state ? FILES_HELD : FILES_NOT;
}
