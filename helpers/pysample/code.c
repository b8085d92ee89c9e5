/* SPDX-License-Identifier: MIT */
#include "code.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "buf.h"

enum {
    CODES_MAX = 1 << 17,
    UNITS_MAX = 1 << 20,
    UNITS_ALL_MAX = 1 << 25,
    RECHECK_MS = 100,
    CO_OPTIMIZED = 1, /* the code of a function */
};

static const struct {
    const char *file; /* the path ends so */
    const char *qualname;
    enum role role;
} roles[] = {
    {"asyncio/tasks.py", "sleep", R_SLEEP},
    {"asyncio/tasks.py", "_wait", R_WAIT},
    {"asyncio/tasks.py", "as_completed.<locals>._wait_for_one", R_AS_COMPLETED},
    {"asyncio/tasks.py", "as_completed", R_AS_COMPLETED_GEN},
    {"asyncio/tasks.py", "shield.<locals>._outer_done_callback", R_SHIELD_DONE},
    {"asyncio/tasks.py", "_AsCompletedIterator._wait_for_one", R_AS_COMPLETED_SELF},
    {"asyncio/taskgroups.py", "TaskGroup.__aexit__", R_TASKGROUP},
    {"asyncio/taskgroups.py", "TaskGroup._aexit", R_TASKGROUP},
    {"anyio/_backends/_asyncio.py", "TaskGroup.__aexit__", R_TASKGROUP},
    {"asyncio/locks.py", "Lock.acquire", R_LOCK},
    {"asyncio/locks.py", "Semaphore.acquire", R_SEMAPHORE},
    {"asyncio/locks.py", "Event.wait", R_EVENT},
    {"asyncio/locks.py", "Condition.wait", R_CONDITION},
    {"asyncio/locks.py", "Barrier._wait", R_BARRIER},
    {"asyncio/locks.py", "Barrier._block", R_BARRIER},
    {"asyncio/queues.py", "Queue.get", R_QUEUE_GET},
    {"asyncio/queues.py", "Queue.put", R_QUEUE_PUT},
    {"asyncio/queues.py", "Queue.join", R_QUEUE_JOIN},
    {"asyncio/streams.py", "StreamReader._wait_for_data", R_STREAM_READ},
    {"asyncio/streams.py", "FlowControlMixin._drain_helper", R_STREAM_DRAIN},
    {"asyncio/selector_events.py", "BaseSelectorEventLoop.sock_recv", R_SOCKET},
    {"asyncio/selector_events.py", "BaseSelectorEventLoop.sock_sendall", R_SOCKET},
    {"asyncio/selector_events.py", "BaseSelectorEventLoop.sock_accept", R_SOCKET},
    {"asyncio/selector_events.py", "BaseSelectorEventLoop.sock_connect", R_SOCKET},
    {"asyncio/base_subprocess.py", "BaseSubprocessTransport._wait", R_SUBPROCESS},
    {"asyncio/futures.py", "Future.__await__", R_FUTURE_AWAIT},
    {"asyncio/runners.py", "Runner.run", R_RUN},
    {"asyncio/base_events.py", "BaseEventLoop.run_until_complete", R_RUN},
    {"asyncio/base_events.py", "BaseEventLoop.run_forever", R_RUN_FOREVER},
    {"concurrent/futures/thread.py", "_WorkItem.run", R_WORK_ITEM},
    {"concurrent/futures/process.py", "_ExecutorManagerThread.run", R_PROCESS_POOL},
    {"threading.py", "Thread._bootstrap", R_THREAD_START},
    {"concurrent/futures/thread.py", "_worker", R_POOL_IDLE},
};

const char *role_marker(enum role role) {
    switch (role) {
    case R_LOCK:
        return "[lock]";
    case R_SEMAPHORE:
        return "[semaphore]";
    case R_EVENT:
        return "[event]";
    case R_CONDITION:
        return "[condition]";
    case R_BARRIER:
        return "[barrier]";
    case R_QUEUE_GET:
        return "[queue get]";
    case R_QUEUE_PUT:
        return "[queue put]";
    case R_QUEUE_JOIN:
        return "[queue join]";
    case R_STREAM_READ:
        return "[stream read]";
    case R_STREAM_DRAIN:
        return "[stream drain]";
    case R_SOCKET:
        return "[socket]";
    case R_SUBPROCESS:
        return "[subprocess]";
    case R_WAIT:
        return "[wait]";
    case R_AS_COMPLETED:
    case R_AS_COMPLETED_SELF:
        return "[as_completed]";
    case R_TASKGROUP:
        return "[taskgroup]";
    default:
        return "[future]";
    }
}

void codes_open(struct codes *c, struct world *w, struct texts *texts, int rootfd) {
    *c = (struct codes){.w = w, .texts = texts, .rootfd = rootfd, .bits = 10, .cap = 256};
    c->code = xcalloc(c->cap, sizeof(*c->code));
    c->hash = xcalloc((size_t)1 << c->bits, sizeof(*c->hash));
}

static void forget_all(struct codes *c) {
    for (uint32_t i = 0; i < c->n; i++) {
        free(c->code[i].label);
        free(c->code[i].unit);
    }
    c->n = 0;
    c->units = 0;
    c->last_addr = 0;
    memset(c->hash, 0, sizeof(*c->hash) << c->bits);
}

void codes_close(struct codes *c) {
    if (c->code)
        forget_all(c);
    free(c->code);
    free(c->hash);
    *c = (struct codes){0};
}

static uint32_t bucket(const struct codes *c, uint64_t addr) {
    return (uint32_t)((addr * 0x9e3779b97f4a7c15ULL) >> (64 - c->bits));
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0 && (n == m || s[n - m - 1] == '/');
}

static enum role role_of(const char *file, const char *qualname) {
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strcmp(qualname, roles[i].qualname) == 0 && ends_with(file, roles[i].file))
            return roles[i].role;
    }
    return R_NONE;
}

/* Shortens a file name to what an import would call it: behind site-packages/, dist-packages/ or
 * lib/pythonX.Y/, else from the outermost directory that is a package (has an __init__.py). */
static const char *short_path(const struct codes *c, const char *file) {
    static const char *const roots[] = {"/site-packages/", "/dist-packages/"};
    const char *best = NULL, *p;
    char probe[1100];
    size_t len = strlen(file), cut;

    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        for (p = file; (p = strstr(p, roots[i])) != NULL; p++)
            best = p + strlen(roots[i]);
    }
    if (best)
        return best;
    p = strstr(file, "/lib/python3.");
    if (p) {
        p += strlen("/lib/python3.");
        p += strspn(p, "0123456789t");
        if (*p == '/')
            return p + 1;
    }
    if (file[0] != '/' || len > 1000)
        return file;
    cut = len;
    while (cut > 0 && file[cut] != '/')
        cut--;
    /* `cut` is the slash before what is kept. */
    while (c->rootfd >= 0 && cut > 0) {
        size_t up = cut;

        (void)snprintf(probe, sizeof(probe), "%.*s/__init__.py", (int)(cut - 1), file + 1);
        if (faccessat(c->rootfd, probe, F_OK, 0) != 0)
            break;
        do
            up--;
        while (up > 0 && file[up] != '/');
        if (file[up] != '/')
            break;
        cut = up;
    }
    return file + cut + 1;
}

static bool fill(struct codes *c, struct code *code, uint64_t addr) {
    const struct layout *l = c->w->l;
    char qualname[512], file[1024];
    const char *path;
    const uint8_t *p;
    uint64_t size;
    size_t n;

    if (py_kind(c->w, addr) != K_CODE)
        return false;
    p = mem_at(c->w->m, addr, l->co_code);
    if (!p)
        return false;
    *code = (struct code){.addr = addr,
                          .qualname = get64(p + l->co_qualname),
                          .linetable = get64(p + l->co_linetable),
                          .filename = get64(p + l->co_filename),
                          .firstlineno = (int32_t)get32(p + l->co_firstlineno),
                          .nlocalsplus = get32(p + l->co_nlocalsplus),
                          .brief = !(get32(p + l->co_flags) & CO_OPTIMIZED)};
    code->checked = code->brief ? c->w->m->sample : c->w->m->now_ms;
    size = get64(p + l->co_size);
    if (size == 0 || size > UNITS_MAX || code->nlocalsplus > 1 << 16 ||
        !py_str(c->w, code->qualname, qualname, sizeof(qualname)) ||
        !py_str(c->w, code->filename, file, sizeof(file)))
        return false;
    code->nunits = (uint32_t)size;
    code->role = role_of(file, qualname);
    path = short_path(c, file);
    n = strlen(qualname) + strlen(path) + 3;
    code->label = xmalloc(n);
    (void)snprintf(code->label, n, "%s (%s", qualname, path);
    return true;
}

static void grow(struct codes *c) {
    uint32_t mask;

    c->cap *= 2;
    c->code = xrealloc(c->code, c->cap * sizeof(*c->code));
    c->bits++;
    free(c->hash);
    c->hash = xcalloc((size_t)1 << c->bits, sizeof(*c->hash));
    mask = (1U << c->bits) - 1;
    for (uint32_t n = 0; n < c->n; n++) {
        uint32_t i = bucket(c, c->code[n].addr);

        while (c->hash[i])
            i = (i + 1) & mask;
        c->hash[i] = n + 1;
    }
}

/* Whether the cached entry still is the code object at its address. Fills it anew where another one
 * took its place. */
static bool still_valid(struct codes *c, struct code *code) {
    const struct layout *l = c->w->l;
    const uint8_t *p = mem_at(c->w->m, code->addr, l->co_code);
    struct code fresh;

    if (!p)
        return false;
    if (get64(p + l->co_qualname) != code->qualname ||
        get64(p + l->co_linetable) != code->linetable ||
        (int32_t)get32(p + l->co_firstlineno) != code->firstlineno ||
        get64(p + l->co_size) != code->nunits || get64(p + l->co_filename) != code->filename) {
        if (!fill(c, &fresh, code->addr))
            return false;
        free(code->label);
        free(code->unit);
        *code = fresh;
    }
    code->checked = code->brief ? c->w->m->sample : c->w->m->now_ms;
    return true;
}

static bool fresh_enough(const struct codes *c, const struct code *code) {
    return code->brief ? code->checked == c->w->m->sample
                       : c->w->m->now_ms - code->checked <= RECHECK_MS;
}

struct code *code_get(struct codes *c, uint64_t addr) {
    uint32_t mask = (1U << c->bits) - 1, i;
    struct code fresh;

    if (addr == c->last_addr && addr != 0) {
        struct code *code = &c->code[c->last_index];

        return fresh_enough(c, code) || still_valid(c, code) ? code : NULL;
    }
    for (i = bucket(c, addr); c->hash[i]; i = (i + 1) & mask) {
        struct code *code = &c->code[c->hash[i] - 1];

        if (code->addr != addr)
            continue;
        if (!fresh_enough(c, code) && !still_valid(c, code))
            return NULL;
        c->last_addr = addr;
        c->last_index = c->hash[i] - 1;
        return code;
    }
    if (addr == 0 || addr % 8 != 0 || !fill(c, &fresh, addr))
        return NULL;
    if (c->n == CODES_MAX || c->units > UNITS_ALL_MAX)
        forget_all(c);
    if (c->n == c->cap)
        grow(c);
    mask = (1U << c->bits) - 1;
    for (i = bucket(c, addr); c->hash[i]; i = (i + 1) & mask)
        ;
    c->code[c->n] = fresh;
    c->hash[i] = ++c->n;
    c->last_addr = addr;
    c->last_index = c->n - 1;
    return &c->code[c->n - 1];
}

bool code_unit(const struct codes *c, const struct code *code, uint64_t instr, uint32_t *unit) {
    int64_t offset = (int64_t)(instr - (code->addr + c->w->l->co_code));

    /* A frame that has not begun points one unit before its code on 3.12. */
    if (offset < -2 || offset > (int64_t)code->nunits * 2 || offset % 2 != 0)
        return false;
    *unit = offset < 0 ? 0 : (uint32_t)(offset / 2);
    if (*unit >= code->nunits)
        *unit = code->nunits - 1;
    return true;
}

static void need_units(struct codes *c, struct code *code) {
    if (code->unit)
        return;
    code->unit = xcalloc(code->nunits, sizeof(*code->unit));
    c->units += code->nunits;
}

uint32_t code_text(struct codes *c, struct code *code, uint32_t unit) {
    char text[1600];
    int32_t line;
    uint32_t id;

    need_units(c, code);
    id = code->unit[unit] >> 2;
    if (id)
        return id;
    line = linetable_line(c->w->m, code, unit);
    if (line > 0)
        (void)snprintf(text, sizeof(text), "%s:%d)", code->label, line);
    else
        (void)snprintf(text, sizeof(text), "%s)", code->label);
    id = text_id(c->texts, text);
    code->unit[unit] |= id << 2;
    return id;
}

bool code_delegates(struct codes *c, struct code *code, uint32_t unit) {
    const struct layout *l = c->w->l;
    const uint8_t *p;
    bool resume, yes;

    need_units(c, code);
    if (code->unit[unit] & 2)
        return code->unit[unit] & 1;
    if (unit + 1 >= code->nunits)
        return false;
    p = mem_at(c->w->m, code->addr + l->co_code + 2 * ((uint64_t)unit + 1), 2);
    if (!p)
        return false;
    resume =
        p[0] == l->op_resume || p[0] == l->op_resume_instrumented || p[0] == l->op_resume_check;
    yes = resume && (p[1] & 3) >= 2;
    code->unit[unit] |= 2U | (yes ? 1U : 0U);
    return yes;
}
