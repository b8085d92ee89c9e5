/* SPDX-License-Identifier: MIT */
#include "pydyn.h"

#include <elf.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    HEADERS_MAX = 64,  /* program headers */
    ENTRIES_MAX = 256, /* of the dynamic section */
    CHAIN_MAX = 4096   /* symbols of one hash bucket */
};

static bool fetch(const struct dyn *d, uint64_t addr, void *to, size_t len) {
    return addr <= INT64_MAX && pread(d->fd, to, len, (off_t)addr) == (ssize_t)len;
}

/* The program header of this type (PT_LOAD: the one that begins the file), by its address as
 * linked. */
static bool header(const struct dyn *d, const Elf64_Ehdr *eh, uint64_t start, uint32_t type,
                   Elf64_Phdr *ph) {
    for (uint64_t i = 0; i < eh->e_phnum && i < HEADERS_MAX; i++) {
        if (!fetch(d, start + eh->e_phoff + i * sizeof(*ph), ph, sizeof(*ph)))
            return false;
        if (ph->p_type == type && (type != PT_LOAD || ph->p_offset < 4096))
            return true;
    }
    return false;
}

bool dyn_open(struct dyn *d, int memfd, uint64_t start) {
    Elf64_Ehdr eh;
    Elf64_Phdr ph;
    uint64_t entries;

    *d = (struct dyn){.fd = memfd};
    if (!fetch(d, start, &eh, sizeof(eh)) || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
        eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != EM_X86_64 ||
        !header(d, &eh, start, PT_LOAD, &ph))
        return false;
    if (eh.e_type != ET_EXEC)
        d->bias = start - (ph.p_vaddr - ph.p_offset);
    if (!header(d, &eh, start, PT_DYNAMIC, &ph))
        return false;
    entries = ph.p_memsz / sizeof(Elf64_Dyn);
    for (uint64_t i = 0; i < entries && i < ENTRIES_MAX; i++) {
        Elf64_Dyn entry;
        uint64_t *to;

        if (!fetch(d, d->bias + ph.p_vaddr + i * sizeof(entry), &entry, sizeof(entry)))
            return false;
        if (entry.d_tag == DT_NULL)
            break;
        to = entry.d_tag == DT_SYMTAB     ? &d->symbols
             : entry.d_tag == DT_STRTAB   ? &d->strings
             : entry.d_tag == DT_GNU_HASH ? &d->hash
                                          : NULL;
        /* glibc replaces these by addresses in memory, musl does not, nor has glibc at first. */
        if (to)
            *to = entry.d_un.d_ptr < d->bias ? entry.d_un.d_ptr + d->bias : entry.d_un.d_ptr;
    }
    return d->symbols && d->strings && d->hash;
}

static bool is_object(const struct dyn *d, uint64_t index, const char *name, uint64_t *value) {
    char text[32];
    size_t len = strlen(name) + 1;
    Elf64_Sym sym;

    if (len > sizeof(text) || !fetch(d, d->symbols + index * sizeof(sym), &sym, sizeof(sym)) ||
        sym.st_shndx == SHN_UNDEF || ELF64_ST_TYPE(sym.st_info) != STT_OBJECT ||
        !fetch(d, d->strings + sym.st_name, text, len) || memcmp(text, name, len) != 0)
        return false;
    *value = sym.st_value + d->bias;
    return true;
}

uint64_t dyn_object(const struct dyn *d, const char *name) {
    struct {
        uint32_t buckets, first, bloom_words, bloom_shift;
    } table;
    uint64_t at, value = 0;
    uint32_t hash = 5381, index;

    for (const char *p = name; *p; p++)
        hash = hash * 33 + (unsigned char)*p;
    if (!fetch(d, d->hash, &table, sizeof(table)) || table.buckets == 0)
        return 0;
    at = d->hash + sizeof(table) + (uint64_t)table.bloom_words * sizeof(uint64_t);
    if (!fetch(d, at + (uint64_t)(hash % table.buckets) * sizeof(index), &index, sizeof(index)) ||
        index < table.first)
        return 0;
    at += (uint64_t)table.buckets * sizeof(index);
    for (uint32_t i = 0; i < CHAIN_MAX; i++, index++) {
        uint32_t have;

        if (!fetch(d, at + (uint64_t)(index - table.first) * sizeof(have), &have, sizeof(have)))
            return 0;
        /* The lowest bit marks the end of the chain. */
        if ((have | 1) == (hash | 1) && is_object(d, index, name, &value))
            return value;
        if (have & 1)
            return 0;
    }
    return 0;
}
