/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "opt.h"

#define SECOND UINT64_C(1000000000)
#define DAY (86400 * SECOND)

static const char usage[] =
    "usage: loader_exporter [OPTION]... SOURCE...\n"
    "   or: loader_exporter [OPTION]... {--loader NAME SOURCE...}...\n"
    "   or: loader_exporter [OPTION]... --watch DIR\n"
    "Serve metrics of QDrant Loaders to Prometheus, read from outside the processes.\n"
    "\n"
    "Sources, of one loader, or of the one that --loader named before them:\n"
    "  --multiproc-dir DIR   its PROMETHEUS_MULTIPROC_DIR\n"
    "  --pid PID             its process tree; repeatable\n"
    "  --pid-file FILE       file with `PID` or `PID STARTTIME`, as procrun writes\n"
    "                        it; read again when it changes\n"
    "  --run-result FILE     what procrun writes when the loader has ended\n"
    "  --tasks FILE          its tasks by stage, counted from outside: a table of\n"
    "                        stackstages; used where the loader has no shim\n"
    "  --loader NAME         the sources that follow are of this loader; its\n"
    "                        series get the label loader=\"NAME\"\n"
    "  --watch DIR           every folder DIR/NAME is a loader, with multiproc/,\n"
    "                        pid and result.tsv in it; folders come and go\n"
    "Reading:\n"
    "  --uid UID             read metrics files of this user too; repeatable\n"
    "                        (the folder's owner, the loader's and your own are)\n"
    "  --pss TIME            PSS and USS this often, or when RSS moves; 0 = never (30s)\n"
    "  --proc DIR            the proc file system (/proc)\n"
    "  --cgroup DIR          the cgroup file systems (/sys/fs/cgroup)\n"
    "The end of the loaders:\n"
    "  --linger TIME         when all have ended, serve that long, then exit\n"
    "                        (without: until SIGTERM or SIGINT)\n"
    "  --linger-scrapes N    or until N scrapes by Prometheus that began after\n"
    "                        the end were answered; 0 = all of TIME (2)\n"
    "  --snapshot FILE.prom  then write the last values, for node_exporter's\n"
    "                        textfile collector\n"
    "Serving:\n"
    "  --web.listen-address HOST:PORT   repeatable; port 0 = a free one\n"
    "                                   (127.0.0.1:9464)\n"
    "  --web.telemetry-path PATH        (/metrics)\n"
    "  --web.config.file FILE           TLS and basic auth, format of Prometheus'\n"
    "                                   exporter-toolkit\n"
    "  --web.max-connections N          (256)\n"
    "  --web.max-requests N             answered at the same time (40)\n"
    "  --web.deadline TIME              for a request and its answer (5s)\n"
    "  --web.disable-exporter-metrics   no loader_exporter_ series\n"
    "  --file-sd FILE        write where it serves, for file_sd_configs\n"
    "  --file-sd-label NAME=VALUE       label in that file; repeatable\n"
    "  --ready-file FILE     write {\"url\":...,\"port\":...,\"pid\":...} once it serves\n"
    "  --once[=openmetrics]  print one page on standard output and exit; with\n"
    "                        --snapshot, write that file instead\n"
    "  --config.check        check the options and the web configuration, and exit\n"
    "  -h, --help            this text\n"
    "  --version             the version\n"
    "\n"
    "TIME is in s; 500ms, 2m, 1h work too.\n"
    "\n"
    "Examples:\n"
    "  loader_exporter --multiproc-dir /run/loader --pid 4711\n"
    "  loader_exporter --multiproc-dir m --pid-file pid --run-result result.tsv \\\n"
    "      --linger 45 --snapshot /var/lib/node_exporter/loader.prom\n"
    "  loader_exporter --watch /run/loaders --web.listen-address :9464\n"
    "  loader_exporter --once --multiproc-dir /run/loader | promtool check metrics\n";

enum {
    OPT_MULTIPROC_DIR = 256,
    OPT_PID,
    OPT_PID_FILE,
    OPT_RUN_RESULT,
    OPT_TASKS,
    OPT_LOADER,
    OPT_WATCH,
    OPT_UID,
    OPT_PSS,
    OPT_PROC,
    OPT_CGROUP,
    OPT_LINGER,
    OPT_LINGER_SCRAPES,
    OPT_SNAPSHOT,
    OPT_LISTEN,
    OPT_PATH,
    OPT_WEB_CONFIG,
    OPT_MAX_CONNECTIONS,
    OPT_MAX_REQUESTS,
    OPT_DEADLINE,
    OPT_NO_SELF,
    OPT_FILE_SD,
    OPT_FILE_SD_LABEL,
    OPT_READY_FILE,
    OPT_ONCE,
    OPT_CONFIG_CHECK,
    OPT_VERSION,
};

static const struct option long_options[] = {
    {"multiproc-dir", required_argument, NULL, OPT_MULTIPROC_DIR},
    {"pid", required_argument, NULL, OPT_PID},
    {"pid-file", required_argument, NULL, OPT_PID_FILE},
    {"run-result", required_argument, NULL, OPT_RUN_RESULT},
    {"tasks", required_argument, NULL, OPT_TASKS},
    {"loader", required_argument, NULL, OPT_LOADER},
    {"watch", required_argument, NULL, OPT_WATCH},
    {"uid", required_argument, NULL, OPT_UID},
    {"pss", required_argument, NULL, OPT_PSS},
    {"proc", required_argument, NULL, OPT_PROC},
    {"cgroup", required_argument, NULL, OPT_CGROUP},
    {"linger", required_argument, NULL, OPT_LINGER},
    {"linger-scrapes", required_argument, NULL, OPT_LINGER_SCRAPES},
    {"snapshot", required_argument, NULL, OPT_SNAPSHOT},
    {"web.listen-address", required_argument, NULL, OPT_LISTEN},
    {"web.telemetry-path", required_argument, NULL, OPT_PATH},
    {"web.config.file", required_argument, NULL, OPT_WEB_CONFIG},
    {"web.max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS},
    {"web.max-requests", required_argument, NULL, OPT_MAX_REQUESTS},
    {"web.deadline", required_argument, NULL, OPT_DEADLINE},
    {"web.disable-exporter-metrics", no_argument, NULL, OPT_NO_SELF},
    {"file-sd", required_argument, NULL, OPT_FILE_SD},
    {"file-sd-label", required_argument, NULL, OPT_FILE_SD_LABEL},
    {"ready-file", required_argument, NULL, OPT_READY_FILE},
    {"once", optional_argument, NULL, OPT_ONCE},
    {"config.check", no_argument, NULL, OPT_CONFIG_CHECK},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

/* What the command line has said so far. */
struct reading {
    struct options *o;
    const char *web_config;
    bool scrapes_given;
};

/* The loader that sources belong to. */
static struct loader_config *loader_of(struct options *o) {
    if (o->loaders == 0)
        o->loaders = 1;
    return &o->loader[o->loaders - 1];
}

static void begin_loader(struct options *o, const char *name) {
    if (*name == '\0')
        die_usage("--loader: an empty name");
    if (o->loaders > 0 && !o->loader[0].name)
        die_usage("--loader: sources of a loader without a name stand before it");
    for (size_t i = 0; i < o->loaders; i++) {
        if (strcmp(o->loader[i].name, name) == 0)
            die_usage("--loader: named twice: '%s'", name);
    }
    if (o->loaders == FLEET_MAX)
        die_usage("--loader: more than %d", FLEET_MAX);
    o->loader[o->loaders++].name = name;
}

static void set_once(const char *option, const char **to, const char *value) {
    if (*to)
        die_usage("%s: given twice", option);
    if (*value == '\0')
        die_usage("%s: empty", option);
    *to = value;
}

/* True when `c` was a source's option. */
static bool source_option(struct options *o, int c) {
    switch (c) {
    case OPT_MULTIPROC_DIR:
        set_once("--multiproc-dir", &loader_of(o)->multiproc_dir, optarg);
        return true;
    case OPT_PID:
        if (loader_of(o)->pids == LOADER_PIDS_MAX)
            die_usage("--pid: more than %d", LOADER_PIDS_MAX);
        loader_of(o)->pid[loader_of(o)->pids++] = opt_pid("--pid", optarg);
        return true;
    case OPT_PID_FILE:
        set_once("--pid-file", &loader_of(o)->pid_file, optarg);
        return true;
    case OPT_RUN_RESULT:
        set_once("--run-result", &loader_of(o)->run_result, optarg);
        return true;
    case OPT_TASKS:
        set_once("--tasks", &loader_of(o)->tasks, optarg);
        return true;
    case OPT_LOADER:
        begin_loader(o, optarg);
        return true;
    case OPT_WATCH:
        set_once("--watch", &o->watch, optarg);
        return true;
    case OPT_UID:
        if (o->uids == sizeof(o->uid) / sizeof(o->uid[0]))
            die_usage("--uid: more than %zu", o->uids);
        o->uid[o->uids++] = (uid_t)opt_u64("--uid", optarg, 0, UINT32_MAX - 1);
        return true;
    case OPT_PSS:
        o->process.pss_every_ns = (int64_t)opt_duration_ns("--pss", optarg, 0, DAY);
        return true;
    case OPT_PROC:
        o->proc = optarg;
        return true;
    case OPT_CGROUP:
        o->process.cgroup = optarg;
        return true;
    default:
        return false;
    }
}

static bool web_option(struct reading *r, int c) {
    struct http_config *http = &r->o->http;

    switch (c) {
    case OPT_LISTEN:
        if (http->addresses == HTTP_ADDRESSES_MAX)
            die_usage("--web.listen-address: more than %d", HTTP_ADDRESSES_MAX);
        address_parse("--web.listen-address", optarg, &http->address[http->addresses++]);
        return true;
    case OPT_PATH:
        if (optarg[0] != '/' || strpbrk(optarg, "?#\"<>& ") || strncmp(optarg, "/-/", 3) == 0)
            die_usage("--web.telemetry-path: not a path like /metrics: '%s'", optarg);
        r->o->exporter.telemetry_path = optarg;
        return true;
    case OPT_WEB_CONFIG:
        set_once("--web.config.file", &r->web_config, optarg);
        return true;
    case OPT_MAX_CONNECTIONS:
        http->max_connections = (unsigned)opt_u64("--web.max-connections", optarg, 2, 65536);
        return true;
    case OPT_MAX_REQUESTS:
        http->max_requests = (unsigned)opt_u64("--web.max-requests", optarg, 1, 65536);
        return true;
    case OPT_DEADLINE:
        http->deadline_ns =
            (int64_t)opt_duration_ns("--web.deadline", optarg, SECOND / 10, 3600 * SECOND);
        return true;
    case OPT_NO_SELF:
        r->o->exporter.no_self = true;
        return true;
    default:
        return false;
    }
}

static void add_sd_label(struct buf *labels, const char *text) {
    size_t name = strcspn(text, "=");

    if (text[name] != '=' || name == 0 ||
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != name ||
        (*text >= '0' && *text <= '9'))
        die_usage("--file-sd-label: not NAME=VALUE: '%s'", text);
    buf_adds(labels, ",\"");
    buf_add(labels, text, name);
    buf_adds(labels, "\":\"");
    buf_add_json(labels, text + name + 1, strlen(text + name + 1));
    buf_addc(labels, '"');
}

static void set_snapshot(struct exporter_config *x, const char *file) {
    size_t len = strlen(file);

    if (len < 5 || strcmp(file + len - 5, ".prom") != 0)
        die_usage("--snapshot: node_exporter reads only names that end in .prom: '%s'", file);
    set_once("--snapshot", &x->snapshot, file);
}

static void other_option(struct reading *r, int c) {
    struct options *o = r->o;

    switch (c) {
    case OPT_LINGER:
        o->exporter.linger_ns = (int64_t)opt_duration_ns("--linger", optarg, 0, 30 * DAY);
        return;
    case OPT_LINGER_SCRAPES:
        o->exporter.scrapes = (unsigned)opt_u64("--linger-scrapes", optarg, 0, 1000000);
        r->scrapes_given = true;
        return;
    case OPT_SNAPSHOT:
        set_snapshot(&o->exporter, optarg);
        return;
    case OPT_FILE_SD:
        set_once("--file-sd", &o->exporter.file_sd, optarg);
        return;
    case OPT_FILE_SD_LABEL:
        add_sd_label(&o->exporter.sd_labels, optarg);
        return;
    case OPT_READY_FILE:
        set_once("--ready-file", &o->exporter.ready_file, optarg);
        return;
    case OPT_ONCE:
        o->once = true;
        if (optarg && strcmp(optarg, "openmetrics") != 0)
            die_usage("--once: not openmetrics: '%s'", optarg);
        o->format = optarg ? PAGE_OPENMETRICS : PAGE_TEXT;
        return;
    case OPT_CONFIG_CHECK:
        o->config_check = true;
        return;
    case 'h':
        (void)fputs(usage, stdout);
        exit(out_close(EX_DONE));
    case OPT_VERSION:
        (void)puts("loader_exporter " EXPORTER_VERSION);
        exit(out_close(EX_DONE));
    default:
        /* getopt has said what is wrong. */
        (void)fprintf(stderr, "Try 'loader_exporter --help'.\n");
        exit(EX_USAGE);
    }
}

static void check(const struct reading *r) {
    const struct options *o = r->o;

    if (o->loaders == 0 && !o->watch && !o->config_check)
        die_usage("nothing to export: --multiproc-dir, --pid, --pid-file, --run-result or --watch");
    if (o->watch && o->loaders > 0 && !o->loader[0].name)
        die_usage("--watch: loaders besides those of the folder need a name (--loader)");
    for (size_t i = 0; i < o->loaders; i++) {
        const struct loader_config *l = &o->loader[i];

        if (!l->multiproc_dir && !l->pids && !l->pid_file && !l->run_result)
            die_usage("--loader %s: no source follows", l->name);
        if (l->pids > 0 && l->pid_file)
            die_usage("--pid and --pid-file: one or the other");
        if (o->exporter.linger_ns >= 0 && !l->pids && !l->pid_file && !l->run_result)
            die_usage(
                "--linger: only --pid, --pid-file or --run-result tell when the loader has ended");
    }
    if (o->watch && o->exporter.linger_ns >= 0)
        die_usage("--linger: with --watch there is always another loader to come");
    if (r->scrapes_given && o->exporter.linger_ns < 0)
        die_usage("--linger-scrapes: needs --linger, for when nobody scrapes");
    if (o->exporter.sd_labels.len > 0 && !o->exporter.file_sd)
        die_usage("--file-sd-label: needs --file-sd");
}

void options_parse(struct options *o, int argc, char **argv) {
    struct reading r = {.o = o};
    int c;

    *o = (struct options){
        .proc = "/proc",
        .process = {.cgroup = "/sys/fs/cgroup",
                    .pss_every_ns = 30 * SECOND,
                    .read_every_ns = SECOND / 10,
                    .full_every_ns = SECOND},
        .http = {.max_connections = 256, .max_requests = 40, .deadline_ns = 5 * SECOND},
        .exporter = {.telemetry_path = "/metrics", .linger_ns = -1, .scrapes = 2},
    };
    while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (!source_option(o, c) && !web_option(&r, c))
            other_option(&r, c);
    }
    if (optind < argc)
        die_usage("not an option: '%s'", argv[optind]);
    check(&r);
    if (o->http.addresses == 0)
        address_parse("--web.listen-address", "127.0.0.1:9464",
                      &o->http.address[o->http.addresses++]);
    web_config_read(r.web_config, &o->web);
    o->http.web = &o->web;
}

void options_free(struct options *o) {
    web_config_free(&o->web);
    buf_free(&o->exporter.sd_labels);
}
