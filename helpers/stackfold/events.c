/* SPDX-License-Identifier: MIT */
#include "events.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"

void events_free(struct events *e) {
    for (size_t i = 0; i < e->n; i++)
        free(e->list[i].name);
    free(e->list);
}

/* `cycles` names `cycles`, `cycles:u`, `cycles:ppp`: perf adds modifiers by itself. */
static bool event_matches(const char *wanted, const char *name) {
    size_t len = strlen(wanted);

    if (strncmp(name, wanted, len) != 0)
        return false;
    name += len;
    return *name == '\0' || (*name == ':' && name[1 + strspn(name + 1, "ukhpPSDGHIWeb")] == '\0');
}

static struct event *event_of(struct events *all, const struct events_options *opts,
                              struct text name) {
    struct event *e;

    for (size_t k = 0; k < all->n; k++) {
        size_t i = (all->last + k) % all->n;

        if (all->list[i].len == name.len &&
            (name.len == 0 || memcmp(all->list[i].name, name.s, name.len) == 0)) {
            all->last = i;
            return &all->list[i];
        }
    }
    all->list = xrealloc(all->list, (all->n + 1) * sizeof(*all->list));
    e = &all->list[all->n++];
    *e = (struct event){.name = xcalloc(name.len + 1, 1), .len = name.len};
    if (name.len > 0)
        memcpy(e->name, name.s, name.len);
    e->wanted = !opts->name || event_matches(opts->name, e->name);
    return e;
}

uint64_t events_weigh(struct events *e, const struct events_options *opts,
                      const struct perf_header *h) {
    struct event *event = event_of(e, opts, h->event);

    if (opts->periods && !h->has_period)
        die(EX_FAIL,
            "a sample of %.*s has no period; use `perf script -F +period`, or --weight samples",
            (int)h->comm.len, h->comm.s);
    event->samples++;
    if (__builtin_add_overflow(event->period, h->period, &event->period))
        die(EX_FAIL, "the sum of the periods is above 2^64 - 1");
    return !event->wanted ? 0 : opts->periods ? h->period : 1;
}
