/* SPDX-License-Identifier: MIT
 * procrun: runs a command in a tree of processes that it keeps. Orphans are adopted, everything
 * that ends is written down with what it used, signals are passed on (SIGINT first), and nothing is
 * left running, whoever is killed.
 *
 * Example: `procrun --result run.tsv -- sh -c 'sleep 1 & exit 3'` exits 3, and run.tsv (shortened)
 * reads # started: 1795517212.104512331 pid   role     comm   argv0  …  exit_status  signal
 * cpu_user_s  cpu_system_s  maxrss_kib  … 4711  command  sh     sh        3            n/a 0.000601
 * 0.000000      1536 # exit_status: 3 4712  orphan   sleep  n/a       n/a          15      0.000544
 * 0.000000      1792 # complete: yes
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "guard.h"
#include "now.h"
#include "opt.h"
#include "proc.h"
#include "reap.h"

#define SECOND UINT64_C(1000000000)

static struct {
    const char *result, *pid_file, *cwd;
    uint64_t grace_ns;
    bool wait_all, foreground, die_with_parent;
} opts = {.grace_ns = 10 * SECOND};

static const char usage[] =
    "usage: procrun [options] -- command [argument ...]\n"
    "Runs a command in a tree of processes that it keeps, measures and ends.\n"
    "\n"
    "  --result FILE      write times, status and usage of all that ends to FILE\n"
    "  --pid-file FILE    write `pid starttime` of the command to FILE\n"
    "  --cwd DIR          run the command in DIR\n"
    "  --grace TIME       from SIGINT to SIGTERM, and on to SIGKILL, when procrun\n"
    "                     is asked to end; for what is left behind too [10s]\n"
    "  --wait-all         wait for what the command leaves behind [it is ended]\n"
    "  --foreground       leave the command in this process group: it can read\n"
    "                     from the terminal, and gets Ctrl-C from it\n"
    "  --die-with-parent  end when the process that started procrun ends\n"
    "  -h, --help         print this\n"
    "\n"
    "SIGINT is passed on. SIGTERM and SIGHUP become SIGINT, after which a Python\n"
    "program still writes its profile. A second signal goes one step on at once.\n"
    "Exits as the command does: 128 + N for signal N, 127 when it is not found, 126\n"
    "when it cannot be executed; 3 when procrun itself fails.\n"
    "\n"
    "eg,\n"
    "  procrun --result run.tsv -- uv run qdrant-loader ingest --workspace ws\n"
    "  procrun --pid-file pid --grace 30s -- make ingest\n"
    "  kill $PROCRUN_PID    # the loader gets SIGINT, and 10 s for its profile\n";

static void parse_options(int argc, char **argv) {
    enum { RESULT = 256, PID_FILE, CWD, GRACE, WAIT_ALL, FOREGROUND, DIE_WITH_PARENT };
    static const struct option longs[] = {{"result", required_argument, NULL, RESULT},
                                          {"pid-file", required_argument, NULL, PID_FILE},
                                          {"cwd", required_argument, NULL, CWD},
                                          {"grace", required_argument, NULL, GRACE},
                                          {"wait-all", no_argument, NULL, WAIT_ALL},
                                          {"foreground", no_argument, NULL, FOREGROUND},
                                          {"die-with-parent", no_argument, NULL, DIE_WITH_PARENT},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int c;

    /* '+': the options of the command are its own. */
    while ((c = getopt_long(argc, argv, "+h", longs, NULL)) != -1) {
        switch (c) {
        case RESULT:
            opts.result = optarg;
            break;
        case PID_FILE:
            opts.pid_file = optarg;
            break;
        case CWD:
            opts.cwd = optarg;
            break;
        case GRACE:
            opts.grace_ns = opt_duration_ns("--grace", optarg, 0, 3600 * SECOND);
            break;
        case WAIT_ALL:
            opts.wait_all = true;
            break;
        case FOREGROUND:
            opts.foreground = true;
            break;
        case DIE_WITH_PARENT:
            opts.die_with_parent = true;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            exit(out_close(EX_DONE));
        default:
            die_usage("the options are wrong");
        }
    }
    if (optind >= argc)
        die_usage("no command is given");
    if (opts.result && opts.pid_file && strcmp(opts.result, opts.pid_file) == 0)
        die_usage("--result and --pid-file: the same file for both");
}

/* ---- Preparation ---- */

/* A pipe of ours must not become the command's standard input or output. */
static void open_standard_files(void) {
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        (void)close(fd);
}

static void take_signals(struct run *run) {
    static const int ours[] = {SIGINT,  SIGTERM,  SIGQUIT, SIGUSR1, SIGUSR2,
                               SIGCHLD, SIGWINCH, SIGTSTP, SIGCONT};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, normal = {.sa_handler = SIG_DFL};

    (void)sigaction(SIGHUP, NULL, &run->hup);
    (void)sigaction(SIGPIPE, &ignore, &run->pipe);
    (void)sigaction(SIGTTOU, &ignore, NULL);
    (void)sigemptyset(&run->ours);
    /* None of them is ignored, by us or by the command, though the background job of a script
     * ignores SIGINT: a Python program that starts so never gets a KeyboardInterrupt, with which it
     * writes its profile. */
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        (void)sigaction(ours[i], &normal, NULL);
        (void)sigaddset(&run->ours, ours[i]);
    }
    /* Under nohup SIGHUP stays ignored, here and in the command. */
    if (run->hup.sa_handler != SIG_IGN)
        (void)sigaddset(&run->ours, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &run->ours, &run->mask);
}

static void follow_parent(void) {
    pid_t parent = getppid();

    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
        die(EX_FAIL, "--die-with-parent:");
    if (getppid() != parent)
        die(EX_FAIL, "--die-with-parent: the parent has ended already; nothing was started");
}

/* Opens all that the run writes, so that nothing is started in vain. */
static void open_files(struct run *run, char *const *command) {
    if (opts.cwd && (run->cwd = open(opts.cwd, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        die(EX_FAIL, "--cwd %s: %s: nothing was started; give a directory that exists", opts.cwd,
            strerror(errno));
    result_open(&run->result, opts.result);
    result_key(&run->result, "argv0", "%s", command[0]);
    if (opts.pid_file && !output_open(&run->pid_file, opts.pid_file, false))
        die(EX_FAIL, "--pid-file %s: %s: nothing was started; give a place that can be written",
            opts.pid_file, strerror(errno));
}

/* ---- The front ---- */

struct front {
    int notes;       /* to the guardian */
    uint64_t ctrl_c; /* when one was typed last, monotonic ns; 0: never */
};

/* A script in our process group gets the same Ctrl-C as we do, and may pass it on to us: that is no
 * second one. */
static bool is_same_ctrl_c(struct front *f, const struct signalfd_siginfo *info) {
    if (info->ssi_signo != SIGINT)
        return false;
    if (info->ssi_code != SI_KERNEL)
        return f->ctrl_c > 0 && now_ns() - f->ctrl_c < SECOND;
    f->ctrl_c = now_ns();
    return false;
}

static void tell_guardian(struct front *f, const struct signalfd_siginfo *info) {
    struct note n = {.sig = (int)info->ssi_signo,
                     .delivered = opts.foreground && info->ssi_code == SI_KERNEL};

    if (is_same_ctrl_c(f, info))
        return;
    (void)!write(f->notes, &n, sizeof(n));
    /* The shell that started us sees a stopped job. */
    if (n.sig == SIGTSTP)
        (void)raise(SIGSTOP);
}

/* Passes signals on until the guardian has ended; its wait status. */
static int pass_signals(const struct run *run, pid_t guardian, int notes) {
    struct front f = {.notes = notes};
    struct signalfd_siginfo info;
    int signals = signalfd(-1, &run->ours, SFD_CLOEXEC), status = 0;

    if (signals < 0)
        die(EX_FAIL, "signalfd:");
    while (waitpid(guardian, &status, WNOHANG) == 0) {
        if (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info) &&
            info.ssi_signo != SIGCHLD)
            tell_guardian(&f, &info);
    }
    (void)close(signals);
    return status;
}

/* Ends what is left when the guardian has ended: nothing, unless it was killed. Returns our exit
 * status. */
static int end_tree(struct run *run, int guardian_status) {
    struct reaper r = {.result = &run->result, .rootfd = run->rootfd};
    int sig = WIFSIGNALED(guardian_status) ? WTERMSIG(guardian_status) : 0;

    if (sig != 0)
        warn("its guardian was killed by signal %d; the command and its tree are ended", sig);
    if (!kill_descendants(&r, KILL_NS))
        warn("a process cannot be killed: look for it below pid %d with ps", getpid());
    if (sig == 0)
        return WEXITSTATUS(guardian_status);
    result_key(&run->result, "error", "the guardian was killed by signal %d, and the tree with it",
               sig);
    result_key(&run->result, "complete", "no");
    return EX_FAIL;
}

int main(int argc, char **argv) {
    struct run run = {.starter = getppid(), .cwd = -1, .result = {.fd = -1}};
    int notes[2], status;
    pid_t guardian;

    err_name("procrun");
    open_standard_files();
    parse_options(argc, argv);
    run.command = argv + optind;
    run.grace_ns = opts.grace_ns;
    run.wait_all = opts.wait_all;
    run.foreground = opts.foreground;
    take_signals(&run);
    if (opts.die_with_parent)
        follow_parent();
    run.rootfd = proc_open_root("/proc");
    open_files(&run, run.command);
    if (pipe2(notes, O_CLOEXEC) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        die(EX_FAIL, "cannot hold a tree of processes:");
    guardian = fork();
    if (guardian < 0)
        die(EX_FAIL, "cannot start a process:");
    if (guardian == 0) {
        (void)close(notes[1]);
        status = guard(&run, notes[0]);
    } else {
        (void)close(notes[0]);
        (void)output_close(&run.pid_file);
        status = end_tree(&run, pass_signals(&run, guardian, notes[1]));
    }
    return status;
}
