# SPDX-License-Identifier: MIT
# The course of `make metrics`: the exporter beside the loader, what it shows on the way, and its end. The only code that
# knows the exporter's flags.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

# shellcheck source=scripts/lib/metrics_summary.sh
. "$ROOT/scripts/lib/metrics_summary.sh"

EXPORTER=
TASKS=
SNAPSHOT=
# A loader with all its files takes less than 1 MiB; a folder that gets full kills it by SIGBUS.
METRICS_ROOM_MIB=64
METRICS_LOW_MIB=8

# metrics_check: the words, before anything is started.
metrics_check() {
    FILE_SD=${FILE_SD:-$ROOT/docs/monitoring/prometheus/targets}
    [[ -d $FILE_SD && -w $FILE_SD ]] ||
        die 2 bad-option "FILE_SD: not a folder that can be written: '$FILE_SD'. Prometheus reads such files by file_sd_configs"
    [[ -z $TEXTFILE || (-d $TEXTFILE && -w $TEXTFILE) ]] ||
        die 2 bad-option "TEXTFILE: not a folder that can be written: '$TEXTFILE'. It is node_exporter's --collector.textfile.directory"
    [[ -z $PUSH || $PUSH =~ ^https?://[^/[:space:]]+ ]] || die 2 bad-option "PUSH: not the URL of a Pushgateway, like http://127.0.0.1:9091"
    [[ -z $WEB_CONFIG || (-f $WEB_CONFIG && -r $WEB_CONFIG) ]] ||
        die 2 bad-option "WEB_CONFIG: not a file that can be read: '$WEB_CONFIG'. It holds TLS and users as Prometheus' web configuration does: man docs/man/loader_exporter.1"
    [[ $LISTEN =~ :[0-9]+$ ]] || die 2 bad-option "LISTEN: not HOST:PORT: '$LISTEN'. Port 0 takes a free one"
}

# metrics_check_web: the address and the web configuration, by the exporter itself, before there is a run.
metrics_check_web() {
    local words
    words=$(loader_exporter --config.check --web.listen-address "$LISTEN" 2>&1) ||
        die 2 bad-option "LISTEN: $(exporter_words <<<"$words"). Like 127.0.0.1:9464, [::1]:9464, or :9464 for every address; port 0 takes a free one"
    [[ -n $WEB_CONFIG ]] || return 0
    words=$(loader_exporter --config.check --web.config.file "$WEB_CONFIG" 2>&1) ||
        die 2 bad-option "WEB_CONFIG: $(exporter_words <<<"$words"). See WEB CONFIGURATION in: man docs/man/loader_exporter.1"
}

# shim_prepare: the loader's metrics folder and the variables that it is launched with.
shim_prepare() {
    local free
    MULTIPROC=$TMP/multiproc
    mkdir -m 700 "$MULTIPROC"
    capture free free_mib "$MULTIPROC"
    ((free >= METRICS_ROOM_MIB)) ||
        die 3 metrics-no-room "only $free MiB are free for the loader's metrics in $TMP, and a folder that gets full kills the loader (SIGBUS). Set TMPDIR to a folder with $METRICS_ROOM_MIB MiB"
    LOADER_VARIABLES=("PYTHONPATH=$ROOT/scripts/shim${PYTHONPATH:+:$PYTHONPATH}" "PROMETHEUS_MULTIPROC_DIR=$MULTIPROC")
    PROCRUN_FLAGS=(--pid-file "$RUN/raw/loader.pid")
}

free_mib() { df --output=avail -m "$1" | sed -n '${s/ //g;p}'; }

# ---- the exporter ---------------------------------------------------------------------------------------------------

# What it reads of a loader that is launched here: the pid comes later, by procrun.
exporter_start_launched() {
    exporter_start --multiproc-dir "$MULTIPROC" --pid-file "$RUN/raw/loader.pid" --run-result "$RUN/raw/procrun.tsv"
}

# metrics_folder: that of the loader, if it has been started with one.
metrics_folder() {
    local folder
    folder=$(tr '\0' '\n' <"/proc/$LOADER_PID/environ" 2>/dev/null | sed -n 's/^PROMETHEUS_MULTIPROC_DIR=//p' | tail -n 1)
    if [[ -n $folder && $folder != /* ]]; then folder=$(readlink "/proc/$LOADER_PID/cwd")/$folder; fi
    printf '%s' "$folder"
}

# Of a loader that runs: /proc, and the metrics folder if it has been started with one. Its tasks are counted from outside.
exporter_start_attached() {
    local folder sources=(--pid "$LOADER_PID" --tasks "$RUN/raw/tasks.tsv")
    capture folder metrics_folder || :
    if [[ -n $folder ]]; then sources+=(--multiproc-dir "$folder"); fi
    exporter_start "${sources[@]}"
    job tasks "$ROOT/scripts/lib/count-tasks" "$LOADER_PID" "$RUN/raw/tasks.tsv"
    TASKS=$JOB
    at_exit end_process "$TASKS" TERM 3
}

# run_label: RUN_LABEL, the run for Prometheus: the name of its folder, and what tells it from one of the same second elsewhere,
# since several RESULTS and machines may share a FILE_SD and a Prometheus.
run_label() {
    capture RUN_LABEL run_hash
    RUN_LABEL=${RUN##*/}-${RUN_LABEL:0:6}
}
run_hash() { printf '%s\n' "$(uname -n)" "$RUN" | sha256sum; }

# exporter_start SOURCE…: URL, where it serves.
exporter_start() {
    local ready=$RUN/raw/exporter.json words
    SNAPSHOT=$RUN/metrics.prom
    run_label
    SD_FILE=$FILE_SD/$RUN_LABEL.json
    EXPORTER_SOURCES=("$@")
    job exporter loader_exporter "$@" --web.listen-address "$LISTEN" --linger "${LINGER}s" --linger-scrapes 2 --snapshot "$SNAPSHOT" \
        --file-sd "$SD_FILE" --file-sd-label "run=$RUN_LABEL" --ready-file "$ready" ${WEB_CONFIG:+--web.config.file "$WEB_CONFIG"}
    EXPORTER=$JOB
    # Killed, it cannot take its announcement back.
    at_exit rm -f "$SD_FILE"
    at_exit end_process "$EXPORTER" TERM 5
    until [[ -s $ready ]]; do
        stop_if_asked
        if ! alive "$EXPORTER"; then
            if grep -q 'Address already in use' "$RUN/log/exporter.log"; then
                die 3 port-taken "LISTEN=$LISTEN: the address is taken (perhaps by another run). Give another one, or LISTEN=127.0.0.1:0 for a free port"
            fi
            capture words exporter_last_words || :
            die 3 exporter-failed "the exporter did not start: $words"
        fi
        pause 0.02
    done
    capture URL jq -r .url "$ready"
    run_set metrics_url "$URL" metrics_run "$RUN_LABEL" metrics_file_sd "$SD_FILE"
    say "serving $URL"
    say "Prometheus finds it by $SD_FILE"
    if grep -q 'neither TLS nor users' "$RUN/log/exporter.log"; then
        note empty-web-config "WEB_CONFIG=$WEB_CONFIG has neither TLS nor users in it: the endpoint is served as without it"
    fi
    if grep -q 'everybody who reaches this address' "$RUN/log/exporter.log"; then
        note open-endpoint "LISTEN=$LISTEN: everybody who reaches this address can read the metrics. A WEB_CONFIG with users asks for a password, LISTEN=127.0.0.1:${LISTEN##*:} keeps it on this machine"
    fi
    if grep -q 'passwords cross the network in clear' "$RUN/log/exporter.log"; then
        note clear-passwords "LISTEN=$LISTEN: Prometheus' password crosses the network in clear. Give $WEB_CONFIG a tls_server_config too, or put a reverse proxy in front (docs/monitoring/reverse-proxy.md)"
    fi
}

# exporter_words: the last of its messages on standard input, without its name, and without what is its own usage.
exporter_words() { sed "/^Try '/d; s/^loader_exporter: //; s/^--web.listen-address: //" | tail -n 1; }

exporter_last_words() { exporter_words <"$RUN/log/exporter.log"; }

# ---- while it runs --------------------------------------------------------------------------------------------------

# metrics_watch: until the loader ends or a signal comes. An exporter that dies does not stop an ingestion.
metrics_watch() {
    local next=0 look=0 began=$SECONDS
    capture LOADER_STARTED process_started "$LOADER_PID"
    run_latest
    target_facts
    while [[ -z $STOPPED ]] && metrics_loader_runs; do
        if [[ -n $EXPORTER ]] && ! alive "$EXPORTER"; then exporter_lost 'the ingestion goes on'; fi
        if [[ -n $TASKS ]] && ! alive "$TASKS"; then tasks_lost; fi
        target_facts
        if ((SECONDS >= look)); then
            room_check
            look=$((SECONDS + 1))
        fi
        if ((SECONDS >= next)); then
            metrics_progress $((SECONDS - began))
            if [[ -t 2 ]]; then next=$((SECONDS + 1)); else next=$((SECONDS + 10)); fi
        fi
        pause 0.1
    done
    if [[ -n $STOPPED ]]; then say "stopped by SIG$STOPPED: keeping what was counted"; fi
}

metrics_loader_runs() {
    if [[ -n $PID ]]; then target_alive; else alive "$PROCRUN"; fi
}

# exporter_lost WHAT-OF-THE-LOADER
exporter_lost() {
    local words
    capture words exporter_last_words || :
    tool_failed exporter-failed "the exporter ended by itself ($1): $words. What the loader counts is kept and written down at its end"
    EXPORTER=
    rm -f "$SD_FILE"
}

tasks_lost() {
    local words
    TASKS=
    target_alive || return 0
    capture words tail -n 1 "$RUN/log/tasks.log" || :
    note tasks-unreadable "the loader's tasks cannot be read from outside: $words"
}

# room_check: says once that the metrics folder gets short of room.
room_check() {
    [[ -n ${MULTIPROC-} && -z ${ROOM_SAID-} ]] || return 0
    local free
    # A Ctrl-C ends what was asked too, which is no failure of this script's; so below.
    capture free free_mib "$MULTIPROC" && [[ -n $free ]] || return 0
    if ((free < METRICS_LOW_MIB)); then
        ROOM_SAID=1
        note metrics-no-room "only $free MiB are left for the loader's metrics in $TMP: free some, or the loader is killed (SIGBUS)"
    fi
}

# metrics_progress SECONDS: one line of how it goes; overwritten on a terminal.
metrics_progress() {
    local line
    capture line metrics_words || return 0
    line="$1 s: $line"
    if [[ -t 2 ]]; then live "$line"; else say "$line"; fi
}
metrics_words() { { metrics_page 2>/dev/null || :; } | metrics_line; }

# metrics_page: what is served. An endpoint that asks for a password is not asked: the same is read once more.
metrics_page() {
    if [[ -z $WEB_CONFIG ]]; then
        curl -sf --max-time 2 "$URL"
    else
        loader_exporter "${EXPORTER_SOURCES[@]}" --once --web.disable-exporter-metrics
    fi
}

# metrics_line: a page in one line.
metrics_line() {
    awk '
        function label(name) { return match($1, name "=\"[^\"]*\"") ? substr($1, RSTART + length(name) + 2, RLENGTH - length(name) - 3) : "" }
        { v = $NF }
        /^qdrant_loader_chunks_total\{/ { chunks[label("state")] += v; shim = 1 }
        /^qdrant_loader_backlog_chunks\{/ { backlog[label("between")] += v }
        /^qdrant_loader_stage_in_flight\{/ && v > 0 { flight = flight " " label("stage") " " v + 0 }
        /^qdrant_loader_stage_errors_total\{/ { errors += v }
        /^qdrant_loader_process_cpu_seconds_total\{/ { cpu += v; proc = 1 }
        /^qdrant_loader_process_resident_memory_bytes[ {]/ { rss += v }
        END {
            if (shim) printf "backlog %d to embed, %d to upsert; chunks %d, upserted %d; errors %d; ", backlog["chunk_embed"], backlog["embed_upsert"],
                chunks["chunked"], chunks["upserted"], errors
            if (shim || flight) printf "in flight:%s; ", flight ? flight : " none"
            if (proc) printf "CPU %.1f s, RSS %d MiB", cpu, rss / 1048576
            else printf "CPU n/a, RSS n/a"
        }'
}

# ---- the end --------------------------------------------------------------------------------------------------------

# metrics_end: the loader is over when it returns, and its last values are in metrics.prom.
metrics_end() {
    local deadline
    if [[ -z $PID ]]; then
        [[ -z $STOPPED ]] || loader_end "$STOPPED" 20
        target_wait
    fi
    target_counts
    # An attached loader may go on after a Ctrl-C: the exporter then writes its values when it is told to end.
    if [[ -n $PID && -n $STOPPED ]]; then exporter_end; fi
    deadline=$((SECONDS + 10))
    while [[ -n $EXPORTER && ! -s $SNAPSHOT ]] && alive "$EXPORTER" && ((SECONDS < deadline)); do pause 0.02; done
    if [[ -n $EXPORTER && ! -s $SNAPSHOT ]] && ! alive "$EXPORTER"; then exporter_lost 'the loader has ended'; fi
    [[ -s $SNAPSHOT ]] || snapshot_without_exporter
    counts_of_shim
    metrics_times
}

# The files of the loader outlive the exporter.
snapshot_without_exporter() {
    local sources=("${EXPORTER_SOURCES[@]}") words
    # A process that is gone is no source for one page.
    if [[ -n $PID ]] && ! target_alive; then return 0; fi
    loader_exporter "${sources[@]}" --once --snapshot "$SNAPSHOT" 2>>"$RUN/log/exporter.log" || {
        capture words exporter_last_words || :
        tool_failed exporter-failed "no metrics.prom: $words"
    }
}

# counts_of_shim: what a loader that was killed or stopped did not come to say itself was counted all the same.
counts_of_shim() (
    trap '' INT TERM HUP
    [[ $(run_get chunks) == n/a || $(run_get documents) == n/a ]] || exit 0
    documents=$(series_sum qdrant_loader_documents_total 'state="succeeded"')
    chunks=$(series_sum qdrant_loader_chunks_total 'state="upserted"')
    [[ $documents != n/a && $chunks != n/a ]] || exit 0
    embed=$(series_sum qdrant_loader_chunks_total 'state="embed_failed"')
    upsert=$(series_sum qdrant_loader_chunks_total 'state="upsert_failed"')
    run_set documents "$documents" chunks "$chunks" chunks_failed "$((${embed/n\/a/0} + ${upsert/n\/a/0}))" counted_by shim
)

# exporter_end: it writes the last values and takes its announcement back.
exporter_end() {
    [[ -n $EXPORTER ]] || return 0
    end_process "$EXPORTER" TERM 5
    EXPORTER=
}

metrics_times() (
    trap '' INT TERM HUP
    if [[ -z $PID ]]; then wall=$(procrun_fact wall_s); else wall=$(seconds_between "$LOADER_STARTED" "$(now_ns)"); fi
    cpu=$(series_sum qdrant_loader_process_cpu_seconds_total)
    run_set wall_s "$(ratio "$wall" 1 2)" cpu_s "$(ratio "$cpu" 1 2)"
)

# textfile_write: for node_exporter's textfile collector: one file, whatever the run, since it takes the same series in two
# files for an error.
textfile_write() {
    [[ -n $TEXTFILE && -s $SNAPSHOT ]] || return 0
    local file=$TEXTFILE/qdrant_loader.prom beside=$TEXTFILE/.qdrant_loader.prom.$$
    if install -m 644 "$SNAPSHOT" "$beside" 2>>"$RUN/log/exporter.log" && mv -T "$beside" "$file"; then
        run_set metrics_textfile "$file"
    else
        rm -f "$beside"
        tool_failed textfile-failed "could not write $file. Is the disk full? The values are in $SNAPSHOT"
    fi
}

# push_last: the last values by one PUT, which replaces those of this job and instance.
push_last() {
    [[ -n $PUSH ]] || return 0
    local url=${PUSH%/} host answer status=0
    capture host host_in_url
    [[ $url == */metrics/job/* ]] || url=$url/metrics/job/qdrant_loader/instance/$host
    if [[ ! -s $SNAPSHOT ]]; then
        tool_failed push-failed "nothing to push: there is no metrics.prom"
        return
    fi
    # The URL may hold a password: not an argument, which everybody can see.
    # Not short, where nobody answers.
    capture answer both env --default-signal=INT,TERM,HUP curl -sS --fail-with-body --max-time 30 -X PUT -H 'Content-Type: text/plain; version=0.0.4; charset=utf-8' \
        --data-binary @"$SNAPSHOT" -K - <<<"url = \"${url//[\"\\]/}\"" || status=$?
    capture url redact_text "$url"
    if ((status)); then
        answer=${answer##*$'\n'}
        capture answer redact_text "${answer:0:200}"
        tool_failed push-failed "PUSH: $url did not take the last values: $answer. They are in $SNAPSHOT: curl -X PUT --data-binary @FILE URL"
    else
        run_set metrics_pushed "$url"
        say "pushed the last values to $url"
    fi
}
host_in_url() { uname -n | jq -rR @uri; }

# metrics_linger: the last values are served until they were scraped twice or the time is over.
metrics_linger() {
    local status=0 began=$SECONDS
    if [[ -n $EXPORTER && -z $STOPPED ]]; then
        if alive "$EXPORTER"; then say "the loader has ended (exit status ${LOADER_STATUS:-n/a}): serving its last values for $LINGER s, or until they were scraped twice (Ctrl-C ends it)"; fi
        while alive "$EXPORTER" && [[ -z $STOPPED ]]; do
            live "serving the last values at $URL: $((SECONDS - began)) of $LINGER s"
            pause 0.1
        done
        if [[ -n $STOPPED ]]; then
            # The run is over: the Ctrl-C that ends the wait breaks nothing.
            STOPPED=
            run_set metrics_scraped "wait ended"
        else
            wait "$EXPORTER" 2>/dev/null || status=$?
            case $status in
                0) run_set metrics_scraped yes ;;
                1) run_set metrics_scraped no ;;
                *) exporter_lost 'the loader had ended, and its last values were being served' ;;
            esac
        fi
    fi
    [[ -z $STOPPED ]] || run_set metrics_scraped stopped
    exporter_end
    # The last line of the wait is not to stand before what comes.
    live_clear
}

# metrics_finish: exits with the verdict, as profile_finish does.
metrics_finish() {
    local status=0
    signals_ignored
    if [[ -z $PID ]]; then
        target_verdict || status=$?
        if ((status)) && [[ -z $STOPPED ]]; then
            note loader-failed "the loader failed ($(target_end_words)). Its last words: $(loader_last_words)"
        fi
        shim_judge
    fi
    run_finish "$status"
}

# shim_judge: says what is not counted.
shim_judge() {
    local missing
    missing=$(series_sum qdrant_loader_shim_hooks 'state="missing"')
    if [[ $missing == n/a ]]; then
        note no-shim "the loader does not count by stage: $(grep -ahom1 'qdrant-loader shim: .*' "$RUN/log/loader.log" || printf 'scripts/shim was not imported (a Python that ignores PYTHONPATH, or no qdrant_loader)')"
    elif ((missing > 0)); then
        note shim-incomplete "$missing methods of this loader were not found; their figures are missing: $(sed -n 's/^qdrant_loader_shim_hook_missing{.*hook="\([^"]*\)".*/\1/p' "$SNAPSHOT" | paste -sd ' ')"
    fi
}
