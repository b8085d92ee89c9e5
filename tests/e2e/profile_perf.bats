#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make profile-perf on the real loader: Python and C in one picture, launched and attached; off-CPU; perf absent and barred.
load ../lib/common

setup_file() {
    export FILES=${E2E_FILES:-100} MIN_REQUEST_INTERVAL=0
    export RESULTS=$BATS_FILE_TMPDIR/results
}

setup() {
    load ../lib/loader
    load ../lib/python
}

teardown() {
    loader_end
}

perf_run() {
    run -0 --separate-stderr make --no-print-directory -C "$ROOT" profile-perf "$@"
    folder=$output
    complete_run "$folder"
    shares_add_up "$folder"
}

# python_and_c RUN: chunk_document, and C code beneath a Python function: SQLite's, and the garbage collector's.
python_and_c() {
    run -0 grep -c 'ChunkingService.chunk_document (' "$1/profile.folded"
    run -0 grep -cE '\.py:[0-9]+\);(.*;)?sqlite3_step' "$1/profile.folded"
    run -0 grep -cE 'chunk_document \([^;]*(;[^;]*)*;[A-Za-z_]+(;[^;]*)* [0-9]+$' "$1/profile.folded"
    if has_name "$LOADER_ENV_PYTHON" gc_collect_main; then
        run -0 grep -cE '\.py:[0-9]+\);(.*;)?gc_collect_main' "$1/profile.folded"
        run -0 grep -c 'gc_collect_main' "$1/profile.svg"
    fi
    run -0 grep -c 'chunk_document' "$1/profile.svg"
}

@test "launched, the picture has chunk_document and C beneath Python functions, and says how it was made" {
    local maps=(/tmp/perf-*.map)
    perf_run
    python_and_c "$folder"
    # No sample is lost between perf and the picture.
    equal "$(awk '{ n += $NF } END { print n }' "$folder/profile.folded")" "$(jq .samples "$folder/run.json")"
    run -0 jq -e '([.samples, .joined_pct, .join_named_pct, .join_distance_median_us] | all(type == "number"))
        and .samples > 100 and .joined_pct > 70 and .join_named_pct > 70 and .join_distance_median_us < 5000' "$folder/run.json"
    matches "$(<"$folder/profile.svg")" 'C stacks by perf joined with Python stacks by pysample'
    matches "$(<"$folder/summary.md")" 'by (cpu-clock|cycles)'
    # Both samplers are at work long before the pipeline begins, since perf's own start would cost its first half second; and
    # what is from before it, hundreds of samples of imports, is not in the picture. A few come late.
    local first began
    first=$(awk '$1 == "at" { print $2; exit }' "$folder/raw/python.samples")
    began=$(gzip -dc "$folder/raw/perf.script.gz" | grep -aoE ' [0-9]+\.[0-9]{9}: +[0-9]+ [a-z-]+' | awk '{ sub(/:/, "", $1); sub(/\./, "", $1); print $1; exit }')
    ((began - first > 500000000)) || fail "python's first stack at $first ns, the first sample at $began ns"
    run -0 awk -F '\t' '$1 == "startup" { print $7; n = $7 } END { exit !(n != "" && n < 30) }' "$folder/stages.tsv"
    # What is not known is said, and no 0.
    if [[ $(jq -r .perf_event "$folder/run.json") == cpu-clock* ]]; then
        matches "$(<"$folder/summary.md")" 'counters of the hardware: n/a'
    fi
    # Nothing of the loader's memory is kept, nor what its interpreter wrote for perf.
    equal "$(find "$folder" -name 'perf*.data')" ''
    equal "$(echo /tmp/perf-*.map)" "${maps[*]}" 'maps for perf, before and after'
    run -0 --separate-stderr env RUN="$folder" "$ROOT/scripts/report"
    python_and_c "$folder"
}

@test "attached to a loader behind uv run, which knows nothing of perf, it gives the same" {
    loader_start uv
    perf_run PID="$WRAPPER"
    python_and_c "$folder"
    equal "$(jq -r .attached "$folder/run.json")" attached
    # As a number: jq 1.7 keeps the zeros of 0.00.
    run -0 jq -e '.join_named_pct == 0' "$folder/run.json"
    wait_loader
    equal "$(jq .chunks "$folder/run.json")" "$(jq .points "$STANDIN_DIR/qdrant.counts.json")" 'chunks and points'
}

@test "DURATION ends the sampling of an attached loader, which goes on" {
    loader_start plain
    run -0 --separate-stderr make --no-print-directory -C "$ROOT" profile-perf PID="$WRAPPER" DURATION=2
    run -0 jq -e '([.sampled_s, .samples] | all(type == "number")) and .sampled_s < 6 and .samples > 0' "$output/run.json"
    wait_loader
}

@test "OFFCPU=1 shows waits for the interpreter lock beneath Python functions, in microseconds" {
    perf_run OFFCPU=1
    run -0 grep -cE '\.py:[0-9]+\);.*__x64_sys_futex_\[k\]' "$folder/profile.folded"
    if has_name "$LOADER_ENV_PYTHON" take_gil; then run -0 grep -cE '\.py:[0-9]+\);.*take_gil' "$folder/profile.folded"; fi
    # Most threads wait most of the time: more thread-seconds than the run took.
    awk '{ n += $NF } END { exit !(n > 5e6) }' "$folder/profile.folded"
    equal "$(jq -r .perf_event "$folder/run.json")" context-switches
    equal "$(jq -r .rate_achieved_hz "$folder/run.json")" n/a
}

@test "GRAPH=fp takes a Python with frame pointers and -X perf, and says so when this is none; other words are usage errors" {
    loader_start plain
    GRAPH=fp PID=$WRAPPER run -3 --separate-stderr "$ROOT/scripts/profile-perf"
    matches "$stderr" '\[no-frame-pointers\] GRAPH=fp: .*Run without GRAPH=fp'
    wait_loader
    GRAPH=dwarf run -2 --separate-stderr "$ROOT/scripts/profile-perf"
    matches "$stderr" "\[bad-option\] GRAPH: not join or fp: 'dwarf'"
}

# bare DIR COMMAND: a PATH whose perf is a script.
with_perf() {
    mkdir -p "$BATS_TEST_TMPDIR/bin"
    printf '#!/bin/sh\n%s\n' "$1" >"$BATS_TEST_TMPDIR/bin/perf"
    chmod +x "$BATS_TEST_TMPDIR/bin/perf"
}

@test "where perf is barred it says which setting mends it, and starts nothing" {
    # What perf says at perf_event_paranoid 4.
    with_perf 'case $1 in
        --version) echo perf version 6.1 ;;
        stat) exit 255 ;;
        *) echo "Error:" >&2; echo "Access to performance monitoring and observability operations is limited." >&2; exit 255 ;;
    esac'
    PATH=$BATS_TEST_TMPDIR/bin:$PATH run -3 --separate-stderr "$ROOT/scripts/profile-perf"
    matches "$stderr" '\[perf-refused\] perf may not record cpu-clock'
    matches "$stderr" 'sudo sysctl kernel.perf_event_paranoid=1'
    run ! grep launched <<<"$stderr"
}

@test "where the kernel tells no context switches OFFCPU=1 is refused, and no picture of nothing is made" {
    with_perf 'case $1 in --version) echo perf version 6.1 ;; esac'
    OFFCPU=1 PATH=$BATS_TEST_TMPDIR/bin:$PATH run -3 --separate-stderr "$ROOT/scripts/profile-perf"
    matches "$stderr" '\[perf-refused\] perf may not record context-switches'
}

@test "a perf that does not fit the kernel is named with its package, where it cannot be installed" {
    with_perf 'exit 2'
    # No apt-get that works, and no sudo.
    printf '#!/bin/sh\nexit 100\n' | tee "$BATS_TEST_TMPDIR/bin/apt-get" >"$BATS_TEST_TMPDIR/bin/sudo"
    chmod +x "$BATS_TEST_TMPDIR/bin/"*
    LINUX_TOOLS=/nonexistent PATH=$BATS_TEST_TMPDIR/bin:$PATH run -3 --separate-stderr "$ROOT/scripts/profile-perf"
    matches "$stderr" 'linux-perf|linux-tools'
}
