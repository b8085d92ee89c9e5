#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# loader_exporter and the files of prometheus_client's multiprocess mode.
load ../lib/common

setup() {
    PY=${LOADER_ENV_PYTHON:?"the loader environment's Python"}
    MULTIPROC=$ROOT/tests/lib/multiproc.py
    DIR=$BATS_TEST_TMPDIR/multiproc
    mkdir -m 0700 "$DIR"
}

teardown() {
    [[ -z ${LOADER-} ]] || kill -9 "$LOADER" 2>/dev/null || :
}

# page [OPTION…]: one page in $output and in $PAGE.
page() {
    PAGE=$BATS_TEST_TMPDIR/page
    run -0 --separate-stderr loader_exporter --once --multiproc-dir "$DIR" "$@"
    printf '%s\n' "$output" >"$PAGE"
    [[ -z $stderr ]] || fail "messages"
}

# value SERIES: its value on the page; empty when it is not there.
value() {
    SERIES=$1 awk 'BEGIN { s = ENVIRON["SERIES"] " " } index($0, s) == 1 { print substr($0, length(s) + 1) }' "$PAGE"
}

# raw NAME KIND: a file made by hand.
raw() {
    "$PY" "$MULTIPROC" raw "$DIR/$1" "$2"
}

# bad KIND REASON [GOOD [BEHIND]]: a good file and a bad one: the good one's values stand, the bad one is counted, once for each reading,
# and so do the whole entries of the bad one (third and fourth argument: good_total and behind_total).
bad() {
    raw counter_1.db good
    raw counter_2.db "$1"
    page
    equal "$(value "loader_exporter_bad_files_total{reason=\"$2\"}")" 1.0 "bad files"
    equal "$(value 'loader_exporter_multiprocess_files{state="ok"}')" 1.0 "good files"
    equal "$(value 'loader_exporter_multiprocess_files{state="bad"}')" 1.0 "bad files now"
    equal "$(value good_total)" "${3-7.0}" "good_total"
    equal "$(value behind_total)" "${4-}" "behind_total"
    "$PY" "$MULTIPROC" text "$PAGE"
}

# skipped KIND REASON: an entry that is left out between two good ones.
skipped() {
    raw counter_1.db "$1"
    page
    equal "$(value "loader_exporter_bad_entries_total{reason=\"$2\"}")" 1.0 "bad entries"
    equal "$(value 'loader_exporter_multiprocess_files{state="ok"}')" 1.0 "good files"
    equal "$(value good_total)" 7.0
    equal "$(value behind_total)" 3.0
    [[ $output != *x_total* ]] || fail "the bad entry is on the page"
    "$PY" "$MULTIPROC" text "$PAGE"
}

@test "every series equals the official collector's, all types and modes of four processes" {
    "$PY" "$MULTIPROC" real "$DIR" 4
    page --web.disable-exporter-metrics
    run -0 "$PY" "$MULTIPROC" equal "$DIR" "$PAGE"
    equal "$output" '245 series, 36 families equal'
    page --web.disable-exporter-metrics --once=openmetrics
    run -0 "$PY" "$MULTIPROC" equal "$DIR" "$PAGE"
    equal "$output" '245 series, 36 families equal'
}

@test "the loader's own metrics equal the official collector's" {
    PROMETHEUS_MULTIPROC_DIR=$DIR "$PY" -c '
import qdrant_loader.core.monitoring.prometheus_metrics as m
for i in range(1024):
    m.INGESTED_DOCUMENTS.inc()
    m.CHUNKING_DURATION.observe(i * 0.013)
m.CPU_USAGE.set(12.5)'
    page
    equal "$(value qdrant_ingested_documents_total)" 1024.0
    equal "$(value 'qdrant_chunking_duration_seconds_bucket{le="0.5"}')" 39.0
    run -0 promtool check metrics <"$PAGE"
    page --web.disable-exporter-metrics
    run -0 "$PY" "$MULTIPROC" equal "$DIR" "$PAGE"
    equal "$output" '56 series, 8 families equal'
}

@test "OpenMetrics has _created for counters, histograms and summaries, and the strict parser takes it" {
    local before now
    before=$EPOCHSECONDS
    "$PY" "$MULTIPROC" real "$DIR" 1
    page --once=openmetrics
    "$PY" "$MULTIPROC" strict "$PAGE"
    now=$EPOCHSECONDS
    for series in plain_created 'took_seconds_created{stage="chunk"}' 'wait_seconds_created{stage="x"}'; do
        awk -v v="$(value "$series")" -v a="$before" -v b="$now" -v s="$series" 'BEGIN {
            if (v + 0 < a - 1 || v + 0 > b + 1) { print s, v, a, b; exit 1 } }'
    done
    page
    run ! grep -q _created "$PAGE"
}

@test "10000 series are read, exactly" {
    raw counter_1.db 10000-series
    page
    equal "$(grep -c '^big_total{' "$PAGE")" 10000
    equal "$(value 'big_total{i="series 9999"}')" 9999.5
    "$PY" "$MULTIPROC" text "$PAGE"
}

@test "more than 4096 files, or 50000 series, are read up to there, and counted" {
    local n
    for n in {1..4100}; do : >"$DIR/counter_$n.db"; done
    page
    equal "$(value 'loader_exporter_bad_files_total{reason="limit"}')" 4.0
    equal "$(value 'loader_exporter_multiprocess_files{state="empty"}')" 4096.0
    rm "$DIR"/*
    raw counter_1.db 60000-series
    page
    equal "$(value 'loader_exporter_bad_files_total{reason="limit"}')" 1.0
    equal "$(grep -c '^big_total{' "$PAGE")" 50000
}

@test "an empty file is no fault" {
    raw counter_1.db good
    raw counter_2.db empty
    page
    equal "$(value good_total)" 7.0
    equal "$(value 'loader_exporter_multiprocess_files{state="empty"}')" 1.0
    equal "$(value 'loader_exporter_multiprocess_files{state="bad"}')" 0.0
    run -0 awk '/^loader_exporter_bad_/ { n += $2 } END { print n + 0 }' "$PAGE"
    equal "$output" 0
}

@test "a file of zeros is no fault" {
    raw counter_1.db zeros
    page
    equal "$(value 'loader_exporter_multiprocess_files{state="empty"}')" 1.0
    equal "$(value 'loader_exporter_multiprocess_files{state="bad"}')" 0.0
}

@test "a file of three bytes is bad" { bad three-bytes size; }
@test "used = 4 is bad" { bad used-4 used; }
@test "a negative used is bad" { bad used-negative used; }
@test "used = 2^31-1 is bad, but its entries count and no memory is taken" {
    # The sanitizers map terabytes.
    [[ -n ${SAN-} ]] || ulimit -v 400000
    bad used-max used 14.0
}
@test "used above the file's size is bad, but its entries count" { bad used-above-size used 14.0; }
@test "a file cut in a length is bad, but the entries before count" { bad cut-in-length used 14.0; }
@test "a file cut in a key is bad, but the entries before count" { bad cut-in-key used 14.0; }
@test "a file cut in a value is bad, but the entries before count" { bad cut-in-value used 14.0; }
@test "an entry that ends a little above used is bad" { bad cut-in-padding entry 14.0; }
@test "a negative length ends the file" { bad length-negative entry 14.0; }
@test "a length of 0 ends the file" { bad length-zero entry 14.0; }
@test "a length of -28 does not walk backwards" { bad length-backwards entry 14.0; }
@test "a length of 1 GiB ends the file" { bad length-huge entry 14.0; }
@test "a length past the end ends the file" { bad length-past-end entry 14.0; }

@test "a key that is not UTF-8 is left out" { skipped not-utf8 json; }
@test "a key that is not JSON is left out" { skipped not-json json; }
@test "a key of three items is left out" { skipped three-items shape; }
@test "a key of five items is left out" { skipped five-items shape; }
@test "labels that are a list are left out" { skipped labels-list shape; }
@test "a label value that is a number is left out" { skipped number-label shape; }
@test "a help text that is null is left out" { skipped null-help shape; }
@test "a sample that is not its family's is left out" { skipped foreign-sample shape; }
@test "an empty metric name is left out" { skipped empty-name name; }
@test "an empty label name is left out" { skipped empty-label label; }
@test "a label __name__ is left out" { skipped name-label label; }
@test "labels that would be written alike are left out" { skipped alike-labels label; }

@test "a lone surrogate becomes U+FFFD" {
    raw counter_1.db surrogate
    page
    equal "$(value $'x_total{a="<\xef\xbf\xbd>"}')" 1.0
    "$PY" "$MULTIPROC" text "$PAGE"
}

@test "surrogate pairs, escapes and NUL come out as UTF-8 that parsers take" {
    raw counter_1.db pair
    page --once=openmetrics
    equal "$(value $'x_total{a="\xf0\x9f\x98\x80\xc3\xa9\xef\xbf\xbd\\"\\\\\\n"}')" 1.0
    "$PY" "$MULTIPROC" strict "$PAGE"
}

@test "bad names are rewritten as prometheus_client does it" {
    raw counter_1.db bad-name
    page
    equal "$(value 'm_m_total{l_l="v"}')" 1.0
    "$PY" "$MULTIPROC" text "$PAGE"
}

@test "NaN, infinities and negative counters are passed on" {
    local kind
    for kind in nan:NaN inf:+Inf minus-inf:-Inf negative:-1.0; do
        raw counter_1.db "${kind%:*}"
        page
        equal "$(value x_total)" "${kind#*:}" "$kind"
    done
}

@test "a bucket whose bound is no number is left out" {
    local kind
    for kind in le-abc le-nan; do
        raw histogram_1.db "$kind"
        page
        equal "$(value 'loader_exporter_bad_entries_total{reason="le"}')" 1.0 "$kind"
        equal "$(value 'h_bucket{le="+Inf"}')" 2.0 "$kind"
        equal "$(value h_count)" 2.0 "$kind"
    done
    raw histogram_1.db le-number
    page
    equal "$(value 'loader_exporter_bad_entries_total{reason="shape"}')" 1.0
    equal "$(value h_count)" 2.0
}

@test "a histogram that was cut before its last bucket still ends with +Inf" {
    raw histogram_1.db no-inf
    page --once=openmetrics
    equal "$(value 'h_bucket{le="+Inf"}')" 3.0
    equal "$(value h_count)" 3.0
    equal "$(value h_sum)" 5.0
    "$PY" "$MULTIPROC" strict "$PAGE"
    raw histogram_1.db sum-only
    page --once=openmetrics
    equal "$(value h_sum)" ''
    "$PY" "$MULTIPROC" strict "$PAGE"
}

@test "a key twice in one file adds up" {
    raw counter_1.db duplicate
    page
    equal "$(value good_total)" 14.0
}

@test "files whose names are not prometheus_client's are left out" {
    local name
    raw counter_1.db good
    for name in gauge_1.db foo_1.db counter.db info_1.db .counter_9.db counter_1.db.bak notes.txt; do
        raw "$name" good
    done
    page
    equal "$(value good_total)" 7.0
    equal "$(value 'loader_exporter_bad_files_total{reason="name"}')" 4.0
}

@test "an unknown gauge mode is treated like all" {
    raw gauge_weird_1.db gauge
    page
    equal "$(value 'g{pid="1"}')" 4.0
}

@test "a gauge's own label pid gives way to the process's" {
    raw gauge_all_77.db gauge
    page
    equal "$(value 'g{pid="77"}')" 4.0
    run -1 grep -F '"own"' "$PAGE"
}

@test "an identifier with an underscore stays whole" {
    raw gauge_all_w_12.db gauge
    page
    equal "$(value 'g{pid="w_12"}')" 4.0
}

@test "a mostrecent gauge that was never set has no sample" {
    raw gauge_mostrecent_1.db gauge-new
    page
    run -0 grep -x '# TYPE g gauge' "$PAGE"
    equal "$(value g)" ''
    raw gauge_mostrecent_2.db gauge
    page
    equal "$(value g)" 4.0
}

@test "a directory named like a file is left out" {
    raw counter_1.db good
    mkdir "$DIR/counter_2.db"
    page
    equal "$(value good_total)" 7.0
    equal "$(value 'loader_exporter_bad_files_total{reason="type"}')" 1.0
}

@test "a link is not followed, nor a loop of links" {
    raw counter_1.db good
    "$PY" "$MULTIPROC" raw "$BATS_TEST_TMPDIR/elsewhere" good
    ln -s "$BATS_TEST_TMPDIR/elsewhere" "$DIR/counter_2.db"
    ln -s counter_3.db "$DIR/counter_3.db"
    page
    equal "$(value good_total)" 7.0
    equal "$(value 'loader_exporter_bad_files_total{reason="type"}')" 2.0
}

@test "a FIFO does not hang the page" {
    raw counter_1.db good
    mkfifo "$DIR/counter_2.db"
    PAGE=$BATS_TEST_TMPDIR/page
    run -0 --separate-stderr timeout 5 loader_exporter --once --multiproc-dir "$DIR"
    printf '%s\n' "$output" >"$PAGE"
    equal "$(value good_total)" 7.0
    equal "$(value 'loader_exporter_bad_files_total{reason="type"}')" 1.0
}

@test "a socket is left out" {
    raw counter_1.db good
    "$PY" -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$DIR/counter_2.db"
    page
    equal "$(value good_total)" 7.0
    equal "$(value 'loader_exporter_bad_files_total{reason="type"}')" 1.0
}

@test "a file that may not be read, or is another user's, is left out" {
    # Root may read everything and give files away; everybody else may do neither.
    raw counter_1.db good
    raw counter_2.db good
    if ((EUID == 0)); then
        chown 12345 "$DIR/counter_2.db"
        page
        equal "$(value 'loader_exporter_bad_files_total{reason="owner"}')" 1.0
        equal "$(value good_total)" 7.0
        page --uid 12345
        equal "$(value good_total)" 14.0
        # The loader's own user's files are read.
        mkfifo "$BATS_TEST_TMPDIR/in"
        exec 9<>"$BATS_TEST_TMPDIR/in"
        "$PY" -c 'import os, sys; os.setuid(12345); print(flush=True); sys.stdin.read()' <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/up" 3>&- &
        LOADER=$!
        until_true 10 test -s "$BATS_TEST_TMPDIR/up"
        page --pid "$LOADER"
        equal "$(value good_total)" 14.0
        kill -9 "$LOADER"
    else
        chmod 0 "$DIR/counter_2.db"
        page
        equal "$(value 'loader_exporter_bad_files_total{reason="open"}')" 1.0
        equal "$(value good_total)" 7.0
    fi
}

@test "two types with one name: the first file's stands, the other entries are counted" {
    raw counter_1.db good
    raw gauge_all_1.db good-as-gauge
    page
    equal "$(value good_total)" 7.0
    equal "$(value 'loader_exporter_bad_entries_total{reason="conflict"}')" 1.0
    "$PY" "$MULTIPROC" text "$PAGE"
}

@test "two families with one sample name: the page has one of them" {
    raw counter_1.db good
    raw summary_1.db summary-clash
    page
    equal "$(value good_total)" 7.0
    equal "$(value good_total_count)" ''
    page --once=openmetrics
    "$PY" "$MULTIPROC" strict "$PAGE"
}

@test "a folder that is not there is a source that is down" {
    rmdir "$DIR"
    page
    equal "$(value 'loader_exporter_source_up{source="multiprocess"}')" 0.0
}

@test "families with the exporter's own names are refused and counted, and stand on the page once" {
    local name
    raw counter_1.db good
    raw gauge_sum_1.db ours
    page --pid $$
    for name in qdrant_loader_up qdrant_loader_process_threads; do
        equal "$(grep -c "^$name " "$PAGE")" 1 "$name"
        run ! grep -x "$name 3.0" "$PAGE"
    done
    equal "$(value qdrant_loader_up)" 1.0
    run -1 grep -E '^(qdrant_loader_run_exit_code|loader_exporter_x)' "$PAGE"
    equal "$(value loader_exporter_refused_families_total)" 4.0
    # A name that only begins so is somebody else's.
    equal "$(value qdrant_loader_upper)" 3.0
    equal "$(value good_total)" 7.0
    run -0 promtool check metrics <"$PAGE"
}

@test "the shim's families are a source of their own" {
    page
    equal "$(value 'loader_exporter_source_up{source="shim"}')" 0.0
    equal "$(value 'loader_exporter_source_up{source="multiprocess"}')" 1.0
    PROMETHEUS_MULTIPROC_DIR=$DIR "$PY" -c '
from prometheus_client import Counter
Counter("qdrant_loader_stage_calls", "Calls", ["stage"]).labels("chunk").inc()'
    page
    equal "$(value 'loader_exporter_source_up{source="shim"}')" 1.0
    equal "$(value 'qdrant_loader_stage_calls_total{stage="chunk"}')" 1.0
}
