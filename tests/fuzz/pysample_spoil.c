/* SPDX-License-Identifier: MIT
 * Feeds pysample's reader a real process's memory with words changed at random, as a hostile or
 * half-written one would look: `pysample_spoil PID SAMPLES SEED`. Built with sanitizers, it must
 * neither crash nor hang.
 *
 * Half of the changed words get another word of the same page, which is likely a pointer; the rest
 * any value.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "err.h"
#include "pysample/out.h"
#include "pysample/sample.h"

struct chaos {
    uint64_t state;
    unsigned int one_in; /* pages */
};

static uint64_t next_random(struct chaos *c) {
    c->state ^= c->state >> 12;
    c->state ^= c->state << 25;
    c->state ^= c->state >> 27;
    return c->state * 0x2545f4914f6cdd1dULL;
}

static void spoil(struct chaos *c, uint8_t *page, size_t len) {
    unsigned int changes = 1 + (unsigned int)(next_random(c) % 32);

    for (unsigned int i = 0; i < changes; i++) {
        size_t at = (next_random(c) >> 33) % (len / 8) * 8,
               from = (next_random(c) >> 33) % (len / 8) * 8;
        uint64_t word = next_random(c);

        switch (word % 6) {
        case 0:
        case 1:
        case 2:
            memcpy(page + at, page + from, 8);
            continue;
        case 3:
            word = word >> 40;
            break;
        case 4:
            word = UINT64_MAX - (word >> 56);
            break;
        default:
            break;
        }
        memcpy(page + at, &word, 8);
    }
}

static ssize_t readv_spoiled(struct mem *m, const struct iovec *local, unsigned long nlocal,
                             const struct iovec *remote, unsigned long nremote) {
    ssize_t n = process_vm_readv(m->pid, local, nlocal, remote, nremote, 0);
    struct chaos *c = m->image;

    /* Pages, or parts of them. */
    for (ssize_t at = 0; at + 8 <= n; at += MEM_PAGE) {
        if (next_random(c) % c->one_in == 0)
            spoil(c, (uint8_t *)local->iov_base + at,
                  n - at < MEM_PAGE ? (size_t)(n - at) : MEM_PAGE);
    }
    return n;
}

int main(int argc, char **argv) {
    static struct session s;
    struct chaos chaos;
    struct run_info info = {.rate_asked = 1, .loop = "none"};
    struct buf text = {0};
    long samples;

    err_name("pysample_spoil");
    if (argc != 4)
        die(EX_USAGE, "usage: pysample_spoil PID SAMPLES SEED");
    samples = strtol(argv[2], NULL, 10);
    chaos = (struct chaos){.state = strtoull(argv[3], NULL, 10) * 2654435761U + 1, .one_in = 1};
    if (session_open(&s, (pid_t)strtol(argv[1], NULL, 10)) != A_OK || session_attach(&s) != A_OK)
        die(EX_FAIL, "%s: %s", argv[1], s.why);
    for (long i = 0; i < samples; i++) {
        /* From every page spoiled to one in 64: much must be right for much to be reached. */
        chaos.one_in = 1U << (i % 7);
        s.mem.readv = readv_spoiled;
        s.mem.image = &chaos;
        /* Time leaps, so that nothing is taken as unchanged. */
        (void)sample_read(&s, (uint64_t)i * 1000000000, 1000000);
        views_take(&s.views);
        views_add(&s.views, 1000000);
        if (i % 16 == 0) {
            text.len = 0;
            out_tree(&s, &text);
            out_json(&s, &text);
        }
        if (i % 256 == 255) {
            views_sum(&s.views);
            for (int id = 0; id < VIEWS; id++)
                out_folded(&s, (enum view_id)id, &info, &text);
            session_detach(&s);
            if (session_attach(&s) != A_OK)
                die(EX_FAIL, "%s: %s", argv[1], s.why);
        }
    }
    printf("%llu samples, %llu torn, %llu task readings torn\n", (unsigned long long)s.samples,
           (unsigned long long)s.torn, (unsigned long long)s.tasks.torn);
    buf_free(&text);
    session_close(&s);
    return out_close(EX_DONE);
}
