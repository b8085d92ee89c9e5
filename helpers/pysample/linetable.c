/* SPDX-License-Identifier: MIT */
#include "code.h"

enum { LINETABLE_MAX = 1 << 24, LINE_MAX_NO = 1 << 24 };

struct reader {
    struct mem *m;
    uint64_t at, end;
    bool bad;
};

static unsigned int next_byte(struct reader *r) {
    const uint8_t *p = r->at < r->end ? mem_at(r->m, r->at, 1) : NULL;

    if (!p) {
        r->bad = true;
        return 0;
    }
    r->at++;
    return *p;
}

static uint32_t varint(struct reader *r) {
    uint32_t v = 0;
    unsigned int b, shift = 0;

    do {
        b = next_byte(r);
        if (shift < 30)
            v |= (b & 63) << shift;
        shift += 6;
    } while (b & 64 && !r->bad);
    return v;
}

static int32_t svarint(struct reader *r) {
    uint32_t v = varint(r);

    return v & 1 ? -(int32_t)(v >> 1) : (int32_t)(v >> 1);
}

int32_t linetable_line(struct mem *m, const struct code *code, uint32_t unit) {
    struct reader r = {.m = m};
    int64_t line = code->firstlineno;
    uint64_t size, at = 0;

    if (!mem_u64(m, code->linetable + BYTES_SIZE, &size) || size > LINETABLE_MAX)
        return 0;
    r.at = code->linetable + BYTES_DATA;
    r.end = r.at + size;
    while (r.at < r.end) {
        unsigned int first = next_byte(&r), kind = first >> 3 & 15;
        bool none = false;

        switch (kind) {
        case 15:
            none = true;
            break;
        case 14:
            line += svarint(&r);
            (void)varint(&r);
            (void)varint(&r);
            (void)varint(&r);
            break;
        case 13:
            line += svarint(&r);
            break;
        case 10:
        case 11:
        case 12:
            line += kind - 10;
            r.at += 2;
            break;
        default:
            r.at++;
        }
        if (r.bad || line < 0 || line > LINE_MAX_NO)
            return 0;
        at += (first & 7) + 1;
        if (unit < at)
            return none ? code->firstlineno : (int32_t)line;
    }
    return 0;
}
