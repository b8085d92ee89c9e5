/* SPDX-License-Identifier: MIT
 * Fuzzes what reads perf.data and the files that it names: the first byte tells whether the input
 * is a recording, an ELF file, or a mangled name.
 */
#include <stdlib.h>
#include <string.h>

#include "ended.h"
#include "stackfold/demangle.h"
#include "stackfold/elfsym.h"
#include "stackfold/recording.h"

static void recording(const unsigned char *data, size_t size) {
    static struct fold_options opts;
    static struct calltree tree;
    static struct fold fold;

    calltree_init(&tree);
    fold_init(&fold, &tree, &opts);
    if (setjmp(ended) == 0) {
        uint64_t samples = 0;

        if (!recording_fold(&fold, data, size)) {
            for (size_t i = 0; i < fold.events.n; i++)
                samples += fold.events.list[i].samples;
            if (samples != tree.total)
                abort();
        }
    }
    fold_free(&fold);
    calltree_free(&tree);
}

static void elf(unsigned char *data, size_t size) {
    struct symbols s = {0};
    struct buf name = {0};

    symbols_elf(&s, (struct mapped){data, size}, (struct mapped){data, size},
                (struct build_id){NULL, 0});
    for (size_t i = 0; i < s.n && i < 100; i++) {
        (void)symbols_find(&s, s.list[i].start);
        symbols_name(&s, &s.list[i], &name);
    }
    buf_free(&name);
    symbols_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned char *copy;

    if (size < 1)
        return 0;
    copy = calloc(size, 1); /* without the first byte, with a NUL at the end */
    memcpy(copy, data + 1, size - 1);
    if (data[0] == 'r') {
        recording(copy, size - 1);
    } else if (data[0] == 'e') {
        elf(copy, size - 1);
    } else {
        struct buf name = {0};

        (void)demangle(&name, (const char *)copy);
        buf_free(&name);
    }
    free(copy);
    return 0;
}
