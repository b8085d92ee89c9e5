#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The whole way: the real loader under the shim, the exporter outside, Prometheus with this repository's configuration,
# rules and dashboards, and totals that equal what the stand-ins counted.
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
    PROCRUN=
}

teardown() {
    if [[ -n $PROCRUN ]]; then kill "$PROCRUN" 2>/dev/null || :; fi
    prometheus_end
    end_started
    rm -rf "$DIR"
}

# launch: Prometheus, stand-ins, loader, exporter. QDRANT_FAULT is what Qdrant's does wrong.
launch() {
    prometheus_start "$DIR"
    start qdrant ${QDRANT_FAULT:+--fault "$QDRANT_FAULT"}
    QDRANT=$URL
    start embeddings
    EMBEDDINGS=$URL
    "$TOOLS_ENV_PYTHON" "$STANDIN/corpus.py" --files "$FILES" --loader-python "$LOADER_ENV_PYTHON" "$DIR/corpus" >/dev/null
    "$TOOLS_ENV_PYTHON" "$STANDIN/workspace.py" "$DIR/ws" --corpus "$DIR/corpus" --qdrant-url "$QDRANT" \
        --embeddings-url "$EMBEDDINGS" --min-request-interval 0.2
    mkdir -m 700 "$DIR/mp"
    PYTHONPATH=$ROOT/scripts/shim PROMETHEUS_MULTIPROC_DIR=$DIR/mp PYTHONDONTWRITEBYTECODE=1 \
        procrun --result "$DIR/result.tsv" --pid-file "$DIR/pid" --cwd "$DIR/ws" -- \
        "$LOADER_ENV_PYTHON" -m qdrant_loader.cli.cli ingest --workspace "$DIR/ws" --force >"$DIR/log" 2>&1 3>&- &
    PROCRUN=$!
    until_true 20 test -s "$DIR/pid"
    loader_exporter --multiproc-dir "$DIR/mp" --pid-file "$DIR/pid" --run-result "$DIR/result.tsv" \
        --web.listen-address 127.0.0.1:0 --ready-file "$DIR/exporter" --file-sd "$DIR/targets/run.json" --file-sd-label run=demo \
        >"$DIR/exporter.log" 2>&1 3>&- &
    EXPORTER=$!
    STARTED+=("$EXPORTER")
    until_true 20 test -s "$DIR/exporter"
    BEGIN=$EPOCHSECONDS
}

# promql EXPRESSION: its value, n/a without one.
promql() {
    curl -sfG "$PROMETHEUS/api/v1/query" --data-urlencode "query=$1" | jq -r '.data.result[0].value[1] // "n/a"'
}

is() {
    [[ $(promql "$1") == "$2" ]]
}

firing() {
    curl -sf "$PROMETHEUS/api/v1/alerts" | jq -e --arg name "$1" '.data.alerts[] | select(.labels.alertname == $name and .state == "firing")' >/dev/null
}

# ended STATUS: waits for the loader, and until Prometheus knows its end.
ended() {
    local status=0
    wait "$PROCRUN" || status=$?
    PROCRUN=
    equal "$status" "$1" 'exit status of the loader'
    until_true 60 is qdrant_loader_run_exit_code "$1"
}

of() {
    curl -sf "$1/_standin/counts" | jq -r "$2"
}

@test "PromQL gives the totals that the stand-ins counted, and every panel has data" {
    launch
    until_true 600 is 'qdrant_loader_up' 1
    until_true 600 is 'qdrant_loader_backlog_chunks{between="chunk_embed"} > bool 0' 1
    ended 0
    local points
    points=$(of "$QDRANT" .points)
    ((points > FILES * 6))
    equal "$(promql 'sum(qdrant_loader_chunks_total{state="upserted", run="demo"})')" "$points" 'chunks upserted'
    equal "$(promql qdrant_ingested_documents_total)" "$points" "the loader's own counter"
    equal "$(promql 'sum(qdrant_loader_documents_total{state="succeeded"})')" "$FILES" documents
    equal "$(promql 'sum(qdrant_loader_requests_total{stage="embed"})')" "$(of "$EMBEDDINGS" .requests)" 'embedding requests'
    equal "$(promql 'sum(qdrant_loader_requests_total{stage="upsert"})')" "$(of "$QDRANT" '.by_route["PUT /collections/{c}/points"]')" upserts
    equal "$(promql 'sum(qdrant_loader_backlog_chunks) or vector(0)')" 0 'backlog at the end'
    equal "$(promql 'qdrant_loader_up')" 0
    # The CPU time is what the kernel told procrun at the end, but for what was used since the last look at /proc.
    run -0 promql 'sum(qdrant_loader_process_cpu_seconds_total)'
    awk -v cpu="$output" '/^# cpu_(user|system)_s:/ { total += $3 } END { exit !(cpu > 0.95 * total && cpu < 1.01 * total) }' "$DIR/result.tsv" ||
        fail "CPU seconds: $output of $(grep cpu_ "$DIR/result.tsv")"
    # No alert, and all recording rules work.
    equal "$(curl -sf "$PROMETHEUS/api/v1/alerts" | jq '[.data.alerts[] | select(.state == "firing")] | length')" 0 alerts
    equal "$(curl -sf "$PROMETHEUS/api/v1/rules" | jq '[.data.groups[].rules[] | select(.health != "ok")] | length')" 0 'rules that fail'
    # The range has to hold the last values: one that ends in the very second of their first sample ends before it.
    local end=$((EPOCHSECONDS + 1))
    until_true 30 is "timestamp(qdrant_loader_run_exit_code) > bool $end" 1
    run -0 env PYTHONDONTWRITEBYTECODE=1 "$TOOLS_ENV_PYTHON" "$ROOT/tests/lib/grafana_check.py" query "$PROMETHEUS" "$BEGIN" "$end" "$ROOT"/docs/monitoring/grafana/*.json
    matches "$output" '[89][0-9] expressions, 0 empty'
}

@test "a run with failing upserts fires the alerts of a failed run and of errors, and the exporter's death its own" {
    QDRANT_FAULT='{"route": "points", "status": 500, "every": 3}' launch
    sed -i 's/for: [0-9]*m/for: 1s/' "$DIR/alerts.yml"
    kill -HUP "$PROMETHEUS_PID"
    ended 1
    until_true 60 firing QdrantLoaderRunFailed
    equal "$(promql 'sum(qdrant_loader_stage_errors_total{stage="upsert", type="UnexpectedResponse"})')" "$(of "$QDRANT" '.by_status["500"]')" errors
    equal "$(promql 'sum(qdrant_loader_chunks_total{state="upserted"})')" "$(of "$QDRANT" .points)" chunks
    until_true 60 firing QdrantLoaderErrors
    # Killed, it cannot take its announcement back.
    kill -KILL "$EXPORTER"
    until_true 60 firing QdrantLoaderExporterDown
}
