/* SPDX-License-Identifier: MIT */
#include "fleet.h"

#include <dirent.h>
#include <string.h>

#include "buf.h"
#include "err.h"

void fleet_add(struct fleet *f, const struct loader_config *config) {
    if (f->n == FLEET_MAX)
        die_usage("--loader: more than %d loaders", FLEET_MAX);
    f->loader[f->n++] = loader_new(config, f->process, f->uid, f->uids);
    f->fixed = f->n;
}

void fleet_free(struct fleet *f) {
    for (size_t i = 0; i < f->n; i++)
        loader_free(f->loader[i]);
    f->n = 0;
}

static void watch_one(struct fleet *f, const char *name) {
    struct loader_config config = {.name = name};
    struct buf dir = {0}, pid = {0}, result = {0};

    buf_printf(&dir, "%s/%s/multiproc", f->watch, name);
    buf_printf(&pid, "%s/%s/pid", f->watch, name);
    buf_printf(&result, "%s/%s/result.tsv", f->watch, name);
    config.multiproc_dir = dir.data;
    config.pid_file = pid.data;
    config.run_result = result.data;
    f->loader[f->n++] = loader_new(&config, f->process, f->uid, f->uids);
    buf_free(&dir);
    buf_free(&pid);
    buf_free(&result);
}

/* Takes new folders on and drops loaders whose folder is gone. */
static void look_at_folder(struct fleet *f) {
    bool there[FLEET_MAX] = {false};
    const struct dirent *e;
    DIR *dir = opendir(f->watch);
    size_t kept = f->fixed;

    while (dir && (e = readdir(dir)) != NULL) {
        size_t i = f->fixed;

        if (e->d_name[0] == '.' || (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
            continue;
        while (i < f->n && strcmp(loader_name(f->loader[i]), e->d_name) != 0)
            i++;
        if (i == f->n && f->n < FLEET_MAX)
            watch_one(f, e->d_name);
        if (i < FLEET_MAX)
            there[i] = true;
    }
    if (dir)
        (void)closedir(dir);
    for (size_t i = f->fixed; i < f->n; i++) {
        if (there[i])
            f->loader[kept++] = f->loader[i];
        else
            loader_free(f->loader[i]);
    }
    f->n = kept;
}

bool fleet_update(struct fleet *f) {
    bool ended = false;

    if (f->watch)
        look_at_folder(f);
    for (size_t i = 0; i < f->n; i++)
        ended |= loader_update(f->loader[i]);
    return ended;
}

bool fleet_can_watch(const struct fleet *f) {
    DIR *dir = f->watch ? opendir(f->watch) : NULL;

    if (dir)
        (void)closedir(dir);
    return dir != NULL;
}

bool fleet_is_final(const struct fleet *f) {
    for (size_t i = 0; i < f->n; i++) {
        if (!loader_is_final(f->loader[i]))
            return false;
    }
    return !f->watch && f->n > 0;
}
