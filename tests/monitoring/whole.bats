#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The whole way: make metrics (the real loader under the shim, the exporter outside), which a Prometheus finds that has this
# repository's configuration, rules and dashboards; and totals that equal what the stand-ins counted.
load ../lib/common
load ../lib/standin
load ../lib/prometheus

FILES=${E2E_FILES:-100}

setup() {
    DIR=$(mktemp -d "$([[ -w /dev/shm ]] && echo /dev/shm || echo "$BATS_TEST_TMPDIR")/monitoring.XXXXXX")
    # The repository's configuration, but for its intervals: a test does not wait for minutes.
    cp -r "$ROOT/docs/monitoring/prometheus/." "$DIR"
    mkdir -p "$DIR/targets"
    sed -i 's/scrape_interval: 5s/scrape_interval: 1s/; s/scrape_timeout: 4s/scrape_timeout: 1s/; s/evaluation_interval: 15s/evaluation_interval: 1s/' "$DIR/prometheus.yml"
    TARGET=
}

teardown() {
    if [[ -n $TARGET ]]; then
        kill "$TARGET" 2>/dev/null || :
        wait "$TARGET" || :
    fi
    prometheus_end
    end_started
    rm -rf "$DIR"
}

# launch [NAME=VALUE…]: Prometheus, and make metrics, which announces itself to it.
launch() {
    prometheus_start "$DIR"
    env FILES="$FILES" MIN_REQUEST_INTERVAL=0.2 LISTEN=127.0.0.1:0 FILE_SD="$DIR/targets" LINGER=120 RESULTS="$DIR/results" "$@" \
        "$ROOT/scripts/metrics" >"$DIR/out" 2>"$DIR/err" </dev/null 3>&- &
    TARGET=$!
    until_true 120 grep -q 'serving http' "$DIR/err"
    BEGIN=$EPOCHSECONDS
}

# ended STATUS: waits for make metrics, which waits for two scrapes of Prometheus: RUN, its folder, and AT, when
# Prometheus has scraped it last.
ended() {
    local status=0
    until_true 900 grep -q 'the loader has ended' "$DIR/err"
    SECONDS=0
    wait "$TARGET" || status=$?
    TARGET=
    equal "$status" "$1" "exit status of make metrics; $(tail -n 3 "$DIR/err")"
    ((SECONDS < 60)) || fail "$SECONDS s for two scrapes"
    RUN=$(readlink -f "$DIR/results/latest")
    equal "$(jq -r .metrics_scraped "$RUN/run.json")" yes 'last values scraped'
    equal "$(find "$DIR/targets" -name '*.json')" '' 'announcements left'
    # All that is left of it is what Prometheus holds.
    until_true 60 is 'sum(up)' n/a
    AT=$(curl -sfG "$PROMETHEUS/api/v1/query" --data-urlencode 'query=qdrant_loader_run_exit_code[15m]' | jq -r '.data.result[0].values[-1][0]')
}

# promql EXPRESSION: its value, now or AT that time; n/a without one.
promql() {
    curl -sfG "$PROMETHEUS/api/v1/query" --data-urlencode "query=$1" ${AT:+--data-urlencode "time=$AT"} | jq -r '.data.result[0].value[1] // "n/a"'
}

is() {
    [[ $(promql "$1") == "$2" ]]
}

firing() {
    curl -sf "$PROMETHEUS/api/v1/alerts" | jq -e --arg name "$1" '.data.alerts[] | select(.labels.alertname == $name and .state == "firing")' >/dev/null
}

@test "Prometheus finds make metrics, scrapes its last values, and has the totals that the stand-ins counted in every panel" {
    local points
    launch
    until_true 600 is 'qdrant_loader_up' 1
    until_true 600 is 'qdrant_loader_backlog_chunks{between="chunk_embed"} > bool 0' 1
    ended 0
    counted() { jq -r "$2" "$RUN/raw/$1.counts.json"; }
    points=$(counted qdrant .points)
    ((points > FILES * 6))
    equal "$(promql "sum(qdrant_loader_chunks_total{state=\"upserted\", run=\"$(jq -r .metrics_run "$RUN/run.json")\"})")" "$points" 'chunks upserted'
    equal "$(promql qdrant_ingested_documents_total)" "$points" "the loader's own counter"
    equal "$(promql 'sum(qdrant_loader_documents_total{state="succeeded"})')" "$FILES" documents
    equal "$(promql 'sum(qdrant_loader_requests_total{stage="embed"})')" "$(counted embeddings .requests)" 'embedding requests'
    equal "$(promql 'sum(qdrant_loader_requests_total{stage="upsert"})')" "$(counted qdrant '.by_route["PUT /collections/{c}/points"]')" upserts
    equal "$(promql 'sum(qdrant_loader_backlog_chunks) or vector(0)')" 0 'backlog at the end'
    equal "$(promql qdrant_loader_up)" 0
    equal "$(promql qdrant_loader_run_exit_code)" 0
    # The CPU time is what the kernel told procrun at the end, but for what was used since the last look at /proc.
    run -0 promql 'sum(qdrant_loader_process_cpu_seconds_total)'
    awk -v cpu="$output" '/^# cpu_(user|system)_s:/ { total += $3 } END { exit !(cpu > 0.95 * total && cpu < 1.01 * total) }' "$RUN/raw/procrun.tsv" ||
        fail "CPU seconds: $output of $(grep cpu_ "$RUN/raw/procrun.tsv")"
    # No alert, and all recording rules work.
    equal "$(curl -sf "$PROMETHEUS/api/v1/alerts" | jq '[.data.alerts[] | select(.state == "firing")] | length')" 0 alerts
    equal "$(curl -sf "$PROMETHEUS/api/v1/rules" | jq '[.data.groups[].rules[] | select(.health != "ok")] | length')" 0 'rules that fail'
    mkdir "$DIR/panels"
    run -0 env PYTHONDONTWRITEBYTECODE=1 "$TOOLS_ENV_PYTHON" "$ROOT/tests/lib/grafana_check.py" draw "$PROMETHEUS" "$BEGIN" "$AT" "$DIR/panels" "$ROOT"/docs/monitoring/grafana/*.json
    matches "$output" '[89][0-9] expressions, 0 empty; [5-9][0-9] panels drawn, 0 blank'
}

@test "a run with failing upserts fires the alerts of a failed run and of errors, and the exporter's death its own" {
    local qdrant counts
    sed -i 's/for: [0-9]*m/for: 1s/' "$DIR/alerts.yml"
    start qdrant --fault '{"route": "points", "status": 500, "every": 3}'
    qdrant=$URL
    start embeddings
    "$TOOLS_ENV_PYTHON" "$STANDIN/corpus.py" --files "$FILES" --loader-python "$LOADER_ENV_PYTHON" "$DIR/corpus" >/dev/null
    "$TOOLS_ENV_PYTHON" "$STANDIN/workspace.py" "$DIR/ws" --corpus "$DIR/corpus" --qdrant-url "$qdrant" --embeddings-url "$URL" --min-request-interval 0.2
    launch WORKSPACE="$DIR/ws" ARGS=--force LOADER_PYTHON="$LOADER_ENV_PYTHON"
    ended 1
    until_true 60 firing QdrantLoaderRunFailed
    until_true 60 firing QdrantLoaderErrors
    counts=$(curl -sf "$qdrant/_standin/counts")
    equal "$(promql 'sum(qdrant_loader_stage_errors_total{stage="upsert", type="UnexpectedResponse"})')" "$(jq '.by_status["500"]' <<<"$counts")" errors
    equal "$(promql 'sum(qdrant_loader_chunks_total{state="upserted"})')" "$(jq .points <<<"$counts")" chunks
    # One that is killed cannot take its announcement back.
    loader_exporter --pid-file "$DIR/none" --web.listen-address 127.0.0.1:0 --file-sd "$DIR/targets/killed.json" >"$DIR/exporter.log" 2>&1 3>&- &
    STARTED+=("$!")
    AT=
    until_true 60 is 'sum(up)' 1
    kill -KILL "${STARTED[-1]}"
    until_true 60 firing QdrantLoaderExporterDown
}
