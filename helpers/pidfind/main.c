/* SPDX-License-Identifier: MIT
 * pidfind: the process id of the Python interpreter that runs the loader's ingest, and not of its
 * wrappers (uv, sh, make, timeout, mprof), of editors and greps, or of itself.
 *
 * Example: behind `uv run qdrant-loader ingest --workspace 'my ws'`, `pidfind` prints pid, start
 * time (clock ticks since boot, which make the pid unique) and argv, quoted for a shell: 20441
 * 5281907 /venv/bin/python /venv/bin/qdrant-loader ingest --workspace 'my ws'
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "err.h"
#include "opt.h"
#include "scan.h"
#include "show.h"
#include "wait.h"

#define SECOND UINT64_C(1000000000)

static struct {
    const char *proc;
    const char *wait_text;
    uint64_t wait_ns;
    pid_t root; /* of --tree or --pid; 0: the whole machine */
    bool pid_first, poll, all, any_python, json;
} opts = {.proc = "/proc"};

static const char usage[] =
    "usage: pidfind [options]\n"
    "Finds the Python interpreter that runs the loader's ingest, not its wrappers.\n"
    "\n"
    "  --pid PID       PID itself when it is the loader, else the one that runs\n"
    "                  inside it (PID is uv, sh, make, timeout ...)\n"
    "  --tree PID      look only at PID and its descendants\n"
    "  --wait TIME     wait for it for up to TIME (500ms, 10s, 2m); found within\n"
    "                  2 ms of its start; ends early when PID ends [0]\n"
    "  --all           list all that run, a line each\n"
    "  --any-python    any Python interpreter, whatever it runs\n"
    "  --exclude PID   leave this one out; can be given again\n"
    "  --json          a JSON object a line\n"
    "  --poll          wait by polling /proc, not by kernel events\n"
    "  --proc DIR      another /proc, or a recorded one [/proc]\n"
    "  -h, --help      print this\n"
    "\n"
    "Prints `pid starttime argv...`. Exits 0 when one was found, 1 when none was,\n"
    "3 with a table on standard error when several were.\n"
    "\n"
    "eg,\n"
    "  pidfind                              # the one loader on this machine\n"
    "  uv run qdrant-loader ingest & pidfind --pid $! --wait 30s\n"
    "  read -r pid start _ < <(pidfind)     # identity for a script\n"
    "  pidfind --all --json | jq .workspace\n";

static void parse_options(int argc, char **argv, struct search *s) {
    enum { PID = 256, TREE, WAIT, ALL, ANY, EXCLUDE, JSON, POLL, PROC };
    static const struct option longs[] = {{"pid", required_argument, NULL, PID},
                                          {"tree", required_argument, NULL, TREE},
                                          {"wait", required_argument, NULL, WAIT},
                                          {"all", no_argument, NULL, ALL},
                                          {"any-python", no_argument, NULL, ANY},
                                          {"exclude", required_argument, NULL, EXCLUDE},
                                          {"json", no_argument, NULL, JSON},
                                          {"poll", no_argument, NULL, POLL},
                                          {"proc", required_argument, NULL, PROC},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (c) {
        case PID:
        case TREE:
            if (opts.root > 0)
                die_usage("--pid, --tree: only one of them can be given, and once");
            opts.root = opt_pid(c == PID ? "--pid" : "--tree", optarg);
            opts.pid_first = c == PID;
            break;
        case WAIT:
            opts.wait_ns = opt_duration_ns("--wait", optarg, 0, 86400 * SECOND);
            opts.wait_text = optarg;
            break;
        case ALL:
            opts.all = true;
            break;
        case ANY:
            opts.any_python = true;
            break;
        case EXCLUDE:
            pids_add(&s->excluded, opt_pid("--exclude", optarg));
            break;
        case JSON:
            opts.json = true;
            break;
        case POLL:
            opts.poll = true;
            break;
        case PROC:
            opts.proc = optarg;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            exit(out_close(EX_DONE));
        default:
            die_usage("the options are wrong");
        }
    }
    if (optind < argc)
        die_usage("%s: takes no arguments, only options", argv[optind]);
}

/* The root of the tree as a file descriptor that tells when it ends; -1 in a recorded tree. Exits 1
 * when it has ended. */
static int open_root_process(const struct search *s) {
    struct proc_stat st = {0};
    char name[32];
    int fd;

    (void)snprintf(name, sizeof(name), "%d/stat", opts.root);
    if (!proc_read_stat(s->rootfd, name, &st) || st.state == 'Z' || st.state == 'X')
        die(EX_NONE, "pid %d: no such process: it has ended. Take the pid of one that runs",
            opts.root);
    if (search_self(s->rootfd) != getpid())
        return -1;
    fd = (int)syscall(SYS_pidfd_open, opts.root, 0);
    if (fd < 0 && errno == ESRCH)
        die(EX_NONE, "pid %d: no such process: it has ended. Take the pid of one that runs",
            opts.root);
    return fd;
}

static bool look(pid_t pid, void *arg) {
    return (pid == 0 ? search_all(arg) : search_one(arg, pid)) > 0;
}

static enum wait_end find(struct search *s) {
    struct waiting w = {.rootfd = s->rootfd, .root_pidfd = -1, .for_ns = opts.wait_ns};
    enum wait_end end;
    struct misses m;

    if (opts.root > 0)
        w.root_pidfd = open_root_process(s);
    if (opts.wait_ns == 0)
        return search_all(s) > 0 ? WAIT_FOUND : WAIT_DEADLINE;
    search_misses(s, &m);
    if (m.unreadable > 0 && m.unreadable_pid == opts.root)
        return WAIT_REFUSED;
    /* Kernel events are about the machine that we run on, and name pids as it does. */
    w.poll_only = opts.poll || search_self(s->rootfd) != getpid();
    end = wait_for(&w, look, s);
    if (w.root_pidfd >= 0)
        (void)close(w.root_pidfd);
    return end;
}

static int say_none(struct search *s, enum wait_end end) {
    const char *what = opts.any_python ? "Python interpreter" : "loader that runs ingest";
    struct misses m;

    if (end == WAIT_ROOT_ENDED) {
        warn("pid %d ended before a %s appeared in it: its own output tells why", opts.root, what);
        return EX_NONE;
    }
    search_misses(s, &m);
    if (m.unreadable > 0 && m.unreadable_own)
        warn("pid %d looks like it but may not be read: it has rights that you lack. Run as root "
             "with CAP_SYS_PTRACE; in a container: docker run --cap-add SYS_PTRACE",
             m.unreadable_pid);
    else if (m.unreadable > 0)
        warn("pid %d looks like it but belongs to another user: run as that user or as root",
             m.unreadable_pid);
    else if (m.named > 0 && !opts.any_python)
        warn("pid %d runs the loader, but not its ingest", m.named_pid);
    /* That there is none would contradict it. */
    if (end == WAIT_REFUSED ||
        (m.unreadable > 0 && (opts.root == 0 || opts.root == m.unreadable_pid)))
        return EX_NONE;
    if (opts.wait_ns > 0 && opts.root > 0)
        warn("no %s appeared in pid %d within %s: wait longer, or look at what that runs", what,
             opts.root, opts.wait_text);
    else if (opts.wait_ns > 0)
        warn("no %s appeared within %s: start one, or wait longer", what, opts.wait_text);
    else if (opts.root > 0)
        warn("no %s in pid %d or below it: name another, or wait for it with --wait 30s", what,
             opts.root);
    else
        warn("no %s on this machine: start one, or wait for it with --wait 30s", what);
    return EX_NONE;
}

static int say_found(const struct search *s) {
    if (s->n > 1 && !opts.all) {
        warn("%zu are running: choose one with --pid PID, or end the others", s->n);
        show_table(s);
        return EX_FAIL;
    }
    for (size_t i = 0; i < s->n; i++) {
        if (opts.json)
            show_json(s->rootfd, &s->found[i]);
        else
            show_line(&s->found[i]);
    }
    return EX_DONE;
}

int main(int argc, char **argv) {
    struct search s = {0};
    enum wait_end end;
    int status;

    err_name("pidfind");
    parse_options(argc, argv, &s);
    search_init(&s, opts.proc);
    s.any_python = opts.any_python;
    s.root = opts.root;
    s.root_first = opts.pid_first;
    end = find(&s);
    status = end == WAIT_FOUND ? say_found(&s) : say_none(&s, end);
    search_free(&s);
    return out_close(status);
}
