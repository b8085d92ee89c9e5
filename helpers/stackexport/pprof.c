/* SPDX-License-Identifier: MIT
 * pprof's format (profile.proto), compressed with gzip. A message may be written piece by piece:
 * what repeats adds up, so that a profile is never in memory twice.
 */
#include "export.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "err.h"
#include "profile.pb-c.h"
#include "utf8.h"

static void put(struct buf *b, const Pprof__Profile *piece) {
    size_t size = pprof__profile__get_packed_size(piece);

    buf_reserve(b, size);
    b->len += pprof__profile__pack(piece, (uint8_t *)b->data + b->len);
}

/* A string's place in string_table, where 0 is the empty one. */
static int64_t string_index(struct intern *strings, const char *s, size_t len) {
    return len > 0 ? (int64_t)intern(strings, s, len) : 0;
}

static void put_value_type(struct buf *b, struct intern *strings, const char *type,
                           const char *unit) {
    Pprof__Profile profile = PPROF__PROFILE__INIT;
    Pprof__ValueType value = PPROF__VALUE_TYPE__INIT, *one = &value;

    value.type = string_index(strings, type, strlen(type));
    value.unit = string_index(strings, unit, strlen(unit));
    profile.n_sample_type = 1;
    profile.sample_type = &one;
    put(b, &profile);
}

static void put_period(struct buf *b, struct intern *strings, const char *type, uint64_t ns) {
    Pprof__Profile profile = PPROF__PROFILE__INIT;
    Pprof__ValueType value = PPROF__VALUE_TYPE__INIT;

    value.type = string_index(strings, type, strlen(type));
    value.unit = string_index(strings, "nanoseconds", strlen("nanoseconds"));
    profile.period_type = &value;
    profile.period = (int64_t)ns;
    put(b, &profile);
}

static void pprof_stack(struct walk *w, uint64_t weight) {
    Pprof__Profile profile = PPROF__PROFILE__INIT;
    Pprof__Sample sample = PPROF__SAMPLE__INIT, *one = &sample;
    int64_t value[2];

    w->more.len = 0;
    for (uint32_t i = w->depth; i-- > 0;) {
        uint64_t id = w->path[i];

        buf_add(&w->more, &id, sizeof(id));
    }
    sample.n_location_id = w->depth;
    sample.location_id = (uint64_t *)(void *)w->more.data;
    value[sample.n_value++] = (int64_t)walk_round(w, &w->samples, weight, 1);
    if (w->period)
        value[sample.n_value++] = (int64_t)walk_round(w, &w->times, weight, w->period);
    sample.value = value;
    profile.n_sample = 1;
    profile.sample = &one;
    put(&w->out, &profile);
}

static void put_function(struct buf *b, uint64_t id, int64_t name, int64_t file) {
    Pprof__Profile profile = PPROF__PROFILE__INIT;
    Pprof__Function function = PPROF__FUNCTION__INIT, *one = &function;

    function.id = id;
    function.name = function.system_name = name;
    function.filename = file;
    profile.n_function = 1;
    profile.function = &one;
    put(b, &profile);
}

static void put_location(struct buf *b, uint64_t id, uint64_t function, uint32_t number) {
    Pprof__Profile profile = PPROF__PROFILE__INIT;
    Pprof__Location location = PPROF__LOCATION__INIT, *one = &location;
    Pprof__Line line = PPROF__LINE__INIT, *one_line = &line;

    line.function_id = function;
    line.line = number;
    location.id = id;
    location.n_line = 1;
    location.line = &one_line;
    profile.n_location = 1;
    profile.location = &one;
    put(b, &profile);
}

/* Each frame is a location of its number, with one line of a function; functions are told apart by
 * name and file. */
static void put_locations(struct walk *w, struct intern *strings) {
    struct intern functions;

    intern_init(&functions);
    for (uint32_t id = 1; id <= w->tree->frames.n; id++) {
        struct frame f = frame_of(w->tree, id);
        uint32_t known = functions.n, function;
        int64_t name = string_index(strings, f.name, f.name_len);
        int64_t file = string_index(strings, f.file, f.line > 0 ? f.file_len : 0);
        int64_t pair[2] = {name, file};

        function = intern(&functions, (const char *)pair, sizeof(pair));
        if (function > known)
            put_function(&w->out, function, name, file);
        put_location(&w->out, id, function, f.line);
    }
    intern_free(&functions);
}

static void put_string(struct buf *b, char *text) {
    Pprof__Profile profile = PPROF__PROFILE__INIT;

    profile.n_string_table = 1;
    profile.string_table = &text;
    put(b, &profile);
}

/* Strings of the format are UTF-8, and here they end with a NUL. */
static void put_strings(struct buf *b, const struct intern *strings) {
    struct buf s = {0};
    char empty[] = "";

    put_string(b, empty);
    for (uint32_t id = 1; id <= strings->n; id++) {
        size_t len;
        const char *text = intern_text(strings, id, &len);

        s.len = 0;
        for (size_t i = 0, n; i < len; i += n) {
            n = text[i] != '\0' ? utf8_len(text + i, len - i) : 0;
            if (n > 0)
                buf_add(&s, text + i, n);
            else
                buf_add(&s, "\xef\xbf\xbd", 3);
            n += n == 0;
        }
        put_string(b, s.data);
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
        put_value_type(&w->out, &strings, "samples", "count");
    else
        put_value_type(&w->out, &strings, type, w->opts->unit);
    if (w->period) {
        put_value_type(&w->out, &strings, type, "nanoseconds");
        put_period(&w->out, &strings, type, w->period);
    }
    walk_stacks(w, pprof_stack);
    put_locations(w, &strings);
    put_strings(&w->out, &strings);
    write_gzip(&w->out);
    intern_free(&strings);
}
