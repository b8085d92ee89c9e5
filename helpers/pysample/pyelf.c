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
#include "pydyn.h"

enum { MAPS_MAX = 16 << 20, SEARCHED_MAX = 16 };

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
        /* The one that begins the file: patchelf may put another below it. */
        if (ph.p_type == PT_LOAD && ph.p_offset < 4096 && ph.p_vaddr - ph.p_offset < lowest)
            lowest = ph.p_vaddr - ph.p_offset;
    }
    if (lowest == UINT64_MAX)
        return false;
    *base = lowest;

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

/* Opens the file behind a mapping: in the target's own mount namespace and root, in ours (where
 * only its root is another), the program itself; what was replaced or deleted, where we have the
 * rights. */
static int open_mapped(int procfd, const struct mapping *map) {
    char within[4200], through[64];
    const char *const names[] = {within, map->path, "exe", through};

    (void)snprintf(within, sizeof(within), "root%s", map->path);
    (void)snprintf(through, sizeof(through), "map_files/%" PRIx64 "-%" PRIx64, map->start,
                   map->end);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int fd = openat(procfd, names[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd >= 0 && (names[i] == through || same_file(fd, map)))
            return fd;
        if (fd >= 0)
            (void)close(fd);
    }
    return -1;
}

/* Files that hold no Python: a command is looked at 500 times a second until it starts one. */
static struct mapping searched[SEARCHED_MAX];
static unsigned int nsearched;

static bool was_searched(const struct mapping *map) {
    for (unsigned int i = 0; i < nsearched && i < SEARCHED_MAX; i++) {
        if (searched[i].inode == map->inode && searched[i].major == map->major &&
            searched[i].minor == map->minor)
            return true;
    }
    return false;
}

static bool search_file(int procfd, const struct mapping *map, struct py_binary *out) {
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
    if (!found) {
        searched[nsearched++ % SEARCHED_MAX] =
            (struct mapping){.major = map->major, .minor = map->minor, .inode = map->inode};
        return false;
    }
    bias = fixed ? 0 : map->start - base;
    out->runtime = runtime + bias;
    out->version = version ? version + bias : 0;
    return true;
}

/* In memory first, which is quick and needs no file; builds that export nothing have symbols, or a
 * section, in the file alone. */
static bool try_mapping(int procfd, const struct mapping *map, struct py_binary *out) {
    int memfd = openat(procfd, "mem", O_RDONLY | O_CLOEXEC), refused = memfd < 0 ? errno : 0;
    bool found = false;
    struct dyn dyn;

    if (memfd >= 0) {
        if (dyn_open(&dyn, memfd, map->start)) {
            out->runtime = dyn_object(&dyn, "_PyRuntime");
            out->version = dyn_object(&dyn, "Py_Version");
            found = out->runtime != 0;
        }
        (void)close(memfd);
    }
    if (!found && !was_searched(map))
        found = search_file(procfd, map, out);
    if (found)
        (void)snprintf(out->path, sizeof(out->path), "%s", map->path);
    errno = refused;
    return found;
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
    char *line, *rest, exe[4200];
    int refused = 0;

    if (!proc_read_all(procfd, "maps", &maps, MAPS_MAX)) {
        refused = errno;
        (void)snprintf(why, why_cap, "maps cannot be read: %s", strerror(refused));
        buf_free(&maps);
        errno = refused;
        return false;
    }
    if (proc_readlink(procfd, "exe", exe, sizeof(exe)) < 0)
        exe[0] = '\0';
    for (line = strtok_r(maps.data, "\n", &rest); line && !found;
         line = strtok_r(NULL, "\n", &rest)) {
        struct mapping map;
        bool named;

        if (!parse_line(line, &map) || map.offset != 0)
            continue;
        named = strstr(strrchr(map.path, '/'), "python") != NULL;
        /* A program of any name may have Python in it. */
        if (!named && strcmp(map.path, exe) != 0)
            continue;
        seen |= named;
        found = try_mapping(procfd, &map, out);
        if (named && errno)
            refused = errno;
    }
    buf_free(&maps);
    if (!found)
        (void)snprintf(why, why_cap, "%s",
                       seen ? "a Python file is mapped, but holds no symbol _PyRuntime"
                            : "no Python interpreter is mapped in it");
    errno = refused;
    return found;
}
