/* SPDX-License-Identifier: MIT
 * The file that `perf record` writes: perf.data-file-format.txt in tools/perf/Documentation of the
 * kernel's tree, and linux/perf_event.h for what is in its records.
 */
#ifndef STACKFOLD_PERFDATA_H
#define STACKFOLD_PERFDATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buildid.h"

struct perfdata_sample {
    uint32_t pid, tid;
    uint64_t time; /* ns */
    uint64_t period;
    const char *event; /* its name */
    bool has_callchain;
    uint64_t ip;
    const unsigned char *chain; /* `n` numbers of 8 bytes, not aligned, the innermost first */
    size_t n;
};

struct perfdata_mmap {
    uint32_t pid;
    bool kernel, exec;
    uint64_t start, size, offset;
    const char *name;
    struct build_id build; /* of perf record --buildid-mmap, else not known */
};

/* What is called for the records, in the order of time. What they point to is in the file. */
struct perfdata_calls {
    void (*mmap)(void *arg, const struct perfdata_mmap *m);
    void (*comm)(void *arg, uint32_t pid, uint32_t tid, const char *name);
    void (*fork)(void *arg, uint32_t pid, uint32_t parent, uint32_t tid, uint32_t parent_tid);
    void (*sample)(void *arg, const struct perfdata_sample *s);
    void (*lost)(void *arg, uint64_t samples);
    void *arg;
};

struct perfdata_attr {
    uint64_t sample_type;
    bool id_all; /* other records end with ids and time, too */
    char *name;
};

struct perfdata_id {
    uint64_t id;
    size_t attr;
};

struct perfdata {
    const unsigned char *data;
    size_t size;
    struct perfdata_attr *attrs;
    size_t n_attrs;
    struct perfdata_id *ids;
    size_t n_ids;
    struct perfdata_section {
        uint64_t at, size;
    } records, build_ids;
};

/* True for bytes that begin as a file of perf's does. */
bool perfdata_is(const char *data, size_t size);

/* Reads the head of a file; NULL, or what is in it that is not read here. */
const char *perfdata_open(struct perfdata *p, const unsigned char *data, size_t size);
void perfdata_close(struct perfdata *p);

/* Goes through the records; NULL, or what is in them that is not read here. */
const char *perfdata_read(const struct perfdata *p, const struct perfdata_calls *calls);

/* The build-id that the head of the recording has of a file. */
struct build_id perfdata_build_id(const struct perfdata *p, const char *name);

#endif
