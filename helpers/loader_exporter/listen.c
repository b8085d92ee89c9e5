/* SPDX-License-Identifier: MIT */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"

#define BACKLOG 1024

void address_parse(const char *option, const char *text, struct address *a) {
    const char *colon = strrchr(text, ':'), *number = colon ? colon + 1 : "";
    const char *host = text, *host_end = colon;
    struct in6_addr ignored;
    char *end;
    unsigned long port;

    if (*number < '0' || *number > '9')
        die_usage("%s: not HOST:PORT: '%s'", option, text);
    errno = 0;
    port = strtoul(number, &end, 10);
    if (*end != '\0' || errno != 0 || port > 65535)
        die_usage("%s: not a port from 0 to 65535: '%s'", option, number);
    if (*host == '[' && colon > host && colon[-1] == ']') {
        host++;
        host_end--;
    }
    if ((size_t)(host_end - host) >= sizeof(a->host))
        die_usage("%s: host name too long: '%s'", option, text);
    (void)snprintf(a->host, sizeof(a->host), "%.*s", (int)(host_end - host), host);
    (void)snprintf(a->port, sizeof(a->port), "%lu", port);
    a->is_ipv6 = host != text && inet_pton(AF_INET6, a->host, &ignored) == 1;
    if (!a->is_ipv6 && (host != text || strchr(a->host, ':')))
        die_usage("%s: an IPv6 address stands in brackets: '%s'", option, text);
}

static int try_listen(const struct addrinfo *ai) {
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1, off = 0, saved;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (ai->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

static bool is_loopback(const struct sockaddr_storage *bound) {
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)bound)->sin6_addr;

    if (bound->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)bound)->sin_addr.s_addr) >> 24 == 127;
    if (bound->ss_family != AF_INET6)
        return false;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

/* Of the socket itself, since a name may stand for any address. */
static void take_bound(int fd, struct address *a) {
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof(bound);

    if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0)
        return;
    a->is_local = is_loopback(&bound);
    (void)getnameinfo((struct sockaddr *)&bound, len, NULL, 0, a->port, sizeof(a->port),
                      NI_NUMERICSERV);
}

int address_listen(struct address *a) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    int err = getaddrinfo(*a->host ? a->host : NULL, a->port, &hints, &list), fd = -1;

    if (err != 0)
        die(EX_FAIL, "%s: %s", a->host, gai_strerror(err));
    /* "Every address" is IPv6's first, which takes IPv4 too. */
    for (int family = AF_INET6; fd < 0; family = AF_INET) {
        for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
            if (ai->ai_family == family)
                fd = try_listen(ai);
            if (fd < 0 && ai->ai_family == family && errno != EAFNOSUPPORT)
                err = errno;
        }
        if (family == AF_INET)
            break;
    }
    freeaddrinfo(list);
    if (fd < 0) {
        errno = err;
        warn("%s:%s:", a->host, a->port);
        if (err == EADDRINUSE)
            die(EX_FAIL, "take another port with --web.listen-address, or port 0 for any free one");
        exit(EX_FAIL);
    }
    take_bound(fd, a);
    return fd;
}

void address_print(const struct address *a, char *text, unsigned cap) {
    char name[256] = "localhost";

    if (*a->host == '\0' || strcmp(a->host, "0.0.0.0") == 0 || strcmp(a->host, "::") == 0) {
        (void)gethostname(name, sizeof(name) - 1);
        (void)snprintf(text, cap, "%s:%s", name, a->port);
    } else {
        (void)snprintf(text, cap, a->is_ipv6 ? "[%s]:%s" : "%s:%s", a->host, a->port);
    }
}
