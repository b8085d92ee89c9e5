#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What a person types: targets, options, help.
load ../lib/common

@test "make without a target prints the help" {
    run -0 make -C "$ROOT"
    matches "$output" 'make profile-pyspy'
}

@test "help lists every script and every option with its default" {
    run -0 make -C "$ROOT" help
    local script name default n=0
    for script in "$ROOT"/scripts/*; do
        [[ -f $script && -x $script && ${script##*/} != help ]] || continue
        matches "$output" "make ${script##*/}"
        n=$((n + 1))
    done
    ((n >= 8))
    while IFS=$'\t' read -r name default _; do
        [[ $name == \#* ]] && continue
        [[ $default == - ]] && default=
        matches "$output" "$name +$default"
    done <"$ROOT/scripts/options.tsv"
}

@test "every script answers --help with its purpose and its options" {
    local script
    for script in "$ROOT"/scripts/*; do
        [[ -f $script && -x $script ]] || continue
        run -0 --separate-stderr "$script" --help
        [[ -n $output && -z $stderr ]] || fail "$script"
        [[ $output != *"shellcheck"*"source-path"* ]] || fail "$script prints its directives"
    done
}

@test "every target of the options table is a target of make" {
    local target
    for target in $(grep -v '^#' "$ROOT/scripts/options.tsv" | cut -f4 | tr ' ' '\n' | sort -u); do
        run -0 make -C "$ROOT" -n "$target"
    done
}

@test "a word that is no option exits 2 and says where options are" {
    run -2 --separate-stderr "$ROOT/scripts/profile-pyspy" --rate=3
    [[ -z $output ]]
    matches "$stderr" "unexpected argument '--rate=3'.*--help"
}

@test "a rate that is no number exits 2 and names the option, through make too" {
    RATE=fast run -2 "$ROOT/scripts/profile-pyspy"
    matches "$output" "RATE: not a rate from 1 to 9999 Hz: 'fast'"
    run -2 make -C "$ROOT" profile-pyspy RATE=100Hz
    matches "$output" "RATE: not a rate from 1 to 9999 Hz: '100Hz'"
}

@test "a DURATION of nothing exits 2 before anything is started, for every profile" {
    local target duration
    export RESULTS=$BATS_TEST_TMPDIR/results
    for target in profile-wall profile-pyspy profile-perf; do
        for duration in 0 0.0 00; do
            DURATION=$duration run -2 "$ROOT/scripts/$target"
            matches "$output" "bad-option.*DURATION: nothing is sampled in '$duration' s"
        done
    done
    [[ ! -e $RESULTS ]]
}

@test "a value out of the range of what it is for exits 2 at once, and names the range" {
    local wrong
    export RESULTS=$BATS_TEST_TMPDIR/results
    while IFS='|' read -r wrong says; do
        run -2 env "$wrong" "$ROOT/scripts/metrics"
        equal "$output" "metrics: [bad-option] ${wrong%%=*}: not $says: '${wrong#*=}'"
    done <<'X'
DURATION=0.0001|0.001 s or more
LINGER=9999999|from 0 to 2592000 s
LINGER=2592000.5|from 0 to 2592000 s
BATCH_SIZE=0|1 or more
ROUNDS=00|1 or more
PID=99999999|a process id (1 to 4194304), nor 'find'
PID=4194305|a process id (1 to 4194304), nor 'find'
PID=0|a process id (1 to 4194304), nor 'find'
X
    [[ ! -e $RESULTS ]]
    run -0 env LINGER=2592000 DURATION=0.001 BATCH_SIZE=1 PID=4194304 bash -c '. "$ROOT/scripts/lib/common.sh"; options_load; echo "$LINGER $DURATION $BATCH_SIZE $PID"' x
    equal "$output" '2592000 0.001 1 4194304'
}

@test "a wrong word leaves no run folder, and latest where it was, for every target that launches" {
    local target wrong
    export RESULTS=$BATS_TEST_TMPDIR/results
    mkdir -p "$RESULTS/good"
    ln -s good "$RESULTS/latest"
    for target in profile-wall profile-pyspy profile-perf profile-cprofile metrics; do
        for wrong in FILES=50 PID=0 PID=x "WORKSPACE=~/x" EMBEDDINGS=foo LOADER_DIR=/nonexistent "LOADER='x" 'LOADER=/nonexistent/x' 'LOADER= ' \
            'ARGS="a' 'ARGS=${a b}'; do
            # cProfile takes no PID at all.
            run -2 env "$wrong" "$ROOT/scripts/$target"
            matches "$output" "^$target: \[(bad-option|no-workspace|no-loader)\] ${wrong%%=*}: "
            equal "${#lines[@]}" 1 "lines for $wrong: $output"
        done
    done
    equal "$(ls "$RESULTS")" $'good\nlatest'
    equal "$(readlink "$RESULTS/latest")" good
}

@test "LOADER and ARGS are split and unquoted as a shell would" {
    run -0 bash -c '. "$ROOT/scripts/lib/common.sh"
        LOADER="a '"'b  c'"' \"d e\" \$NO_SUCH_NAME f\\ g"; words_of LOADER; printf "<%s>" "${WORDS[@]}"; ARGS=; words_of ARGS; echo "${#WORDS[@]}"'
    equal "$output" '<a><b  c><d e><f g>0'
}

@test "a script's exit status tells what was wrong; make's is 2 for all of them, and it names the script's" {
    local status_of_script target option
    export RESULTS=$BATS_TEST_TMPDIR/results
    mkdir -p "$RESULTS/damaged"
    echo '{' >"$RESULTS/damaged/run.json"
    while read -r status_of_script target option; do
        run "-$status_of_script" env "$option" "$ROOT/scripts/$target"
        run -2 env "$option" make -C "$ROOT" "$target"
        matches "$output" "make: \*\*\* .* Error $status_of_script(\$|[^0-9])"
    done <<X
1 doctor DOCTOR_ROOT=$FIXTURES/machines/yama3
2 report RUN=no-such-run
3 report RUN=damaged
X
    run -0 make -C "$ROOT" help
}

@test "attaching and launching at once is refused" {
    PID=1 WORKSPACE=/tmp run -2 "$ROOT/scripts/profile-pyspy"
    matches "$output" 'PID attaches'
}
