/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct bucket {
    struct bucket *next; /* by le */
    double le;
    struct slot slot;
};

/* All that one family has with one set of labels. */
struct group {
    struct group *next;
    struct slot value; /* of counters and gauges; the sum of histograms and summaries */
    struct slot count; /* of summaries; of histograms only its line */
    struct slot inf;   /* line for a histogram whose file was cut off before its last bucket */
    struct bucket *bucket;
    struct slot created; /* its line; the value is set once */
};

struct model_family {
    struct model_family *next;
    const char *name;
    size_t name_len;
    struct text help;
    enum db_type type;
    enum db_mode mode;
    bool is_ours; /* has a name that only the exporter writes */
    bool of_now;  /* says nothing any more when its processes are gone */
    struct group *first, *last;
};

const char *const entry_fault_name[ENTRY_FAULTS] = {
    [ENTRY_OK] = "ok",
    [ENTRY_JSON] = "json",
    [ENTRY_SHAPE] = "shape",
    [ENTRY_NAME] = "name",
    [ENTRY_LABEL] = "label",
    [ENTRY_LE] = "le",
    [ENTRY_CONFLICT] = "conflict",
    [ENTRY_LIMIT] = "limit",
};

static const enum page_type page_type_of[] = {[DB_COUNTER] = PAGE_COUNTER,
                                              [DB_GAUGE] = PAGE_GAUGE,
                                              [DB_HISTOGRAM] = PAGE_HISTOGRAM,
                                              [DB_SUMMARY] = PAGE_SUMMARY};

/* Gauges that the loader has in a mode that keeps them, of what is only now. */
static const char *const gauges_of_now[] = {"qdrant_chunk_queue_size", "qdrant_embed_queue_size",
                                            "qdrant_cpu_usage_percent",
                                            "qdrant_memory_usage_percent"};

void model_clear(struct model *m) {
    map_free(&m->families);
    map_free(&m->groups);
    arena_free(&m->memory);
    m->first = m->last = NULL;
    m->series = 0;
    m->has_shim = false;
}

void model_free(struct model *m) {
    model_clear(m);
    buf_free(&m->scratch);
    buf_free(&m->labels);
}

/* What a sample is within its family, by the end of its name. */
enum part { PART_VALUE, PART_COUNT, PART_BUCKET, PART_NONE };

static enum part part_of(enum db_type type, const struct key *key) {
    const char *end = key->sample.p + key->family.len;
    size_t len = key->sample.len - key->family.len;
    bool has_le = type == DB_HISTOGRAM && key_label(key, "le");

    if (key->sample.len < key->family.len ||
        memcmp(key->sample.p, key->family.p, key->family.len) != 0)
        return PART_NONE;
    if (type == DB_GAUGE)
        return len == 0 ? PART_VALUE : PART_NONE;
    if (type == DB_COUNTER)
        return len == 6 && memcmp(end, "_total", 6) == 0 ? PART_VALUE : PART_NONE;
    if (type == DB_HISTOGRAM && len == 7 && memcmp(end, "_bucket", 7) == 0)
        return has_le ? PART_BUCKET : PART_NONE;
    if (len == 4 && memcmp(end, "_sum", 4) == 0)
        return has_le ? PART_NONE : PART_VALUE;
    return type == DB_SUMMARY && len == 6 && memcmp(end, "_count", 6) == 0 ? PART_COUNT : PART_NONE;
}

/* The bound of a bucket: what Python's float() takes, but for blanks, '_' and NaN, which no bound
 * is. */
static bool parse_le(struct text text, double *le) {
    char copy[64], *end;

    if (text.len == 0 || text.len >= sizeof(copy) || isspace((unsigned char)text.p[0]))
        return false;
    memcpy(copy, text.p, text.len);
    copy[text.len] = '\0';
    *le = strtod(copy, &end);
    return *end == '\0' && end == copy + text.len && !isnan(*le) && !memchr(copy, 'x', text.len) &&
           !memchr(copy, 'X', text.len);
}

static bool begins_with(struct text name, const char *prefix) {
    return name.len >= strlen(prefix) && memcmp(name.p, prefix, strlen(prefix)) == 0;
}

/* Beside the exporter's own series those of a file would stand twice on the page, and Prometheus
 * would refuse all of it. */
static bool is_ours(struct text family) {
    return begins_with(family, "loader_exporter_") ||
           begins_with(family, "qdrant_loader_process_") ||
           begins_with(family, "qdrant_loader_run_") ||
           (begins_with(family, "qdrant_loader_up") && family.len == strlen("qdrant_loader_up"));
}

static bool is_of_now(const struct db_name *db, struct text family) {
    if (db->type != DB_GAUGE || db->live)
        return db->type == DB_GAUGE;
    for (size_t i = 0; i < sizeof(gauges_of_now) / sizeof(gauges_of_now[0]); i++) {
        if (begins_with(family, gauges_of_now[i]) && family.len == strlen(gauges_of_now[i]))
            return true;
    }
    return false;
}

static struct model_family *family_of(struct model *m, const struct db_name *db,
                                      const struct key *key) {
    void **at = map_at(&m->families, &m->memory, key->family.p, key->family.len);
    struct model_family *f = *at;

    if (f)
        return f->type == db->type && f->mode == db->mode ? f : NULL;
    f = arena_alloc(&m->memory, sizeof(*f));
    *at = f;
    f->name = arena_copy(&m->memory, key->family.p, key->family.len);
    f->name_len = key->family.len;
    f->help = (struct text){.p = arena_copy(&m->memory, key->help.p, key->help.len),
                            .len = key->help.len};
    f->type = db->type;
    f->mode = db->mode;
    f->is_ours = is_ours(key->family);
    f->of_now = is_of_now(db, key->family);
    if (m->last)
        m->last->next = f;
    else
        m->first = f;
    m->last = f;
    if (begins_with(key->family, SHIM_PREFIX))
        m->has_shim = true;
    return f;
}

/* Sets the start of a slot's line: name, suffix, the labels in m->labels, and `le` where there is
 * one. */
static void set_line(struct model *m, const struct model_family *f, struct slot *slot,
                     const char *suffix, const char *le) {
    struct buf *line = &m->scratch;
    size_t labels = m->labels.len;

    line->len = 0;
    buf_add(line, f->name, f->name_len);
    buf_adds(line, suffix);
    if (le)
        page_label(&m->labels, "le", 2, le, strlen(le));
    if (m->labels.len > 0) {
        buf_addc(line, '{');
        buf_add(line, m->labels.data, m->labels.len);
        buf_addc(line, '}');
    }
    buf_addc(line, ' ');
    m->labels.len = labels;
    slot->line = arena_copy(&m->memory, line->data, line->len);
    slot->line_len = line->len;
}

static void name_lines(struct model *m, const struct model_family *f, struct group *g) {
    switch (f->type) {
    case DB_COUNTER:
        set_line(m, f, &g->value, "_total", NULL);
        break;
    case DB_GAUGE:
        set_line(m, f, &g->value, "", NULL);
        return;
    case DB_HISTOGRAM:
        set_line(m, f, &g->inf, "_bucket", "+Inf");
        set_line(m, f, &g->value, "_sum", NULL);
        set_line(m, f, &g->count, "_count", NULL);
        break;
    case DB_SUMMARY:
        set_line(m, f, &g->value, "_sum", NULL);
        set_line(m, f, &g->count, "_count", NULL);
        break;
    }
    set_line(m, f, &g->created, "_created", NULL);
}

static struct group *group_of(struct model *m, struct model_family *f, const struct key *key) {
    uintptr_t number = (uintptr_t)f;
    struct group *g;
    void **at;

    m->labels.len = 0;
    buf_reserve(&m->labels, 1);
    for (size_t i = 0; i < key->labels; i++)
        page_label(&m->labels, key->label[i].name.p, key->label[i].name.len, key->label[i].value.p,
                   key->label[i].value.len);
    m->scratch.len = 0;
    buf_add(&m->scratch, &number, sizeof(number));
    buf_add(&m->scratch, m->labels.data, m->labels.len);
    at = map_at(&m->groups, &m->memory, m->scratch.data, m->scratch.len);
    g = *at;
    if (g)
        return g;
    if (m->series >= MODEL_SERIES_MAX)
        return NULL;
    m->series++;
    g = arena_alloc(&m->memory, sizeof(*g));
    *at = g;
    name_lines(m, f, g);
    if (f->last)
        f->last->next = g;
    else
        f->first = g;
    f->last = g;
    return g;
}

static struct slot *bucket_slot(struct model *m, const struct model_family *f, struct group *g,
                                double le) {
    struct bucket **at = &g->bucket, *b;
    char bound[PAGE_NUMBER_MAX];

    while (*at && (*at)->le < le)
        at = &(*at)->next;
    if (*at && (*at)->le == le)
        return &(*at)->slot;
    if (m->series >= MODEL_SERIES_MAX)
        return NULL;
    m->series++;
    b = arena_alloc(&m->memory, sizeof(*b));
    b->le = le;
    b->next = *at;
    *at = b;
    (void)page_number(bound, le);
    set_line(m, f, &b->slot, "_bucket", bound);
    return &b->slot;
}

/* Adds a label of the exporter's own; one of the application with that name becomes exported_NAME,
 * as Prometheus does it. `name` without its "exported_" is `name + 9`. */
static bool own_label(struct key *key, const char *exported_name, struct text value) {
    const char *name = exported_name + strlen("exported_");
    const struct key_label *theirs = key_label(key, name);
    struct key_label label = {.name = {.p = name, .len = strlen(name)}, .value = value};

    if (theirs && key_label(key, exported_name))
        return false;
    if (theirs) {
        key->label[theirs - key->label].name =
            (struct text){.p = exported_name, .len = strlen(exported_name)};
    }
    if (key->labels == KEY_LABELS_MAX)
        return false;
    key->label[key->labels++] = label;
    return true;
}

static bool add_own_labels(struct model *m, const struct db_name *db, struct key *key) {
    if (db->type == DB_GAUGE) {
        key_label_drop(key, "pid");
        if (db->mode == MODE_ALL) {
            if (key->labels == KEY_LABELS_MAX)
                return false;
            key->label[key->labels++] = (struct key_label){
                .name = {.p = "pid", .len = 3}, .value = {.p = db->pid, .len = db->pid_len}};
        }
    }
    return !m->loader || own_label(key, "exported_loader",
                                   (struct text){.p = m->loader, .len = strlen(m->loader)});
}

struct slot *model_slot(struct model *m, const struct db_name *db, struct key *key, double created,
                        enum entry_fault *fault) {
    enum part part = part_of(db->type, key);
    const struct key_label *le_label = key_label(key, "le");
    struct model_family *f;
    struct slot *slot = NULL;
    struct group *g;
    double le = 0;

    *fault = ENTRY_SHAPE;
    if (part == PART_NONE)
        return NULL;
    *fault = ENTRY_LE;
    if (part == PART_BUCKET && (!le_label || !parse_le(le_label->value, &le)))
        return NULL;
    if (part == PART_BUCKET)
        key_label_drop(key, "le");
    *fault = ENTRY_LABEL;
    if (!add_own_labels(m, db, key))
        return NULL;
    *fault = ENTRY_CONFLICT;
    f = family_of(m, db, key);
    if (!f)
        return NULL;
    *fault = ENTRY_LIMIT;
    g = group_of(m, f, key);
    if (!g)
        return NULL;
    if (created > 0 && (g->created.value <= 0 || created < g->created.value))
        g->created.value = created;
    slot = part == PART_BUCKET  ? bucket_slot(m, f, g, le)
           : part == PART_COUNT ? &g->count
                                : &g->value;
    if (slot)
        *fault = ENTRY_OK;
    return slot;
}

static void reset_slot(struct slot *slot) {
    slot->value = slot->time = 0;
    slot->set = false;
}

void model_reset(struct model *m) {
    for (struct model_family *f = m->first; f; f = f->next) {
        for (struct group *g = f->first; g; g = g->next) {
            reset_slot(&g->value);
            reset_slot(&g->count);
            for (struct bucket *b = g->bucket; b; b = b->next)
                reset_slot(&b->slot);
        }
    }
}

void model_count(struct slot *slot, const struct db_name *db, double value, double time) {
    if (db->type != DB_GAUGE || db->mode == MODE_SUM) {
        slot->value += value;
    } else if (db->mode == MODE_MOSTRECENT) {
        /* A time of 0 is "never set": no sample. */
        if (!(time > slot->time))
            return;
        slot->value = value;
        slot->time = time;
    } else if (!slot->set || db->mode == MODE_ALL ||
               (db->mode == MODE_MIN && value < slot->value) ||
               (db->mode == MODE_MAX && value > slot->value)) {
        slot->value = value;
    }
    slot->set = true;
}

static void write_slot(struct page_family *to, const struct slot *slot) {
    if (slot->set)
        page_line(to, slot->line, slot->line_len, slot->value);
}

/* Buckets in the file count for themselves; on the page each one holds those below it. */
static bool write_buckets(struct page_family *to, const struct group *g) {
    double total = 0, le = 0;
    size_t n = 0;

    for (const struct bucket *b = g->bucket; b; b = b->next) {
        if (!b->slot.set)
            continue;
        n++;
        le = b->le;
        total += b->slot.value;
        page_line(to, b->slot.line, b->slot.line_len, total);
    }
    if (n == 0)
        return false;
    if (!(isinf(le) && le > 0))
        page_line(to, g->inf.line, g->inf.line_len, total);
    page_line(to, g->count.line, g->count.line_len, total);
    return true;
}

static void write_group(const struct model_family *f, const struct group *g, struct page *page,
                        struct page_family *to) {
    bool any = g->value.set || g->count.set;

    if (f->type == DB_HISTOGRAM) {
        any = write_buckets(to, g);
        /* A sum without buckets is no histogram: the file was cut off behind it. */
        if (any)
            write_slot(to, &g->value);
    } else {
        write_slot(to, &g->count);
        write_slot(to, &g->value);
    }
    if (any && f->type != DB_GAUGE && page->format == PAGE_OPENMETRICS && g->created.value > 0)
        page_line(to, g->created.line, g->created.line_len, g->created.value);
}

size_t model_write(const struct model *m, struct page *page, bool snapshot) {
    size_t refused = 0;

    for (const struct model_family *f = m->first; f; f = f->next) {
        struct page_family *to;

        if (f->is_ours)
            refused++;
        if (f->is_ours || (snapshot && f->of_now))
            continue;
        to = page_family(page, f->name, f->name_len, page_type_of[f->type], f->help.p, f->help.len);

        if (!to) {
            refused++;
            continue;
        }
        for (const struct group *g = f->first; g; g = g->next)
            write_group(f, g, page, to);
    }
    return refused;
}
