#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make profile-cprofile on the real loader.
load ../lib/common
load ../lib/python

setup_file() {
    export FILES=${E2E_FILES:-100} MIN_REQUEST_INTERVAL=0 RESULTS=$BATS_FILE_TMPDIR/results
    make --no-print-directory -C "$ROOT" profile-cprofile >"$BATS_FILE_TMPDIR/out" 2>"$BATS_FILE_TMPDIR/err" ||
        echo $? >"$BATS_FILE_TMPDIR/status"
}

setup() {
    load ../lib/loader
    RUN=$(<"$BATS_FILE_TMPDIR/out")
}

@test "one command makes the whole run folder, and its chunks are those that Qdrant holds" {
    [[ ! -e $BATS_FILE_TMPDIR/status ]] || fail "exit status $(<"$BATS_FILE_TMPDIR/status"): $(tail "$BATS_FILE_TMPDIR/err")"
    complete_run "$RUN"
    shares_add_up "$RUN"
    [[ -s $RUN/profile.out && -s $RUN/snakeviz.html && -s $RUN/raw/top.txt ]]
    equal "$(jq .chunks "$RUN/run.json")" "$(jq .qdrant_points "$RUN/run.json")"
}

@test "the stages name chunk, embed, upsert, state and startup" {
    stages_named "$RUN"
    # What is too small for the picture keeps its stage: most of the time has one.
    run -0 grep -c '^(not followed: chunk);' "$RUN/profile.folded"
    run -0 awk -F '\t' '$1 == "other" { print $2; exit !($2 < 40) }' "$RUN/stages.tsv"
    # Start-up's CPU is what the kernel had counted, once: the profile's own part of it is in that.
    equal "$(awk -F '\t' '$1 == "startup" { print $3 }' "$RUN/stages.tsv")" "$(jq .startup_cpu_s "$RUN/run.json" | awk '{ printf "%.2f", $1 }')"
}

@test "the collapsed stacks add up to the own times of profile.out" {
    local own
    own=$("$TOOLS_ENV_PYTHON" -c 'import pstats, sys; print(sum(v[2] for v in pstats.Stats(sys.argv[1]).stats.values()))' "$RUN/profile.out")
    run -0 awk -v own="$own" '!/^#/ { s += $NF } END { d = s / 1e6 - own; print s / 1e6, own; exit !(d < 0.01 && d > -0.01) }' "$RUN/profile.folded"
}

@test "what cannot be trusted is said plainly, with an example from this very run" {
    local odd
    # CPython 3.12 puts all threads into one stack: a run of the loader always shows it.
    run -1 "$TOOLS_ENV_PYTHON" "$ROOT/scripts/lib/cprofile.py" check "$RUN/profile.out"
    matches "$output" 'own_above_cumulative'
    matches "$(<"$RUN/summary.md")" 'own times, cumulative times, callers and shares CANNOT be trusted.*own [0-9.]+ s > cumulative'
    odd=$(sed -n 's/^odd_call_counts\t//p' "$RUN/raw/invariants.tsv")
    ((odd == 0)) || matches "$(<"$RUN/summary.md")" "\. $odd functions have counts that cannot be"
    ((odd == 0)) || matches "$(<"$RUN/profile.svg")" "calls hold but for those of $odd functions"
    run -0 grep -c 'id="trust".*CANNOT be trusted' "$RUN/snakeviz.html"
    run -0 grep -c 'threads were started: widths, callers and stages are unsound' "$RUN/profile.svg"
    run -0 grep -E '^ +holds +unsound +unsound$' "$RUN/summary.md"
    run -1 grep -E '^Sampled|n/a Hz' "$RUN/summary.md"
    matches "$(grep '^stage' "$RUN/stages.tsv")" 'own_s$'
    (($(stat -c %s "$RUN/profile.folded") < 5000000)) || fail 'profile.folded is large'
}

# known_truth: own times that the threads' clock knows, on this Python, of one thread and of two.
known_truth() {
    local out=$BATS_TEST_TMPDIR/truth.out own true calls
    run -0 "$PYTHON" "$ROOT/tests/lib/cprofile_truth.py" one "$out"
    read -r own true calls <<<"$output"
    equal "$calls" 300
    awk -v o="$own" -v t="$true" 'BEGIN { exit !(o > 0.8 * t) }' || fail "one thread: own $own s of $true s"
    run -0 "$TOOLS_ENV_PYTHON" "$ROOT/scripts/lib/cprofile.py" trust "$out"
    matches "$output" '^No thread was started: calls, own and cumulative times hold'
    run -0 "$PYTHON" "$ROOT/tests/lib/cprofile_truth.py" threads "$out"
    read -r own true calls <<<"$output"
    equal "$calls" 300
    awk -v o="$own" -v t="$true" 'BEGIN { exit !(o < 0.8 * t) }' ||
        fail "$PYTHON: own $own s of $true s with threads: is its cProfile mended? Then the warning must go for it"
    run -0 "$TOOLS_ENV_PYTHON" "$ROOT/scripts/lib/cprofile.py" trust "$out"
    matches "$output" '^1 threads were started.*own times.*CANNOT be trusted. Calls hold'
}

@test "with threads calls are exact and own times are not, which is said; with one thread both hold" {
    each_python known_truth
}

@test "a sane profile passes the check" {
    "$TOOLS_ENV_PYTHON" -c 'import cProfile; cProfile.run("sum(range(10))", "'"$BATS_TEST_TMPDIR"'/one.out")'
    run -0 "$TOOLS_ENV_PYTHON" "$ROOT/scripts/lib/cprofile.py" check "$BATS_TEST_TMPDIR/one.out"
}

@test "the SnakeViz page draws in a browser, without a network" {
    run -0 grep -c . "$RUN/snakeviz.html"
    run -1 grep -oE '(src|href)="?.?https?://[^" ]*\.(js|css)' "$RUN/snakeviz.html"
    run -0 --separate-stderr python3 "$ROOT/tests/lib/browser.py" "file://$RUN/snakeviz.html" "$BATS_TEST_TMPDIR/page.png" \
        --wait "document.querySelectorAll('#chart svg rect').length > 5" --do "document.querySelectorAll('tbody tr').length" \
        --do "document.querySelector('#chart svg text').textContent"
    ((lines[0] > 0))
    # The chart begins with the loader's own work, not with what SnakeViz finds without a caller.
    matches "${lines[1]}" 'cli\.py:[0-9]+\(ingest\)'
}

@test "VIEW=1 serves SnakeViz on loopback until Ctrl-C" {
    local pid status=0 url
    set -m
    env VIEW=1 RESULTS="$BATS_TEST_TMPDIR/results" "$ROOT/scripts/profile-cprofile" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- &
    pid=$!
    set +m
    until_true 200 grep -q 'SnakeViz: http' "$BATS_TEST_TMPDIR/err"
    url=$(sed -n 's/.*SnakeViz: \(http[^ ]*\).*/\1/p' "$BATS_TEST_TMPDIR/err")
    matches "$url" '^http://127\.0\.0\.1:'
    run -0 python3 -c 'import sys, urllib.request; print(len(urllib.request.urlopen(sys.argv[1]).read()))' "$url"
    ((output > 100000))
    kill -INT -- "-$pid"
    wait "$pid" || status=$?
    equal "$status" 0
    matches "$(<"$BATS_TEST_TMPDIR/out")" 'profile-cprofile'
}

@test "PID is refused, since cProfile cannot be switched on later" {
    run -2 env PID=1 "$ROOT/scripts/profile-cprofile"
    matches "$output" 'cProfile cannot be switched on'
}
