/* SPDX-License-Identifier: MIT */
#include "recording.h"

#include <elf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "addrspace.h"
#include "perfdata.h"

/* A record holds no more. The kernel keeps kernel.perf_event_max_stack of them, by default 127;
 * perf script prints that many without --max-stack, however many there are. */
enum { MAX_STACK = 65536 / 8 };

struct recording {
    struct fold *fold;
    struct perfdata file;
    struct addrspace space;
    struct buf line, name;
    char kernel_symbol[32]; /* one symbol of the kernel, and where it was: `_text` */
    uint64_t kernel_address;
    bool rust;        /* a name was met that only perf makes readable */
    uint32_t nowhere; /* the frame of what is not mapped */
    /* Frames of addresses that were asked for last. */
    struct known {
        const struct maps *maps;
        uint64_t address;
        uint32_t frame;
    } known[4096];
    uint32_t path[MAX_STACK];
};

/* The frame that a line of perf script's would give. */
static uint32_t frame_of(struct recording *r, const char *symbol, const char *dso) {
    struct frames_line line;

    r->line.len = 0;
    buf_printf(&r->line, "\t%16x %s (%s)", 0U, symbol, dso);
    line = (struct frames_line){.s = r->line.data, .len = (uint32_t)r->line.len};
    frames_find(&r->fold->frames, &line, 1);
    return line.frame;
}

/* Of this process: all have the same one. */
static void load_vdso(struct symbols *s, struct build_id id) {
    unsigned char *vdso = (unsigned char *)getauxval(AT_SYSINFO_EHDR); // NOLINT: an address
    Elf64_Ehdr h;

    if (!vdso)
        return;
    memcpy(&h, vdso, sizeof(h));
    symbols_elf(s, (struct mapped){vdso, h.e_shoff + (size_t)h.e_shnum * h.e_shentsize},
                (struct mapped){NULL, 0}, id);
}

static void load(struct recording *r, struct dso *dso) {
    struct build_id id = dso->build.len > 0 ? dso->build : perfdata_build_id(&r->file, dso->name);

    dso->loaded = true;
    if (dso->kernel)
        symbols_kernel(&dso->symbols, r->kernel_symbol, r->kernel_address);
    else if (dso->jit)
        symbols_jit(&dso->symbols, dso->name);
    else if (strcmp(dso->name, "[vdso]") == 0)
        load_vdso(&dso->symbols, id);
    else
        symbols_elf_file(&dso->symbols, dso->name, id);
}

static uint32_t look_up(struct recording *r, const struct maps *maps, uint64_t address) {
    const struct map *map = maps_find(maps, address);
    struct symbol *sym;
    struct dso *dso;

    if (!map)
        return r->nowhere;
    dso = map->dso;
    if (!dso->loaded)
        load(r, dso);
    sym = symbols_find(&dso->symbols, address - map->start + map->offset);
    if (!sym) {
        if (dso->unknown == 0)
            dso->unknown = frame_of(r, "[unknown]", dso->name);
        return dso->unknown;
    }
    if (sym->frame == 0) {
        const char *name;

        r->name.len = 0;
        symbols_name(&dso->symbols, sym, &r->name);
        name = r->name.data;
        if (name[0] == '_' && name[1] == 'R' && name[2] >= 'A' && name[2] <= 'Z')
            r->rust = true;
        sym->frame = frame_of(r, name, dso->name);
    }
    return sym->frame;
}

static uint32_t known_frame(struct recording *r, const struct maps *maps, uint64_t address) {
    uint64_t hash = (address ^ (uintptr_t)maps) * HASH_K0;
    struct known *k = &r->known[hash >> 52];

    if (k->maps != maps || k->address != address)
        *k = (struct known){maps, address, look_up(r, maps, address)};
    return k->frame;
}

/* The maps have changed: what is known of their addresses may be wrong. */
static void forget(struct recording *r) {
    memset(r->known, 0, sizeof(r->known));
}

static void on_mmap(void *arg, const struct perfdata_mmap *m) {
    struct recording *r = arg;
    const char *name = m->name;
    const struct map *map;
    uint64_t end;

    forget(r);
    if (!m->kernel) {
        /* Data is recorded with -d only; perf then looks for symbols in it, too. */
        addrspace_map(&r->space, addrspace_maps(&r->space, m->pid), m->start, m->start + m->size,
                      m->offset, name, m->exec);
        if (m->build.len > 0 &&
            (map = maps_find(addrspace_maps(&r->space, m->pid), m->start)) != NULL)
            map->dso->build = m->build;
        return;
    }
    if (strncmp(name, "[kernel.kallsyms]", 17) == 0) {
        (void)snprintf(r->kernel_symbol, sizeof(r->kernel_symbol), "%s", name + 17);
        r->kernel_address = m->offset;
        name = "[kernel.kallsyms]";
    }
    /* What is beyond the end that is recorded is the kernel's, too: what it needed to begin. */
    end = strcmp(name, "[kernel.kallsyms]") == 0 ? UINT64_MAX : m->start + m->size;
    addrspace_map(&r->space, r->space.kernel, m->start, end, m->start, name, true);
    for (size_t i = 0; i < r->space.names.n; i++)
        r->space.dsos[i]->kernel |= strcmp(r->space.dsos[i]->name, name) == 0;
}

static void on_comm(void *arg, uint32_t pid, uint32_t tid, const char *name) {
    struct recording *r = arg;
    struct thread *t = addrspace_thread(&r->space, pid, tid);

    t->pid = pid;
    (void)snprintf(t->comm, sizeof(t->comm), "%s", name);
}

static void on_fork(void *arg, uint32_t pid, uint32_t parent, uint32_t tid, uint32_t parent_tid) {
    struct recording *r = arg;

    forget(r);
    addrspace_fork(&r->space, pid, parent, tid, parent_tid);
}

static void on_lost(void *arg, uint64_t samples) {
    ((struct recording *)arg)->fold->lost += samples;
}

static void on_sample(void *arg, const struct perfdata_sample *s) {
    struct recording *r = arg;
    struct thread *t = addrspace_thread(&r->space, s->pid, s->tid);
    const struct maps *user = addrspace_maps(&r->space, s->pid), *maps = user;
    struct perf_header h = {.has_period = true, .period = s->period};
    char pid[12], tid[12];
    struct calltree_at at;
    uint64_t weight;
    size_t n = 0;

    if (s->time < r->fold->opts->events.since) {
        r->fold->events.early++;
        return;
    }
    h.comm = (struct text){t->comm, strlen(t->comm)};
    h.pid = (struct text){pid, (size_t)snprintf(pid, sizeof(pid), "%d", (int)s->pid)};
    h.tid = (struct text){tid, (size_t)snprintf(tid, sizeof(tid), "%d", (int)s->tid)};
    h.event = (struct text){s->event, strlen(s->event)};
    weight = events_weigh(&r->fold->events, &r->fold->opts->events, &h);
    if (weight == 0)
        return;
    for (size_t i = 0; i < s->n && n < MAX_STACK; i++) {
        uint64_t ip;

        memcpy(&ip, s->chain + i * 8, sizeof(ip));
        if (ip == (uint64_t)PERF_CONTEXT_KERNEL) {
            maps = r->space.kernel;
        } else if (ip == (uint64_t)PERF_CONTEXT_USER) {
            maps = user;
        } else if (ip >= (uint64_t)PERF_CONTEXT_MAX) {
            n = 0; /* no address: perf takes the whole chain for broken */
            break;
        } else {
            r->path[n++] = known_frame(r, maps, ip);
        }
    }
    at = fold_root(r->fold, &h);
    while (n > 0)
        at = frames_descend(&r->fold->frames, at, r->path[--n]);
    fold_count(r->fold, at, weight);
}

const char *recording_fold(struct fold *f, const unsigned char *data, size_t size) {
    struct recording *r = xcalloc(1, sizeof(*r));
    const struct perfdata_calls calls = {.mmap = on_mmap,
                                         .comm = on_comm,
                                         .fork = on_fork,
                                         .sample = on_sample,
                                         .lost = on_lost,
                                         .arg = r};
    const char *odd;

    r->fold = f;
    addrspace_init(&r->space);
    on_comm(r, 0, 0, "swapper");
    r->nowhere = frame_of(r, "[unknown]", "[unknown]");
    odd = perfdata_open(&r->file, data, size);
    if (!odd)
        odd = perfdata_read(&r->file, &calls);
    if (!odd && r->rust)
        odd = "names that Rust mangled its newer way (v0)";
    perfdata_close(&r->file);
    addrspace_free(&r->space);
    buf_free(&r->line);
    buf_free(&r->name);
    free(r);
    return odd;
}
