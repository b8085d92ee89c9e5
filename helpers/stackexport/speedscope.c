/* SPDX-License-Identifier: MIT
 * speedscope's format: https://www.speedscope.app/file-format-schema.json
 */
#include "export.h"

#include <stdio.h>
#include <string.h>

#include "stackfile.h"

/* Times are whole nanoseconds; other weights keep their decimals. */
static void put_value(struct walk *w, struct buf *b, uint64_t weight) {
    if (w->period)
        buf_addu(b, walk_round(w, &w->times, weight, w->period));
    else
        weight_put(b, weight, w->scale);
}

static void speedscope_stack(struct walk *w, uint64_t weight) {
    buf_adds(&w->out, w->out.len > 0 ? ",\n[" : "[");
    for (uint32_t i = 0; i < w->depth; i++)
        buf_printf(&w->out, i > 0 ? ",%u" : "%u", w->path[i] - 1);
    buf_addc(&w->out, ']');
    if (w->more.len > 0)
        buf_addc(&w->more, ',');
    put_value(w, &w->more, weight);
}

void write_speedscope(struct walk *w) {
    static const char *const units[] = {"nanoseconds", "microseconds", "milliseconds", "seconds",
                                        "bytes"};
    const char *unit = w->period ? "nanoseconds" : "none";
    struct buf b = {0};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        unit = strcmp(w->opts->unit, units[i]) == 0 ? units[i] : unit;
    buf_adds(&b, "{\"$schema\":\"https://www.speedscope.app/"
                 "file-format-schema.json\",\"exporter\":\"stackexport\",\n"
                 "\"name\":\"");
    buf_add_json(&b, w->opts->name, strlen(w->opts->name));
    buf_adds(&b, "\",\"activeProfileIndex\":0,\"shared\":{\"frames\":[");
    for (uint32_t id = 1; id <= w->tree->frames.n; id++) {
        struct frame f = frame_of(w->tree, id);

        buf_adds(&b, id > 1 ? ",\n{\"name\":\"" : "\n{\"name\":\"");
        buf_add_json(&b, f.name, f.name_len);
        if (f.line > 0) {
            buf_adds(&b, "\",\"file\":\"");
            buf_add_json(&b, f.file, f.file_len);
            buf_printf(&b, "\",\"line\":%u}", f.line);
        } else {
            buf_adds(&b, "\"}");
        }
    }
    walk_stacks(w, speedscope_stack);
    buf_adds(&b, "]},\n\"profiles\":[{\"type\":\"sampled\",\"name\":\"");
    buf_add_json(&b, w->opts->name, strlen(w->opts->name));
    buf_printf(&b, "\",\"unit\":\"%s\",\"startValue\":0,\"endValue\":", unit);
    w->times = (struct rounding){0};
    put_value(w, &b, w->tree->total);
    buf_adds(&b, ",\"samples\":[\n");
    (void)fwrite(b.data, 1, b.len, stdout);
    (void)fwrite(w->out.data, 1, w->out.len, stdout);
    (void)fputs("],\n\"weights\":[", stdout);
    (void)fwrite(w->more.data, 1, w->more.len, stdout);
    (void)fputs("]}]}\n", stdout);
    buf_free(&b);
}
