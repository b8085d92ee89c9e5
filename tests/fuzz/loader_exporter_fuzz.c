/* SPDX-License-Identifier: MIT
 * The reader of multiprocess files, from bytes to both formats of the page: tests/fuzz/run 60
 * loader_exporter.
 *
 * Input: the first byte chooses the names of the files, the second where a second reading differs;
 * then the file. Built with -DSTANDALONE it needs no libFuzzer: SECONDS FILE... spoils the files at
 * random for that long.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
    for (size_t at = 0; at < out->len;) {
        const char *line = out->data + at;
        size_t len = (size_t)((const char *)memchr(line, '\n', out->len - at) - line);

        check(len > 0, "an empty line");
        if (*line != '#')
            check(memchr(line, ' ', len) != NULL, "a sample without a value");
        at += len + 1;
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
            multiproc_write(mp, &page, reading == 2);
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

#ifdef STANDALONE
static unsigned long long state = 88172645463325252u;

static size_t chance(size_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state % below);
}

/* A few changes of the kind that break a reader: bits, bytes, lengths, a cut. */
static size_t spoil(unsigned char *data, size_t size) {
    static const int lengths[] = {-1, 0, 1, 4, 8, 100, 65535, 65536, 0x7fffffff, -28};

    for (size_t n = chance(6); n > 0 && size > 12; n--) {
        size_t at = chance(size - 4);

        if (chance(3) == 0)
            data[at] ^= (unsigned char)(1u << chance(8));
        else if (chance(2) == 0)
            memcpy(data + at, &lengths[chance(sizeof(lengths) / sizeof(lengths[0]))], 4);
        else
            data[at] = (unsigned char)"[]{}\",:\\u0 \377"[chance(12)];
    }
    return chance(4) == 0 ? chance(size + 1) : size;
}

int main(int argc, char **argv) {
    time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 1);
    unsigned long runs = 0;

    while (time(NULL) < end) {
        static unsigned char data[1 << 16];
        FILE *file = fopen(argv[2 + chance((size_t)argc - 2)], "rb");
        size_t size;

        check(file != NULL, "an input that cannot be opened");
        size = fread(data, 1, sizeof(data), file);
        (void)fclose(file);
        (void)LLVMFuzzerTestOneInput(data, spoil(data, size));
        runs++;
    }
    (void)printf("%lu runs\n", runs);
    return 0;
}
#endif
