/* SPDX-License-Identifier: MIT */
#include "pattern.h"

#include <string.h>

bool pattern_match(const char *pattern, size_t pattern_len, const char *text, size_t len) {
    bool at_start = pattern_len > 0 && pattern[0] == '^';
    bool at_end = pattern_len > (at_start ? 1U : 0U) && pattern[pattern_len - 1] == '$';
    const char *p = pattern + at_start, *end = pattern + pattern_len - at_end;
    size_t pos = 0;

    /* Each part between stars is taken where it is found first, which leaves the most for those
     * that follow. */
    for (bool first = true;; first = false) {
        const char *star = memchr(p, '*', (size_t)(end - p));
        size_t n = (size_t)((star ? star : end) - p);
        const char *found;

        if (n > len - pos)
            return false;
        if (!star && at_end && !(first && at_start))
            return memcmp(text + len - n, p, n) == 0;
        if (first && at_start)
            found = memcmp(text, p, n) == 0 ? text : NULL;
        else
            found = n > 0 ? memmem(text + pos, len - pos, p, n) : text + pos;
        if (!found)
            return false;
        pos = (size_t)(found - text) + n;
        if (!star)
            return !at_end || pos == len;
        p = star + 1;
    }
}
