/* SPDX-License-Identifier: MIT
 * The key of an entry in a metrics file: ["family", "sample", {"label": "value"}, "help"] as JSON.
 */
#ifndef EXPORTER_KEY_H
#define EXPORTER_KEY_H

#include <stddef.h>

#include "buf.h"

#define KEY_LABELS_MAX 32

struct text {
    const char *p;
    size_t len;
};

struct key_label {
    struct text name, value;
};

struct key {
    struct text family, sample, help;
    struct key_label label[KEY_LABELS_MAX]; /* by name, each name once */
    size_t labels;
};

enum key_fault {
    KEY_OK,
    KEY_JSON,  /* not UTF-8, or not JSON */
    KEY_SHAPE, /* JSON, but not of this shape: a label value that is a number, three items … */
    KEY_NAME,  /* no family or sample name */
    KEY_LABEL, /* a label name that is empty or begins with __, two that are written alike, or too
                  many */
};

/* Parses a key. Names are made valid the way prometheus_client does ("m m" becomes m_m); in label
 * values and help a lone surrogate and NUL become U+FFFD, because no parser takes them. The strings
 * lie in `scratch`. */
enum key_fault key_parse(const char *json, size_t len, struct buf *scratch, struct key *key);

/* The label of that name, or NULL. */
const struct key_label *key_label(const struct key *key, const char *name);
/* Takes the label of that name out. */
void key_label_drop(struct key *key, const char *name);

#endif
