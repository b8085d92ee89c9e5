/* SPDX-License-Identifier: MIT
 * --web.config.file: TLS and basic auth, in the format of Prometheus' exporter-toolkit
 * (github.com/prometheus/exporter-toolkit, docs/web-configuration.md).
 *
 * Read is the part of YAML that such files are written in: nested maps of plain or quoted scalars,
 * comments. What this exporter does not do (client certificates, cipher lists, HTTP/2, extra
 * headers) is an error, not ignored.
 */
#ifndef EXPORTER_WEB_CONFIG_H
#define EXPORTER_WEB_CONFIG_H

#include <stddef.h>

struct web_user {
    char *name;
    char *hash; /* bcrypt */
};

struct web_config {
    char *cert, *key; /* PEM, or NULL: no TLS */
    char *priorities; /* GnuTLS' word for the TLS versions */
    struct web_user *user;
    size_t users;
};

/* Reads the file, or exits 2 with the line that is wrong. NULL: neither TLS nor users. */
void web_config_read(const char *file, struct web_config *config);
void web_config_free(struct web_config *config);

#endif
