/* SPDX-License-Identifier: MIT */
#include "timed.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "hash.h"

enum { FIRST_SLOTS = 1024 };
static const uint32_t UNREADABLE = UINT32_MAX;

struct said {
    pid_t tid, host; /* as the target's namespace numbers it, and as ours does */
    uint32_t stack;
    uint64_t sample; /* in which it was seen last */
};

struct slot {
    uint64_t hash;
    uint32_t number;
};

struct timed {
    FILE *f;
    const char *path;
    /* What each thread was said to be. */
    struct said *said;
    uint32_t n, cap;
    uint64_t sample;
    /* Numbers of the stacks written, by the hash of their frames; number 0: free. */
    struct slot *slots;
    uint32_t nstacks, mask;
    struct buf key;
};

struct timed *timed_open(const struct output *o) {
    struct timed *t = xcalloc(1, sizeof(*t));
    int fd;

    t->path = o->name;
    if (output_direct(o))
        t->f = (fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 0)) < 0 ? NULL : fdopen(fd, "w");
    else
        t->f = fopen(o->path, "we");
    if (!t->f)
        die(EX_FAIL, "%s:", t->path);
    t->cap = 64;
    t->said = xcalloc(t->cap, sizeof(*t->said));
    t->mask = FIRST_SLOTS - 1;
    t->slots = xcalloc(FIRST_SLOTS, sizeof(*t->slots));
    (void)fputs("# tool: pysample\n# clock: CLOCK_MONOTONIC\n", t->f);
    return t;
}

static struct slot *find_slot(const struct timed *t, uint64_t hash) {
    uint32_t i = (uint32_t)hash & t->mask;

    while (t->slots[i].number && t->slots[i].hash != hash)
        i = (i + 1) & t->mask;
    return &t->slots[i];
}

static void grow(struct timed *t) {
    struct slot *old = t->slots;
    uint32_t n = t->mask + 1;

    t->mask = 2 * n - 1;
    t->slots = xcalloc(2 * (size_t)n, sizeof(*t->slots));
    for (uint32_t i = 0; i < n; i++) {
        if (old[i].number)
            *find_slot(t, old[i].hash) = old[i];
    }
    free(old);
}

static void write_stack(struct timed *t, const struct session *s, const struct frame *f, uint32_t n,
                        uint32_t number) {
    const char *comma = "";

    (void)fprintf(t->f, "stack %" PRIu32 " ", number);
    for (uint32_t i = 0; i < n; i++) {
        if (f[i].from_c) {
            (void)fprintf(t->f, "%s%" PRIu32, comma, i);
            comma = ",";
        }
    }
    if (*comma == '\0')
        (void)fputc('-', t->f);
    for (uint32_t i = 0; i < n; i++) {
        (void)fputc(i ? ';' : ' ', t->f);
        (void)fputs(text_of(&s->texts, f[i].text), t->f);
    }
    (void)fputc('\n', t->f);
}

/* The number of a thread's stack, which is written when it is new. 0: no frame. */
static uint32_t number_of(struct timed *t, const struct session *s, const struct thread *th) {
    const struct frame *f = &s->threads.frames[th->first];
    struct slot *slot;
    uint64_t hash;

    if (th->n == 0)
        return 0;
    t->key.len = 0;
    for (uint32_t i = 0; i < th->n; i++) {
        uint32_t part[2] = {f[i].text, f[i].from_c};

        buf_add(&t->key, part, sizeof(part));
    }
    hash = hash_bytes(t->key.data, t->key.len, 0);
    slot = find_slot(t, hash);
    if (slot->number == 0) {
        if (t->nstacks > t->mask / 2) {
            grow(t);
            slot = find_slot(t, hash);
        }
        *slot = (struct slot){hash, ++t->nstacks};
        write_stack(t, s, f, th->n, t->nstacks);
    }
    return slot->number;
}

static struct said *said_of(struct timed *t, pid_t tid, uint32_t hint) {
    /* Threads come in the same order in every sample. */
    for (uint32_t k = 0; k < t->n; k++) {
        struct said *said = &t->said[(hint + k) % t->n];

        if (said->tid == tid)
            return said;
    }
    if (t->n == t->cap) {
        t->cap *= 2;
        t->said = xrealloc(t->said, t->cap * sizeof(*t->said));
    }
    t->said[t->n] = (struct said){.tid = tid};
    return &t->said[t->n++];
}

void timed_add(struct timed *t, struct session *s, uint64_t now) {
    t->sample++;
    (void)fprintf(t->f, "at %" PRIu64 "\n", now);
    for (uint32_t i = 0; i < s->threads.n; i++) {
        const struct thread *th = &s->threads.list[i];
        struct said *said = said_of(t, th->tid, i);
        uint32_t stack = th->torn ? UNREADABLE : number_of(t, s, th);

        if (said->sample == 0)
            said->host = os_thread(&s->os, th->tid, s->mem.sample)->host;
        if (said->sample == 0 || said->stack != stack) {
            said->stack = stack;
            if (stack == UNREADABLE)
                (void)fprintf(t->f, "thread %d ?\n", (int)said->host);
            else
                (void)fprintf(t->f, "thread %d %" PRIu32 "\n", (int)said->host, stack);
        }
        said->sample = t->sample;
    }
    for (uint32_t i = 0; i < t->n;) {
        if (t->said[i].sample == t->sample) {
            i++;
            continue;
        }
        (void)fprintf(t->f, "gone %d\n", (int)t->said[i].host);
        t->said[i] = t->said[--t->n];
    }
}

bool timed_flush(struct timed *t) {
    if (fflush(t->f) == 0 && !ferror(t->f))
        return true;
    warn("%s:", t->path);
    return false;
}

bool timed_close(struct timed *t) {
    bool ok = timed_flush(t);

    ok &= fclose(t->f) == 0;
    free(t->said);
    free(t->slots);
    buf_free(&t->key);
    free(t);
    return ok;
}
