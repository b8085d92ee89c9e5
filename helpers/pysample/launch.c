/* SPDX-License-Identifier: MIT */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"

pid_t launch(char **command) {
    int fds[2], failed = 0;
    ssize_t n;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) != 0)
        die(EX_FAIL, "pipe:");
    pid = fork();
    if (pid < 0)
        die(EX_FAIL, "fork:");
    if (pid == 0) {
        (void)close(fds[0]);
        (void)execvp(command[0], command);
        failed = errno;
        n = write(fds[1], &failed, sizeof(failed));
        _exit(n == sizeof(failed) ? 127 : 126);
    }
    (void)close(fds[1]);
    do
        n = read(fds[0], &failed, sizeof(failed));
    while (n < 0 && errno == EINTR);
    (void)close(fds[0]);
    if (n > 0) {
        (void)waitpid(pid, NULL, 0);
        errno = failed;
        die(EX_FAIL, "%s:", command[0]);
    }
    return pid;
}
