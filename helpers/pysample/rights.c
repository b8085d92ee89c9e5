/* SPDX-License-Identifier: MIT */
#include "rights.h"

#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "proc.h"

/* kernel.yama.ptrace_scope: '0' to '3', and '0' where the kernel has no yama. */
static char yama_scope(void) {
    char text[16] = "0";
    int root = proc_open_root("/proc");

    if (proc_read(root, "sys/kernel/yama/ptrace_scope", text, sizeof(text)) <= 0)
        text[0] = '0';
    (void)close(root);
    return text[0];
}

void rights_explain(const struct session *s, bool launched) {
    char scope = yama_scope();
    struct stat st;

    warn("%d: %s", (int)s->pid, s->why);
    if (scope == '3')
        warn("kernel.yama.ptrace_scope is 3: nobody may, not even root, until the machine is "
             "started with another value");
    else if (scope == '2')
        warn("kernel.yama.ptrace_scope is 2: only root may; run with sudo, or: "
             "sudo sysctl kernel.yama.ptrace_scope=%d",
             launched ? 1 : 0);
    else if (scope == '1' && !launched && fstat(s->procfd, &st) == 0 && st.st_uid == geteuid())
        warn("kernel.yama.ptrace_scope is 1: launch it with 'pysample -- command', which needs no "
             "rights; or run with sudo, or: sudo sysctl kernel.yama.ptrace_scope=0");
    else
        warn("run as the user that owns the process or with sudo; in a container: "
             "docker run --cap-add SYS_PTRACE");
}
