/* SPDX-License-Identifier: MIT
 * The lines of frames; the headers are in perftext.c.
 */
#include <string.h>

#include "perftext.h"

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
