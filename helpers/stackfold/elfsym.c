/* SPDX-License-Identifier: MIT
 * ELF: elf(5). perf-PID.map: tools/perf/Documentation/jit-interface.txt in the kernel's tree.
 */
#include "elfsym.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demangle.h"

#define PAGE UINT64_C(4096)

void symbols_free(struct symbols *s) {
    free(s->list);
    buf_free(&s->names);
    *s = (struct symbols){0};
}

static struct symbol *add(struct symbols *s, uint64_t start, uint64_t size, const char *name,
                          size_t len) {
    struct symbol *sym;

    if (s->n == s->cap)
        s->list = xrealloc(s->list, (s->cap = s->cap ? 2 * s->cap : 256) * sizeof(*s->list));
    sym = &s->list[s->n++];
    *sym = (struct symbol){.start = start, .end = start + size, .name = s->names.len};
    buf_add(&s->names, name, len);
    buf_addc(&s->names, '\0');
    return sym;
}

void symbols_name(const struct symbols *s, const struct symbol *sym, struct buf *out) {
    const char *name = s->names.data + sym->name;

    if (!s->mangled || !demangle(out, name))
        buf_adds(out, name);
    if (sym->plt)
        buf_adds(out, "@plt");
}

/* --- perf's choice --- */

static int by_start(const void *a, const void *b) {
    const struct symbol *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->name > y->name) - (x->name < y->name); /* the order in which they came */
}

/* choose_best_symbol(): whether `a` stays where both begin at one address. */
static bool is_better(const struct symbols *s, const struct symbol *a, const struct symbol *b) {
    bool empty_a = a->end == a->start, empty_b = b->end == b->start, better;
    struct buf name_a = {0}, name_b = {0};
    size_t underscores_a, underscores_b;

    if (empty_a != empty_b)
        return empty_b;
    if (a->weak != b->weak)
        return b->weak;
    if (a->global != b->global)
        return a->global;
    symbols_name(s, a, &name_a);
    symbols_name(s, b, &name_b);
    underscores_a = strspn(name_a.data, "_");
    underscores_b = strspn(name_b.data, "_");
    better =
        underscores_a != underscores_b ? underscores_a < underscores_b : name_a.len >= name_b.len;
    buf_free(&name_a);
    buf_free(&name_b);
    return better;
}

/* symbols__fixup_end() and symbols__fixup_duplicate(). */
static void settle(struct symbols *s, bool kernel) {
    size_t kept = 0;

    if (s->n == 0)
        return;
    qsort(s->list, s->n, sizeof(*s->list), by_start);
    for (size_t i = 0; i < s->n; i++) {
        struct symbol *sym = &s->list[i], *next = sym + 1;

        if (sym->end != sym->start)
            continue;
        if (i + 1 == s->n)
            sym->end = ((sym->start + PAGE - 1) & ~(PAGE - 1)) + PAGE;
        else if (kernel && !strchr(s->names.data + sym->name, '[') !=
                               !strchr(s->names.data + next->name, '['))
            sym->end = (sym->end + 2 * PAGE - 1) & ~(PAGE - 1);
        else
            sym->end = next->start;
    }
    for (size_t i = 1; i < s->n; i++) {
        if (s->list[i].start != s->list[kept].start)
            s->list[++kept] = s->list[i];
        else if (!is_better(s, &s->list[kept], &s->list[i]))
            s->list[kept] = s->list[i];
    }
    s->n = kept + 1;
}

struct symbol *symbols_find(const struct symbols *s, uint64_t address) {
    size_t low = 0, high = s->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (s->list[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    /* A small symbol may stand within a larger one. */
    for (size_t i = low; i > 0 && i + 8 > low; i--) {
        if (address < s->list[i - 1].end)
            return &s->list[i - 1];
    }
    return NULL;
}

/* --- ELF, 64 bits, of this machine's byte order --- */

struct elf {
    const unsigned char *data;
    size_t size;
    Elf64_Ehdr header;
    Elf64_Shdr symtab, dynsym, plt, rela_plt; /* sh_size 0: it has none */
};

/* `n` entries of `entry` bytes at an offset, all of which are in the file; else NULL. */
static const unsigned char *table(const struct elf *e, uint64_t offset, uint64_t n, size_t entry) {
    if (offset > e->size || n > (e->size - offset) / entry)
        return NULL;
    return e->data + offset;
}

static bool section(const struct elf *e, size_t i, Elf64_Shdr *to) {
    const unsigned char *p = table(e, e->header.e_shoff, e->header.e_shnum, sizeof(*to));

    if (!p || i >= e->header.e_shnum)
        return false;
    memcpy(to, p + i * sizeof(*to), sizeof(*to));
    return true;
}

/* A string of a string table; "" when it is not within it. */
static const char *string(const struct elf *e, const Elf64_Shdr *strings, uint64_t at) {
    const unsigned char *p = table(e, strings->sh_offset, strings->sh_size, 1);

    if (!p || strings->sh_type != SHT_STRTAB || at >= strings->sh_size ||
        !memchr(p + at, '\0', strings->sh_size - at))
        return "";
    return (const char *)p + at;
}

/* From an address to its place in the file, by the segment that it is loaded with. */
static uint64_t file_offset(const struct elf *e, uint64_t address) {
    const unsigned char *p = table(e, e->header.e_phoff, e->header.e_phnum, sizeof(Elf64_Phdr));

    for (size_t i = 0; p && i < e->header.e_phnum; i++) {
        Elf64_Phdr h;

        memcpy(&h, p + i * sizeof(h), sizeof(h));
        if (h.p_type == PT_LOAD && address >= h.p_vaddr && address - h.p_vaddr < h.p_memsz)
            return address - h.p_vaddr + h.p_offset;
    }
    return address;
}

/* The file's own build-id. */
static struct build_id own_build_id(const struct elf *e) {
    struct build_id id = {NULL, 0};
    Elf64_Shdr sec;

    for (size_t i = 0; id.len == 0 && section(e, i, &sec); i++) {
        const unsigned char *note =
            sec.sh_type == SHT_NOTE ? table(e, sec.sh_offset, sec.sh_size, 1) : NULL;

        if (note)
            id = build_id_in_notes(note, sec.sh_size);
    }
    return id;
}

/* Whether perf takes a symbol: functions, data, and labels in text or data. */
static bool is_wanted(const struct elf *e, const Elf64_Sym *sym) {
    unsigned type = ELF64_ST_TYPE(sym->st_info), visible = ELF64_ST_VISIBILITY(sym->st_other);
    Elf64_Shdr in, names;

    if (sym->st_name == 0 || sym->st_shndx == SHN_UNDEF || !section(e, sym->st_shndx, &in) ||
        !(in.sh_flags & SHF_ALLOC))
        return false;
    if (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_OBJECT)
        return true;
    if (type != STT_NOTYPE || visible == STV_HIDDEN || visible == STV_INTERNAL ||
        !section(e, e->header.e_shstrndx, &names))
        return false;
    return strstr(string(e, &names, in.sh_name), "text") ||
           strstr(string(e, &names, in.sh_name), "data");
}

/* The symbols of a table of `in`, for the addresses of `e`. */
static void add_table(struct symbols *s, const struct elf *e, const struct elf *in,
                      const Elf64_Shdr *symtab) {
    const unsigned char *p = table(in, symtab->sh_offset, symtab->sh_size, 1);
    Elf64_Shdr strings;

    if (!p || !section(in, symtab->sh_link, &strings))
        return;
    for (size_t i = 0; i < symtab->sh_size / sizeof(Elf64_Sym); i++) {
        Elf64_Sym sym;

        memcpy(&sym, p + i * sizeof(sym), sizeof(sym));
        if (is_wanted(in, &sym)) {
            const char *name = string(in, &strings, sym.st_name);
            struct symbol *to =
                add(s, file_offset(e, sym.st_value), sym.st_size, name, strlen(name));

            to->weak = ELF64_ST_BIND(sym.st_info) == STB_WEAK;
            to->global = ELF64_ST_BIND(sym.st_info) == STB_GLOBAL;
        }
    }
}

/* dso__synthesize_plt_symbols(): one entry of .plt for each of .rela.plt, after its head. */
static void add_plt(struct symbols *s, const struct elf *e) {
    const Elf64_Shdr *plt = &e->plt, *rela = &e->rela_plt, *dynsym = &e->dynsym;
    const unsigned char *p = table(e, rela->sh_offset, rela->sh_size, 1),
                        *syms = table(e, dynsym->sh_offset, dynsym->sh_size, 1);
    uint64_t at = plt->sh_offset, entry = plt->sh_entsize;
    Elf64_Shdr strings;

    if (!p || !syms || !section(e, dynsym->sh_link, &strings))
        return;
    for (size_t i = 0; i < rela->sh_size / sizeof(Elf64_Rela); i++) {
        Elf64_Rela r;
        Elf64_Sym sym;
        uint64_t index;
        const char *name;

        memcpy(&r, p + i * sizeof(r), sizeof(r));
        index = ELF64_R_SYM(r.r_info);
        if (index >= dynsym->sh_size / sizeof(sym))
            continue;
        memcpy(&sym, syms + index * sizeof(sym), sizeof(sym));
        at += entry;
        name = string(e, &strings, sym.st_name);
        add(s, at, entry, name, strlen(name))->plt = true;
    }
}

/* False where it is no such file, or another build. */
static bool elf_open(struct elf *e, struct mapped file, struct build_id id) {
    Elf64_Shdr sec, names;

    *e = (struct elf){.data = file.data, .size = file.size};
    if (file.size < sizeof(e->header))
        return false;
    memcpy(&e->header, file.data, sizeof(e->header));
    if (memcmp(e->header.e_ident, ELFMAG, SELFMAG) != 0 ||
        e->header.e_ident[EI_CLASS] != ELFCLASS64 ||
        e->header.e_ident[EI_DATA] !=
            (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB) ||
        e->header.e_shentsize != sizeof(Elf64_Shdr) ||
        e->header.e_phentsize != sizeof(Elf64_Phdr) ||
        (id.len > 0 && !build_id_equals(own_build_id(e), id)) ||
        !section(e, e->header.e_shstrndx, &names))
        return false;
    for (size_t i = 0; section(e, i, &sec); i++) {
        const char *name = string(e, &names, sec.sh_name);

        if (sec.sh_type == SHT_SYMTAB)
            e->symtab = sec;
        else if (sec.sh_type == SHT_DYNSYM)
            e->dynsym = sec;
        else if (strcmp(name, ".plt") == 0)
            e->plt = sec;
        else if (strcmp(name, ".rela.plt") == 0)
            e->rela_plt = sec;
    }
    return true;
}

void symbols_elf(struct symbols *s, struct mapped file, struct mapped debug, struct build_id id) {
    struct elf e, d;

    s->mangled = true;
    if (!elf_open(&e, file, id))
        return;
    if (e.symtab.sh_size == 0 && elf_open(&d, debug, id) && d.symtab.sh_size > 0)
        add_table(s, &e, &d, &d.symtab);
    else
        add_table(s, &e, &e, e.symtab.sh_size > 0 ? &e.symtab : &e.dynsym);
    settle(s, false);
    if (e.plt.sh_size > 0 && e.rela_plt.sh_size > 0 && e.plt.sh_entsize > 0) {
        add_plt(s, &e);
        if (s->n > 0)
            qsort(s->list, s->n, sizeof(*s->list), by_start);
    }
}

void symbols_elf_file(struct symbols *s, const char *path, struct build_id id) {
    struct mapped file = mapped_path(path), debug;
    struct elf e;

    /* A recording knows the builds of files that a sample itself was in, and not of those that
     * only called: perf then looks in the file. */
    if (id.len == 0 && elf_open(&e, file, id))
        id = own_build_id(&e);
    debug = build_id_debug_file(id);
    symbols_elf(s, file, debug, id);
    mapped_free(&file);
    mapped_free(&debug);
}

/* --- text --- */

/* map__process_kallsym_symbol(), kallsyms2elf_binding(). A module's name stands after a tab. */
void symbols_kernel(struct symbols *s, const char *known, uint64_t address) {
    FILE *f = fopen("/proc/kallsyms", "re");
    char *line = NULL;
    size_t cap = 0, len;
    bool other = false;

    while (f && getline(&line, &cap, f) > 0) {
        char *end, kind;
        uint64_t start = strtoull(line, &end, 16);
        struct symbol *sym;

        if (start == 0 || end[0] != ' ' || end[1] == '\0' || end[2] != ' ' ||
            !strchr("TtWwDdBb", end[1]) || end[3] == '$')
            continue;
        len = strcspn(end + 3, "\t\n");
        other |= strlen(known) == len && memcmp(known, end + 3, len) == 0 && start != address;
        kind = end[1];
        sym = add(s, start, 0, end + 3, len);
        sym->weak = kind == 'W' || kind == 'w';
        sym->global = kind >= 'A' && kind <= 'Z' && kind != 'W';
    }
    free(line);
    if (f)
        (void)fclose(f);
    if (other)
        s->n = 0;
    settle(s, true);
}

void symbols_jit(struct symbols *s, const char *path) {
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t cap = 0;

    while (f && getline(&line, &cap, f) > 0) {
        char *end;
        uint64_t start = strtoull(line, &end, 16), size = *end == ' ' ? strtoull(end, &end, 16) : 0;

        if (size > 0 && *end == ' ')
            (void)add(s, start, size, end + 1, strcspn(end + 1, "\n"));
    }
    free(line);
    if (f)
        (void)fclose(f);
    if (s->n > 0)
        qsort(s->list, s->n, sizeof(*s->list), by_start);
}
