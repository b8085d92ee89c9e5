/* SPDX-License-Identifier: MIT */
#include "key.h"

#include <stdbool.h>
#include <string.h>

#include "utf8.h"

struct reader {
    const char *p, *end;
    struct buf *out; /* with room for all: a decoded string is never longer than its JSON */
};

static void skip_blanks(struct reader *r) {
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

/* Reads the character `c` after any blanks. */
static bool take(struct reader *r, char c) {
    skip_blanks(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static bool hex4(struct reader *r, unsigned *code) {
    *code = 0;
    if (r->end - r->p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = *r->p++;

        *code <<= 4;
        if (c >= '0' && c <= '9')
            *code |= (unsigned)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            *code |= (unsigned)((c | 0x20) - 'a' + 10);
        else
            return false;
    }
    return true;
}

static void add_code_point(struct buf *out, unsigned c) {
    char utf8[4];
    size_t n;

    if (c == 0 || (c >= 0xd800 && c <= 0xdfff))
        c = 0xfffd;
    if (c < 0x80) {
        utf8[0] = (char)c;
        n = 1;
    } else if (c < 0x800) {
        utf8[0] = (char)(0xc0 | (c >> 6));
        utf8[1] = (char)(0x80 | (c & 0x3f));
        n = 2;
    } else if (c < 0x10000) {
        utf8[0] = (char)(0xe0 | (c >> 12));
        utf8[1] = (char)(0x80 | ((c >> 6) & 0x3f));
        utf8[2] = (char)(0x80 | (c & 0x3f));
        n = 3;
    } else {
        utf8[0] = (char)(0xf0 | (c >> 18));
        utf8[1] = (char)(0x80 | ((c >> 12) & 0x3f));
        utf8[2] = (char)(0x80 | ((c >> 6) & 0x3f));
        utf8[3] = (char)(0x80 | (c & 0x3f));
        n = 4;
    }
    buf_add(out, utf8, n);
}

/* Behind a backslash. */
static bool read_escape(struct reader *r) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at;
    unsigned code, low;

    if (r->p == r->end)
        return false;
    if (*r->p != 'u') {
        at = memchr(from, *r->p++, sizeof(from) - 1);
        if (at)
            buf_addc(r->out, to[at - from]);
        return at != NULL;
    }
    r->p++;
    if (!hex4(r, &code))
        return false;
    if (code >= 0xd800 && code <= 0xdbff && r->end - r->p >= 6 && r->p[0] == '\\' &&
        r->p[1] == 'u') {
        const char *before = r->p;

        r->p += 2;
        if (!hex4(r, &low))
            return false;
        if (low >= 0xdc00 && low <= 0xdfff)
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        else
            r->p = before;
    }
    add_code_point(r->out, code);
    return true;
}

static bool read_string(struct reader *r, struct text *text) {
    size_t start = r->out->len;

    if (!take(r, '"'))
        return false;
    while (r->p < r->end && *r->p != '"') {
        size_t n = utf8_len(r->p, (size_t)(r->end - r->p));

        if (n == 0 || (unsigned char)*r->p < 0x20)
            return false;
        if (*r->p == '\\') {
            r->p++;
            if (!read_escape(r))
                return false;
        } else {
            buf_add(r->out, r->p, n);
            r->p += n;
        }
    }
    if (r->p == r->end)
        return false;
    r->p++;
    *text = (struct text){.p = r->out->data + start, .len = r->out->len - start};
    return true;
}

/* Is it JSON at all? Goes over one value of any kind, for telling a wrong shape from a broken file.
 */
static bool skip_value(struct reader *r, int depth) {
    struct text ignored;
    char open, shut;

    skip_blanks(r);
    if (r->p == r->end || depth > 8)
        return false;
    if (*r->p == '"')
        return read_string(r, &ignored);
    if (*r->p != '[' && *r->p != '{') {
        const char *start = r->p;

        while (r->p < r->end && *r->p != '\0' && strchr("+-.0123456789aeflnrstuE", *r->p))
            r->p++;
        return r->p > start;
    }
    open = *r->p++;
    shut = open == '[' ? ']' : '}';
    if (take(r, shut))
        return true;
    do {
        if (open == '{' && (!read_string(r, &ignored) || !take(r, ':')))
            return false;
        if (!skip_value(r, depth + 1))
            return false;
    } while (take(r, ','));
    return take(r, shut);
}

static bool is_json(const char *json, size_t len, struct buf *scratch) {
    struct reader r = {.p = json, .end = json + len, .out = scratch};

    scratch->len = 0;
    if (!skip_value(&r, 0))
        return false;
    skip_blanks(&r);
    return r.p == r.end;
}

/* Replaces what may not stand in a name by '_', one for each character, in place. */
static void make_name(struct text *name, bool colon_is_valid) {
    char *to = (char *)name->p;
    size_t len = 0;

    for (size_t i = 0; i < name->len;) {
        char c = name->p[i];
        size_t n = utf8_len(name->p + i, name->len - i);
        bool valid = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                     (c >= '0' && c <= '9' && i > 0) || (c == ':' && colon_is_valid);

        to[len++] = '_';
        if (valid)
            to[len - 1] = c;
        i += n > 0 ? n : 1;
    }
    name->len = len;
}

static int compare(struct text a, struct text b) {
    int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Puts a label in its place by name. Of two with one name in the JSON the later one counts, as in
 * Python. */
static bool add_label(struct key *key, struct key_label label) {
    size_t at = 0;
    int order = 1;

    while (at < key->labels && (order = compare(key->label[at].name, label.name)) < 0)
        at++;
    if (at < key->labels && order == 0) {
        key->label[at].value = label.value;
        return true;
    }
    if (key->labels == KEY_LABELS_MAX)
        return false;
    memmove(&key->label[at + 1], &key->label[at], (key->labels - at) * sizeof(label));
    key->label[at] = label;
    key->labels++;
    return true;
}

static enum key_fault read_labels(struct reader *r, struct key *key) {
    if (!take(r, '{'))
        return KEY_SHAPE;
    if (take(r, '}'))
        return KEY_OK;
    do {
        struct key_label label;

        if (!read_string(r, &label.name) || !take(r, ':') || !read_string(r, &label.value))
            return KEY_SHAPE;
        if (label.name.len == 0 || !add_label(key, label))
            return KEY_LABEL;
    } while (take(r, ','));
    return take(r, '}') ? KEY_OK : KEY_SHAPE;
}

static enum key_fault make_names(struct key *key) {
    struct key made = {.labels = 0};

    make_name(&key->family, true);
    make_name(&key->sample, true);
    if (key->family.len == 0 || key->sample.len == 0)
        return KEY_NAME;
    for (size_t i = 0; i < key->labels; i++) {
        make_name(&key->label[i].name, false);
        /* Prometheus' own: __name__ would rename the metric. */
        if (key->label[i].name.len >= 2 && memcmp(key->label[i].name.p, "__", 2) == 0)
            return KEY_LABEL;
        (void)add_label(&made, key->label[i]);
        if (made.labels != i + 1)
            return KEY_LABEL;
    }
    memcpy(key->label, made.label, made.labels * sizeof(made.label[0]));
    return KEY_OK;
}

enum key_fault key_parse(const char *json, size_t len, struct buf *scratch, struct key *key) {
    struct reader r = {.p = json, .end = json + len, .out = scratch};
    enum key_fault fault = KEY_SHAPE;

    scratch->len = 0;
    buf_reserve(scratch, len);
    key->labels = 0;
    if (take(&r, '[') && read_string(&r, &key->family) && take(&r, ',') &&
        read_string(&r, &key->sample) && take(&r, ','))
        fault = read_labels(&r, key);
    if (fault == KEY_OK) {
        fault = KEY_SHAPE;
        if (take(&r, ',') && read_string(&r, &key->help) && take(&r, ']')) {
            skip_blanks(&r);
            if (r.p == r.end)
                fault = make_names(key);
        }
    }
    if (fault == KEY_SHAPE && !is_json(json, len, scratch))
        return KEY_JSON;
    return fault;
}

const struct key_label *key_label(const struct key *key, const char *name) {
    size_t len = strlen(name);

    for (size_t i = 0; i < key->labels; i++) {
        if (key->label[i].name.len == len && memcmp(key->label[i].name.p, name, len) == 0)
            return &key->label[i];
    }
    return NULL;
}

void key_label_drop(struct key *key, const char *name) {
    const struct key_label *label = key_label(key, name);

    if (label) {
        size_t at = (size_t)(label - key->label);

        memmove(&key->label[at], &key->label[at + 1], (key->labels - at - 1) * sizeof(*label));
        key->labels--;
    }
}
