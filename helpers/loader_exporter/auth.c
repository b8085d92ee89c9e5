/* SPDX-License-Identifier: MIT */
#include "auth.h"

#include <crypt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buf.h"

/* Checks that may be done at once, and how many of them come back in a second. */
#define BURST 4.0
#define PER_SECOND 2.0

struct auth {
    const struct web_config *config;
    char **known; /* for each user the password that was right last time, or NULL */
    double tokens;
    struct timespec filled;
    struct crypt_data crypt;
};

struct auth *auth_new(const struct web_config *config) {
    struct auth *a;

    if (config->users == 0)
        return NULL;
    a = xcalloc(1, sizeof(*a));
    a->config = config;
    a->known = xcalloc(config->users, sizeof(a->known[0]));
    a->tokens = BURST;
    (void)clock_gettime(CLOCK_MONOTONIC, &a->filled);
    return a;
}

static void forget(char *password) {
    if (password)
        explicit_bzero(password, strlen(password));
    free(password);
}

void auth_free(struct auth *a) {
    if (!a)
        return;
    for (size_t i = 0; i < a->config->users; i++)
        forget(a->known[i]);
    free(a->known);
    explicit_bzero(&a->crypt, sizeof(a->crypt));
    free(a);
}

/* In a time that does not say where they differ. */
static bool same(const char *a, const char *b) {
    size_t len = strlen(a);
    unsigned differs = 0;

    if (len != strlen(b))
        return false;
    for (size_t i = 0; i < len; i++)
        differs |= (unsigned)(a[i] ^ b[i]);
    return differs == 0;
}

static bool take_token(struct auth *a) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    a->tokens += PER_SECOND * ((double)(now.tv_sec - a->filled.tv_sec) +
                               (double)(now.tv_nsec - a->filled.tv_nsec) / 1e9);
    a->filled = now;
    if (a->tokens > BURST)
        a->tokens = BURST;
    if (a->tokens < 1)
        return false;
    a->tokens -= 1;
    return true;
}

enum auth_verdict auth_check(struct auth *a, const char *user, const char *password) {
    const struct web_config *config = a->config;
    size_t i = 0;
    const char *hash;

    if (!user || !password)
        return AUTH_WRONG;
    while (i < config->users && strcmp(config->user[i].name, user) != 0)
        i++;
    if (i < config->users && a->known[i] && same(a->known[i], password))
        return AUTH_OK;
    if (!take_token(a))
        return AUTH_BUSY;
    /* An unknown user costs the same as a wrong password, so that the answer's time does not tell
     * them apart. */
    hash = crypt_r(password, config->user[i < config->users ? i : 0].hash, &a->crypt);
    if (i == config->users || !hash || !same(hash, config->user[i].hash))
        return AUTH_WRONG;
    forget(a->known[i]);
    a->known[i] = xstrdup(password);
    return AUTH_OK;
}
