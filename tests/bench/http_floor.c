/* SPDX-License-Identifier: MIT
 * The least that a page costs on this machine: waits for a request on one connection, reads FILE…
 * into the void, and sends an answer of SIZE bytes. No parsing, no rendering, no HTTP. Prints its
 * port. Compared with by loader_exporter.py.
 *
 *   http_floor SIZE [FILE]…
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILES_MAX 16

static char page[1 << 20], text[1 << 16];

static int accept_one(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return -1;
    (void)printf("%d\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    return accept(fd, NULL, NULL);
}

int main(int argc, char **argv) {
    int file[FILES_MAX], files = 0, fd;
    size_t size, len;

    if (argc < 2 || argc > 2 + FILES_MAX)
        return 2;
    size = strtoul(argv[1], NULL, 10);
    len = (size_t)snprintf(page, sizeof(page), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
                           size);
    if (size > sizeof(page) - len)
        return 2;
    memset(page + len, 'x', size);
    for (int i = 2; i < argc; i++) {
        file[files] = open(argv[i], O_RDONLY);
        if (file[files++] < 0)
            return 3;
    }
    fd = accept_one();
    for (;;) {
        struct pollfd request = {.fd = fd, .events = POLLIN};

        if (poll(&request, 1, -1) < 0 || recv(fd, text, sizeof(text), 0) <= 0)
            return 0;
        for (int i = 0; i < files; i++) {
            if (pread(file[i], text, sizeof(text), 0) < 0)
                return 3;
        }
        if (send(fd, page, len + size, MSG_NOSIGNAL) < 0)
            return 3;
    }
}
