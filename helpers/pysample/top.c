/* SPDX-License-Identifier: MIT
 * The live view: one screen, redrawn every second.
 */
#include "run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "frametext.h"
#include "now.h"
#include "sample.h"

enum { REDRAW_MS = 1000, LEADERS = 8 };

struct screen {
    bool terminal, raw;
    struct termios saved;
    unsigned short rows, columns;
};

static void screen_open(struct screen *sc) {
    struct termios raw;

    *sc = (struct screen){.rows = 40, .columns = 120, .terminal = isatty(STDOUT_FILENO) == 1};
    if (sc->terminal)
        (void)fputs("\033[?1049h\033[?25l", stdout);
    if (isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &sc->saved) == 0) {
        raw = sc->saved;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        sc->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
}

static void screen_close(const struct screen *sc) {
    if (sc->raw)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &sc->saved);
    if (sc->terminal)
        (void)fputs("\033[?25h\033[?1049l", stdout);
    (void)fflush(stdout);
}

static void screen_size(struct screen *sc) {
    struct winsize size;

    if (sc->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 2 &&
        size.ws_col > 20) {
        sc->rows = size.ws_row;
        sc->columns = size.ws_col;
    }
}

/* Writes as many lines as fit, each cut to the width at a character. */
static void screen_draw(const struct screen *sc, const char *text) {
    unsigned short row = 0;

    if (sc->terminal)
        (void)fputs("\033[H", stdout);
    for (const char *line = text; *line && row + 1 < sc->rows; row++) {
        const char *end = strchrnul(line, '\n');
        const char *p = line;
        unsigned short width = 0;

        for (; p < end; p++) {
            width = (unsigned short)(width + ((*p & 0xc0) != 0x80));
            if (width > sc->columns)
                break;
        }
        (void)fwrite(line, 1, (size_t)(p - line), stdout);
        (void)fputs(sc->terminal ? "\033[K\n" : "\n", stdout);
        line = *end ? end + 1 : end;
    }
    if (sc->terminal)
        (void)fputs("\033[J", stdout);
    (void)fflush(stdout);
}

struct leader {
    size_t text; /* where it begins in the texts of the rows */
    uint64_t ns;
};

/* `[sleep 0.5s]  function (…/file.py:88) < caller (…)`: the answer first, the caller where there is
 * room. */
static void put_leader(struct session *s, struct buf *out, uint32_t leaf, size_t columns) {
    const struct node *nodes = s->views.view[VIEW_WALL].nodes;
    uint32_t at = nodes[leaf].parent;
    size_t start = out->len, used;
    const char *frame;

    while (out_is_asyncio(text_of(&s->texts, nodes[at].text)) && nodes[at].parent)
        at = nodes[at].parent;
    if (out_is_asyncio(text_of(&s->texts, nodes[at].text)))
        at = nodes[leaf].parent;
    frame = text_of(&s->texts, nodes[at].text);
    buf_printf(out, "%s  ", text_of(&s->texts, nodes[leaf].text));
    used = out->len - start;
    frame_put_fit(out, frame, strlen(frame), columns > used + 10 ? columns - used : 10);
    used = out->len - start;
    if (nodes[at].parent && used + 40 <= columns) {
        frame = text_of(&s->texts, nodes[nodes[at].parent].text);
        buf_adds(out, " < ");
        frame_put_fit(out, frame, strlen(frame), columns - used - 3);
    }
    buf_addc(out, '\0');
}

static int by_text(const void *a, const void *b, void *texts) {
    const struct leader *x = a, *y = b;
    const char *t = texts;

    return strcmp(t + x->text, t + y->text);
}

static int by_time(const void *a, const void *b, void *texts) {
    const struct leader *x = a, *y = b;

    return x->ns == y->ns ? by_text(a, b, texts) : x->ns < y->ns ? 1 : -1;
}

/* `100.0 %  ` and a leader: the stacks of the wall view with the most time since the last drawing,
 * those that look the same as one; the lines they take. */
static uint32_t leaders(struct session *s, struct buf *out, size_t columns) {
    struct view *v = &s->views.view[VIEW_WALL];
    struct leader *rows = xcalloc(v->n, sizeof(*rows));
    size_t n = 0, merged = 0, prefix = strlen("100.0 %  ");
    struct buf texts = {0};
    uint64_t sum = 0;

    views_sum(&s->views);
    for (uint32_t i = 1; i < v->n; i++) {
        if (v->nodes[i].ns == 0)
            continue;
        rows[n++] = (struct leader){.text = texts.len, .ns = v->nodes[i].ns};
        put_leader(s, &texts, i, columns > prefix ? columns - prefix : 0);
        sum += v->nodes[i].ns;
        v->nodes[i].ns = 0;
    }
    qsort_r(rows, n, sizeof(*rows), by_text, texts.data);
    for (size_t i = 0; i < n; i++) {
        if (merged > 0 && by_text(&rows[merged - 1], &rows[i], texts.data) == 0)
            rows[merged - 1].ns += rows[i].ns;
        else
            rows[merged++] = rows[i];
    }
    qsort_r(rows, merged, sizeof(*rows), by_time, texts.data);
    n = merged < LEADERS ? merged : LEADERS;
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%5.1f %%  %s\n", 100 * (double)rows[i].ns / (double)sum,
                   texts.data + rows[i].text);
    buf_free(&texts);
    free(rows);
    return (uint32_t)n;
}

/* Waits until `at` or until the user has enough; true for the latter. */
static bool wait_input(const sigset_t *set, uint64_t at, bool *input) {
    siginfo_t info;
    const struct timespec now_only = {0};
    uint64_t now = now_ns();
    struct pollfd fd = {.fd = *input ? STDIN_FILENO : -1, .events = POLLIN};
    char key;

    if (poll(&fd, 1, at > now ? (int)((at - now) / 1000000) : 0) > 0) {
        ssize_t n = read(STDIN_FILENO, &key, 1);

        if (n == 1 && (key == 'q' || key == 'Q' || key == 3))
            return true;
        if (n <= 0)
            *input = false;
    }
    return sigtimedwait(set, &info, &now_only) > 0;
}

void run_top(struct session *s, const struct run_options *opt) {
    uint64_t period = (uint64_t)(1e9 / (opt->rate < 500 ? opt->rate : 500)), begin, next_draw, last,
             now;
    enum attach got = A_OK;
    bool input = true, quit = false;
    struct buf text = {0};
    struct screen sc;
    uint32_t lines;
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    screen_open(&sc);
    begin = last = now_ns();
    next_draw = begin + REDRAW_MS * 200000ULL;
    while (!quit) {
        now = now_ns();
        if (opt->duration_ns && now - begin > opt->duration_ns)
            break;
        got = sample_read(s, now, now - last);
        if (got == A_GONE || got == A_REFUSED)
            break;
        if (got == A_OK) {
            views_take(&s->views);
            views_add(&s->views, now - last);
        }
        last = now;
        if (now >= next_draw) {
            text.len = 0;
            buf_adds(&text, "Wall time since the last redraw (q quits)\n");
            screen_size(&sc);
            lines = leaders(s, &text, sc.columns) + 3;
            buf_adds(&text, "\n");
            out_tree_fit(s, &text, sc.rows > lines ? sc.rows - lines : 0, sc.columns);
            screen_draw(&sc, text.data);
            next_draw = now + REDRAW_MS * 1000000ULL;
        }
        quit = wait_input(&set, now + period, &input);
    }
    screen_close(&sc);
    buf_free(&text);
    if (got == A_REFUSED)
        die(EX_FAIL, "%d: %s", (int)s->pid, s->why);
    if (got == A_GONE)
        (void)printf("%d: the process has ended\n", (int)s->pid);
}
