#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Signals that come at any moment of a script which notes them: bash 5.2 takes a trap for a part of a `$(…)` that it is about to read.
load ../lib/common

# under_fire WORDS: a script that runs these words 600 times while it is told to end, again and again; how often it noted that.
under_fire() {
    local script status=0
    # shellcheck disable=SC2016 # the script's own
    WORDS=$1 bash -c '. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/flow.sh"
        TIMES=0
        signals_noted
        on_signal() { STOPPED=$1 TIMES=$((TIMES + 1)); }
        echo begun
        for ((i = 0; i < 600; i++)); do eval "$WORDS"; done
        trap "" INT TERM HUP
        echo "noted $STOPPED, $((TIMES > 50)), $WORD"' test >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
    script=$!
    until_true 20 grep -q begun "$BATS_TEST_TMPDIR/out"
    while kill -TERM "$script" 2>/dev/null; do read -rt 0.001 <> <(:) || :; done
    wait "$script" || status=$?
    return "$status"
}

@test "a signal may come at any moment of a capture" {
    under_fire 'capture WORD printf "%s\n" "a word" ""' || fail "exit status $?: $(<"$BATS_TEST_TMPDIR/err")"
    equal "$(<"$BATS_TEST_TMPDIR/out")" $'begun\nnoted TERM, 1, a word'
}

@test "what a capture gives is what a substitution does: text, status, no stdin lost" {
    # shellcheck disable=SC2016 # the script's own
    run -1 bash -c '. "$ROOT/scripts/lib/common.sh"
        words() { printf "%s\n" "one two" "*" "" ""; false; return 3; }
        local_of() { local word=mine; capture word words || printf "%s " "$?"; printf "<%s>" "$word"; }
        local_of
        capture word tr a-z A-Z <<<"from stdin"
        capture none true
        capture both both sh -c "echo out; echo err >&2"
        capture long seq 30000
        printf "<%s><%s><%s>%s" "$word" "$none" "$both" "${#long}"
        capture word false; echo "not reached"' test
    equal "$output" $'3 <one two\n*><FROM STDIN><><out\nerr>168893'
}

@test "a signal to the whole group does not end what a capture asks, and leaves no word of its own" {
    run -0 --separate-stderr setsid --wait bash -c '. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/flow.sh"
        asked() { kill -TERM 0; cat "$ROOT/LICENSE" | wc -l; }
        signals_noted
        capture word asked
        echo "$STOPPED, $((word > 5))"' test
    equal "$output" 'TERM, 1'
    # shellcheck disable=SC2154 # set by run
    equal "$stderr" ''
}
