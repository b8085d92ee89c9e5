/* SPDX-License-Identifier: MIT
 * pysample: where a running asyncio program's time goes, from outside.
 *
 * Samples an unmodified CPython 3.12 or 3.13 process with process_vm_readv, without stopping it:
 * every thread's stack and state, and every asyncio task with its whole await chain, who awaits
 * whom, and the thread that works for it.
 *
 *   $ pysample --duration 10s 4711
 *   # tool: pysample
 *   …
 *   <module> (app.py:9);run (asyncio/runners.py:194);…;ingest (app/main.py:20);Limiter.wait
 * (app/limit.py:7); sleep (asyncio/tasks.py:665);[sleep 0.5s] 5903112
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "launch.h"
#include "now.h"
#include "opt.h"
#include "rights.h"
#include "run.h"
#include "sample.h"

enum mode { RECORD, TREE, JSON, TOP };

static struct {
    enum mode mode;
    struct run_options run;
    const char *view_file[VIEWS], *summary_file, *samples_file, *dir;
} opts = {.run = {.rate = 100}};

static struct {
    struct output view[VIEWS], summary, samples;
    struct output *all[VIEWS + 2];
    int n;
    char *in_dir[VIEWS];
    const char *made; /* the directory that was not there */
} outputs;

static const char usage[] =
    "usage: pysample [options] PID\n"
    "   or: pysample [options] -- COMMAND [ARG...]\n"
    "   or: pysample --pstree|--json|--top [options] PID\n"
    "Sample a running CPython 3.12 or 3.13 from outside: wall time by await chain.\n"
    "\n"
    "  --rate HZ         samples a second, 1 to 10000, jittered (default: 100)\n"
    "  --duration TIME   stop after TIME, like 30s or 2m (default: when it ends)\n"
    "  --output-dir DIR  write wall.folded, tasks.folded and threads.folded there\n"
    "  --wall FILE       where the main root task is: sums to elapsed time\n"
    "  --tasks FILE      every task; under [background] those nothing awaits\n"
    "  --threads FILE    every thread with its state\n"
    "  --summary FILE    key<TAB>value: samples, torn, missed, rates, own CPU time\n"
    "  --samples FILE    instead of views: threads' stacks with their time, for\n"
    "                    stackjoin; states and tasks are not read\n"
    "  --follow FILE     sample, also, whenever FILE is written to: at the moments at\n"
    "                    which another sampler does\n"
    "  --stop            stop the thread that holds the GIL while it is read, for\n"
    "                    exact stacks of fast code; only while it runs\n"
    "  --pstree          print the task tree once\n"
    "  --json            print threads and tasks once, as JSON\n"
    "  --top             show the task tree, refreshed every second; q quits\n"
    "  --help            print this and exit\n"
    "Without a file, the wall view goes to standard output; - as FILE is standard\n"
    "output, too. Stacks are collapsed (frame;frame weight), weights are microseconds.\n"
    "Files are rewritten as it runs; a FIFO or a device is written to at the end.\n"
    "\n"
    "Examples:\n"
    "  pysample --duration 10s 4711                   ten seconds of process 4711\n"
    "  pysample --output-dir out -- python3 app.py    from the first instruction\n"
    "  pysample --pstree 4711                         what awaits what, now\n";

enum {
    O_RATE = 256,
    O_DURATION,
    O_DIR,
    O_WALL,
    O_TASKS,
    O_THREADS,
    O_SUMMARY,
    O_SAMPLES,
    O_FOLLOW,
    O_STOP,
    O_TREE,
    O_JSON,
    O_TOP,
    O_HELP
};

static const struct option longopts[] = {
    {"rate", required_argument, NULL, O_RATE},
    {"duration", required_argument, NULL, O_DURATION},
    {"output-dir", required_argument, NULL, O_DIR},
    {"wall", required_argument, NULL, O_WALL},
    {"tasks", required_argument, NULL, O_TASKS},
    {"threads", required_argument, NULL, O_THREADS},
    {"summary", required_argument, NULL, O_SUMMARY},
    {"samples", required_argument, NULL, O_SAMPLES},
    {"follow", required_argument, NULL, O_FOLLOW},
    {"stop", no_argument, NULL, O_STOP},
    {"pstree", no_argument, NULL, O_TREE},
    {"json", no_argument, NULL, O_JSON},
    {"top", no_argument, NULL, O_TOP},
    {"help", no_argument, NULL, O_HELP},
    {NULL, 0, NULL, 0},
};

/* Whether any file was asked for; else the wall view goes to standard output. */
static bool any_file(void) {
    for (int i = 0; i < VIEWS; i++) {
        if (opts.view_file[i])
            return true;
    }
    return opts.summary_file || opts.samples_file || opts.dir;
}

static void parse(int argc, char **argv) {
    int c;

    while ((c = getopt_long(argc, argv, "+", longopts, NULL)) != -1) {
        switch (c) {
        case O_RATE:
            opts.run.rate = opt_double("--rate", optarg, 1, 10000);
            break;
        case O_DURATION:
            opts.run.duration_ns =
                opt_duration_ns("--duration", optarg, 1000000, 86400ULL * 365 * 1000000000);
            break;
        case O_DIR:
            opts.dir = optarg;
            break;
        case O_WALL:
        case O_TASKS:
        case O_THREADS:
            opts.view_file[c - O_WALL] = optarg;
            break;
        case O_SUMMARY:
            opts.summary_file = optarg;
            break;
        case O_SAMPLES:
            opts.samples_file = optarg;
            break;
        case O_FOLLOW:
            opts.run.follow_file = optarg;
            break;
        case O_STOP:
            opts.run.stop = true;
            break;
        case O_TREE:
            opts.mode = TREE;
            break;
        case O_JSON:
            opts.mode = JSON;
            break;
        case O_TOP:
            opts.mode = TOP;
            break;
        case O_HELP:
            (void)fputs(usage, stdout);
            exit(out_close(EX_DONE));
        default:
            (void)fputs("Try 'pysample --help'.\n", stderr);
            exit(EX_USAGE);
        }
    }
    if (optind > 1 && strcmp(argv[optind - 1], "--") == 0 && optind < argc)
        opts.run.command = argv + optind;
    else if (argc - optind == 1)
        opts.run.pid = opt_pid("PID", argv[optind]);
    else
        die_usage(optind == argc ? "no PID and no command"
                                 : "more than one PID; a command goes behind '--'");
    if (opts.run.command && opts.mode != RECORD)
        die_usage("--pstree, --json and --top need a PID, not a command");
    if (opts.mode != RECORD && any_file())
        die_usage("--pstree, --json and --top print what they see; no files go with them");
    if (opts.samples_file &&
        (opts.dir || opts.view_file[0] || opts.view_file[1] || opts.view_file[2]))
        die_usage("--samples: no views go with it");
}

/* A directory that was made in vain; one that has files in it stays. */
static void remove_dir(void) {
    (void)rmdir(outputs.made);
}

/* The views that have no file of their own go to files in this directory, made if need be. */
static void use_dir(const char *dir) {
    static const char *const names[VIEWS] = {"wall", "tasks", "threads"};
    struct stat st;

    if (mkdir(dir, 0777) == 0) {
        outputs.made = dir;
        (void)atexit(remove_dir);
    } else if (errno != EEXIST) {
        die(EX_FAIL, "%s:", dir);
    } else if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
        die(EX_FAIL, "%s: %s", dir, strerror(ENOTDIR));
    }
    for (int i = 0; i < VIEWS; i++) {
        struct buf name = {0};

        if (opts.view_file[i])
            continue;
        buf_printf(&name, "%s/%s.folded", dir, names[i]);
        opts.view_file[i] = outputs.in_dir[i] = name.data;
    }
}

static struct output *open_output(struct output *o, const char *name) {
    if (!name)
        return NULL;
    if (!output_open(o, name, true))
        die(EX_FAIL, "%s:", o->name);
    for (int i = 0; i < outputs.n; i++) {
        if (output_same(o, outputs.all[i]))
            die_usage("%s: the same file for two outputs", name);
    }
    outputs.all[outputs.n++] = o;
    return o;
}

/* All that will be written, so that nothing is launched or attached to in vain. */
static void open_outputs(void) {
    if (opts.dir)
        use_dir(opts.dir);
    else if (!any_file())
        opts.view_file[VIEW_WALL] = "-";
    for (int i = 0; i < VIEWS; i++)
        opts.run.view[i] = open_output(&outputs.view[i], opts.view_file[i]);
    opts.run.summary = open_output(&outputs.summary, opts.summary_file);
    opts.run.samples = open_output(&outputs.samples, opts.samples_file);
    /* This one is written as it goes, and in place. */
    if (opts.run.samples && outputs.samples.path && outputs.samples.there &&
        access(outputs.samples.path, W_OK) != 0)
        die(EX_FAIL, "%s:", opts.samples_file);
}

static bool close_outputs(void) {
    bool good = true;

    for (int i = 0; i < outputs.n; i++) {
        if (output_close(outputs.all[i]))
            continue;
        warn("%s:", outputs.all[i]->name);
        good = false;
    }
    for (int i = 0; i < VIEWS; i++)
        free(outputs.in_dir[i]);
    return good;
}

/* To a process that runs already. */
static void attach(struct session *s) {
    enum attach got = session_attach(s);

    /* It was started just now: the recorder attaches as soon as its interpreter is ready. */
    if (got == A_NOT_YET && s->layout && opts.mode == RECORD)
        return;
    if (got == A_DENIED) {
        rights_explain(s, false);
        exit(EX_FAIL);
    }
    if (got != A_OK)
        die(EX_FAIL, "%d: %s", (int)s->pid, s->why);
}

/* Prints one sample, as exact as it can be had in a short time. */
static void print_once(struct session *s) {
    struct buf text = {0};
    enum attach got;

    for (int k = 0; k < 50; k++) {
        uint64_t torn = s->torn;

        if (k)
            (void)usleep(2000);
        got = sample_read(s, now_ns(), 0);
        if (got == A_REFUSED || got == A_GONE)
            die(EX_FAIL, "%d: %s", (int)s->pid, got == A_GONE ? "the process has ended" : s->why);
        if (got == A_OK && s->tasks.exact)
            break;
        if (got == A_OK && torn == s->torn && k >= 10)
            break;
    }
    if (opts.mode == JSON)
        out_json(s, &text);
    else
        out_tree(s, &text);
    if (text.len)
        (void)fwrite(text.data, 1, text.len, stdout);
    buf_free(&text);
}

int main(int argc, char **argv) {
    static struct session s;
    int status = EX_DONE;

    err_name("pysample");
    parse(argc, argv);
    if (opts.mode == RECORD)
        open_outputs();
    if (opts.run.command)
        opts.run.pid = launch(opts.run.command);
    if (session_open(&s, opts.run.pid) == A_GONE && !opts.run.command)
        die(EX_FAIL, "%d: %s", (int)opts.run.pid, s.why);
    s.stop = opts.run.stop;
    if (!opts.run.command)
        attach(&s);
    switch (opts.mode) {
    case TREE:
    case JSON:
        print_once(&s);
        break;
    case TOP:
        run_top(&s, &opts.run);
        break;
    default:
        status = run_record(&s, &opts.run);
        if (!close_outputs())
            status = EX_FAIL;
    }
    session_close(&s);
    return out_close(status);
}
