/* SPDX-License-Identifier: MIT */
#include "pyelf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "buf.h"
#include "proc.h"

enum { MAPS_MAX = 16 << 20 };

struct image {
    const uint8_t *data;
    size_t size;
};

struct mapping {
    uint64_t start, end, offset;
    unsigned int major, minor;
    uint64_t inode;
    const char *path;
};

/* A part of the file, or NULL when it does not lie in it. */
static const void *part(const struct image *im, uint64_t offset, uint64_t len) {
    if (offset > im->size || len > im->size - offset)
        return NULL;
    return im->data + offset;
}

static bool name_is(const struct image *im, const Elf64_Shdr *names, uint64_t index,
                    const char *want) {
    size_t len = strlen(want) + 1;
    const void *at;

    if (index >= names->sh_size || len > names->sh_size - index)
        return false;
    at = part(im, names->sh_offset + index, len);
    return at && memcmp(at, want, len) == 0;
}

static void search_symbols(const struct image *im, const Elf64_Shdr *table, const Elf64_Shdr *names,
                           uint64_t *runtime, uint64_t *version) {
    uint64_t n = table->sh_size / sizeof(Elf64_Sym);

    for (uint64_t i = 0; i < n; i++) {
        Elf64_Sym sym;
        const void *at = part(im, table->sh_offset + i * sizeof(sym), sizeof(sym));

        if (!at)
            return;
        memcpy(&sym, at, sizeof(sym));
        if (sym.st_shndx == SHN_UNDEF || ELF64_ST_TYPE(sym.st_info) != STT_OBJECT)
            continue;
        if (name_is(im, names, sym.st_name, "_PyRuntime"))
            *runtime = sym.st_value;
        else if (name_is(im, names, sym.st_name, "Py_Version"))
            *version = sym.st_value;
    }
}

/* Addresses as linked. True when the runtime was found. */
static bool search_image(const struct image *im, uint64_t *runtime, uint64_t *version,
                         uint64_t *base, bool *fixed) {
    Elf64_Ehdr eh;
    const void *at = part(im, 0, sizeof(eh));
    uint64_t lowest = UINT64_MAX;
    Elf64_Shdr sections[96];
    uint64_t n;

    if (!at)
        return false;
    memcpy(&eh, at, sizeof(eh));
    if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
        eh.e_machine != EM_X86_64)
        return false;
    *fixed = eh.e_type == ET_EXEC;
    for (uint64_t i = 0; i < eh.e_phnum; i++) {
        Elf64_Phdr ph;

        at = part(im, eh.e_phoff + i * sizeof(ph), sizeof(ph));
        if (!at)
            return false;
        memcpy(&ph, at, sizeof(ph));
        if (ph.p_type == PT_LOAD && ph.p_vaddr < lowest)
            lowest = ph.p_vaddr;
    }
    if (lowest == UINT64_MAX)
        return false;
    *base = lowest & ~(uint64_t)4095;

    n = eh.e_shnum < sizeof(sections) / sizeof(sections[0])
            ? eh.e_shnum
            : sizeof(sections) / sizeof(sections[0]);
    at = part(im, eh.e_shoff, n * sizeof(Elf64_Shdr));
    if (!at)
        return false;
    memcpy(sections, at, n * sizeof(Elf64_Shdr));
    for (int pass = 0; pass < 2 && *runtime == 0; pass++) {
        for (uint64_t i = 0; i < n; i++) {
            if (sections[i].sh_type == (pass == 0 ? SHT_DYNSYM : SHT_SYMTAB) &&
                sections[i].sh_link < n)
                search_symbols(im, &sections[i], &sections[sections[i].sh_link], runtime, version);
        }
    }
    /* Stripped of all symbols: CPython 3.13 and later keep the runtime in a section of its own. */
    if (*runtime == 0 && eh.e_shstrndx < n) {
        for (uint64_t i = 0; i < n; i++) {
            if (name_is(im, &sections[eh.e_shstrndx], sections[i].sh_name, ".PyRuntime"))
                *runtime = sections[i].sh_addr;
        }
    }
    return *runtime != 0;
}

static bool same_file(int fd, const struct mapping *map) {
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    /* Overlay file systems may show another device in maps than in stat: the inode is what must
     * agree. */
    return st.st_ino == map->inode;
}

/* Opens the file behind a mapping, in the target's own mount namespace; a replaced one through
 * map_files. */
static int open_mapped(int procfd, const struct mapping *map) {
    char path[4200];
    int fd;

    (void)snprintf(path, sizeof(path), "root%s", map->path);
    fd = openat(procfd, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && same_file(fd, map))
        return fd;
    if (fd >= 0)
        (void)close(fd);
    (void)snprintf(path, sizeof(path), "map_files/%" PRIx64 "-%" PRIx64, map->start, map->end);
    return openat(procfd, path, O_RDONLY | O_CLOEXEC);
}

static bool try_mapping(int procfd, const struct mapping *map, struct py_binary *out) {
    uint64_t runtime = 0, version = 0, base = 0, bias;
    struct image im = {0};
    bool found = false, fixed = false;
    struct stat st;
    void *data;
    int fd = open_mapped(procfd, map);

    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data != MAP_FAILED) {
            im.data = data;
            im.size = (size_t)st.st_size;
            found = search_image(&im, &runtime, &version, &base, &fixed);
            (void)munmap(data, im.size);
        }
    }
    (void)close(fd);
    if (!found)
        return false;
    bias = fixed ? 0 : map->start - base;
    out->runtime = runtime + bias;
    out->version = version ? version + bias : 0;
    (void)snprintf(out->path, sizeof(out->path), "%s", map->path);
    return true;
}

/* One line of maps: `start-end perms offset major:minor inode   path`. Cuts the line in place. */
static bool parse_line(char *line, struct mapping *map) {
    char *p = line;

    map->start = strtoull(p, &p, 16);
    if (*p++ != '-')
        return false;
    map->end = strtoull(p, &p, 16);
    p = strchr(p + (*p == ' '), ' ');
    if (!p)
        return false;
    map->offset = strtoull(p, &p, 16);
    map->major = (unsigned int)strtoul(p, &p, 16);
    if (*p++ != ':')
        return false;
    map->minor = (unsigned int)strtoul(p, &p, 16);
    map->inode = strtoull(p, &p, 10);
    p += strspn(p, " ");
    map->path = p;
    return *p == '/';
}

bool elf_find_python(int procfd, struct py_binary *out, char *why, size_t why_cap) {
    struct buf maps = {0};
    bool found = false, seen = false;
    char *line, *rest;

    if (!proc_read_all(procfd, "maps", &maps, MAPS_MAX)) {
        (void)snprintf(why, why_cap, "maps cannot be read: %s", strerror(errno));
        buf_free(&maps);
        return false;
    }
    for (line = strtok_r(maps.data, "\n", &rest); line && !found;
         line = strtok_r(NULL, "\n", &rest)) {
        struct mapping map;
        const char *base;

        if (!parse_line(line, &map) || map.offset != 0)
            continue;
        base = strrchr(map.path, '/') + 1;
        if (!strstr(base, "python"))
            continue;
        seen = true;
        found = try_mapping(procfd, &map, out);
    }
    buf_free(&maps);
    if (!found)
        (void)snprintf(why, why_cap, "%s",
                       seen ? "a Python file is mapped, but holds no symbol _PyRuntime"
                            : "no Python interpreter is mapped in it");
    return found;
}
