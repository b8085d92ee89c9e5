/* SPDX-License-Identifier: MIT */
#include "addrspace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

/* Parts of address spaces: vm.max_map_count is 65530; and what forks may copy in all. */
enum { MOST_MAPPED = 1 << 17, MOST_CLONED = 1 << 24 };

static struct maps *new_maps(uint32_t pid) {
    struct maps *m = xcalloc(1, sizeof(*m));

    m->pid = pid;
    return m;
}

static void free_maps(struct maps *m) {
    free(m->list);
    free(m);
}

void addrspace_init(struct addrspace *a) {
    *a = (struct addrspace){.kernel = new_maps(0)};
    intern_init(&a->names);
}

void addrspace_free(struct addrspace *a) {
    free_maps(a->kernel);
    for (size_t i = 0; i < ADDRSPACE_BUCKETS; i++) {
        for (struct maps *m = a->processes[i], *next; m; m = next) {
            next = m->next;
            free_maps(m);
        }
        for (struct thread *t = a->threads[i], *next; t; t = next) {
            next = t->next;
            free(t);
        }
    }
    for (size_t i = 0; i < a->names.n; i++) {
        symbols_free(&a->dsos[i]->symbols);
        free(a->dsos[i]->name);
        free(a->dsos[i]);
    }
    free(a->dsos);
    intern_free(&a->names);
}

struct thread *addrspace_thread(struct addrspace *a, uint32_t pid, uint32_t tid) {
    struct thread **at = &a->threads[tid % ADDRSPACE_BUCKETS], *t;

    for (t = *at; t; t = t->next) {
        if (t->tid == tid)
            return t;
    }
    t = xcalloc(1, sizeof(*t));
    *t = (struct thread){.pid = pid, .tid = tid, .next = *at};
    (void)snprintf(t->comm, sizeof(t->comm), ":%d", (int)tid);
    return *at = t;
}

struct maps *addrspace_maps(struct addrspace *a, uint32_t pid) {
    struct maps **at = &a->processes[pid % ADDRSPACE_BUCKETS], *m;

    for (m = *at; m; m = m->next) {
        if (m->pid == pid)
            return m;
    }
    m = new_maps(pid);
    m->next = *at;
    return *at = m;
}

void addrspace_fork(struct addrspace *a, uint32_t pid, uint32_t parent, uint32_t tid,
                    uint32_t parent_tid) {
    struct thread *from = addrspace_thread(a, parent, parent_tid),
                  *t = addrspace_thread(a, pid, tid);
    struct maps *maps;
    const struct maps *others;

    t->pid = pid;
    memcpy(t->comm, from->comm, sizeof(t->comm));
    if (pid == parent)
        return;
    maps = addrspace_maps(a, pid);
    others = addrspace_maps(a, parent);
    if ((a->cloned += others->n) > MOST_CLONED)
        die(EX_FAIL, "a recording with too many processes that have too much mapped");
    free(maps->list);
    maps->n = maps->cap = others->n;
    maps->list = xmalloc(others->n * sizeof(*maps->list));
    if (others->n > 0)
        memcpy(maps->list, others->list, others->n * sizeof(*maps->list));
}

static struct dso *dso_of(struct addrspace *a, const char *name) {
    uint32_t known = a->names.n, id = intern(&a->names, name, strlen(name));

    if (id > known) {
        if (id > a->cap_dsos)
            a->dsos = xrealloc(a->dsos, (a->cap_dsos = 2 * (size_t)id) * sizeof(struct dso *));
        a->dsos[id - 1] = xcalloc(1, sizeof(struct dso));
        a->dsos[id - 1]->name = xstrdup(name);
    }
    return a->dsos[id - 1];
}

/* is_anon_memory(), is_no_dso_memory(): where it is code, it was made at run time. */
static bool is_no_file(const char *name) {
    return strncmp(name, "//anon", 6) == 0 || strncmp(name, "/dev/zero", 9) == 0 ||
           strncmp(name, "/anon_hugepage", 14) == 0 || strncmp(name, "[stack", 6) == 0 ||
           strncmp(name, "/SYSV", 5) == 0 || strcmp(name, "[heap]") == 0;
}

static size_t first_beyond(const struct maps *m, uint64_t address) {
    size_t low = 0, high = m->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (m->list[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void addrspace_map(struct addrspace *a, struct maps *maps, uint64_t start, uint64_t end,
                   uint64_t offset, const char *name, bool exec) {
    bool no_file = is_no_file(name), is_jit = no_file && exec;
    size_t from = first_beyond(maps, start), to = from;
    struct map left = {0}, right = {0}, in[3];
    size_t n = 0;
    char jit[64];

    if (end <= start)
        return;
    for (; to < maps->n && maps->list[to].start < end; to++) {
        if (maps->list[to].start < start) {
            left = maps->list[to];
            left.end = start;
        }
        if (maps->list[to].end > end) {
            right = maps->list[to];
            right.offset += end - right.start;
            right.start = end;
        }
    }
    if (left.dso)
        in[n++] = left;
    (void)snprintf(jit, sizeof(jit), "/tmp/perf-%u.map", maps->pid);
    in[n] = (struct map){start, end, offset, dso_of(a, is_jit ? jit : name)};
    if (no_file) {
        in[n].dso->jit |= is_jit;
        in[n].dso->loaded |= !is_jit; /* data: it has no symbols */
        in[n].offset = start;         /* its symbols are addresses */
    }
    n++;
    if (right.dso)
        in[n++] = right;
    if (maps->n > MOST_MAPPED)
        die(EX_FAIL, "a recording of a process that has more mapped than a kernel allows");
    if (maps->n + n > maps->cap)
        maps->list = xrealloc(maps->list, (maps->cap = 2 * (maps->n + n)) * sizeof(*maps->list));
    memmove(maps->list + from + n, maps->list + to, (maps->n - to) * sizeof(*maps->list));
    memcpy(maps->list + from, in, n * sizeof(*maps->list));
    maps->n += n - (to - from);
}

const struct map *maps_find(const struct maps *m, uint64_t address) {
    size_t i = first_beyond(m, address);

    return i < m->n && m->list[i].start <= address ? &m->list[i] : NULL;
}
