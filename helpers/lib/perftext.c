/* SPDX-License-Identifier: MIT */
#include "perftext.h"

#include <string.h>

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool equals(struct text t, const char *s) {
    return t.len == strlen(s) && memcmp(t.s, s, t.len) == 0;
}

static bool starts(struct text t, const char *s) {
    return t.len >= strlen(s) && memcmp(t.s, s, strlen(s)) == 0;
}

static bool ends(struct text t, const char *s) {
    return t.len >= strlen(s) && memcmp(t.s + t.len - strlen(s), s, strlen(s)) == 0;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

struct text perf_trim(const char *s, size_t len) {
    while (len > 0 && is_blank(*s))
        s++, len--;
    while (len > 0 && is_blank(s[len - 1]))
        len--;
    return (struct text){s, len};
}

/* Start of the last word of line[0 .. end), where `end` follows a character that is no blank. */
static size_t word_before(const char *line, size_t end) {
    while (end > 0 && !is_blank(line[end - 1]))
        end--;
    return end;
}

static size_t skip_back(const char *line, size_t end) {
    while (end > 0 && is_blank(line[end - 1]))
        end--;
    return end;
}

/* Start of the time "digits.digits" that ends before the ':' at `colon`, or -1. */
static ptrdiff_t time_start(const char *line, size_t colon) {
    size_t i = colon, dot;

    while (i > 0 && is_digit(line[i - 1]))
        i--;
    if (i == colon || i == 0 || line[i - 1] != '.')
        return -1;
    dot = --i;
    while (i > 0 && is_digit(line[i - 1]))
        i--;
    return i < dot && (i == 0 || is_blank(line[i - 1])) ? (ptrdiff_t)i : -1;
}

size_t perf_prefix(const char *line, size_t len, size_t *colon) {
    const char *c = memchr(line, ':', len);
    ptrdiff_t at = c ? time_start(line, *colon = (size_t)(c - line)) : -1;

    return at > 0 ? (size_t)at : 0;
}

/* Splits a word "123", "-1" or "123/456". */
static bool ids(const char *s, size_t len, struct perf_header *h) {
    const char *slash = memchr(s, '/', len);
    struct text part[2] = {{s, slash ? (size_t)(slash - s) : len}, {NULL, 0}};

    if (slash)
        part[1] = (struct text){slash + 1, len - part[0].len - 1};
    for (int i = 0; i < (slash ? 2 : 1); i++) {
        size_t minus = part[i].len > 0 && part[i].s[0] == '-';

        if (part[i].len == minus)
            return false;
        for (size_t j = minus; j < part[i].len; j++) {
            if (!is_digit(part[i].s[j]))
                return false;
        }
    }
    h->pid = slash ? part[0] : (struct text){NULL, 0};
    h->tid = slash ? part[1] : part[0];
    return true;
}

/* Parses `comm pid/tid [cpu]` from the right. False when it holds neither ids nor a cpu. */
static bool before_time(const char *line, size_t end, struct perf_header *h) {
    bool cpu = false, known;
    size_t word;

    end = skip_back(line, end);
    word = word_before(line, end);
    if (end - word > 2 && line[word] == '[' && line[end - 1] == ']') {
        cpu = true;
        for (size_t i = word + 1; i < end - 1; i++)
            cpu = cpu && is_digit(line[i]);
        if (cpu) {
            end = skip_back(line, word);
            word = word_before(line, end);
        }
    }
    known = ids(line + word, end - word, h);
    /* "%5d/%-5d": the blanks that fill up a short tid stand after it, those of a short pid before
     * it. */
    h->comm = perf_trim(line, known ? word : end);
    return known || cpu;
}

bool perf_after_time(const char *s, size_t len, struct perf_header *h) {
    size_t i = 0, from, stop;
    uint64_t period = 0;

    while (i < len && is_blank(s[i]))
        i++;
    for (from = i; i < len && is_digit(s[i]); i++) {
        if (__builtin_mul_overflow(period, 10U, &period) ||
            __builtin_add_overflow(period, (uint64_t)(s[i] - '0'), &period))
            return false;
    }
    h->has_period = i > from && (i == len || is_blank(s[i]));
    if (h->has_period) {
        h->period = period;
        while (i < len && is_blank(s[i]))
            i++;
    } else {
        i = from;
    }
    for (stop = i; stop < len && !is_blank(s[stop]); stop++)
        continue;
    if (stop > i && s[stop - 1] == ':') {
        h->event = (struct text){s + i, stop - 1 - i};
        i = stop;
    }
    h->rest = perf_trim(s + i, len - i);
    return true;
}

/* True when the word that ends before the ':' at `colon` can be an event's name: it has a letter.
 */
static bool event_word(const char *line, size_t word, size_t colon) {
    for (size_t i = word; i < colon; i++) {
        if ((line[i] | 32) >= 'a' && (line[i] | 32) <= 'z')
            return true;
    }
    return false;
}

/* A header whose ids stand before its event, which ends within `limit`. "bs worker 1 11010
 * cycles:": is 11010 the period, or the thread of "bs worker 1"? perf prints a period at least 10
 * characters wide and one blank before it, so a shorter word is none. */
static bool without_time(const char *line, size_t limit, size_t len, struct perf_header *h) {
    for (size_t i = 1; i < limit; i++) {
        size_t word, end, number, blanks;
        struct perf_header none;

        if (line[i] != ':' || (i + 1 < len && !is_blank(line[i + 1])))
            continue;
        word = word_before(line, i);
        if (!event_word(line, word, i))
            continue;
        end = skip_back(line, word);
        number = word_before(line, end);
        blanks = skip_back(line, number);
        if (ids(line + number, end - number, &none) && end - blanks >= 11 &&
            before_time(line, blanks, h))
            return perf_after_time(line + number, len - number, h);
        if (before_time(line, word, h))
            return perf_after_time(line + word, len - word, h);
    }
    return false;
}

bool perf_header(const char *line, size_t len, struct perf_header *h) {
    ptrdiff_t first = -1;

    for (const char *c = line; (c = memchr(c, ':', len - (size_t)(c - line))) != NULL; c++) {
        size_t colon = (size_t)(c - line);
        ptrdiff_t at = colon + 1 == len || is_blank(c[1]) ? time_start(line, colon) : -1;

        if (at < 0)
            continue;
        *h = (struct perf_header){.prefix = (size_t)at};
        if (before_time(line, (size_t)at, h))
            return perf_after_time(c + 1, len - colon - 1, h);
        if (first < 0)
            first = (ptrdiff_t)colon;
    }
    *h = (struct perf_header){0};
    if (without_time(line, first < 0 ? len : (size_t)time_start(line, (size_t)first), len, h))
        return true;
    if (first < 0)
        return false;
    /* `-F comm,time,event`: all before the time is the name. */
    *h = (struct perf_header){.prefix = (size_t)time_start(line, (size_t)first)};
    h->comm = perf_trim(line, h->prefix);
    return perf_after_time(line + first + 1, len - (size_t)first - 1, h);
}

bool perf_is_comment(const char *line, size_t len) {
    struct perf_header h;

    if (len == 0 || line[0] != '#')
        return false;
    /* A name may begin with '#', but the kernel's have at most 15 bytes. */
    return !perf_header(line, len, &h) || h.prefix == 0 || h.tid.len == 0 || h.comm.len > 15;
}

/* The ' ' before the '(' that matches the ')' at the end, or -1. */
static ptrdiff_t matching_paren(struct text t) {
    int depth = 0;

    for (size_t i = ends(t, ")") ? t.len : 0; i-- > 0;) {
        if (t.s[i] == ')')
            depth++;
        else if (t.s[i] == '(' && --depth == 0)
            return i > 0 && t.s[i - 1] == ' ' ? (ptrdiff_t)i - 1 : i == 0 ? 0 : -1;
    }
    return -1;
}

/* End of the first "+0xHEX" that ends the symbol: " (" or the end of the line follows. `*at` is its
 * '+'; -1: none. */
static ptrdiff_t offset_end(struct text t, size_t *at) {
    const char *end = t.s + t.len;

    for (const char *p = t.s; (p = memchr(p, '+', (size_t)(end - p))) != NULL; p++) {
        const char *q = p + 3;

        if (end - p < 4 || p[1] != '0' || p[2] != 'x' || !is_hex(*q))
            continue;
        while (q < end && is_hex(*q))
            q++;
        if (q == end || (end - q >= 2 && q[0] == ' ' && q[1] == '(')) {
            *at = (size_t)(p - t.s);
            return q - t.s;
        }
    }
    return -1;
}

/* The file name of a path; all of what is no path. */
static struct text base_name(struct text dso) {
    const char *slash = dso.len > 0 && dso.s[0] == '/' ? memrchr(dso.s, '/', dso.len) : NULL;

    return slash ? (struct text){slash + 1, dso.len - (size_t)(slash + 1 - dso.s)} : dso;
}

static bool is_kernel(struct text dso) {
    static const char *const user[] = {"[unknown]", "[vdso]",    "[vdso32]", "[vsyscall]",
                                       "[vectors]", "[sigpage]", "[stack]",  "[heap]",
                                       "[anon]",    "[uprobes]"};
    struct text base = base_name(dso);

    if (starts(dso, "[")) {
        for (size_t i = 0; i < sizeof(user) / sizeof(user[0]); i++) {
            if (equals(dso, user[i]))
                return false;
        }
        return !starts(dso, "[JIT");
    }
    return starts(base, "vmlinux") || starts(base, "bpf_prog_") || ends(base, ".ko") ||
           ends(base, ".ko.gz") || ends(base, ".ko.xz") || ends(base, ".ko.zst");
}

static bool is_jit(struct text dso) {
    struct text base = base_name(dso);

    return starts(dso, "[JIT") || starts(base, "jitted-") ||
           (starts(base, "perf-") && ends(base, ".map"));
}

/* Cuts the address off; false when nothing follows it. */
static struct text without_address(struct text t) {
    size_t i = 0, rest;

    while (i < t.len && is_hex(t.s[i]))
        i++;
    if (i == 0 || (i < t.len && t.s[i] != ' '))
        return t;
    rest = i + (i < t.len);
    /* "add (/bin/x)" from `-F sym,dso`: a word of letters, and no symbol after it, is the symbol.
     * An address that is followed by the dso alone (`-F ip,dso`) is 16 wide, or has a digit. */
    if (rest < t.len && t.s[rest] == '(' && t.s[t.len - 1] == ')' && i < 16) {
        size_t digits = 0;

        for (size_t j = 0; j < i; j++)
            digits += is_digit(t.s[j]);
        if (digits == 0 && matching_paren(t) == (ptrdiff_t)i)
            return t;
    }
    return (struct text){t.s + rest, t.len - rest};
}

bool perf_frame(const char *line, size_t len, struct perf_frame *f) {
    struct text t = perf_trim(line, len);
    size_t symbol_len, plus;
    ptrdiff_t at;

    if (t.len == 0)
        return false;
    t = without_address(t);
    symbol_len = t.len;
    *f = (struct perf_frame){.kind = PERF_USER};
    if (ends(t, " (inlined)")) {
        f->kind = PERF_INLINED;
        symbol_len = t.len - strlen(" (inlined)");
    } else if (starts(t, "[unknown] (") && ends(t, ")")) {
        symbol_len = strlen("[unknown]");
    } else if ((at = offset_end(t, &plus)) >= 0 || (at = matching_paren(t)) >= 0) {
        symbol_len = (size_t)at;
    }
    if (symbol_len < t.len && f->kind == PERF_USER) {
        f->dso = perf_trim(t.s + symbol_len, t.len - symbol_len);
        if (starts(f->dso, "(") && ends(f->dso, ")"))
            f->dso = (struct text){f->dso.s + 1, f->dso.len - 2};
        f->kind = is_kernel(f->dso) ? PERF_KERNEL : is_jit(f->dso) ? PERF_JIT : PERF_USER;
    }
    f->symbol = (struct text){t.s, symbol_len};
    if (offset_end(f->symbol, &plus) == (ptrdiff_t)symbol_len)
        f->symbol.len = plus;
    f->symbol = perf_trim(f->symbol.s, f->symbol.len);
    if (f->symbol.len == 0)
        f->symbol = (struct text){"[unknown]", strlen("[unknown]")};
    return true;
}

bool perf_is_frame(const char *line, size_t len) {
    struct text t = perf_trim(line, len);
    size_t i = 0;

    while (i < t.len && is_hex(t.s[i]))
        i++;
    return i > 0 ? i == t.len || t.s[i] == ' ' : ends(t, ")") && !ends(t, " (inlined)");
}

void perf_frame_name(const struct perf_frame *f, struct buf *out) {
    size_t from = out->len;
    struct text base = f->dso;
    char *semicolon;

    if (ends(base, " (deleted)"))
        base.len -= strlen(" (deleted)");
    base = base_name(base);
    /* What is known of a frame without a symbol is its file. */
    if (!equals(f->symbol, "[unknown]") || base.len == 0 || equals(base, "[unknown]"))
        buf_add(out, f->symbol.s, f->symbol.len);
    else if (base.s[0] == '[')
        buf_add(out, base.s, base.len);
    else {
        buf_addc(out, '[');
        buf_add(out, base.s, base.len);
        buf_addc(out, ']');
    }
    while ((semicolon = memchr(out->data + from, ';', out->len - from)) != NULL)
        *semicolon = ':';
}
