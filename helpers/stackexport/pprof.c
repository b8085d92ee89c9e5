/* SPDX-License-Identifier: MIT
 * pprof's format: https://github.com/google/pprof/blob/main/proto/profile.proto, compressed with
 * gzip. Its field numbers are all that is needed of it: writing them takes fewer lines than using a
 * protocol buffer library, and no library.
 */
#include "export.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "err.h"
#include "utf8.h"

static void put_varint(struct buf *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        buf_addc(b, (char)(v | 0x80));
    buf_addc(b, (char)v);
}

static void put_number(struct buf *b, unsigned field, uint64_t v) {
    put_varint(b, field << 3);
    put_varint(b, v);
}

static void put_bytes(struct buf *b, unsigned field, const struct buf *v) {
    put_varint(b, field << 3 | 2);
    put_varint(b, v->len);
    if (v->len > 0)
        buf_add(b, v->data, v->len);
}

/* A string's place in string_table, where 0 is the empty one. */
static uint64_t string_index(struct intern *strings, const char *s, size_t len) {
    return len > 0 ? intern(strings, s, len) : 0;
}

static void put_value_type(struct buf *b, unsigned field, struct intern *strings, const char *type,
                           const char *unit) {
    struct buf v = {0};

    put_number(&v, 1, string_index(strings, type, strlen(type)));
    put_number(&v, 2, string_index(strings, unit, strlen(unit)));
    put_bytes(b, field, &v);
    buf_free(&v);
}

static void pprof_stack(struct walk *w, uint64_t weight) {
    struct buf sample = {0};

    w->more.len = 0;
    for (uint32_t i = w->depth; i-- > 0;) /* the innermost first */
        put_varint(&w->more, w->path[i]);
    put_bytes(&sample, 1, &w->more);
    w->more.len = 0;
    put_varint(&w->more, walk_round(w, &w->samples, weight, 1));
    if (w->period)
        put_varint(&w->more, walk_round(w, &w->times, weight, w->period));
    put_bytes(&sample, 2, &w->more);
    put_bytes(&w->out, 2, &sample);
    buf_free(&sample);
}

/* Each frame is a location of its number, with one line of a function; functions are told apart by
 * name and file. */
static void put_locations(struct walk *w, struct intern *strings) {
    struct intern functions;
    struct buf line = {0}, message = {0};

    intern_init(&functions);
    for (uint32_t id = 1; id <= w->tree->frames.n; id++) {
        struct frame f = frame_of(w->tree, id);
        uint32_t known = functions.n, function;
        uint64_t name = string_index(strings, f.name, f.name_len);
        uint64_t file = string_index(strings, f.file, f.line > 0 ? f.file_len : 0);
        uint64_t pair[2] = {name, file};

        function = intern(&functions, (const char *)pair, sizeof(pair));
        if (function > known) {
            message.len = 0;
            put_number(&message, 1, function);
            put_number(&message, 2, name);
            put_number(&message, 3, name);
            put_number(&message, 4, file);
            put_bytes(&w->out, 5, &message);
        }
        line.len = message.len = 0;
        put_number(&line, 1, function);
        put_number(&line, 2, f.line);
        put_number(&message, 1, id);
        put_bytes(&message, 4, &line);
        put_bytes(&w->out, 4, &message);
    }
    intern_free(&functions);
    buf_free(&line);
    buf_free(&message);
}

static void put_strings(struct buf *b, const struct intern *strings) {
    struct buf s = {0};

    put_bytes(b, 6, &s);
    for (uint32_t id = 1; id <= strings->n; id++) {
        size_t len;
        const char *text = intern_text(strings, id, &len);

        s.len = 0;
        for (size_t i = 0, n; i < len; i += n) {
            n = utf8_len(text + i, len - i);
            if (n > 0)
                buf_add(&s, text + i, n);
            else
                buf_add(&s, "\xef\xbf\xbd", 3);
            n += n == 0;
        }
        put_bytes(b, 6, &s);
    }
    buf_free(&s);
}

static void write_gzip(const struct buf *b) {
    z_stream z = {0};
    unsigned char *out;
    size_t size;

    /* 15 + 16: the largest window, and gzip's header around it. */
    if (b->len > UINT32_MAX ||
        deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        die(EX_FAIL, "cannot compress %zu bytes", b->len);
    size = deflateBound(&z, b->len);
    out = xmalloc(size);
    z.next_in = (unsigned char *)b->data;
    z.avail_in = (uInt)b->len;
    z.next_out = out;
    z.avail_out = (uInt)size;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        die(EX_FAIL, "cannot compress %zu bytes", b->len);
    (void)fwrite(out, 1, z.total_out, stdout);
    (void)deflateEnd(&z);
    free(out);
}

void write_pprof(struct walk *w) {
    struct intern strings;
    const char *type = w->opts->type;
    bool samples = strcmp(w->opts->unit, "samples") == 0;

    if (!type)
        type = strstr(w->opts->unit, "seconds") || w->period ? "cpu"
               : strcmp(w->opts->unit, "bytes") == 0         ? "space"
                                                             : w->opts->unit;
    intern_init(&strings);
    if (samples)
        put_value_type(&w->out, 1, &strings, "samples", "count");
    else
        put_value_type(&w->out, 1, &strings, type, w->opts->unit);
    if (w->period) {
        put_value_type(&w->out, 1, &strings, type, "nanoseconds");
        put_value_type(&w->out, 11, &strings, type, "nanoseconds");
        put_number(&w->out, 12, w->period);
    }
    walk_stacks(w, pprof_stack);
    put_locations(w, &strings);
    put_strings(&w->out, &strings);
    write_gzip(&w->out);
    intern_free(&strings);
}
