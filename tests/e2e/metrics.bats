#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make metrics on the real loader: what is served while it runs and after its end, and what is left when things go wrong.
load ../lib/common

# One run serves the first tests: a workspace of the user's own, with secrets in all places, a Pushgateway, a folder for
# node_exporter, and somebody who looks at it as Prometheus would.
setup_file() {
    load ../lib/loader
    BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR
    export FILES=${E2E_FILES:-100} RESULTS=$BATS_FILE_TMPDIR/results OUT=$BATS_FILE_TMPDIR
    export FILE_SD=$OUT/sd TEXTFILE=$OUT/textfile LISTEN=127.0.0.1:0
    mkdir "$FILE_SD" "$TEXTFILE"
    gateway_start
    # The embedding then takes longer than the 10 s between two lines.
    MIN_REQUEST_INTERVAL=0.5 standins_start
    export STANDIN_DIR
    sed -i 's/^\( *"api_key": \)"[^"]*"/\1"sk-config-secret-1"/; s/api_key: .*/api_key: "sk-config-secret-1"/' "$WS/config.yaml"
    grep -q sk-config-secret-1 "$WS/config.yaml"
    printf 'LLM_API_KEY=sk-dotenv-secret-2\n' >"$WS/.env"
    env WORKSPACE="$WS" ARGS=--force LINGER=120 PUSH="http://someone:push-secret-5@${GATEWAY#http://}" MY_API_TOKEN=env-secret-3 \
        LOADER="env QDRANT_API_KEY=argv-secret-4 $LOADER_ENV_PYTHON -m qdrant_loader.cli.cli" \
        "$ROOT/scripts/metrics" >"$OUT/out" 2>"$OUT/err" </dev/null 3>&- &
    SCRIPT=$!
    until_true 120 grep -q 'serving http' "$OUT/err"
    URL=$(sed -n 's/^metrics: serving //p' "$OUT/err")
    RUN=$(readlink -f "$RESULTS/latest")
    cp "$FILE_SD"/*.json "$OUT/announced.json"
    # While it runs: chunks wait to be embedded.
    until_true 300 waits "$URL" "$OUT/live.page"
    until_true 300 grep -q 'the loader has ended' "$OUT/err"
    # A browser or curl is no scrape: three of them do not end the wait.
    for _ in 1 2 3; do curl -sf "$URL" >"$OUT/last.page"; done
    curl -sf -H 'Accept: application/openmetrics-text' "$URL" >"$OUT/last.openmetrics"
    curl -sf "$GATEWAY/metrics" >"$OUT/gateway.page"
    for n in 1 2; do
        gone "$SCRIPT" && echo "the wait ended before scrape $n" >>"$OUT/wrong"
        curl -sf -H 'X-Prometheus-Scrape-Timeout-Seconds: 5' "$URL" >"$OUT/scrape.page" || echo "scrape $n failed" >>"$OUT/wrong"
    done
    SECONDS=0
    wait "$SCRIPT" || echo "exit status $?" >>"$OUT/wrong"
    echo "$SECONDS" >"$OUT/after_scrapes"
    for pid in "${STANDIN_PIDS[@]}" "$GATEWAY_PID"; do
        kill "$pid"
        wait "$pid" || :
    done
}

teardown_file() {
    local pid
    # What a failed setup_file has left.
    for pid in ${SCRIPT-} "${STANDIN_PIDS[@]}" ${GATEWAY_PID-}; do kill -TERM "$pid" 2>/dev/null || :; done
}

setup() {
    load ../lib/loader
    OUT=$BATS_FILE_TMPDIR
    FIRST=$OUT/results/latest
    # Of the tests that run the target themselves.
    export FILES=100 RESULTS=$BATS_TEST_TMPDIR/results TMPDIR=$BATS_TEST_TMPDIR LISTEN=127.0.0.1:0 FILE_SD=$BATS_TEST_TMPDIR/sd MIN_REQUEST_INTERVAL=0.5
    mkdir "$FILE_SD"
    RUN=$RESULTS/latest
}

teardown() {
    [[ -z ${TARGET-} ]] || kill -KILL "$TARGET" 2>/dev/null || :
    if [[ -n ${GATEWAY_PID-} ]]; then
        kill "$GATEWAY_PID" 2>/dev/null || :
        wait "$GATEWAY_PID" || :
    fi
    loader_end
}

# gateway_start: Debian's Pushgateway: GATEWAY, GATEWAY_PID.
gateway_start() {
    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    prometheus-pushgateway --web.listen-address="127.0.0.1:$port" --log.level=debug >"$BATS_TEST_TMPDIR/gateway.log" 2>&1 3>&- &
    GATEWAY_PID=$!
    GATEWAY=http://127.0.0.1:$port
    until_true 20 curl -sf -o /dev/null "$GATEWAY/-/ready"
}

# waits URL FILE: the page, kept in FILE, says that chunks wait to be embedded.
waits() {
    curl -sf "$1" >"$2" && awk '/^qdrant_loader_backlog_chunks\{between="chunk_embed"\}/ && $NF > 0 { found = 1 } END { exit !found }' "$2"
}

# value FILE SERIES: its value, as an integer where it is one.
value() {
    SERIES=$2 awk 'BEGIN { s = ENVIRON["SERIES"] " " } index($0, s) == 1 { printf "%.15g\n", substr($0, length(s) + 1); n++ } END { exit !n }' "$1"
}

# counts FILE STANDINS: this page's totals are those that the stand-ins counted.
counts() {
    local page=$1 qdrant=$2/qdrant.counts.json embeddings=$2/embeddings.counts.json points
    points=$(jq .points "$qdrant")
    ((points > 600)) || fail "only $points points"
    equal "$(value "$page" 'qdrant_loader_chunks_total{state="upserted"}')" "$points" 'chunks upserted'
    equal "$(value "$page" qdrant_ingested_documents_total)" "$points" "the loader's own counter"
    equal "$(value "$page" 'qdrant_loader_chunks_total{state="embedded"}')" "$(jq .texts "$embeddings")" 'texts embedded'
    equal "$(value "$page" 'qdrant_loader_requests_total{stage="embed",status="200"}')" "$(jq .requests "$embeddings")" 'embedding requests'
    equal "$(value "$page" 'qdrant_loader_requests_total{stage="upsert",status="200"}')" "$(jq '.by_route["PUT /collections/{c}/points"]' "$qdrant")" upserts
    equal "$(value "$page" 'qdrant_loader_documents_total{state="succeeded"}')" "$FILES" documents
}

# target_start [NAME=VALUE…]: make metrics in the background, in a process group of its own.
target_start() {
    set -m
    env "$@" "$ROOT/scripts/metrics" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- &
    TARGET=$!
    set +m
}

said() { grep -qsE "$1" "$BATS_TEST_TMPDIR/err"; }

# url: where it serves.
url() { jq -r .url "$RUN/raw/exporter.json"; }

# counting: has something been upserted?
counting() {
    [[ -s $RUN/raw/exporter.json ]] && curl -sf "$(url)" >"$BATS_TEST_TMPDIR/page" &&
        [[ $(value "$BATS_TEST_TMPDIR/page" 'qdrant_loader_requests_total{stage="upsert",status="200"}') -gt 0 ]]
}

# target_ends STATUS: it ends with that status, and nothing that it started is left, nor its announcement.
target_ends() {
    local status=0
    wait "$TARGET" || status=$?
    equal "$status" "$1" "exit status; $(tail -n 5 "$BATS_TEST_TMPDIR/err")"
    TARGET=
    until_true 20 nothing_left
}

@test "one command ingests, prints the URL, and ends well when its last values were scraped twice" {
    [[ ! -e $OUT/wrong ]] || fail "$(<"$OUT/wrong"): $(tail "$OUT/err")"
    equal "$(jq -r '[.state, .metrics_scraped, .loader_exit_status, .exit_status] | tostring' "$FIRST/run.json")" '["done","yes",0,0]'
    # It was not to be seen yet when the loader had just been launched.
    equal "$(jq -r .loader_version "$FIRST/run.json")" "$("$LOADER_ENV_PYTHON" -c 'import importlib.metadata as m; print(m.version("qdrant-loader"))')"
    matches "$(jq -r .python "$FIRST/run.json")" '^3\.[0-9]+\.[0-9]+'
    equal "$(jq -r .metrics_url "$FIRST/run.json")" "$(sed -n 's/^metrics: serving //p' "$OUT/err")"
    equal "$(<"$OUT/out")" "$(readlink -f "$FIRST")"
    # By the scrapes, and not by the 120 s.
    (($(<"$OUT/after_scrapes") < 20)) || fail "$(<"$OUT/after_scrapes") s after the second scrape"
}

@test "while it runs curl shows a backlog, and so does the line" {
    local page=$OUT/live.page
    (($(value "$page" 'qdrant_loader_backlog_chunks{between="chunk_embed"}') > 0))
    equal "$(value "$page" qdrant_loader_up)" 1
    awk '/^qdrant_chunk_queue_size/ && $NF > 0 { found = 1 } END { exit !found }' "$page"
    (($(value "$page" 'qdrant_loader_process_threads') > 2))
    matches "$(<"$OUT/err")" 'backlog [1-9][0-9]* to embed, [0-9]+ to upsert; chunks [1-9][0-9]*, upserted [0-9]+; errors 0; in flight:.*embed [1-9]'
}

@test "after its end the page has the exact totals of the stand-ins, and how it ended" {
    local page started ended took
    for page in "$OUT/last.page" "$OUT/scrape.page" "$FIRST/metrics.prom" "$OUT/last.openmetrics"; do counts "$page" "$OUT/stand in's \"dir\""; done
    for page in "$OUT/last.page" "$FIRST/metrics.prom"; do
        equal "$(value "$page" qdrant_loader_up)" 0
        equal "$(value "$page" qdrant_loader_run_exit_code)" 0
        started=$(value "$page" qdrant_loader_run_start_timestamp_seconds)
        ended=$(value "$page" qdrant_loader_run_end_timestamp_seconds)
        took=$(value "$page" qdrant_loader_run_duration_seconds)
        awk -v s="$started" -v e="$ended" -v d="$took" 'BEGIN { x = e - s - d; exit !(d > 3 && x < 0.5 && x > -0.5) }' ||
            fail "${page##*/}: started $started, ended $ended, took $took"
        value "$page" qdrant_loader_run_last_success_timestamp_seconds
        equal "$(value "$page" 'qdrant_loader_backlog_chunks{between="chunk_embed"}' || echo 0)" 0 'backlog at the end'
    done
    run -0 promtool check metrics <"$OUT/last.page"
    equal "$(tail -n 1 "$OUT/last.openmetrics")" '# EOF'
}

@test "the summary has the stages, the backlog's peak and the rate limit, and agrees with run.json" {
    local points peak
    points=$(jq .points "$OUT/stand in's \"dir\"/qdrant.counts.json")
    equal "$(jq .chunks "$FIRST/run.json")" "$points"
    matches "$(<"$FIRST/summary.md")" "Chunks upserted: $points\. Documents succeeded: $FILES\."
    equal "$(awk -F '\t' '$1 == "upsert" { print $5 }' "$FIRST/counts.tsv")" "$points" 'items of upsert'
    equal "$(awk -F '\t' '$1 ~ /^(fetch|chunk)$/ { print $2 "/" $3 "/" $4 }' "$FIRST/counts.tsv" | sort -u)" "$FILES/$FILES/0"
    equal "$(awk -F '\t' '$1 == "embed" { print $7 }' "$FIRST/counts.tsv")" "$(jq .requests "$OUT/stand in's \"dir\"/embeddings.counts.json")" 'requests of embed'
    peak=$(sed -n 's/.*Backlog peak: \([0-9]*\) chunks.*/\1/p' "$FIRST/summary.md")
    ((peak >= $(value "$OUT/live.page" 'qdrant_loader_backlog_chunks{between="chunk_embed"}') && peak <= points))
    matches "$(<"$FIRST/summary.md")" 'Rate limit: [1-9][0-9]*\.[0-9] s waited, summed over requests; [0-9.]+ s of wall time'
    matches "$(<"$FIRST/summary.md")" 'scraped twice after the end'
}

@test "Prometheus is told where it serves and which run it is, until its end" {
    local address
    address=$(sed -n 's#^metrics: serving http://\(.*\)/metrics#\1#p' "$OUT/err")
    equal "$(jq -c '.[0] | [.targets[0], .labels.run]' "$OUT/announced.json")" "[\"$address\",\"$(jq -r .metrics_run "$FIRST/run.json")\"]"
    matches "$(jq -r .metrics_run "$FIRST/run.json")" "^$(basename "$(readlink -f "$FIRST")")-[0-9a-f]{6}\$"
    equal "$(find "$OUT/sd" -type f)" '' 'announcements left'
}

@test "two runs of the same second with other RESULTS are two, for Prometheus too" {
    local n pids=() fake=$BATS_TEST_TMPDIR/fake
    mkdir "$fake"
    printf '#!/bin/sh\nexec /bin/date -d 2026-11-24T08:15:02Z "$@"\n' >"$fake/date"
    chmod +x "$fake/date"
    for n in one two; do
        env TEXTFILE= PATH="$fake:$PATH" RESULTS="$BATS_TEST_TMPDIR/$n" "$ROOT/scripts/metrics" >/dev/null 2>"$BATS_TEST_TMPDIR/err.$n" </dev/null 3>&- &
        pids+=("$!")
    done
    both() { (($(find "$FILE_SD" -name '*.json' | wc -l) == 2)); }
    until_true 60 both || :
    # Before they are looked at, since a failure is to leave nothing.
    mkdir "$BATS_TEST_TMPDIR/seen"
    cp "$FILE_SD"/*.json "$BATS_TEST_TMPDIR/seen"
    kill -TERM "${pids[@]}"
    wait "${pids[@]}" || :
    equal "$(find "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two" -name 2026-11-24T08-15-02Z-metrics | wc -l)" 2
    equal "$(jq -r '.[0].labels.run' "$BATS_TEST_TMPDIR"/seen/*.json | sort -u | grep -c ^2026-11-24T08-15-02Z-metrics-)" 2
    equal "$(find "$FILE_SD" -type f)" ''
    until_true 20 nothing_left
}

@test "the last values are in node_exporter's folder, and in the Pushgateway as Prometheus would read them" {
    cmp "$OUT/textfile/qdrant_loader.prom" "$FIRST/metrics.prom"
    equal "$(stat -c %a "$OUT/textfile/qdrant_loader.prom")" 644
    # Every sample of the snapshot, under the group's labels.
    local ours theirs
    ours=$(grep -cvE '^#|^$' "$FIRST/metrics.prom")
    theirs=$(grep -c "instance=\"$(uname -n)\",job=\"qdrant_loader\"" "$OUT/gateway.page")
    # The gateway adds two series of its own to a group.
    equal "$theirs" "$((ours + 2))" 'series in the gateway'
    matches "$(<"$OUT/gateway.page")" "qdrant_loader_chunks_total\{instance=\"$(uname -n)\",job=\"qdrant_loader\",state=\"upserted\"\} $(jq .points "$OUT/stand in's \"dir\"/qdrant.counts.json")"
    equal "$(grep -c '^qdrant_loader_run_exit_code{' "$OUT/gateway.page")" 1
}

@test "no secret of argv, config, .env, environment or PUSH is on a page, pushed, or in the run folder" {
    run -1 grep -raE 'sk-config-secret-1|sk-dotenv-secret-2|env-secret-3|argv-secret-4|push-secret-5' \
        "$OUT/results/" "$OUT/live.page" "$OUT/last.page" "$OUT/last.openmetrics" "$OUT/gateway.page" "$OUT/textfile" "$OUT/announced.json" "$OUT/err" "$OUT/out"
    # Nor any of the corpus, the workspace or the command.
    run -1 grep -E '^[^#].*(work space|corpus|ingest --|\.md")' "$OUT/last.page"
}

@test "kill -9 of the loader loses nothing that was counted: what a page showed of the stopped loader is what is kept and pushed" {
    gateway_start
    target_start LINGER=2 PUSH="$GATEWAY"
    until_true 120 counting
    local loader counters='^qdrant_(loader_(stage|chunks|documents|requests?|rate_limit|response)|ingested|chunking|embedding|upsert)_.*(_total|_bucket|_sum|_count)[{ ]'
    loader=$(jq .pid "$RUN/run.json")
    kill -STOP "$loader"
    until_true 10 grep -q '^State:.*T' "/proc/$loader/status"
    curl -sf "$(url)" | grep -E "$counters" >"$BATS_TEST_TMPDIR/before"
    kill -KILL "$loader"
    target_ends 137
    (($(wc -l <"$BATS_TEST_TMPDIR/before") > 150))
    diff <(sort "$BATS_TEST_TMPDIR/before") <(grep -E "$counters" "$RUN/metrics.prom" | sort)
    # A request that was under way may have been answered and not counted; none is counted that was not answered.
    local answered counted
    answered=$(jq .requests "$RUN/raw/embeddings.counts.json")
    counted=$(value "$RUN/metrics.prom" 'qdrant_loader_requests_total{stage="embed",status="200"}')
    ((counted > 5 && counted <= answered && counted >= answered - 8)) || fail "$answered answered, $counted counted"
    equal "$(value "$RUN/metrics.prom" qdrant_loader_run_exit_code)" 137
    # What was under way then is not, for ever after.
    run -1 grep -E '^qdrant_(loader_(stage_in_flight|requests_in_flight|backlog_chunks|backlog_documents|rate_limit_waiting|process_processes)|chunk_queue_size|cpu_usage_percent)[{ ]' "$RUN/metrics.prom"
    value "$RUN/metrics.prom" 'qdrant_loader_backlog_chunks_peak{between="chunk_embed"}'
    matches "$(curl -sf "$GATEWAY/metrics")" 'qdrant_loader_run_exit_code\{[^}]*\} 137'
    # It could not say itself what it had done.
    matches "$(<"$RUN/summary.md")" "; [0-9]+ documents, $(value "$RUN/metrics.prom" 'qdrant_loader_chunks_total{state="upserted"}') chunks, 0 failed, as counted inside the loader until it ended"
    equal "$(jq -c '[.chunks, .counted_by]' "$RUN/run.json")" "[$(value "$RUN/metrics.prom" 'qdrant_loader_chunks_total{state="upserted"}'),\"shim\"]"
    # The wait ended by its deadline.
    equal "$(jq -r .metrics_scraped "$RUN/run.json")" no
    matches "$(<"$RUN/summary.md")" 'not scraped twice before LINGER was over'
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'loader-failed.*exit status 137, signal (9|SIGKILL|KILL)'
}

@test "kill -9 of the exporter: the ingestion goes on, its totals are kept, and a push that fails is said: exit 3" {
    target_start MIN_REQUEST_INTERVAL=0 PUSH=http://127.0.0.1:9/
    until_true 120 said 'launched the loader'
    kill -KILL "$(child_of_target 'loader_exporter --multiproc')"
    target_ends 3
    counts "$RUN/metrics.prom" "$RUN/raw"
    equal "$(value "$RUN/metrics.prom" qdrant_loader_run_exit_code)" 0
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'exporter-failed.*the ingestion goes on'
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'push-failed.*127\.0\.0\.1:9/metrics/job/qdrant_loader/instance/.*did not take the last values: .*(refused|connect)'
    equal "$(jq -r '[.state, .loader_exit_status] | tostring' "$RUN/run.json")" '["failed",0]'
    equal "$(find "$FILE_SD" -type f)" ''
}

@test "kill -9 of the exporter while the last values are served is said as that, and is exit 3" {
    target_start MIN_REQUEST_INTERVAL=0 LINGER=100
    until_true 120 said 'the loader has ended'
    kill -KILL "$(child_of_target 'loader_exporter --multiproc')"
    target_ends 3
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'exporter-failed.*the loader had ended, and its last values were being served'
    run -1 grep 'ingestion goes on' "$BATS_TEST_TMPDIR/err"
    counts "$RUN/metrics.prom" "$RUN/raw"
    equal "$(find "$FILE_SD" -type f)" ''
}

@test "Ctrl-C ends the loader, keeps what was counted, does not wait, and exits 130" {
    target_start LINGER=300
    until_true 120 counting
    kill -INT -- "-$TARGET"
    SECONDS=0
    target_ends 130
    ((SECONDS < 60))
    (($(value "$RUN/metrics.prom" 'qdrant_loader_chunks_total{state="upserted"}') > 0))
    value "$RUN/metrics.prom" qdrant_loader_run_exit_code
    matches "$(<"$RUN/summary.md")" 'Per stage, as counted inside the loader'
    matches "$(<"$RUN/summary.md")" 'The run was stopped before its end \(SIGINT\)'
    matches "$(<"$RUN/summary.md")" 'nobody was waited for'
    equal "$(jq -c '[.state, .stopped, .exit_status, .metrics_scraped]' "$RUN/run.json")" '["stopped","SIGINT",130,"stopped"]'
    equal "$(find "$FILE_SD" -type f)" ''
}

@test "kill -9 of the script ends everything, and make report reads what is left" {
    target_start
    until_true 120 counting
    kill -KILL "$TARGET"
    target_ends 137
    (($(value "$RUN/metrics.prom" 'qdrant_loader_chunks_total{state="upserted"}') > 0))
    equal "$(find "$FILE_SD" -type f)" ''
    run -0 --separate-stderr make --no-print-directory -C "$ROOT" report
    equal "$(jq -r .state "$RUN/run.json")" interrupted
    matches "$(<"$RUN/summary.md")" 'Chunks upserted: [1-9]'
    matches "$(<"$RUN/summary.md")" 'The run was cut off before its end \(its script was killed\)'
}

@test "a loader that fails returns its status, its errors stand by type, and Ctrl-C ends only the wait" {
    target_start MIN_REQUEST_INTERVAL=0.2 LINGER=300
    until_true 120 counting
    kill -KILL "$(child_of_target '.*standin/qdrant.py')"
    until_true 120 said 'the loader has ended \(exit status 1\)'
    kill -INT -- "-$TARGET"
    target_ends 1
    matches "$(<"$RUN/summary.md")" 'Errors by stage and type'
    awk '/^qdrant_loader_stage_errors_total\{stage="upsert",type="[A-Za-z]+"\}/ && $NF > 0 { found = 1 } END { exit !found }' "$RUN/metrics.prom"
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'loader-failed'
}

@test "a loader that runs already: /proc from outside, its tasks by stage, and no shim" {
    MIN_REQUEST_INTERVAL=0.5 loader_start uv
    target_start PID="$WRAPPER" LINGER=1 MIN_REQUEST_INTERVAL=
    until_true 60 said 'serving http'
    local page=$BATS_TEST_TMPDIR/page
    in_flight() { curl -sf "$(url)" >"$page" && awk '/^qdrant_loader_stage_in_flight\{stage="embed"\}/ && $NF > 1 { found = 1 } END { exit !found }' "$page"; }
    until_true 120 in_flight
    equal "$(value "$page" 'loader_exporter_source_up{source="shim"}')" 0
    equal "$(value "$page" 'loader_exporter_source_up{source="multiprocess"}')" 0
    equal "$(value "$page" 'loader_exporter_source_up{source="proc"}')" 1
    equal "$(value "$page" 'loader_exporter_source_up{source="tasks"}')" 1
    # The loader has four embedding batches under way at the most.
    (($(value "$page" 'qdrant_loader_stage_in_flight{stage="embed"}') <= 5))
    (($(value "$page" qdrant_loader_rate_limit_waiting) <= $(value "$page" 'qdrant_loader_stage_in_flight{stage="embed"}')))
    awk '/^qdrant_loader_process_cpu_seconds_total/ { cpu += $NF } /^qdrant_loader_process_resident_memory_bytes/ { rss = $NF } END { exit !(cpu > 1 && rss > 1e8) }' "$page"
    run -1 grep '^qdrant_loader_chunks_total' "$page"
    target_ends 0
    wait_loader
    equal "$(jq .chunks "$RUN/run.json")" "$(jq .points "$STANDIN_DIR/qdrant.counts.json")"
    matches "$(<"$RUN/summary.md")" 'by stage was not counted'
    # The last page says that it has ended, and nothing is under way any more.
    equal "$(value "$RUN/metrics.prom" qdrant_loader_up)" 0
    run -1 grep '^qdrant_loader_stage_in_flight' "$RUN/metrics.prom"
}

@test "several loaders and none: what to do, and no run folder" {
    local n one two
    mkdir "$BATS_TEST_TMPDIR/ws one" "$BATS_TEST_TMPDIR/ws two"
    for n in one two; do
        (cd "$BATS_TEST_TMPDIR/ws $n" && PYTHONPATH=$FIXTURES/loader-shape exec python3 -m qdrant_loader.cli ingest) >/dev/null 2>&1 3>&- &
        printf -v "$n" %s $!
    done
    until_true 20 test -e "$BATS_TEST_TMPDIR/ws one/ready" -a -e "$BATS_TEST_TMPDIR/ws two/ready"
    run --separate-stderr env PID=find "$ROOT/scripts/metrics"
    kill -KILL "$one" "$two"
    wait "$one" "$two" || :
    equal "$status" 3
    matches "$stderr" "$one .*ws one"
    matches "$stderr" "several-loaders\\] [0-9]+ loaders run \(above\): give one of them, make metrics PID=[0-9]+"
    [[ $stderr != *'--pid PID'* && $stderr != *'Is it running'* ]]
    run -3 env PID="$one" "$ROOT/scripts/metrics"
    matches "$output" 'no-loader-process'
    equal "$(find "$RESULTS" -mindepth 1 2>/dev/null)" ''
}

@test "on a terminal the summary begins on a line of its own" {
    mkdir -p "$BATS_TEST_TMPDIR/run/log"
    : >"$BATS_TEST_TMPDIR/run/log/exporter.log"
    cat >"$BATS_TEST_TMPDIR/lingers" <<'X'
. "$ROOT/scripts/lib/common.sh"
. "$ROOT/scripts/lib/run.sh"
. "$ROOT/scripts/lib/flow.sh"
. "$ROOT/scripts/lib/metrics.sh"
RUN=$BATS_TEST_TMPDIR/run
URL=http://127.0.0.1/metrics LINGER=5
sleep 0.5 &
EXPORTER=$!
metrics_linger
printf '# metrics\n' >&2
X
    run -0 script -qec "bash '$BATS_TEST_TMPDIR/lingers'" /dev/null
    matches "$output" 'serving the last values at'
    # The line is wiped before.
    matches "$output" $'\r\x1b\\[K# metrics'
}

@test "a taken port is exit 3 with the next step, before anything is started" {
    python3 -c 'import socket, time; s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True); time.sleep(60)' >"$BATS_TEST_TMPDIR/port" 3>&- &
    GATEWAY_PID=$!
    until_true 10 test -s "$BATS_TEST_TMPDIR/port"
    run -3 env LISTEN="127.0.0.1:$(<"$BATS_TEST_TMPDIR/port")" "$ROOT/scripts/metrics"
    matches "$output" 'port-taken.*the address is taken.*LISTEN=127\.0\.0\.1:0'
    [[ $output != *launched* ]]
    equal "$(find "$RESULTS"/*-metrics/log -name 'standin*')" ''
    nothing_left
}

@test "an address that others reach is told, and WEB_CONFIG puts a password before it" {
    target_start LISTEN=0.0.0.0:0
    until_true 60 said 'serving http'
    until_true 60 said 'open-endpoint\] LISTEN=0\.0\.0\.0:0: everybody who reaches this address can read the metrics.*WEB_CONFIG'
    kill -TERM "$TARGET"
    target_ends 143
    local port
    # bcrypt, cost 5, of "secret".
    printf 'basic_auth_users:\n  alice: $2y$05$sa4rXEDWdecOEWwrDJ09ru8qCE7WCuF9ujKAbUw7W1lksFhVMvMuG\n' >"$BATS_TEST_TMPDIR/web.yml"
    target_start LISTEN=0.0.0.0:0 WEB_CONFIG="$BATS_TEST_TMPDIR/web.yml"
    # The line has its figures all the same.
    until_true 120 said '[0-9] s: .*CPU [0-9.]+ s, RSS [1-9]'
    port=$(jq .port "$RUN/raw/exporter.json")
    code() { curl -s -o /dev/null -w '%{http_code}' "$@" "http://127.0.0.1:$port/metrics"; }
    equal "$(code)" 401
    equal "$(code -u alice:secret)" 200
    run ! said open-endpoint
    said "clear-passwords\] LISTEN=0\.0\.0\.0:0: Prometheus' password crosses the network in clear\. Give .*web\.yml a tls_server_config"
    kill -TERM "$TARGET"
    target_ends 143
    : >"$BATS_TEST_TMPDIR/empty.yml"
    target_start WEB_CONFIG="$BATS_TEST_TMPDIR/empty.yml"
    until_true 120 said 'empty-web-config\] WEB_CONFIG=.*empty.yml has neither TLS nor users'
    kill -TERM "$TARGET"
    target_ends 143
    run -2 env WEB_CONFIG="$BATS_TEST_TMPDIR/none.yml" "$ROOT/scripts/metrics"
    matches "$output" 'WEB_CONFIG: not a file that can be read'
}

@test "a file system that fills up while it runs is told before it kills the loader, whose metrics folder is nobody else's" {
    run -0 own_mounts bash -c '
        small=$BATS_TEST_TMPDIR/small err=$BATS_TEST_TMPDIR/err
        until_true() { until "$@"; do ((SECONDS < 120)) || { kill $target; cat $err; exit 9; }; read -rt 0.05 <> <(:) || :; done; }
        mkdir "$small" && mount -t tmpfs -o size=160m tmpfs "$small"
        TMPDIR=$small "$ROOT/scripts/metrics" 2>"$err" >/dev/null </dev/null 3>&- &
        target=$!
        until_true grep -q "launched the loader" "$err"
        echo "mode $(stat -c %a "$small"/qlp-*/multiproc)"
        upserted() { curl -sf "$(sed -n "s/^metrics: serving //p" "$err")" | grep -q "^qdrant_loader_requests_total{stage=\"upsert\""; }
        until_true upserted
        head -c "$(($(df --output=avail -m "$small" | tail -n 1) - 6))M" /dev/zero >"$small/fill"
        until_true grep "metrics-no-room" "$err"
        rm "$small/fill"
        kill -TERM $target
        status=0
        wait $target || status=$?
        echo "status $status"'
    matches "$output" 'mode 700'
    matches "$output" 'metrics-no-room\] only [0-7] MiB are left for the loader.s metrics in .*small.*SIGBUS'
    matches "$output" 'status 143'
    until_true 20 nothing_left
    matches "$(<"$RUN/summary.md")" 'metrics-no-room'
}

@test "a file system without room for the loader's metrics is refused" {
    run -0 own_mounts bash -c '
        mkdir "$BATS_TEST_TMPDIR/small" && mount -t tmpfs -o size=20m tmpfs "$BATS_TEST_TMPDIR/small"
        status=0
        TMPDIR=$BATS_TEST_TMPDIR/small "$ROOT/scripts/metrics" || status=$?
        echo "status $status"'
    matches "$output" 'metrics-no-room.*only (20|19) MiB are free.*kills the loader \(SIGBUS\)\. Set TMPDIR'
    matches "$output" 'status 3'
    [[ $output != *launched* ]]
}

@test "words that make no sense exit 2 and name the option" {
    local listen
    run -2 env LISTEN=9464x "$ROOT/scripts/metrics"
    matches "$output" 'LISTEN: not HOST:PORT'
    # As the exporter reads them, and before there is a run.
    run -2 env LISTEN=127.0.0.1:99999 "$ROOT/scripts/metrics"
    matches "$output" "bad-option\\] LISTEN: not a port from 0 to 65535: '99999'"
    for listen in ::1:0 '[::1:0' x:y:0; do
        run -2 env LISTEN="$listen" "$ROOT/scripts/metrics"
        matches "$output" "bad-option\\] LISTEN: an IPv6 address stands in brackets: '"
    done
    printf 'users:\n  a: b\n' >"$BATS_TEST_TMPDIR/web.yml"
    run -2 env WEB_CONFIG="$BATS_TEST_TMPDIR/web.yml" "$ROOT/scripts/metrics"
    matches "$output" 'bad-option\] WEB_CONFIG: .*web.yml:1: users: not tls_server_config'
    [[ $output != *"Try '"* ]]
    equal "$(find "$BATS_TEST_TMPDIR/results" 2>/dev/null)" ''
    run -2 env FILE_SD=/no/such/folder "$ROOT/scripts/metrics"
    matches "$output" 'FILE_SD: not a folder'
    run -2 env TEXTFILE="$ROOT/README.md" "$ROOT/scripts/metrics"
    matches "$output" 'TEXTFILE: not a folder'
    run -2 env PUSH=gateway:9091 "$ROOT/scripts/metrics"
    matches "$output" 'PUSH: not the URL'
    run -2 env LINGER=long "$ROOT/scripts/metrics"
    matches "$output" "LINGER: not a number of s: 'long'"
    run -2 env PID=1 WORKSPACE=/tmp "$ROOT/scripts/metrics"
    matches "$output" 'PID attaches'
}

@test "what a gateway answers is told, without the password of its URL" {
    gateway_start
    mkdir -p "$BATS_TEST_TMPDIR/run/raw" "$BATS_TEST_TMPDIR/run/log"
    : >"$BATS_TEST_TMPDIR/run/raw/notes.md"
    printf 'a_total 1\na_total{ 2\n' >"$BATS_TEST_TMPDIR/run/metrics.prom"
    run -0 env PUSH="http://me:hush-hush@${GATEWAY#http://}/" RUN="$BATS_TEST_TMPDIR/run" bash -c '. "$ROOT/scripts/lib/common.sh"
        . "$ROOT/scripts/lib/run.sh"; . "$ROOT/scripts/lib/flow.sh"; . "$ROOT/scripts/lib/metrics.sh"
        SNAPSHOT=$RUN/metrics.prom; push_last; echo "failed $TOOL_FAILED"'
    matches "$output" 'push-failed.*\[redacted\]@127.*did not take the last values: .*text format parsing error'
    matches "$output" 'failed 1'
    [[ $output != *hush* ]]
    # A path of one's own is taken as it is.
    printf 'a_total 1\n' >"$BATS_TEST_TMPDIR/run/metrics.prom"
    run -0 env PUSH="$GATEWAY/metrics/job/nightly/tenant/a" RUN="$BATS_TEST_TMPDIR/run" bash -c '. "$ROOT/scripts/lib/common.sh"
        . "$ROOT/scripts/lib/run.sh"; . "$ROOT/scripts/lib/flow.sh"; . "$ROOT/scripts/lib/metrics.sh"
        SNAPSHOT=$RUN/metrics.prom; push_last; echo "failed $TOOL_FAILED"'
    matches "$output" 'failed 0'
    matches "$(curl -sf "$GATEWAY/metrics")" 'a_total\{instance="",job="nightly",tenant="a"\} 1'
}
