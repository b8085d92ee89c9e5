/* SPDX-License-Identifier: MIT */
#include "buildid.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>

#include "buf.h"

bool build_id_equals(struct build_id a, struct build_id b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.id, b.id, a.len) == 0);
}

struct build_id build_id_in_notes(const unsigned char *note, size_t size) {
    for (const unsigned char *end = note + size; (size_t)(end - note) > sizeof(Elf64_Nhdr);) {
        Elf64_Nhdr n;
        uint64_t name, desc;

        memcpy(&n, note, sizeof(n));
        note += sizeof(n);
        name = ((uint64_t)n.n_namesz + 3) & ~UINT64_C(3);
        desc = ((uint64_t)n.n_descsz + 3) & ~UINT64_C(3);
        if (name + desc > (size_t)(end - note))
            break;
        if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && memcmp(note, "GNU", 4) == 0)
            return (struct build_id){note + name, n.n_descsz};
        note += name + desc;
    }
    return (struct build_id){NULL, 0};
}

struct mapped build_id_debug_file(struct build_id id) {
    struct buf path = {0};
    struct mapped b;

    buf_adds(&path, "/usr/lib/debug/.build-id/");
    for (size_t i = 0; i < id.len; i++)
        buf_printf(&path, i == 0 ? "%02x/" : "%02x", id.id[i]);
    buf_adds(&path, ".debug");
    b = id.len > 0 ? mapped_path(path.data) : (struct mapped){NULL, 0};
    buf_free(&path);
    return b;
}
