/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "err.h"
#include "now.h"
#include "rights.h"
#include "sample.h"
#include "timed.h"
#include "waiting.h"

enum {
    WRITE_EVERY_S = 5, /* seconds between two writes of what there is, while they are cheap */
    WRITE_SHARE = 100, /* writing takes at most 1/100 of the time */
    ATTACH_EVERY_NS = 2000000,
    LOST_MAX = 20, /* samples in a row without anything readable before it is attached to anew */
};

static const uint64_t NS = 1000000000;

static double own_cpu(void) {
    struct rusage ru;

    (void)getrusage(RUSAGE_SELF, &ru);
    return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
           (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

/* A sampler that waits for a processor samples when the target does not run. Asks for a little more
 * than its share, of which it uses a few per cent; without the right to it, that is how it is. */
static void raise_priority(void) {
    struct sched_param param = {.sched_priority = 1};

    if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param) != 0)
        (void)setpriority(PRIO_PROCESS, 0, -10);
}

struct recorder {
    struct session *s;
    const struct run_options *opt;
    struct run_info info;
    struct buf text;
    struct timed *timed;                 /* NULL: no file of samples was asked for */
    uint64_t start, end, last, boundary; /* boundary: up to here time is accounted for */
    uint64_t looked;                     /* when a sample was taken last */
    uint64_t slot;                       /* number of the next sample's slot */
    uint64_t random;
    uint64_t next_attach, next_write;
    unsigned int lost;
    bool was_attached, gone;
    bool refused;     /* there is a Python, but it cannot be sampled; that has been said */
    bool taken_views; /* the shares are those of the last sample read */
    bool taken;       /* shares of a sample wait for their time */
};

static double uniform(uint64_t *state) {
    /* xorshift64*: good enough to keep the samples from marching in step with the target. */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (double)((*state * 0x2545f4914f6cdd1dULL) >> 11) / 9007199254740992.0;
}

/* Of standard output, a reader that closed the pipe has said that it has enough: no message. */
static bool failed(const struct output *o) {
    if (errno != EPIPE || !o->standard)
        warn("%s:", o->name);
    return false;
}

/* Whether there is anything to write to it now: what is written directly cannot be written anew. */
static bool is_due(const struct recorder *r, const struct output *o) {
    return o && (r->info.complete || !output_direct(o));
}

static bool write_text(struct recorder *r, const struct output *o) {
    return output_write(o, r->text.data, r->text.len) || failed(o);
}

static bool write_all(struct recorder *r, uint64_t end) {
    uint64_t began = now_ns(), took;
    bool ok = true;

    views_sum(&r->s->views);
    r->info.elapsed_s = (double)(end - r->start) / 1e9;
    r->info.cpu_s = own_cpu();
    for (int id = 0; id < VIEWS; id++) {
        if (!is_due(r, r->opt->view[id]))
            continue;
        r->text.len = 0;
        out_folded(r->s, (enum view_id)id, &r->info, &r->text);
        ok &= write_text(r, r->opt->view[id]);
    }
    if (r->timed)
        ok &= timed_flush(r->timed);
    if (is_due(r, r->opt->summary)) {
        r->text.len = 0;
        out_summary(r->s, &r->info, &r->text);
        ok &= write_text(r, r->opt->summary);
    }
    took = now_ns() - began;
    r->next_write =
        began + (took * WRITE_SHARE > WRITE_EVERY_S * NS ? took * WRITE_SHARE : WRITE_EVERY_S * NS);
    return ok;
}

/* The process has ended; where it was one below the command, the command itself goes on. */
static void lost_target(struct recorder *r) {
    session_detach(r->s);
    if (!r->opt->command || r->s->pid == r->opt->pid || session_adopt(r->s, r->opt->pid) != A_OK)
        r->gone = true;
}

/* Says why the Python that is there is not sampled. A command that was started is not left behind:
 * its end is waited for. */
static void refuse(struct recorder *r, bool denied) {
    if (denied)
        rights_explain(r->s, r->opt->command != NULL);
    else
        warn("%d: %s", (int)r->s->pid, r->s->why);
    if (r->opt->command)
        warn("the command goes on without being sampled; its end is waited for");
    r->refused = true;
}

/* The target's Python, when it is there; a process that executes another program is found again. */
static void attach(struct recorder *r, uint64_t now) {
    enum attach got;
    pid_t below;

    if (now < r->next_attach)
        return;
    /* Often at first, to miss little of a start; a command that is no Python for long is asked
     * less. */
    r->next_attach = now + (now - r->start < NS ? ATTACH_EVERY_NS : 10 * ATTACH_EVERY_NS);
    got = session_attach(r->s);
    switch (got) {
    case A_OK:
        r->was_attached = true;
        r->lost = 0;
        break;
    case A_REFUSED:
    case A_DENIED:
        refuse(r, got == A_DENIED);
        break;
    case A_GONE:
        lost_target(r);
        break;
    case A_NOT_YET:
        /* The command may be a script or a tool that starts Python below it. */
        below = r->opt->command && r->s->pid == r->opt->pid ? session_find_below(r->opt->pid) : 0;
        if (below)
            (void)session_adopt(r->s, below);
        break;
    }
}

/* A sample of stacks alone, for the file of samples. */
static void take_stacks(struct recorder *r, uint64_t now) {
    if (!r->s->attached) {
        attach(r, now);
        if (!r->s->attached)
            return;
    }
    switch (sample_stacks(r->s)) {
    case A_OK:
        r->lost = 0;
        timed_add(r->timed, r->s, r->s->read_ns);
        break;
    case A_GONE:
        lost_target(r);
        break;
    default:
        if (r->s->ended || ++r->lost >= LOST_MAX)
            session_detach(r->s);
    }
}

static void take_sample(struct recorder *r, uint64_t now) {
    uint64_t middle = r->last + (now - r->last) / 2;

    /* A sample stands for the time from half way to the one before to half way to the one after;
     * the first, for all since the start. */
    if (r->taken) {
        views_add(&r->s->views, middle - r->boundary);
        r->boundary = middle;
    }
    r->taken = true;
    if (!r->s->attached) {
        attach(r, now);
        if (!r->s->attached) {
            views_take_text(&r->s->views, r->was_attached ? "[shutdown]" : "[startup]");
            r->last = now;
            return;
        }
    }
    switch (sample_read(r->s, now, now - r->last)) {
    case A_OK:
        r->lost = 0;
        if (!r->s->same || !r->taken_views)
            views_take(&r->s->views);
        r->taken_views = true;
        break;
    case A_GONE:
        lost_target(r);
        break;
    case A_REFUSED:
        r->taken = false;
        refuse(r, false);
        break;
    default:
        r->taken_views = false;
        if (r->s->ended) {
            /* Python has been finalised, or another program was executed. */
            session_detach(r->s);
            views_take_text(&r->s->views, "[shutdown]");
            break;
        }
        r->s->torn++;
        r->s->samples++;
        views_take_text(&r->s->views, "<unknown>");
        if (++r->lost >= LOST_MAX)
            session_detach(r->s);
    }
    r->last = now;
}

/* A sample is due, or the end has come: how long nobody has looked. */
static void note_gap(struct recorder *r, uint64_t now) {
    if (now - r->looked > r->info.longest_gap_ns)
        r->info.longest_gap_ns = now - r->looked;
    r->looked = now;
}

int run_record(struct session *s, const struct run_options *opt) {
    struct recorder r = {
        .s = s, .opt = opt, .info = {.rate_asked = opt->rate, .exit_status = -1, .loop = "none"}};
    double period = 1e9 / opt->rate;
    enum wakeup wakeup = WAKEUP_DUE;
    time_t wall = time(NULL);
    struct waiting waiting;
    struct tm tm;
    bool ok;

    waiting_open(&waiting, opt->command ? opt->pid : 0, opt->follow_file);
    /* A pipe without a reader is an error like any other; the command keeps what it was given. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_TIMERSLACK, 1);
    raise_priority();
    (void)strftime(r.info.started, sizeof(r.info.started), "%Y-%m-%dT%H:%M:%SZ",
                   gmtime_r(&wall, &tm));
    r.start = r.last = r.looked = r.boundary = now_ns();
    r.random = (r.start ^ (uint64_t)opt->pid << 32) | 1;
    r.end = opt->duration_ns ? r.start + opt->duration_ns : UINT64_MAX;
    r.next_write = r.start + NS;
    r.info.launched = opt->command != NULL;
    r.was_attached = s->attached;
    if (!s->attached) {
        views_take_text(&s->views, "[startup]");
        r.taken = true;
    }
    if (opt->samples)
        r.timed = timed_open(opt->samples);
    ok = write_all(&r, r.start);
    while (ok && !r.gone && !r.refused) {
        uint64_t now, at, slot;

        at = r.start + (uint64_t)(((double)r.slot + uniform(&r.random)) * period);
        if (at > r.end)
            at = r.end;
        wakeup = waiting_until(&waiting, at);
        if (wakeup == WAKEUP_STOPPED || wakeup == WAKEUP_ENDED)
            break;
        now = now_ns();
        if (now >= r.end)
            break;
        note_gap(&r, now);
        if (r.timed)
            take_stacks(&r, now);
        else
            take_sample(&r, now);
        if (strcmp(r.info.loop, "none") == 0 && s->attached)
            r.info.loop = session_loop(s);
        if (now >= r.next_write)
            ok = write_all(&r, r.boundary); /* up to where time is accounted for */
        /* Slots that have passed meanwhile are missed, not made up for. Never more than half of a
         * processor: where a sample takes longer than half a period, the rate sinks. */
        at = now_ns();
        slot = (uint64_t)((double)(at - r.start + (at - now)) / period);
        if (slot > r.slot + 1)
            r.info.missed += slot - r.slot - 1;
        r.slot = slot > r.slot ? slot : r.slot + (wakeup != WAKEUP_WRITTEN);
    }
    while (r.refused && opt->command && (wakeup == WAKEUP_DUE || wakeup == WAKEUP_WRITTEN) &&
           now_ns() < r.end)
        wakeup = waiting_until(&waiting, r.end);
    r.last = now_ns();
    note_gap(&r, r.last);
    views_add(&s->views, r.last - r.boundary);
    /* Gone, but perhaps not yet waited for. */
    if (wakeup != WAKEUP_STOPPED && opt->duration_ns == 0)
        waiting_reap(&waiting);
    r.info.exit_status = waiting.exit_status;
    r.info.complete = true;
    ok &= write_all(&r, r.last);
    buf_free(&r.text);
    waiting_close(&waiting);
    if (r.timed)
        ok &= timed_close(r.timed);
    if (!ok || r.refused)
        return EX_FAIL;
    if (s->samples == 0) {
        warn("%d: no sample: %s", (int)s->pid, s->why[0] ? s->why : "no time");
        return r.info.exit_status > 0 ? r.info.exit_status : EX_FAIL;
    }
    return r.info.exit_status > 0 ? r.info.exit_status : EX_DONE;
}
