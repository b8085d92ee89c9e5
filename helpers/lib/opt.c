/* SPDX-License-Identifier: MIT */
#include "opt.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

uint64_t opt_u64(const char *name, const char *text, uint64_t min, uint64_t max) {
    char *end = NULL;
    unsigned long long v = 0;

    errno = 0;
    if (isdigit((unsigned char)text[0]))
        v = strtoull(text, &end, 10);
    if (end == NULL || *end != '\0' || errno != 0 || v < min || v > max)
        die_usage("%s: not a whole number from %" PRIu64 " to %" PRIu64 ": '%s'", name, min, max,
                  text);
    return v;
}

/* Parses the plain decimal number that `text` begins with; `*end` is set after it, or to `text`
 * when none is there. */
static double leading_decimal(const char *text, char **end) {
    size_t plain = strspn(text, "0123456789.");
    double v;

    *end = (char *)text;
    if (plain == 0)
        return 0;
    errno = 0;
    v = strtod(text, end);
    if (errno != 0 || !isfinite(v) || (size_t)(*end - text) > plain)
        *end = (char *)text;
    return v;
}

double opt_double(const char *name, const char *text, double min, double max) {
    char *end;
    double v = leading_decimal(text, &end);

    if (end == text || *end != '\0' || v < min || v > max)
        die_usage("%s: not a number from %g to %g: '%s'", name, min, max, text);
    return v;
}

uint64_t opt_duration_ns(const char *name, const char *text, uint64_t min_ns, uint64_t max_ns) {
    static const struct {
        const char *suffix;
        double ns;
    } units[] = {{"", 1e9},  {"ns", 1},   {"us", 1e3},  {"ms", 1e6},
                 {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    char *end;
    double v = leading_decimal(text, &end);

    if (end != text) {
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            double ns = v * units[i].ns;

            if (strcmp(end, units[i].suffix) == 0 && ns >= (double)min_ns && ns <= (double)max_ns)
                return (uint64_t)(ns + 0.5);
        }
    }
    die_usage("%s: not a duration from %gs to %gs (like 250ms, 10s, 2m): '%s'", name,
              (double)min_ns / 1e9, (double)max_ns / 1e9, text);
}

int opt_pid(const char *name, const char *text) {
    return (int)opt_u64(name, text, 1, 4194304);
}
