/* SPDX-License-Identifier: MIT
 * The reader of multiprocess files, from bytes to both formats of the page. Build and run:
 *
 *     make fuzz-mmapdb SECONDS=60
 *
 * Input: the first byte chooses the file's name, the second where a second reading differs; then
 * the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../helpers/loader_exporter/multiproc.h"
#include "utf8.h"

#define NAMES 12

static void check(int good, const char *what) {
    if (!good) {
        (void)fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

/* What every page must be: whole lines of UTF-8 without NUL, families once. */
static void check_page(const struct buf *out) {
    for (size_t i = 0; i < out->len;) {
        size_t n = utf8_len(out->data + i, out->len - i);

        check(n > 0, "not UTF-8");
        check(out->data[i] != '\0', "NUL");
        i += n;
    }
    check(out->len == 0 || out->data[out->len - 1] == '\n', "half a line");
    for (const char *line = out->data; line && *line; line = strchr(line, '\n') + 1) {
        const char *end = strchr(line, '\n');

        check(*line != '\n', "an empty line");
        if (*line != '#')
            check(memchr(line, ' ', (size_t)(end - line)) != NULL, "a sample without a value");
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    static const char *const name[NAMES] = {
        "counter_1.db",   "histogram_1.db",        "summary_1.db",
        "gauge_all_1.db", "gauge_mostrecent_1.db", "gauge_min_1.db",
        "gauge_max_1.db", "gauge_livesum_1.db",    "gauge_1.db",
        "foo_1.db",       "gauge_all_w_1.db",      "counter_a.db"};
    struct multiproc *mp;
    struct page page = {0};
    struct buf out = {0};
    char *copy;

    if (size < 2)
        return 0;
    mp = multiproc_new("/nonexistent", data[1] & 1 ? "a" : NULL, -1);
    copy = malloc(size - 2 + 1);
    check(copy != NULL, "memory");
    memcpy(copy, data + 2, size - 2);
    for (int reading = 0; reading < 3; reading++) {
        multiproc_feed(mp, name[data[0] % NAMES], copy, size - 2);
        multiproc_feed(mp, name[(data[0] / NAMES) % NAMES], copy, size - 2);
        for (int format = PAGE_TEXT; format <= PAGE_OPENMETRICS; format++) {
            out.len = 0;
            page_begin(&page, (enum page_format)format);
            multiproc_write(mp, &page);
            page_render(&page, &out);
            check_page(&out);
        }
        /* The second reading differs somewhere, the third is as the first. */
        if (size > 2)
            copy[data[1] % (size - 2)] ^= 0x40;
    }
    free(copy);
    buf_free(&out);
    page_free(&page);
    multiproc_free(mp);
    return 0;
}
