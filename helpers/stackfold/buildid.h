/* SPDX-License-Identifier: MIT
 * Build-ids: what tells one build of a program from another.
 */
#ifndef STACKFOLD_BUILDID_H
#define STACKFOLD_BUILDID_H

#include <stdbool.h>
#include <stddef.h>

#include "mapped.h"

struct build_id {
    const unsigned char *id;
    size_t len; /* 0: not known */
};

bool build_id_equals(struct build_id a, struct build_id b);

/* The build-id in a section of notes, which it points into; its length is 0 where there is none. */
struct build_id build_id_in_notes(const unsigned char *note, size_t size);

/* What the system's packages of debugging symbols install for a build; empty where there is none.
 */
struct mapped build_id_debug_file(struct build_id id);

#endif
