/* SPDX-License-Identifier: MIT */
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "now.h"
#include "proc.h"

/* All but standard input, output and error: those that we opened are closed anyway, those that we
 * were given are not. */
static void close_at_exec(void) {
    long max = sysconf(_SC_OPEN_MAX);

    if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    /* Linux before 5.11, or a sandbox that does not know the call. */
    for (int fd = STDERR_FILENO + 1; fd < max && fd < 1 << 16; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* In the child: becomes the command, or tells errno to `failure` and ends. */
static _Noreturn void become_command(const struct run *run, pid_t guardian, pid_t group,
                                     int failure) {
    struct sigaction normal = {.sa_handler = SIG_DFL};

    /* The command goes with the guardian, even when nobody is left to end it. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != guardian)
        _exit(EX_FAIL);
    /* Where yama lets only ancestors look into a process (kernel.yama.ptrace_scope=1), who started
     * us may, and what it starts: a sampler beside the command. Elsewhere the call is unknown. */
    (void)prctl(PR_SET_PTRACER, (unsigned long)run->starter);
    (void)setpgid(0, group);
    (void)sigaction(SIGTTOU, &normal, NULL);
    (void)sigaction(SIGHUP, &run->hup, NULL);
    (void)sigaction(SIGPIPE, &run->pipe, NULL);
    (void)sigprocmask(SIG_SETMASK, &run->mask, NULL);
    if (run->cwd < 0 || fchdir(run->cwd) == 0) {
        close_at_exec();
        (void)execvp(run->command[0], run->command);
    }
    (void)!write(failure, &errno, sizeof(errno));
    _exit(EX_FAIL);
}

/* False when it could not be written. */
static bool write_pid_file(const struct run *run, pid_t command) {
    struct proc_stat st;
    char name[32], line[64];
    int len;

    (void)snprintf(name, sizeof(name), "%d/stat", command);
    if (proc_read_stat(run->rootfd, name, &st)) {
        len = snprintf(line, sizeof(line), "%d %" PRIu64 "\n", command, st.starttime);
        if (output_write(&run->pid_file, line, (size_t)len))
            return true;
    }
    warn("--pid-file %s: %s: the command goes on", run->pid_file.name, strerror(errno));
    return false;
}

/* Says and records why there is no command. */
static int refuse(struct run *run, int reason) {
    int status = reason == ENOENT ? 127 : 126;

    warn("%s: %s: %s", run->command[0], strerror(reason),
         reason == ENOENT ? "is it installed, and on PATH?"
                          : "give a program that can be executed");
    result_key(&run->result, "error", "%s: %s", run->command[0], strerror(reason));
    result_key(&run->result, "exit_status", "%d", status);
    return status;
}

struct started start_command(struct run *run) {
    struct started s = {.began = now_ns(), .epoch = epoch_ns()};
    pid_t self = getpid(), group = run->foreground ? getpgid(getppid()) : 0;
    int failure[2], reason = 0;

    if (pipe2(failure, O_CLOEXEC) != 0)
        die(EX_FAIL, "pipe:");
    s.pid = fork();
    if (s.pid < 0)
        die(EX_FAIL, "%s: cannot start a process:", run->command[0]);
    if (s.pid == 0)
        become_command(run, self, group, failure[1]);
    s.group = group ? group : s.pid;
    /* Both of us do it, so that it is done whoever comes first. */
    (void)setpgid(s.pid, s.group);
    (void)close(failure[1]);
    if (read(failure[0], &reason, sizeof(reason)) != (ssize_t)sizeof(reason))
        reason = 0;
    (void)close(failure[0]);
    result_time(&run->result, "started", s.epoch);
    if (reason != 0) {
        (void)waitpid(s.pid, NULL, 0);
        s.pid = 0;
        s.status = refuse(run, reason);
        if (run->pid_file.name)
            (void)output_close(&run->pid_file);
        return s;
    }
    if (run->pid_file.name) {
        bool good = write_pid_file(run, s.pid);

        /* The reader of a FIFO waits for its end. */
        if (!output_close(&run->pid_file) || !good)
            s.status = EX_FAIL;
    }
    result_key(&run->result, "pid", "%d", s.pid);
    result_columns(&run->result);
    return s;
}
