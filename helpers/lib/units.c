/* SPDX-License-Identifier: MIT */
#include "units.h"

#include <string.h>

#include "err.h"
#include "frametext.h"

enum { SHOWN = 40 }; /* characters of a unit: it is a word */

void units_free(struct units *u) {
    buf_free(&u->unit);
    buf_free(&u->file);
    buf_free(&u->silent);
    buf_free(&u->other);
}

static void say(struct units *u, const char *file, const char *unit, size_t len) {
    u->said = true;
    /* As it can be shown and written again. */
    u->other.len = 0;
    (void)frame_put(&u->other, unit, len, SHOWN);
    if (u->file.len == 0) {
        buf_adds(&u->file, file);
        buf_add(&u->unit, u->other.data, u->other.len);
    } else if (u->unit.len != u->other.len ||
               memcmp(u->unit.data, u->other.data, u->other.len) != 0) {
        die(EX_FAIL,
            "the weights of %s are %s, those of %s %s: different units do not add up, and cannot "
            "be compared; give files of one unit",
            u->file.data, u->unit.data, file, u->other.data);
    }
}

void units_say(struct units *u, const char *file, const char *unit, size_t len) {
    say(u, file, unit, len);
    u->written = true;
}

void units_imply(struct units *u, const char *file, const char *unit) {
    say(u, file, unit, strlen(unit));
}

void units_end(struct units *u, const char *file, bool has_stacks) {
    if (!u->said && has_stacks && u->silent.len == 0)
        buf_adds(&u->silent, file);
    u->said = false;
}

const char *units_common(const struct units *u) {
    return u->written && u->silent.len == 0 ? u->unit.data : NULL;
}

void units_report(const struct units *u) {
    if (u->written && u->silent.len > 0)
        warn("the weights of %s are %s, and %s does not say what its are: the result has no known "
             "unit; write `# unit: %s` into the file where it is that",
             u->file.data, u->unit.data, u->silent.data, u->unit.data);
}
