/* SPDX-License-Identifier: MIT
 * The least that it takes on this machine to tell of a start: asks the kernel's proc connector for
 * exec events, and prints the first process below PID that executes something. Looks at nothing
 * else. Compared with by pidfind.py.
 *
 *   exec_floor PID      (exit status 3: the kernel gives no events)
 */
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proc.h"

union message {
    struct nlmsghdr head;
    char bytes[4096];
};

int main(int argc, char **argv) {
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    int fd = socket(PF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_CONNECTOR),
        rootfd = proc_open_root("/proc");
    enum proc_cn_mcast_op ask = PROC_CN_MCAST_LISTEN;
    union message m = {0};
    struct cn_msg *cn = NLMSG_DATA(&m.head);

    if (argc != 2)
        return 2;
    m.head.nlmsg_len = (uint32_t)NLMSG_LENGTH(sizeof(*cn) + sizeof(ask));
    m.head.nlmsg_type = NLMSG_DONE;
    cn->id = (struct cb_id){.idx = CN_IDX_PROC, .val = CN_VAL_PROC};
    cn->len = sizeof(ask);
    memcpy(cn->data, &ask, sizeof(ask));
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        send(fd, m.bytes, m.head.nlmsg_len, 0) != (ssize_t)m.head.nlmsg_len)
        return 3;
    while (recv(fd, m.bytes, sizeof(m.bytes), 0) > 0) {
        struct proc_event event;
        struct proc_stat st;
        char name[32];

        memcpy(&event, cn->data, sizeof(event));
        if (event.what == PROC_EVENT_NONE && event.event_data.ack.err != 0)
            return 3;
        if (event.what != PROC_EVENT_EXEC)
            continue;
        (void)snprintf(name, sizeof(name), "%d/stat", event.event_data.exec.process_tgid);
        if (!proc_read_stat(rootfd, name, &st) || st.ppid != atoi(argv[1]))
            continue;
        printf("%d\n", st.pid);
        return fflush(stdout) == 0 ? 0 : 3;
    }
    return 3;
}
