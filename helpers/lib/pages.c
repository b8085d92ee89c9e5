/* SPDX-License-Identifier: MIT */
#include "pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "buf.h"
#include "err.h"

#define LARGE ((size_t)2 << 20)

void *pages_alloc(size_t size) {
    size_t span = size + LARGE, head;
    char *p;

    if (size < LARGE)
        return xcalloc(size, 1);
    p = span > size ? mmap(NULL, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                    : MAP_FAILED;
    if (p == MAP_FAILED)
        die(EX_FAIL, "out of memory (%zu bytes asked)", size);
    /* Cut to a multiple of a large page's size. */
    head = (LARGE - (uintptr_t)p % LARGE) % LARGE;
    if (head > 0)
        (void)munmap(p, head);
    p += head;
    size = (size + 4095) & ~(size_t)4095;
    (void)munmap(p + size, span - head - size);
    (void)madvise(p, size, MADV_HUGEPAGE);
    return p;
}

void pages_free(void *p, size_t size) {
    if (size < LARGE)
        free(p);
    else if (p)
        (void)munmap(p, size);
}

void *pages_grow(void *p, size_t old_size, size_t size) {
    void *q = pages_alloc(size);

    if (old_size > 0)
        memcpy(q, p, old_size);
    pages_free(p, old_size);
    return q;
}
