#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Whether pysample's shares are true: programs that know where their own time went. PYSAMPLE_SECONDS: length of each
# run (default: 20; the limits hold for that).
load ../lib/common
load ../lib/python

PROGRAMS=$FIXTURES/pysample
SECONDS_EACH=${PYSAMPLE_SECONDS:-20}

setup() {
    DIR=$(mktemp -d)
    PID=
}

teardown() {
    [[ -z $PID ]] || kill -9 "$PID" 2>/dev/null || :
    rm -rf "$DIR"
}

# sampled PROGRAM ARG…: from its first instruction, 1000 times a second. Once more where nobody looked for so long that this
# time alone, which half belongs to the sample before and half to the next, is more than the limits.
sampled() {
    local gap
    for _ in 1 2 3; do
        run -0 --separate-stderr pysample --rate 1000 --output-dir "$DIR" --summary "$DIR/summary" -- "$PYTHON" "$PROGRAMS/$1" "${@:2}"
        run -0 python3 "$PROGRAMS/check.py" sum "$DIR/summary" "$DIR/wall.folded"
        gap=$(awk '$1 == "longest_gap_s" { print $2 }' "$DIR/summary")
        awk -v gap="$gap" 'BEGIN { exit !(gap > 0.3) }' || break
        echo "# $1: no sample for $gap s" >&3
    done
}

# checked KIND FILE…: the verdict, shown in any case.
checked() {
    run -0 python3 "$PROGRAMS/check.py" "$@"
    printf '# %s\n' "${lines[@]}" >&3
}

split() {
    sampled split.py "$DIR/truth" "$SECONDS_EACH"
    checked split "$DIR/truth" "$DIR/wall.folded"
}

@test "shares of CPU, blocking, await, to_thread, async for, wait_for and TaskGroup are right to 1 percentage point" {
    each_python split
}

lag() {
    sampled lag.py "$DIR/truth" "$SECONDS_EACH" "$1"
    checked lag "$DIR/truth" "$DIR/wall.folded"
}

@test "the share of event-loop lag is right to 1 percentage point" { each_python lag future; }
@test "the same where a sleep is over, while a task blocks the loop" { each_python lag timer; }
@test "the same where a thread has done its work, while a task blocks the loop" { each_python lag thread; }

gil() {
    sampled gil.py "$DIR/truth" "$SECONDS_EACH" 3
    checked gil "$DIR/truth" "$DIR/threads.folded"
}

@test "threads that contend for the GIL are told from those that run, to 1 percentage point" { each_python gil; }

churn() {
    sampled churn.py "$SECONDS_EACH"
    checked churn "$DIR/tasks.folded" "$DIR/threads.folded"
}

@test "at full speed, at most 0.01 % of the weight is on await chains that cannot be" { each_python churn; }

# As on a machine where each reading takes 50 us longer. Up to 0.5 % of the weight was wrong so before chains had to be
# read twice.
slow_churn() {
    run -0 --separate-stderr env LD_PRELOAD="$DIR/slow.so" ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" \
        pysample --rate 1000 --output-dir "$DIR" --summary "$DIR/summary" -- env -u LD_PRELOAD "$PYTHON" "$PROGRAMS/churn.py" "$SECONDS_EACH"
    checked churn "$DIR/tasks.folded" "$DIR/threads.folded"
}

@test "the same where reading is slow" {
    cc -std=c11 -D_GNU_SOURCE -O2 -shared -fPIC -o "$DIR/slow.so" "$PROGRAMS/slow_readv.c"
    each_python slow_churn
}

fast() {
    run -0 --separate-stderr pysample --stop --rate 1000 --threads "$DIR/threads.folded" --summary "$DIR/summary" -- \
        "$PYTHON" "$PROGRAMS/fast.py" "$SECONDS_EACH"
    checked fast "$DIR/threads.folded"
    (($(awk '$1 == "stops" { print $2 }' "$DIR/summary") > 0)) || fail "nothing was stopped"
}

@test "with --stop, stacks of the fastest functions are never mixed" { each_python fast; }

resident() {
    awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status"
}

samples_reach() {
    (($(awk '$1 == "samples" { print $2 }' "$DIR/summary") >= $1))
}

stacks() {
    cat "$DIR"/*.folded | wc -l
}

@test "at 1000 Hz, memory grows with the number of distinct stacks alone" {
    local early late sampler stacks
    PYTHON=$(find_python 12)
    "$PYTHON" "$PROGRAMS/churn.py" 3600 3>&- &
    PID=$!
    until_true 10 pysample --pstree "$PID"
    # SAN=1: what was freed is kept no longer.
    ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=0:thread_local_quarantine_size_kb=0 \
        pysample --rate 1000 --duration 62s --output-dir "$DIR" --summary "$DIR/summary" "$PID" 3>&- &
    sampler=$!
    until_true 30 samples_reach 10000
    early=$(resident "$sampler")
    stacks=$(stacks)
    until_true 70 samples_reach 55000
    late=$(resident "$sampler")
    wait "$sampler" || fail "pysample: exit status $?"
    stacks=$(($(stacks) - stacks))
    echo "# $early KiB after 10 s, $late KiB after 55 s, $stacks stacks more" >&3
    ((late <= early + 64 + stacks / 2)) || fail "grew from $early to $late KiB"
}
