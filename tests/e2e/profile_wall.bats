#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make profile-wall on the real loader with its default settings, against a timer inside the loader.
load ../lib/common

# One run serves all tests: the default interval, as users have it.
setup_file() {
    export FILES=${E2E_FILES:-100} RESULTS=$BATS_FILE_TMPDIR/results RATE_LIMIT_TRUTH=$BATS_FILE_TMPDIR/truth.json
    PYTHONPATH=$FIXTURES/rate-limit-timer make --no-print-directory -C "$ROOT" profile-wall \
        >"$BATS_FILE_TMPDIR/out" 2>"$BATS_FILE_TMPDIR/err" || echo $? >"$BATS_FILE_TMPDIR/status"
}

setup() {
    load ../lib/loader
    RUN=$(<"$BATS_FILE_TMPDIR/out")
}

@test "one command makes the whole run folder, and its chunks are those that Qdrant holds" {
    [[ ! -e $BATS_FILE_TMPDIR/status ]] || fail "exit status $(<"$BATS_FILE_TMPDIR/status"): $(tail "$BATS_FILE_TMPDIR/err")"
    complete_run "$RUN"
    shares_add_up "$RUN"
    equal "$(jq .chunks "$RUN/run.json")" "$(jq .qdrant_points "$RUN/run.json")"
}

@test "the summary's first line names the rate limit with its share" {
    matches "$(sed -n 3p "$RUN/summary.md")" '^\*\*[0-9]+ % of [0-9.]+ s wall: waiting in EmbeddingService\._apply_rate_limit \(sleep 0\.5 s\)\*\*$'
}

@test "running and waiting add up to the wall time of each stage" {
    run -0 awk -F '\t' '!/^#/ && $1 != "stage" { d = $3 - $4 - $5; if (d > 0.01 || d < -0.01) bad = 1; sum += $3 } END { exit bad || sum < 1 }' "$RUN/stages.tsv"
}

@test "the settings that change it are named, with the figure that they rest on" {
    matches "$(<"$RUN/summary.md")" 'global\.embedding\.min_request_interval.*Evidence: rate-limit is [0-9.]+ s, [0-9.]+ % of the wall time'
}

@test "the picture shows the rate limit as one stack from ingest through the async generators" {
    run -0 grep -cE 'ingest \(.*UpsertWorker\.process_embedded_chunks .*EmbeddingWorker\.process_chunks .*EmbeddingService\._apply_rate_limit .*\[sleep 0\.5s\] [0-9]+$' "$RUN/profile.folded"
    matches "$(<"$RUN/profile.svg")" '_apply_rate_limit'
}

@test "the wall view adds up to the sampled time exactly" {
    equal "$(awk '!/^#/ { s += $NF } END { printf "%d", s }' "$RUN/profile.folded")" "$(awk -F '\t' '$1 == "wall_us" { print $2 }' "$RUN/raw/pysample.tsv")"
    run -0 awk -v sum="$(awk '!/^#/ { s += $NF } END { printf "%d", s }' "$RUN/profile.folded")" \
        -F '\t' '$1 == "elapsed_s" { d = $2 * 1e6 - sum; exit !(d < 2 && d > -2) }' "$RUN/raw/pysample.tsv"
}

@test "the seconds in _apply_rate_limit are within 1 % of a timer inside the loader" {
    local sampled true
    sampled=$(awk '/_apply_rate_limit/ { s += $NF } END { print s / 1e6 }' "$RUN/tasks.folded")
    true=$(jq .seconds "$RATE_LIMIT_TRUTH")
    run -0 awk -v s="$sampled" -v t="$true" 'BEGIN { print s, t; exit !(t > 10 && s / t > 0.99 && s / t < 1.01) }'
}

@test "samples, torn and missed ones, and the share of moments proven exact are stated" {
    run -0 jq -e '([.samples, .samples_missed, .samples_torn, .proven_exact, .rate_achieved_hz] | all(type == "number"))
        and .samples > 100 and .samples_missed >= 0 and .samples_torn >= 0 and .proven_exact > 0 and .rate_achieved_hz > 0' "$RUN/run.json"
    matches "$(<"$RUN/summary.md")" 'Sampled [0-9]+ samples at [0-9.]+ of 100 Hz, [0-9]+ missed, [0-9]+ torn, [0-9.]+ % proven exact; '
    matches "$(<"$RUN/profile.svg")" '[0-9]+ missed, [0-9]+ torn, [0-9.]+ % proven exact; '
}

@test "make pstree prints the live tree of an attached loader, make top shows it until q" {
    MIN_REQUEST_INTERVAL=0.5 loader_start timeout
    until_true 60 pidfind --pid "$WRAPPER"
    limited() {
        run -0 --separate-stderr make --no-print-directory -C "$ROOT" pstree PID="$WRAPPER"
        [[ $output == *'EmbeddingService._apply_rate_limit'* ]]
    }
    until_true 60 limited
    matches "$output" $'\n\\* Task-1: (waiting|ready|running)\n    ingest \\(qdrant_loader/cli/cli.py:[0-9]+\\)'
    # Its first screen; then q.
    : >"$BATS_TEST_TMPDIR/screen"
    # shellcheck disable=SC2094 # what it shows is waited for
    (
        until_true 60 grep -q qdrant_loader "$BATS_TEST_TMPDIR/screen"
        printf q
    ) | script -qec "make --no-print-directory -C '$ROOT' top PID=$WRAPPER" /dev/null >>"$BATS_TEST_TMPDIR/screen"
    run -0 grep -c 'qdrant_loader' "$BATS_TEST_TMPDIR/screen"
    matches "$(tail -c 16 "$BATS_TEST_TMPDIR/screen")" $'\e\\[\\?25h\e\\[\\?1049l'
    loader_end
}
