/* SPDX-License-Identifier: MIT
 * Basic auth against bcrypt hashes.
 */
#ifndef EXPORTER_AUTH_H
#define EXPORTER_AUTH_H

#include "web_config.h"

enum auth_verdict {
    AUTH_OK,
    AUTH_WRONG,
    AUTH_BUSY, /* not checked: a bcrypt costs tens of ms, and somebody sends more passwords than
                  that allows */
};

struct auth;

/* NULL when the configuration has no users. `config` must outlive it. */
struct auth *auth_new(const struct web_config *config);
void auth_free(struct auth *a);

/* `user` and `password` may be NULL: none was sent. */
enum auth_verdict auth_check(struct auth *a, const char *user, const char *password);

#endif
