/* SPDX-License-Identifier: MIT */
#include "viewtree.h"

#include <stdlib.h>

#include "buf.h"

enum { NODES_MAX = 1 << 26 };

void view_open(struct view *v) {
    *v = (struct view){.n = 1, .cap = 256, .bits = 10, .cap_shares = 64};
    v->nodes = xcalloc(v->cap, sizeof(*v->nodes));
    v->hash = xcalloc((size_t)1 << v->bits, sizeof(*v->hash));
    v->memo = xcalloc((size_t)1 << MEMO_BITS, sizeof(*v->memo));
    v->shares = xcalloc(v->cap_shares, sizeof(*v->shares));
}

void view_close(struct view *v) {
    free(v->nodes);
    free(v->hash);
    free(v->memo);
    free(v->shares);
}

static uint32_t bucket(uint32_t parent, uint32_t text, uint32_t bits) {
    uint64_t key = (uint64_t)parent << 32 | text;

    return (uint32_t)((key * 0x9e3779b97f4a7c15ULL) >> (64 - bits));
}

uint32_t view_child(struct view *v, uint32_t parent, uint32_t text) {
    uint32_t mask = (1U << v->bits) - 1, i = bucket(parent, text, v->bits);

    for (; v->hash[i]; i = (i + 1) & mask) {
        const struct node *n = &v->nodes[v->hash[i]];

        if (n->parent == parent && n->text == text)
            return v->hash[i];
    }
    if (v->n >= NODES_MAX)
        return parent;
    if (v->n == v->cap) {
        v->cap *= 2;
        v->nodes = xrealloc(v->nodes, v->cap * sizeof(*v->nodes));
    }
    v->nodes[v->n] = (struct node){.parent = parent, .text = text};
    v->hash[i] = v->n++;
    if (v->n * 2 > 1U << v->bits) {
        v->bits++;
        mask = (1U << v->bits) - 1;
        free(v->hash);
        v->hash = xcalloc((size_t)1 << v->bits, sizeof(*v->hash));
        for (uint32_t k = 1; k < v->n; k++) {
            i = bucket(v->nodes[k].parent, v->nodes[k].text, v->bits);
            while (v->hash[i])
                i = (i + 1) & mask;
            v->hash[i] = k;
        }
    }
    return v->n - 1;
}

void view_give(struct view *v, uint32_t node, uint64_t units) {
    if (v->nshares == v->cap_shares) {
        v->cap_shares *= 2;
        v->shares = xrealloc(v->shares, v->cap_shares * sizeof(*v->shares));
    }
    v->shares[v->nshares++] = (struct share){.node = node, .units = units};
}
