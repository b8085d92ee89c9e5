#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make profile-pyspy on the real loader: the run folder, its counts and shares, launched and attached.
load ../lib/common

# The corpus of the whole suite: 100 files, 1000 in `make test-full`.
setup_file() {
    export FILES=${E2E_FILES:-100} MIN_REQUEST_INTERVAL=0
    export RESULTS=$BATS_FILE_TMPDIR/results
}

setup() {
    load ../lib/loader
}

teardown() {
    loader_end
}

@test "one command makes the whole run folder, and its chunks are those that Qdrant holds" {
    run -0 --separate-stderr make --no-print-directory -C "$ROOT" profile-pyspy
    local run=$output f
    for f in profile.svg profile.folded samples.tsv timeline.svg stages.tsv run.json summary.md; do
        [[ -s $run/$f ]] || fail "no $f in $run"
    done
    complete_run "$run"
    equal "$(jq .chunks "$run/run.json")" "$(jq .qdrant_points "$run/run.json")" 'chunks by the log and points in the engine'
    (($(jq .chunks "$run/run.json") > FILES))
    equal "$(jq .documents "$run/run.json")" "$FILES"
    # What the summary prints on the terminal is what it is in the folder.
    matches "$stderr" 'Where the time went, by stage'
    matches "$(<"$run/summary.md")" 'The ten widest functions'
    # The loader's own rusage, and its CPU sampled at the end, are of the same process.
    run -0 jq -e '([.wall_s, .cpu_s, .samples] | all(type == "number")) and .wall_s > 0 and .cpu_s > 0 and .samples > 100' "$run/run.json"
    # py-spy's intervals are random, and its parts here are of hundreds of moments.
    run -0 jq -e '(.rate_achieved_hz | type) == "number" and .rate_achieved_hz > 70 and .rate_achieved_hz < 130 and (.sample_interval_s * .rate_achieved_hz - 1 | fabs) < 0.001
        and .parts >= 2 and .gaps_s > 0 and .gaps_s < .sampled_s / 20' "$run/run.json"
    run -0 awk -F '\t' -v said="$(jq .gaps_s "$run/run.json")" 'NR > 2 { sum += ($2 - last) / 1e9 } { last = $3 }
        END { print sum, said; exit !(sum - said < 0.001 && said - sum < 0.001) }' "$run/raw/pyspy.parts.tsv"
    equal "$(awk '!/^#/ { sum += $NF } END { print sum }' "$run/profile.folded")" "$(jq .samples "$run/run.json")" 'weight of profile.folded'
}

@test "the stages name chunk, embed, upsert, state and startup, and their shares add to 100 % within 1" {
    local run
    run=$(readlink -f "$RESULTS/latest")
    shares_add_up "$run"
    stages_named "$run"
}

@test "a report of a folder without raw/ keeps its stacks, and one that cannot write them says so" {
    local copy=$BATS_TEST_TMPDIR/copy weight
    cp -rL "$RESULTS/latest" "$copy"
    weight=$(awk '{ sum += $NF } END { print sum }' "$copy/profile.folded")
    ln -s /dev/full "$copy/profile.folded.new"
    RUN=$copy run -3 --separate-stderr "$ROOT/scripts/report"
    matches "$stderr" 'folded-failed. profile.folded was not made .*No space left on device.*make report'
    equal "$(awk '{ sum += $NF } END { print sum }' "$copy/profile.folded")" "$weight"
    rm -r "$copy/profile.folded.new" "$copy/raw"
    RUN=$copy run -0 --separate-stderr "$ROOT/scripts/report"
    equal "$(awk '{ sum += $NF } END { print sum }' "$copy/profile.folded")" "$weight"
    [[ -s $copy/profile.svg ]]
}

@test "attached to a loader behind uv run it gives the same" { attached_by uv; }
@test "attached to a loader behind make it gives the same" { attached_by make; }
@test "attached to a loader behind sh -c it gives the same" { attached_by sh; }
@test "attached to a loader behind timeout it gives the same" { attached_by timeout; }
@test "attached to the console script it gives the same" { attached_by console; }

@test "DURATION ends the sampling of an attached loader, which goes on" {
    loader_start sh
    run -0 --separate-stderr make --no-print-directory -C "$ROOT" profile-pyspy PID="$WRAPPER" DURATION=1
    # What the loader had used before it was attached to is no stage's.
    run -0 jq -r 'select((.sampled_s | type) == "number" and .sampled_s < 4 and .sampled_cpu_s < .cpu_s) | .sampled_cpu_s' "$output/run.json"
    run -0 awk -F '\t' -v sampled="$output" '!/^#/ && $1 != "stage" && $1 != "startup" { sum += $3 } END { print sum, sampled; exit !(sum < sampled + 0.05) }' \
        "$RESULTS/latest/stages.tsv"
    wait_loader
    equal "$(jq .points "$STANDIN_DIR/qdrant.counts.json")" "$(sed -n 's/.*Batch processing completed: \([0-9]*\) chunks.*/\1/p' "$WS/logs/ingest.log" | tail -n 1)"
}

# thread_seconds RUN: the pipeline's sum of stages.tsv; what start-up adds to its row is known from run.json, or neither is.
thread_seconds() {
    awk -F '\t' -v before="$(jq .startup_cpu_s "$1/run.json" | sed 's/.*n.a.*/0/')" -v interval="$(jq .sample_interval_s "$1/run.json")" \
        '!/^#/ && $1 != "stage" { sum += ($4 == "n/a" ? $7 * interval : $4) } END { printf "%.3f\n", sum - before }' "$1/stages.tsv"
}

@test "IDLE=1 counts the threads that wait, and each stack is a thread at a moment" {
    local run
    # A loader that mostly waits.
    MIN_REQUEST_INTERVAL=0.5 loader_start plain
    until_true 60 pidfind --pid "$WRAPPER"
    until_true 60 grep -qs 'Starting embedding generation' "$WS/logs/ingest.log"
    run -0 --separate-stderr env PID="$WRAPPER" DURATION=2 IDLE=1 "$ROOT/scripts/profile-pyspy"
    run=$output
    # All threads at each moment, ten at least: far more stacks than moments. Where py-spy came too late to tell how many
    # moments there were, more than two for each of the 200 that were asked for.
    run -0 jq -e '(.samples | type) == "number" and .idle == 1 and .samples >
        (if (.rate_achieved_hz | type) == "number" then 10 * .rate_achieved_hz * .sampled_s else 400 end)' "$run/run.json"
    # Nine rows, each rounded to 0.01.
    run -0 awk -v s="$(thread_seconds "$run")" -v x="$(jq '.samples * .sample_interval_s' "$run/run.json")" 'BEGIN { print s, x; exit !(s - x <= 0.05 && x - s <= 0.05) }'
    matches "$(<"$run/profile.folded")" '_apply_rate_limit|select \(selectors'
    # C stacks are read of a process that is stopped; it goes on to its end.
    run -0 --separate-stderr env PID="$WRAPPER" DURATION=2 IDLE=1 NATIVE=1 "$ROOT/scripts/profile-pyspy"
    run -0 grep -qE '\.(so|c)[.0-9:)]|_PyEval|\(libc|\(python' "$output/profile.folded"
    wait_loader
}

# Both of a whole run of a loader that hardly waits: two seconds of one that does may have nobody with the lock at any moment.
@test "GIL=1 counts one thread at a moment, at the RATE that was asked for" {
    run -0 --separate-stderr env GIL=1 RATE=50 "$ROOT/scripts/profile-pyspy"
    run -0 jq -e '(.samples | type) == "number" and .gil == 1 and .samples > 20 and .rate_asked_hz == 50 and .rate_achieved_hz < 65
        and .samples <= 1.1 * .rate_asked_hz * .sampled_s' "$output/run.json"
}

@test "NATIVE=1 has C functions beneath Python's" {
    run -0 --separate-stderr env NATIVE=1 DURATION=3 "$ROOT/scripts/profile-pyspy"
    run -0 grep -qE '\.(so|c)[.0-9:)]|_PyEval|\(libc|\(python' "$output/profile.folded"
}

@test "STARTUP=1 has the imports in the picture" {
    run -0 --separate-stderr env STARTUP=1 MIN_REQUEST_INTERVAL=0 "$ROOT/scripts/profile-pyspy"
    run -0 awk -F '\t' '$1 == "startup" && $7 > 50 { found = 1 } END { exit !found }' "$output/stages.tsv"
}
