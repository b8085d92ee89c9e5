/* SPDX-License-Identifier: MIT
 * Listening addresses as Prometheus' exporters take them: 127.0.0.1:9464, [::1]:9464, :9464 (every
 * address), port 0 (any).
 */
#ifndef EXPORTER_LISTEN_H
#define EXPORTER_LISTEN_H

#include <stdbool.h>

struct address {
    char host[256]; /* as given, without brackets; "" for every address */
    char port[8];   /* a number; the one that was taken, once it is open */
    bool is_ipv6;   /* the host is an IPv6 number */
    bool is_local;  /* only this machine reaches it; known once it is open */
};

/* Parses HOST:PORT; a usage error (exit 2) names `option`. */
void address_parse(const char *option, const char *text, struct address *a);

/* Opens a listening socket, or exits 3 with what to do. Sets what is known once it is open. */
int address_listen(struct address *a);

/* HOST:PORT for a client on this machine, IPv6 in brackets; the machine's own name for every
 * address. */
void address_print(const struct address *a, char *text, unsigned cap);

#endif
