/* SPDX-License-Identifier: MIT
 * The style sheet and the script of every picture, taken into the program as they stand in their
 * files. Paths are those seen from the repository's top, where make runs.
 */
#include "flamegraph.h"

#define CARRY(name, file)                                                                          \
    __asm__(".pushsection .rodata\n.global " #name "\n" #name ":\n.incbin \"" file                 \
            "\"\n.byte 0\n.popsection\n")

CARRY(style_css, "helpers/flamegraph/style.css");
CARRY(view_js, "helpers/flamegraph/view.js");
