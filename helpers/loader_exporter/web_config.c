/* SPDX-License-Identifier: MIT */
#include "web_config.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "proc.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)
#define PROXY "is not done here; a reverse proxy does it: docs/monitoring/reverse-proxy.md"
/* 2^14 rounds of bcrypt take about a second, during which nobody else is answered. */
#define BCRYPT_COST_MAX 14

struct reader {
    const char *file;
    unsigned line;
    struct buf section; /* the top-level key that the lines belong to */
    size_t indent;      /* of these lines; 0: none was read yet */
    char *cert_file, *key_file;
    bool no_tls12, no_tls13;
    struct web_config *config;
};

static noreturn void wrong(const struct reader *r, const char *what, const char *why) {
    die(EX_USAGE, "%s:%u: %s: %s", r->file, r->line, what, why);
}

static char *read_whole(const char *file) {
    struct buf text = {0};

    if (!proc_read_all(AT_FDCWD, file, &text, FILE_MAX_BYTES))
        die(EX_FAIL, "%s:", file);
    if (strlen(text.data) < text.len)
        die(EX_USAGE, "%s: not a text file", file);
    return text.data;
}

static const char *quoted(const struct reader *r, const char *p, struct buf *out) {
    char quote = *p++;

    for (; *p && (*p != quote || (quote == '\'' && p[1] == '\'')); p++) {
        if (*p == quote) {
            p++;
        } else if (quote == '"' && *p == '\\') {
            p++;
            if (*p != '"' && *p != '\\')
                wrong(r, "double quotes", "only \\\" and \\\\ are read in them");
        }
        buf_addc(out, *p);
    }
    if (*p != quote)
        wrong(r, "quote", "does not end");
    return p + 1;
}

/* Appends the scalar at `p` to `out` and returns what is behind it: a key ends at a colon, both at
 * a comment. */
static const char *scalar(const struct reader *r, const char *p, bool is_key, struct buf *out) {
    const char *start = p;

    out->len = 0;
    buf_adds(out, "");
    if (*p == '"' || *p == '\'')
        return quoted(r, p, out);
    if (*p && strchr("{}[]|>&*!%@`,?", *p))
        wrong(r, "unquoted", "quote what begins so; only `key: value` is read of YAML");
    if (p[0] == '-' && (p[1] == ' ' || p[1] == '\0'))
        wrong(r, "-", "a list, where `key: value` should be");
    while (*p && !(is_key && *p == ':' && (p[1] == ' ' || p[1] == '\0')) &&
           !(*p == '#' && (p == start || p[-1] == ' ')))
        p++;
    buf_add(out, start, (size_t)(p - start));
    while (out->len > 0 && out->data[out->len - 1] == ' ')
        out->data[--out->len] = '\0';
    return p;
}

static const char *skip_blanks(const char *p) {
    while (*p == ' ')
        p++;
    return p;
}

static void set_once(const struct reader *r, char **to, const char *key, const char *value) {
    if (*to)
        wrong(r, key, "given twice");
    *to = xstrdup(value);
}

static void tls_line(struct reader *r, const char *key, const char *value) {
    bool tls12 = strcmp(value, "TLS12") == 0, tls13 = strcmp(value, "TLS13") == 0;

    if (strcmp(key, "cert_file") == 0) {
        set_once(r, &r->cert_file, key, value);
    } else if (strcmp(key, "key_file") == 0) {
        set_once(r, &r->key_file, key, value);
    } else if (strcmp(key, "min_version") == 0) {
        if (!tls12 && !tls13)
            wrong(r, key, "not TLS12 or TLS13");
        r->no_tls12 = tls13;
    } else if (strcmp(key, "max_version") == 0) {
        if (!tls12 && !tls13)
            wrong(r, key, "not TLS12 or TLS13");
        r->no_tls13 = tls12;
    } else if (strcmp(key, "client_auth_type") != 0 || strcmp(value, "NoClientCert") != 0) {
        wrong(r, key, PROXY);
    }
}

static bool is_bcrypt(const char *hash) {
    return strlen(hash) == 60 && hash[0] == '$' && hash[1] == '2' && strchr("aby", hash[2]) &&
           hash[3] == '$' && hash[6] == '$';
}

static void user_line(struct reader *r, const char *name, const char *hash) {
    struct web_config *c = r->config;

    if (!is_bcrypt(hash))
        wrong(r, name,
              "its password is no bcrypt hash; make one with `htpasswd -nBC 10 \"\" | tr -d ':'`");
    if (strtol(hash + 4, NULL, 10) > BCRYPT_COST_MAX)
        wrong(r, name, "a bcrypt cost above 14 takes seconds for each password; 10 is usual");
    for (size_t i = 0; i < c->users; i++) {
        if (strcmp(c->user[i].name, name) == 0)
            wrong(r, name, "given twice");
    }
    c->user = xrealloc(c->user, (c->users + 1) * sizeof(c->user[0]));
    c->user[c->users++] = (struct web_user){.name = xstrdup(name), .hash = xstrdup(hash)};
}

static void section_line(struct reader *r, const char *key, const char *value) {
    const char *section = r->section.data;

    if (*value == '\0')
        wrong(r, key, "has no value");
    if (strcmp(section, "tls_server_config") == 0)
        tls_line(r, key, value);
    else if (strcmp(section, "basic_auth_users") == 0)
        user_line(r, key, value);
    else if (strcmp(section, "http_server_config") != 0 || strcmp(key, "http2") != 0 ||
             strcmp(value, "false") != 0)
        wrong(r, key, PROXY);
}

static void begin_section(struct reader *r, const char *key, const char *value) {
    if (strcmp(key, "tls_server_config") != 0 && strcmp(key, "basic_auth_users") != 0 &&
        strcmp(key, "http_server_config") != 0)
        wrong(r, key, "not tls_server_config, basic_auth_users or http_server_config");
    if (*value)
        wrong(r, key, "its settings stand on the next lines, indented");
    r->section.len = 0;
    buf_adds(&r->section, key);
    r->indent = 0;
}

static void read_line(struct reader *r, char *line) {
    struct buf key = {0}, value = {0};
    size_t indent = strspn(line, " ");
    const char *p = line + indent;

    line[strcspn(line, "\r")] = '\0';
    if (*p == '\0' || *p == '#' || strcmp(line, "---") == 0)
        return;
    if (*p == '\t')
        wrong(r, "tab", "YAML is indented with blanks");
    p = skip_blanks(scalar(r, p, true, &key));
    if (*p != ':' || (p[1] != ' ' && p[1] != '\0'))
        wrong(r, key.data, "not `key: value`");
    p = skip_blanks(scalar(r, skip_blanks(p + 1), false, &value));
    if (*p && *p != '#')
        wrong(r, key.data, "text behind the value");
    if (indent == 0) {
        begin_section(r, key.data, value.data);
    } else {
        if (r->section.len == 0 || (r->indent > 0 && indent != r->indent))
            wrong(r, key.data, "indented otherwise than the line before");
        r->indent = indent;
        section_line(r, key.data, value.data);
    }
    buf_free(&key);
    buf_free(&value);
}

/* A file named in the configuration, relative to its folder. */
static char *read_beside(const char *config, const char *file) {
    const char *slash = strrchr(config, '/');
    struct buf path = {0};
    char *text;

    if (*file != '/' && slash)
        buf_add(&path, config, (size_t)(slash - config) + 1);
    buf_adds(&path, file);
    text = read_whole(path.data);
    buf_free(&path);
    return text;
}

static void read_tls(const struct reader *r) {
    struct web_config *c = r->config;

    if (!r->cert_file && !r->key_file)
        return;
    if (!r->cert_file || !r->key_file)
        die(EX_USAGE, "%s: cert_file and key_file go together", r->file);
    if (r->no_tls12 && r->no_tls13)
        die(EX_USAGE, "%s: min_version is above max_version", r->file);
    c->cert = read_beside(r->file, r->cert_file);
    c->key = read_beside(r->file, r->key_file);
    c->priorities = xstrdup(r->no_tls12   ? "NORMAL:-VERS-ALL:+VERS-TLS1.3"
                            : r->no_tls13 ? "NORMAL:-VERS-ALL:+VERS-TLS1.2"
                                          : "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2");
}

void web_config_read(const char *file, struct web_config *config) {
    struct reader r = {.file = file, .config = config};
    char *text, *rest, *line;

    *config = (struct web_config){0};
    if (!file)
        return;
    rest = text = read_whole(file);
    buf_adds(&r.section, "");
    while ((line = strsep(&rest, "\n")) != NULL) {
        r.line++;
        read_line(&r, line);
    }
    read_tls(&r);
    if (!config->cert && config->users == 0)
        warn("%s: neither TLS nor users in it: it is served as without this file", file);
    free(text);
    free(r.cert_file);
    free(r.key_file);
    buf_free(&r.section);
}

void web_config_free(struct web_config *config) {
    if (config->key)
        explicit_bzero(config->key, strlen(config->key));
    free(config->key);
    free(config->cert);
    free(config->priorities);
    for (size_t i = 0; i < config->users; i++) {
        free(config->user[i].name);
        free(config->user[i].hash);
    }
    free(config->user);
    *config = (struct web_config){0};
}
