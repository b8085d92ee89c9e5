/* SPDX-License-Identifier: MIT
 * procrun: runs a command in a process tree that is kept together, and records what every process
 * of it used.
 *
 *   $ procrun --result run.tsv -- python3 -m qdrant_loader.cli.cli ingest --workspace ws
 *   $ cat run.tsv
 *   # pid: 4711
 *   # started: 1764000000123456789
 *   pid	comm	started_s	ended_s	exit_status	signal	cpu_user_s cpu_system_s
 * maxrss_kib … 4711	python3	0.00	19.702	0	n/a	5.811000
 * 0.604000	320716 … # exit_status: 0 # ended: 1764000019826456789 # wall_s: 19.703000
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "opt.h"
#include "procrun.h"

static struct options opts = {.grace_ns = 10000000000u};

static const char usage[] =
    "usage: procrun [OPTION]... [--] COMMAND [ARGUMENT]...\n"
    "Runs a command, keeps all that descends from it together, and records what\n"
    "each process used. Exits with the command's status.\n"
    "\n"
    "      --result FILE      a row per process that ended: times, status, CPU,\n"
    "                         peak memory, context switches, faults\n"
    "      --pid-file FILE    `pid starttime` of the command, once it runs\n"
    "      --cwd DIR          where the command starts\n"
    "      --grace TIME       between SIGINT, SIGTERM and SIGKILL (default 10s)\n"
    "      --wait-all         wait for what the command leaves running, instead of\n"
    "                         ending it\n"
    "      --die-with-parent  end when the process that started procrun ends\n"
    "      --quiet            no message when the tree had to be killed\n"
    "      --help             print this and exit\n"
    "\n"
    "SIGINT, SIGTERM and SIGHUP end the tree: SIGINT first, for programs that save\n"
    "what they have; a second signal, or the grace time, goes one step on. Other\n"
    "signals are passed on. When procrun itself is killed, the tree ends with it.\n"
    "\n"
    "Exit status: the command's; 128 + N for signal N; 126 and 127 when it cannot\n"
    "be run; 2 usage; 3 failure.\n"
    "\n"
    "Examples:\n"
    "  procrun --result run.tsv -- uv run qdrant-loader ingest --workspace .\n"
    "  procrun --grace 2s --cwd /tmp -- make all\n";

static void parse_options(int argc, char **argv) {
    enum { RESULT = 256, PID_FILE, CWD, GRACE, WAIT_ALL, DIE, QUIET, HELP };
    static const struct option longs[] = {{"result", required_argument, NULL, RESULT},
                                          {"pid-file", required_argument, NULL, PID_FILE},
                                          {"cwd", required_argument, NULL, CWD},
                                          {"grace", required_argument, NULL, GRACE},
                                          {"wait-all", no_argument, NULL, WAIT_ALL},
                                          {"die-with-parent", no_argument, NULL, DIE},
                                          {"quiet", no_argument, NULL, QUIET},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    int c;

    opterr = 0;
    /* '+': the options of the command are the command's. */
    while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
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
            opts.grace_ns = opt_duration_ns("--grace", optarg, 1000000u, 3600000000000u);
            break;
        case WAIT_ALL:
            opts.wait_all = true;
            break;
        case DIE:
            opts.die_with_parent = true;
            break;
        case QUIET:
            opts.quiet = true;
            break;
        case HELP:
            (void)fputs(usage, stdout);
            exit(out_close(EX_DONE));
        default:
            die_usage("unknown option or missing value: '%s'", argv[optind - 1]);
        }
    }
    if (optind >= argc)
        die_usage("no command");
    opts.command = argv + optind;
}

/* The guardian is gone without having ended by itself: what it kept comes to this process, its
 * subreaper. */
static int guardian_lost(void) {
    int n = tree_signal(SIGKILL);

    tree_kill();
    if (!opts.quiet)
        warn("its guardian was killed; the %d processes that it kept were killed too", n);
    return EX_FAIL;
}

/* Passes signals on to the guardian until it ends. */
static int front(pid_t guardian, int signals) {
    struct signalfd_siginfo got;
    int status;

    for (;;) {
        pid_t ended = waitpid(guardian, &status, WNOHANG);

        if (ended == guardian)
            return WIFEXITED(status) ? WEXITSTATUS(status) : guardian_lost();
        if (ended < 0)
            die(EX_FAIL, "wait:");
        if (read(signals, &got, sizeof(got)) != (ssize_t)sizeof(got))
            continue;
        if (got.ssi_signo == SIGCHLD)
            continue;
        (void)kill(guardian, (int)got.ssi_signo);
        if (got.ssi_signo == SIGTSTP)
            (void)raise(SIGSTOP);
    }
}

int main(int argc, char **argv) {
    pid_t parent = getppid(), guardian;
    struct record record;
    int life[2], signals, status;
    bool terminal;
    sigset_t all;

    err_name("procrun");
    parse_options(argc, argv);
    if (opts.die_with_parent) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            die(EX_FAIL, "the process that started procrun has ended");
    }
    record_open(&record, opts.result);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    terminal = isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    signals = signalfd(-1, &all, SFD_CLOEXEC);
    if (signals < 0 || pipe2(life, O_CLOEXEC) != 0)
        die(EX_FAIL, "signalfd or pipe:");
    guardian = fork();
    if (guardian < 0)
        die(EX_FAIL, "fork:");
    if (guardian == 0) {
        (void)close(life[1]);
        (void)close(signals);
        status = guard(&opts, &record, life[0]);
        _exit(status);
    }
    (void)close(life[0]);
    status = front(guardian, signals);
    if (terminal)
        (void)tcsetpgrp(STDIN_FILENO, getpgrp());
    return status;
}
