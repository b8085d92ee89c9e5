/* SPDX-License-Identifier: MIT */
#include "perftext.h"

#include <string.h>

enum { COMM_MAX = 15 }; /* bytes that the kernel keeps of a name */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

struct text perf_trim(const char *s, size_t len) {
    while (len > 0 && is_blank(*s))
        s++, len--;
    while (len > 0 && is_blank(s[len - 1]))
        len--;
    return (struct text){s, len};
}

/* Start of the last word of line[0 .. end), where `end` follows a character that is no blank. */
static size_t word_before(const char *line, size_t end) {
    while (end > 0 && !is_blank(line[end - 1]))
        end--;
    return end;
}

static size_t skip_back(const char *line, size_t end) {
    while (end > 0 && is_blank(line[end - 1]))
        end--;
    return end;
}

/* Start of the time "digits.digits" that ends before the ':' at `colon`, or -1. */
static ptrdiff_t time_start(const char *line, size_t colon) {
    size_t i = colon, dot;

    while (i > 0 && is_digit(line[i - 1]))
        i--;
    if (i == colon || i == 0 || line[i - 1] != '.')
        return -1;
    dot = --i;
    while (i > 0 && is_digit(line[i - 1]))
        i--;
    return i < dot && (i == 0 || is_blank(line[i - 1])) ? (ptrdiff_t)i : -1;
}

size_t perf_prefix(const char *line, size_t len, size_t *colon) {
    const char *c = memchr(line, ':', len);
    ptrdiff_t at = c ? time_start(line, *colon = (size_t)(c - line)) : -1;

    /* So far in front it may be a name's: that takes a look at the whole line. */
    return at > 0 && *colon > COMM_MAX ? (size_t)at : 0;
}

/* Splits a word "123", "-1" or "123/456". */
static bool ids(const char *s, size_t len, struct perf_header *h) {
    const char *slash = memchr(s, '/', len);
    struct text part[2] = {{s, slash ? (size_t)(slash - s) : len}, {NULL, 0}};

    if (slash)
        part[1] = (struct text){slash + 1, len - part[0].len - 1};
    for (int i = 0; i < (slash ? 2 : 1); i++) {
        size_t minus = part[i].len > 0 && part[i].s[0] == '-';

        if (part[i].len == minus)
            return false;
        for (size_t j = minus; j < part[i].len; j++) {
            if (!is_digit(part[i].s[j]))
                return false;
        }
    }
    h->pid = slash ? part[0] : (struct text){NULL, 0};
    h->tid = slash ? part[1] : part[0];
    return true;
}

/* Parses `comm pid/tid [cpu]` from the right. False when it holds neither ids nor a cpu. */
static bool before_time(const char *line, size_t end, struct perf_header *h) {
    bool cpu = false, known;
    size_t word;

    end = skip_back(line, end);
    word = word_before(line, end);
    if (end - word > 2 && line[word] == '[' && line[end - 1] == ']') {
        cpu = true;
        for (size_t i = word + 1; i < end - 1; i++)
            cpu = cpu && is_digit(line[i]);
        if (cpu) {
            end = skip_back(line, word);
            word = word_before(line, end);
        }
    }
    known = ids(line + word, end - word, h);
    /* "%5d/%-5d": the blanks that fill up a short tid stand after it, those of a short pid before
     * it. */
    h->comm = perf_trim(line, known ? word : end);
    return known || cpu;
}

bool perf_after_time(const char *s, size_t len, struct perf_header *h) {
    size_t i = 0, from, stop;
    uint64_t period = 0;

    while (i < len && is_blank(s[i]))
        i++;
    for (from = i; i < len && is_digit(s[i]); i++) {
        if (__builtin_mul_overflow(period, 10U, &period) ||
            __builtin_add_overflow(period, (uint64_t)(s[i] - '0'), &period))
            return false;
    }
    h->has_period = i > from && (i == len || is_blank(s[i]));
    if (h->has_period) {
        h->period = period;
        while (i < len && is_blank(s[i]))
            i++;
    } else {
        i = from;
    }
    for (stop = i; stop < len && !is_blank(s[stop]); stop++)
        continue;
    if (stop > i && s[stop - 1] == ':') {
        h->event = (struct text){s + i, stop - 1 - i};
        i = stop;
    }
    h->rest = perf_trim(s + i, len - i);
    return true;
}

/* True when the word that ends before the ':' at `colon` can be an event's name: it has a letter.
 */
static bool event_word(const char *line, size_t word, size_t colon) {
    for (size_t i = word; i < colon; i++) {
        if ((line[i] | 32) >= 'a' && (line[i] | 32) <= 'z')
            return true;
    }
    return false;
}

/* A header whose ids stand before its event, which ends within `limit`. "bs worker 1 11010
 * cycles:": is 11010 the period, or the thread of "bs worker 1"? perf prints a period at least 10
 * characters wide and one blank before it, so a shorter word is none. */
static bool without_time(const char *line, size_t limit, size_t len, struct perf_header *h) {
    for (size_t i = 1; i < limit; i++) {
        size_t word, end, number, blanks;
        struct perf_header none;

        if (line[i] != ':' || (i + 1 < len && !is_blank(line[i + 1])))
            continue;
        word = word_before(line, i);
        if (!event_word(line, word, i))
            continue;
        end = skip_back(line, word);
        number = word_before(line, end);
        blanks = skip_back(line, number);
        if (ids(line + number, end - number, &none) && end - blanks >= 11 &&
            before_time(line, blanks, h))
            return perf_after_time(line + number, len - number, h);
        if (before_time(line, word, h))
            return perf_after_time(line + word, len - word, h);
    }
    return false;
}

/* The colon of the time that stands behind ids or a cpu, or -1; `*first` is that of the first time
 * of all. It is the first such time, or one behind it before which there is no more than a name can
 * hold: then what looked like ids and a time was the name's. */
static ptrdiff_t find_time(const char *line, size_t len, ptrdiff_t *first) {
    ptrdiff_t found = -1;

    for (const char *c = line; (c = memchr(c, ':', len - (size_t)(c - line))) != NULL; c++) {
        size_t colon = (size_t)(c - line);
        ptrdiff_t at = colon + 1 == len || is_blank(c[1]) ? time_start(line, colon) : -1;
        struct perf_header h;

        if (found >= 0 && colon - (size_t)found > 128)
            break; /* ids, cpu and time are shorter */
        if (at < 0)
            continue;
        if (*first < 0)
            *first = (ptrdiff_t)colon;
        if (before_time(line, (size_t)at, &h) && (found < 0 || h.comm.len <= COMM_MAX))
            found = (ptrdiff_t)colon;
    }
    return found;
}

/* Whether the colon at `colon` is a name's, and ids without a time stand behind it, as `-F -time`
 * has them: as wide as perf prints them, and less than a period. */
static bool is_in_name(const char *line, size_t colon, size_t len, struct perf_header *h) {
    const char *end;

    if (colon > COMM_MAX || !without_time(line, len, len, h) || h->comm.len > COMM_MAX)
        return false;
    end = h->comm.s + h->comm.len;
    return end > line + colon && (h->pid.len > 0 || h->tid.s + h->tid.len - end > 5);
}

bool perf_header(const char *line, size_t len, struct perf_header *h) {
    ptrdiff_t first = -1, colon = find_time(line, len, &first);

    *h = (struct perf_header){0};
    if (colon >= 0 && is_in_name(line, (size_t)colon, len, h))
        return true;
    if (colon >= 0) {
        *h = (struct perf_header){.prefix = (size_t)time_start(line, (size_t)colon)};
        return before_time(line, h->prefix, h) &&
               perf_after_time(line + colon + 1, len - (size_t)colon - 1, h);
    }
    *h = (struct perf_header){0};
    if (without_time(line, first < 0 ? len : (size_t)time_start(line, (size_t)first), len, h))
        return true;
    if (first < 0)
        return false;
    /* `-F comm,time,event`: all before the time is the name. */
    *h = (struct perf_header){.prefix = (size_t)time_start(line, (size_t)first)};
    h->comm = perf_trim(line, h->prefix);
    return perf_after_time(line + first + 1, len - (size_t)first - 1, h);
}

bool perf_bare_period(const char *line, size_t len, struct perf_header *h) {
    size_t end = skip_back(line, len), word = word_before(line, end),
           blanks = skip_back(line, word);
    struct perf_header number;

    if (end - blanks < (blanks > 0 ? 11 : 10) ||
        !perf_after_time(line + word, end - word, &number) || !number.has_period)
        return false;
    *h = (struct perf_header){
        .comm = perf_trim(line, blanks), .has_period = true, .period = number.period};
    return true;
}

bool perf_is_comment(const char *line, size_t len) {
    struct perf_header h;

    if (len == 0 || line[0] != '#')
        return false;
    /* A name may begin with '#', but the kernel's have at most 15 bytes. */
    return !perf_header(line, len, &h) || h.prefix == 0 || h.tid.len == 0 || h.comm.len > COMM_MAX;
}
