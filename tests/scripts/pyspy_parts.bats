#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# py-spy in parts, on a real process: what is kept, whatever ends it, and what is known of the rate.
load ../lib/common

setup() {
    PYSPY=${TOOLS_ENV_PYTHON%/*}/py-spy
    OUT=$BATS_TEST_TMPDIR/out
    mkdir "$OUT"
    printf 'def busy():\n    while True: pass\nbusy()\n' >"$BATS_TEST_TMPDIR/busy.py"
    "$LOADER_ENV_PYTHON" "$BATS_TEST_TMPDIR/busy.py" 3>&- &
    PROCESS=$!
    disown "$PROCESS"
    # py-spy wants an interpreter that is up.
    until_true 20 runs_python
}

teardown() { kill -KILL "$PROCESS" ${PARTS:+"$PARTS"} 2>/dev/null || :; }

runs_python() { pysample --json "$PROCESS" 2>/dev/null | grep -q busy; }

# parts SECONDS [COMMAND…]: in the background, as the harness runs it; PARTS is its pid.
parts() {
    local seconds=$1
    shift
    set -m
    "$ROOT/scripts/lib/pyspy-parts" "$PROCESS" "$OUT" 100 "$seconds" "$@" "$PYSPY" record --format raw --rate 100 --nonblocking >"$OUT/log" 2>&1 3>&- &
    PARTS=$!
    set +m
}

# at_part_two: it has begun, and its py-spy catches signals, which it does only after it has said that it samples.
at_part_two() {
    local pid
    [[ -s $OUT/pyspy.folded && $(grep -c 'Sampling process' "$OUT/log") == 2 ]] && pid=$(pgrep -P "$PARTS" py-spy) &&
        ((0x$(awk '$1 == "SigCgt:" { print $2 }' "/proc/$pid/status") & 2))
}

# ends STATUS
ends() {
    local status=0
    wait "$PARTS" || status=$?
    PARTS=
    equal "$status" "$1" "exit status; $(<"$OUT/log")"
}

# row N COLUMN: of the table of parts. rows: how many parts.
row() { awk -F '\t' -v n="$1" -v want="$2" 'NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i; next } $1 == n { print $c[want] }' "$OUT/pyspy.parts.tsv"; }
rows() { awk 'END { print NR - 1 }' "$OUT/pyspy.parts.tsv"; }

# stacks: the weight that is kept.
stacks() { awk '{ sum += $NF } END { print sum + 0 }' "$OUT/pyspy.folded"; }

# wrapper LINE…: a command that runs the rest of its arguments after, or before, what these lines do; $n is the part.
wrapper() {
    printf '%s\n' '#!/usr/bin/env bash' 'n=$(($(cat "$0.n" 2>/dev/null || echo 0) + 1))' 'echo "$n" >"$0.n"' "$@" |
        install /dev/stdin "$BATS_TEST_TMPDIR/wrapper"
}

@test "parts add up to the seconds asked for, and tell how many moments they took in which time" {
    parts 5
    ends 0
    # The time of a part is random, and what is left for the next is whole seconds.
    (($(rows) >= 2 && $(rows) <= 3)) || fail "$(<"$OUT/pyspy.parts.tsv")"
    equal "$(row 1 moments)" 199
    # One thread, always busy: as many stacks as moments, but those that changed while they were read.
    equal "$(($(row 1 stacks) + $(row 1 errors)))" 199
    equal "$(stacks)" "$(awk 'NR > 1 { sum += $5 } END { print sum }' "$OUT/pyspy.parts.tsv")"
    # py-spy's intervals are random, 100 a second in the mean: some 500 of them are within a quarter of that.
    export RUN=$BATS_TEST_TMPDIR RATE=100
    mv "$OUT" "$RUN/raw"
    run -0 bash -c '. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/tools.sh"; pyspy_parts; sampler_progress'
    matches "${lines[0]}" '^[3-6][0-9]{2} [0-9]+ (7[5-9]|[89][0-9]|1[01][0-9]|12[0-5])\.[0-9] 0\.[0-9]{3} [23]$'
    matches "${lines[1]}" "^[3-6][0-9]{2} samples, [0-9.]+ of 100 Hz$"
}

@test "py-spy that is late ends when its time is over, and its rate is not known" {
    # Late it is because it does not run at all from its first second on, until it is asked to end.
    wrapper '"$@" & pid=$!' 'trap "kill -CONT $pid; kill -INT $pid" INT' 'sleep 1; kill -STOP $pid' 'wait $pid' 'wait $pid'
    parts 3 "$BATS_TEST_TMPDIR/wrapper"
    ends 0
    equal "$(row 1 moments)" n/a
    # 3 s and half a second, and what the end takes.
    equal "$(rows)" 1
    run -0 awk -F '\t' 'NR == 2 { began = $2 } NR > 1 { ended = $3 } END { s = (ended - began) / 1e9; print s; exit s > 5 }' "$OUT/pyspy.parts.tsv"
    matches "$(<"$OUT/log")" 'Control-C pressed'
}

@test "kill -9 of py-spy costs the part that it was at" {
    parts 0
    until_true 30 test -s "$OUT/pyspy.folded"
    until_true 30 eval '[[ $(grep -c "Sampling process" "$OUT/log") == 2 ]]'
    pkill -KILL -P "$PARTS" py-spy
    ends 137
    equal "$(rows)" 1
    equal "$(stacks)" "$(row 1 stacks)"
    (($(stacks) > 150))
    matches "$(<"$OUT/log")" 'part 2 is lost: py-spy ended with status 137'
}

@test "SIGINT and SIGTERM keep what the part at hand has" {
    local sig
    for sig in INT TERM; do
        # Not what the signal before has left.
        rm -f "$OUT"/*
        parts 0
        until_true 30 at_part_two
        kill -s "$sig" "$PARTS"
        ends 0
        equal "$(rows) $(row 2 moments)" '2 n/a'
        equal "$(stacks)" "$(($(row 1 stacks) + $(row 2 stacks)))"
    done
}

@test "a signal that ends py-spy before it catches any ends the sampling, and at once" {
    printf '%s\n' '#!/bin/sh' 'echo "Sampling process 100 times a second"' 'exec sleep 300' >"$BATS_TEST_TMPDIR/early"
    chmod +x "$BATS_TEST_TMPDIR/early"
    parts 0 "$BATS_TEST_TMPDIR/early"
    until_true 20 grep -q Sampling "$OUT/log"
    until_true 20 pgrep -P "$PARTS" sleep
    SECONDS=0
    kill -INT "$PARTS"
    ends 0
    ((SECONDS < 4)) || fail "it took $SECONDS s"
    equal "$(rows)" 0
}

@test "a process that ends during a part ends the sampling, and what that part has is kept" {
    parts 0
    until_true 30 test -s "$OUT/pyspy.folded"
    until_true 30 eval '[[ $(grep -c "Sampling process" "$OUT/log") == 2 ]]'
    kill -KILL "$PROCESS"
    ends 0
    equal "$(rows) $(row 2 moments)" '2 n/a'
}

@test "a process that ends between two parts ends the sampling" {
    wrapper '"$@"; status=$?' "((n > 1)) || kill -KILL $PROCESS" 'exit $status'
    parts 0 "$BATS_TEST_TMPDIR/wrapper"
    ends 0
    equal "$(rows) $(row 1 moments)" '1 199'
    equal "$(<"$BATS_TEST_TMPDIR/wrapper.n")" 2 'parts begun'
}

@test "py-spy that fails while the process goes on is a failure with its own status, and the parts before it are kept" {
    wrapper '((n < 2)) || { echo "Error: no more"; exit 7; }' 'exec "$@"'
    parts 0 "$BATS_TEST_TMPDIR/wrapper"
    ends 7
    equal "$(rows)" 1
    (($(stacks) > 150))
    matches "$(<"$OUT/log")" 'Error: no more.*part 2 is lost: py-spy ended with status 7'
}

@test "a full disk is a failure, and not a part less" {
    ln -s /dev/full "$OUT/pyspy.folded"
    parts 0
    ends 3
    equal "$(rows)" 0
    matches "$(<"$OUT/log")" 'No space left on device.*part 1 is lost'
}

@test "of a sampler that was killed it is said that no thread was busy only where it had looked" {
    local code='. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/run.sh"; . "$ROOT/scripts/lib/tools.sh"; . "$ROOT/scripts/lib/flow.sh"
        . "$ROOT/scripts/lib/report.sh"; SAMPLER_STATUS=137 SAMPLED_S=3; sampler_words "$(pyspy_last_words)"'
    export RUN=$BATS_TEST_TMPDIR/run
    mkdir -p "$RUN/raw" "$RUN/log"
    echo '{"target": "profile-pyspy"}' >"$RUN/run.json"
    : >"$RUN/log/py-spy.log"
    echo 'a;b 3' >"$RUN/raw/pyspy.folded"
    run -0 bash -c "$code" test
    matches "$output" 'exit status 137 after 3.0 s, signal KILL: it said nothing\. What it had written is kept'
    rm "$RUN/raw/pyspy.folded"
    run -0 bash -c "$code" test
    matches "$output" 'signal KILL: py-spy ended before its first part was written'
    # Parts without a stack: what was looked for was not there.
    printf 'part\tbegan_ns\tended_ns\tmoments\tstacks\terrors\n1\t0\t3000000000\t300\t0\t0\n' >"$RUN/raw/pyspy.parts.tsv"
    run -0 bash -c "$code" test
    matches "$output" 'signal KILL: no thread of the loader was busy\. IDLE=1'
    echo '{"target": "profile-pyspy", "gil": 1}' >"$RUN/run.json"
    run -0 bash -c "$code" test
    matches "$output" 'signal KILL: no thread of the loader held the GIL at any moment.*Without GIL=1'
}
