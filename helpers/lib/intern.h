/* SPDX-License-Identifier: MIT
 * Byte strings as small numbers: each different string is kept once. Any bytes are allowed.
 */
#ifndef LIB_INTERN_H
#define LIB_INTERN_H

#include <stddef.h>
#include <stdint.h>

struct intern_string {
    size_t off;
    uint32_t len, hash;
};

struct intern {
    char *text; /* all strings, one after the other */
    size_t text_len, text_cap;
    struct intern_string *strings; /* by id; 0 is unused */
    uint32_t n, cap;
    uint32_t *slots; /* ids by hash, 0: free */
    uint32_t mask;
    uint64_t seed;
};

/* An empty table, ready for use. */
void intern_init(struct intern *t);
void intern_free(struct intern *t);

/* The id of a string, from 1 on in the order of first sight. Strings are shorter than 4 GiB. */
uint32_t intern(struct intern *t, const char *s, size_t len);

/* The string of an id; not NUL-terminated, valid until the next call of intern(). */
const char *intern_text(const struct intern *t, uint32_t id, size_t *len);

/* rank[id] = place of each string (0 ..) when they are sorted by their bytes, a prefix before what
 * it begins. Returns an array of n + 1 numbers that the caller frees. */
uint32_t *intern_ranks(const struct intern *t);

#endif
