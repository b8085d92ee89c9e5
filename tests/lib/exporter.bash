# SPDX-License-Identifier: MIT
# Loaded by the loader_exporter_*.bats files that need a running exporter: `load ../lib/exporter`.

# start OPTION…: an exporter on a free port, its address in $ADDR; its messages in $LOG.
start() {
    LOG=$BATS_TEST_TMPDIR/exporter.log
    READY=$BATS_TEST_TMPDIR/ready.json
    loader_exporter --web.listen-address "${LISTEN-127.0.0.1:0}" --ready-file "$READY" "$@" 2>"$LOG" 3>&- &
    EXPORTER=$!
    until_true 10 serving || fail "$(cat "$LOG")"
    PORT=$(jq .port "$READY")
    ADDR=127.0.0.1:$PORT
}

serving() {
    gone "$EXPORTER" && fail "the exporter has ended: $(cat "$LOG")"
    [[ -e $READY ]]
}

# ended STATUS [SECONDS]: the exporter ends by itself with that status.
ended() {
    local status=0
    until_true "${2:-10}" gone "$EXPORTER"
    wait "$EXPORTER" || status=$?
    equal "$status" "$1" "exit status of the exporter"
    EXPORTER=
}

# stop: ends the exporter, which must then end with status 0.
stop() {
    kill "$EXPORTER"
    ended 0
}

# Ends all that a test has started.
stop_all() {
    local pid
    for pid in "${EXPORTER-}" "${STARTED[@]-}"; do
        [[ -n $pid ]] || continue
        kill -9 "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
}

# scrape [CURL OPTION…]: a page in $PAGE.
scrape() {
    PAGE=$BATS_TEST_TMPDIR/page
    curl -sS --max-time 10 -o "$PAGE" "$@" "http://$ADDR/metrics"
}

# prometheus [CURL OPTION…]: a page as Prometheus asks for it, which counts as a scrape.
prometheus() {
    scrape -H 'X-Prometheus-Scrape-Timeout-Seconds: 10' "$@"
}

# value SERIES: its value on the page; empty when it is not there.
value() {
    SERIES=$1 awk 'BEGIN { s = ENVIRON["SERIES"] " " } index($0, s) == 1 { print substr($0, length(s) + 1) }' "$PAGE"
}

# shows SERIES VALUE: scrapes, and looks.
shows() {
    scrape && [[ $(value "$1") == "$2" ]]
}

# starttime PID: field 22 of its stat.
starttime() {
    local stat
    stat=$(<"/proc/$1/stat")
    stat=${stat##*) }
    # shellcheck disable=SC2086
    set -- $stat
    printf '%s\n' "${20}"
}
