/* SPDX-License-Identifier: MIT */
#include "demangle.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

enum { LONGEST = 1 << 14 }; /* a name that is longer stays as it is */

/* Of the C++ run-time library: https://itanium-cxx-abi.github.io/cxx-abi/abi.html#demangler */
typedef char *demangler(const char *mangled, char *out, size_t *len, int *status);

/* Loaded when the first name needs it: most recordings do not, and not all machines can link it. */
static demangler *load_demangler(void) {
    static demangler *loaded;
    static bool tried;

    if (!tried) {
        void *library = dlopen("libstdc++.so.6", RTLD_NOW);

        tried = true;
        loaded = library ? (demangler *)dlsym(library, "__cxa_demangle") : NULL;
        if (!loaded)
            warn("C++ names stay as they are: libstdc++.so.6 is not there; install libstdc++6");
    }
    return loaded;
}

/* Where the bracket that is closed at s[end] opens. */
static size_t opening(const char *s, size_t end) {
    int depth = 0;

    for (size_t i = end + 1; i-- > 0;) {
        depth += s[i] == ')';
        depth -= s[i] == '(';
        if (depth == 0)
            return i;
    }
    return 0;
}

/* The length without parameters and what follows them. */
static size_t without_parameters(const char *s, size_t len) {
    const char *last;
    size_t at;

    last = memrchr(s, ')', len);
    if (!last || memchr(last, '>', len - (size_t)(last - s)) || strstr(last, "::"))
        return len;
    at = opening(s, (size_t)(last - s));
    return at > 0 ? at : len;
}

/* Where the name begins after a type that is returned: after the last blank outside of brackets. */
static size_t after_type(const char *s, size_t len) {
    int depth = 0;
    size_t at = 0;

    for (size_t i = 0; i < len; i++) {
        if (len - i > 8 && memcmp(s + i, "operator", 8) == 0 &&
            (i == 0 || s[i - 1] == ':' || s[i - 1] == ' '))
            break;
        depth += s[i] == '<' || s[i] == '(' || s[i] == '{' || s[i] == '[';
        depth -= s[i] == '>' || s[i] == ')' || s[i] == '}' || s[i] == ']';
        if (s[i] == ' ' && depth == 0)
            at = i + 1;
    }
    return at;
}

/* Rust's names end in a hash, `::h` and 16 digits. */
static bool is_rust(const char *s, size_t len) {
    return len > 19 && memcmp(s + len - 19, "::h", 3) == 0 &&
           strspn(s + len - 16, "0123456789abcdef") == 16;
}

/* Adds s[0 .. len) with what Rust has written for its other characters:
 * https://doc.rust-lang.org/rustc/symbol-mangling/index.html, "legacy". */
static void add_rust(struct buf *out, const char *s, size_t len) {
    static const char *const codes[] = {"SP@", "BP*", "RF&", "LT<", "GT>", "LP(", "RP)", "C,"};

    for (size_t i = 0; i < len;) {
        const char *end = s[i] == '$' ? memchr(s + i + 1, '$', len - i - 1) : NULL;
        size_t n = end ? (size_t)(end - s) - i - 1 : 0;
        char c = 0, *digits_end;

        for (size_t k = 0; n > 0 && k < sizeof(codes) / sizeof(codes[0]); k++) {
            if (strlen(codes[k]) == n + 1 && memcmp(codes[k], s + i + 1, n) == 0)
                c = codes[k][n];
        }
        if (n == 3 && s[i + 1] == 'u') {
            c = (char)strtoul(s + i + 2, &digits_end, 16);
            if (digits_end != end)
                c = 0;
        }
        if (c) {
            buf_addc(out, c);
            i += n + 2;
        } else if (s[i] == '.' && i + 1 < len && s[i + 1] == '.') {
            buf_adds(out, "::");
            i += 2;
        } else if (s[i] == '_' && i + 1 < len && s[i + 1] == '$' && (i == 0 || s[i - 1] == ':')) {
            i++; /* it only keeps a name from beginning with a sign */
        } else {
            buf_addc(out, s[i++]);
        }
    }
}

bool demangle(struct buf *out, const char *name) {
    const char *clone;
    size_t len, from = 0;
    demangler *cxa;
    char *text;
    int status;

    if (strncmp(name, "_Z", 2) != 0 || strlen(name) > LONGEST)
        return false;
    cxa = load_demangler();
    text = cxa ? cxa(name, NULL, NULL, &status) : NULL;
    if (!text)
        return false;
    clone = strstr(text, " [clone ");
    len = clone ? (size_t)(clone - text) : strlen(text);
    text[len] = '\0';
    if (is_rust(text, len)) {
        add_rust(out, text, len - 19);
        free(text);
        return true;
    }
    if (name[2] != 'T' && name[2] != 'G') { /* tables and guards are no functions */
        len = without_parameters(text, len);
        from = after_type(text, len);
    }
    buf_add(out, text + from, len - from);
    free(text);
    return true;
}
