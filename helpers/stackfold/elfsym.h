/* SPDX-License-Identifier: MIT
 * The symbols of a mapped file, chosen and named as perf does (Linux 6.1, tools/perf/util/symbol.c
 * and symbol-elf.c): where perf.data is read, the answer must be `perf script`'s.
 */
#ifndef STACKFOLD_ELFSYM_H
#define STACKFOLD_ELFSYM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "buildid.h"
#include "mapped.h"

struct symbol {
    uint64_t start, end; /* end: the first address after it */
    size_t name;         /* where it begins in `names`, ended by a NUL */
    uint32_t frame;      /* for the caller; 0 at first */
    bool weak, global, plt;
};

struct symbols {
    struct symbol *list; /* by their start, one for each */
    size_t n, cap;
    struct buf names;
    bool mangled; /* they may be C++ or Rust names that are to be made readable */
};

void symbols_free(struct symbols *s);

/* The symbol that an address is in; NULL where there is none. */
struct symbol *symbols_find(const struct symbols *s, uint64_t address);

/* Adds the name that perf shows. */
void symbols_name(const struct symbols *s, const struct symbol *sym, struct buf *out);

/* Symbols of an ELF file's text, at their offsets in the file, from the file itself or where its
 * debugging symbols are installed. None when it cannot be read or is another build. An `id` that is
 * not known is taken from the file. */
void symbols_elf_file(struct symbols *s, const char *path, struct build_id id);

/* The same of two files in memory, the second of which holds its symbol table, or is empty. Any
 * bytes may be in them. */
void symbols_elf(struct symbols *s, struct mapped file, struct mapped debug, struct build_id id);

/* Symbols of the running kernel, at their addresses. None when the symbol `known` is elsewhere than
 * when it was recorded: the machine was started again since then. */
void symbols_kernel(struct symbols *s, const char *known, uint64_t address);

/* Symbols that a JIT has written down: lines of `START SIZE name`, hexadecimal. */
void symbols_jit(struct symbols *s, const char *path);

#endif
