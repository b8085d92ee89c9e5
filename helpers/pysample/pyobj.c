/* SPDX-License-Identifier: MIT */
#include "pyobj.h"

enum { DICT_MAX = 1 << 20 };

static const char *const name_text[NAMES] = {
    [N_ASYNCIO] = "_asyncio",   [N_SCHEDULED] = "_scheduled_tasks",
    [N_EAGER] = "_eager_tasks", [N_CURRENT] = "_current_tasks",
    [N_DATA] = "data",          [N_LOOP] = "_loop",
    [N_CORO] = "_coro",         [N_FUT_WAITER] = "_fut_waiter",
    [N_STATE] = "_state",       [N_CALLBACKS] = "_callbacks",
    [N_CHILDREN] = "_children", [N_FUTURE] = "future",
    [N_FUT_ITSELF] = "_future", [N_TASK_NAME] = "_name",
    [N_MODULE] = "__module__",  [N_RUNNING_LOOP] = "__asyncio_running_event_loop__",
    [N_TASK_TYPE] = "Task",     [N_FUTURE_TYPE] = "Future",
    [N_TODO] = "_todo",         [N_PENDING_WORK] = "pending_work_items",
};

/* Length, width of a character and place of the data of a str; false when it is none. */
static bool str_shape(struct world *w, uint64_t addr, uint64_t *len, unsigned int *width,
                      uint64_t *data) {
    const uint8_t *p = mem_at(w->m, addr, STR_ASCII);
    uint32_t state;

    if (!p)
        return false;
    *len = get64(p + STR_LENGTH);
    state = get32(p + STR_STATE);
    *width = (state >> 2) & 7;
    if (!(state & 1U << 5) || (*width != 1 && *width != 2 && *width != 4) || *len > 1 << 20)
        return false;
    *data = addr + (state & 1U << 6 ? STR_ASCII : STR_COMPACT);
    return true;
}

static size_t put_utf8(char *out, uint32_t c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

bool py_str(struct world *w, uint64_t addr, char *out, size_t cap) {
    uint64_t len, data;
    unsigned int width;
    size_t n = 0;

    out[0] = '\0';
    if (py_kind(w, addr) != K_STR || !str_shape(w, addr, &len, &width, &data))
        return false;
    for (uint64_t i = 0; i < len && n + 5 <= cap; i++) {
        const uint8_t *p = mem_at(w->m, data + i * width, width);
        uint32_t c = 0;

        if (!p)
            return false;
        memcpy(&c, p, width);
        if (c == ';')
            c = ':';
        else if (c < 0x20 || c == 0x7f || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
            c = '?';
        n += put_utf8(out + n, c);
    }
    out[n] = '\0';
    return true;
}

bool py_str_is(struct world *w, uint64_t addr, const char *text) {
    size_t want = strlen(text);
    uint64_t len, data;
    unsigned int width;
    const uint8_t *p;

    if (want > MEM_SPAN_MAX || !str_shape(w, addr, &len, &width, &data) || width != 1 ||
        len != want || py_kind(w, addr) != K_STR)
        return false;
    p = mem_at(w->m, data, want ? want : 1);
    return p && memcmp(p, text, want) == 0;
}

bool py_small_int(struct world *w, uint64_t addr, int64_t *out) {
    const uint8_t *p;
    uint64_t tag;

    if (py_kind(w, addr) != K_INT)
        return false;
    p = mem_at(w->m, addr, INT_DIGIT + 4);
    if (!p)
        return false;
    /* lv_tag: digits << 3 | sign (0 positive, 1 zero, 2 negative); a digit has 30 bits. */
    tag = get64(p + INT_TAG);
    if (tag >> 3 > 2)
        return false;
    *out = tag >> 3 == 0 ? 0 : (int64_t)get32(p + INT_DIGIT);
    if (tag >> 3 == 2) {
        uint32_t high;

        if (!mem_u32(w->m, addr + INT_DIGIT + 4, &high))
            return false;
        *out |= (int64_t)high << 30;
    }
    if ((tag & 3) == 1)
        *out = 0;
    if ((tag & 3) == 2)
        *out = -*out;
    return true;
}

bool py_number(struct world *w, uint64_t addr, double *out) {
    enum kind k = py_kind(w, addr);
    uint64_t bits;
    int64_t v;

    if (k == K_INT && py_small_int(w, addr, &v)) {
        *out = (double)v;
        return true;
    }
    if (k != K_FLOAT || !mem_u64(w->m, addr + FLOAT_VALUE, &bits))
        return false;
    memcpy(out, &bits, sizeof(*out));
    return true;
}

static bool keys_view(struct world *w, uint64_t keys, struct dict_view *v) {
    const uint8_t *p = mem_at(w->m, keys, KEYS_INDICES);

    if (!p)
        return false;
    v->n = get64(p + KEYS_NENTRIES);
    v->stride = p[KEYS_KIND] == 0 ? 24 : 16;
    if (v->n > DICT_MAX || p[KEYS_LOG2_INDEX_BYTES] > 30)
        return false;
    v->entries = keys + KEYS_INDICES + ((uint64_t)1 << p[KEYS_LOG2_INDEX_BYTES]);
    return true;
}

bool py_dict(struct world *w, uint64_t dict, struct dict_view *v) {
    const uint8_t *p = mem_at(w->m, dict, DICT_VALUES + 8);
    uint64_t keys;

    if (!p)
        return false;
    keys = get64(p + DICT_KEYS);
    v->values = get64(p + DICT_VALUES);
    if (v->values)
        v->values += w->l->dict_values_skip;
    return keys_view(w, keys, v);
}

bool py_dict_entry(struct world *w, const struct dict_view *v, uint64_t i, uint64_t *key,
                   uint64_t *value) {
    const uint8_t *p = mem_at(w->m, v->entries + i * v->stride, v->stride);

    if (!p)
        return false;
    *key = get64(p + v->stride - 16);
    *value = get64(p + v->stride - 8);
    return v->values == 0 || mem_u64(w->m, v->values + i * 8, value);
}

static bool key_is(struct world *w, uint64_t key, enum name name) {
    if (key == 0)
        return false;
    if (key == w->name_addr[name])
        return true;
    /* Not always interned, and in each interpreter its own: the text decides. */
    if (!py_str_is(w, key, name_text[name]))
        return false;
    w->name_addr[name] = key;
    return true;
}

uint64_t py_dict_get(struct world *w, uint64_t dict, enum name name) {
    struct dict_view v;
    uint64_t key, value;

    if (!py_dict(w, dict, &v))
        return 0;
    /* By address first: most often the very string that was seen before. */
    for (int pass = w->name_addr[name] ? 0 : 1; pass < 2; pass++) {
        for (uint64_t i = 0; i < v.n; i++) {
            if (!py_dict_entry(w, &v, i, &key, &value))
                return 0;
            if (value && (pass == 0 ? key == w->name_addr[name] : key_is(w, key, name)))
                return value;
        }
    }
    return 0;
}

static int16_t inline_slot(struct world *w, uint64_t keys, enum name name) {
    struct dict_view v = {0};
    uint64_t key, value;

    if (keys == 0 || !keys_view(w, keys, &v) || v.n > 1024)
        return -1;
    for (uint64_t i = 0; i < v.n; i++) {
        if (!py_dict_entry(w, &v, i, &key, &value))
            return 0;
        if (key_is(w, key, name))
            return (int16_t)(i + 1);
    }
    /* The shared keys grow as instances are made: ask again next time. */
    return 0;
}

uint64_t py_attr(struct world *w, uint64_t obj, enum name name) {
    const struct type_info *t = py_type(w, obj);
    uint64_t word, value, values = 0;
    struct type_info *mut;
    uint32_t index;

    if (!t)
        return 0;
    index = w->last_index;
    if (!(t->flags & TYPE_FLAG_MANAGED_DICT)) {
        if (t->dictoffset <= 0 || t->dictoffset > 1 << 16 ||
            !mem_u64(w->m, obj + (uint64_t)t->dictoffset, &word) || word == 0)
            return 0;
        return py_dict_get(w, word, name);
    }
    if (!mem_u64(w->m, obj - 24, &word))
        return 0;
    if (w->l->inline_in_object) {
        if (word)
            return py_dict_get(w, word, name);
        if (t->flags & TYPE_FLAG_INLINE_VALUES)
            values = obj + (uint64_t)t->basicsize + w->l->dict_values_skip;
    } else if (word & 1) {
        values = word + 1;
    } else if (word) {
        return py_dict_get(w, word, name);
    }
    if (values == 0)
        return 0;
    mut = &w->types[index];
    if (mut->slot[name] == 0) {
        int16_t slot = inline_slot(w, mut->keys, name);

        /* The lookup may have added types. */
        mut = &w->types[index];
        mut->slot[name] = slot;
    }
    if (mut->slot[name] <= 0 ||
        !mem_u64(w->m, values + (uint64_t)(mut->slot[name] - 1) * 8, &value))
        return 0;
    return value;
}
