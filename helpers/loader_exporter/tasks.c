/* SPDX-License-Identifier: MIT */
#include "tasks.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "buf.h"
#include "clock.h"
#include "smallfile.h"

#define TABLE_MAX ((size_t)16 << 10)
#define STALE_S 15

enum { FETCH, CONVERT, CHUNK, EMBED, UPSERT, STATE, STAGES, RATE_LIMIT = STAGES, CHUNK_WAIT, ROWS };

static const char *const row_name[ROWS] = {"fetch",  "convert", "chunk",      "embed",
                                           "upsert", "state",   "rate-limit", "chunk-wait"};

struct tasks {
    char *file;
    bool known;
    double count[ROWS];
};

struct tasks *tasks_new(const char *file) {
    struct tasks *t = xcalloc(1, sizeof(*t));

    t->file = xstrdup(file);
    return t;
}

void tasks_free(struct tasks *t) {
    free(t->file);
    free(t);
}

/* Takes one line `name TAB number ...`. */
static void take(struct tasks *t, const char *line) {
    size_t len = strcspn(line, "\t");
    char *end;
    long long n;

    if (line[len] != '\t')
        return;
    n = strtoll(line + len + 1, &end, 10);
    if (end == line + len + 1 || n < 0 || n > 100000000)
        return;
    for (int i = 0; i < ROWS; i++) {
        if (strlen(row_name[i]) == len && memcmp(row_name[i], line, len) == 0)
            t->count[i] = (double)n;
    }
}

bool tasks_read(struct tasks *t) {
    struct stat st;
    struct buf text;
    char *rest, *line;

    t->known = false;
    memset(t->count, 0, sizeof(t->count));
    if (!smallfile_read(t->file, TABLE_MAX, &text, &st))
        return false;
    rest = text.data;
    line = strsep(&rest, "\n");
    if (st.st_size <= (off_t)TABLE_MAX && unix_now() - (double)st.st_mtim.tv_sec <= STALE_S &&
        line && strncmp(line, "stage\ttasks", 11) == 0) {
        t->known = true;
        /* What stands behind the last newline is not a whole line. */
        while ((line = strsep(&rest, "\n")) != NULL && rest)
            take(t, line);
    }
    buf_free(&text);
    return t->known;
}

static void gauge(struct page *page, const char *name, const char *help, const char *label,
                  const char *value, const char *labels, double number) {
    struct page_family *f = page_family(page, name, strlen(name), PAGE_GAUGE, help, strlen(help));
    struct buf text = {0};

    buf_adds(&text, "");
    if (label)
        page_label(&text, label, strlen(label), value, strlen(value));
    if (*labels) {
        if (text.len > 0)
            buf_addc(&text, ',');
        buf_adds(&text, labels);
    }
    if (f)
        page_sample(f, "", text.data, number);
    buf_free(&text);
}

void tasks_write(const struct tasks *t, const char *labels, struct page *page) {
    if (!t->known)
        return;
    /* A call that waits for its turn is under way all the same, as the shim counts it. */
    for (int i = 0; i < STAGES; i++)
        gauge(page, "qdrant_loader_stage_in_flight", "Calls of a stage that are under way.",
              "stage", row_name[i], labels, t->count[i] + (i == EMBED ? t->count[RATE_LIMIT] : 0));
    gauge(page, "qdrant_loader_rate_limit_waiting",
          "Embedding requests that wait for min_request_interval.", NULL, NULL, labels,
          t->count[RATE_LIMIT]);
    gauge(page, "qdrant_loader_backlog_documents",
          "Documents whose chunking has not begun: all of the batch, and those that wait for a "
          "chunk thread.",
          "waiting_for", "batch", labels, t->count[CHUNK_WAIT]);
}
