#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make doctor, on this machine and on recorded ones (tests/fixtures/machines; its README says what differs).
load ../lib/common

# on MACHINE: doctor's answer there.
on() {
    DOCTOR_ROOT=$FIXTURES/machines/$1 "$ROOT/scripts/doctor"
}

@test "on this machine every line is ok, miss or hint, and the exit status counts the misses" {
    run "$ROOT/scripts/doctor"
    [[ $status == 0 || $status == 1 ]]
    matches "$output" '[0-9]+ missing, [0-9]+ hints'
    local misses
    misses=$(grep -c '^  miss ' <<<"$output") || :
    matches "${lines[-1]}" "^$misses missing"
    equal "$status" $((misses > 0))
    # Each miss and each hint is followed by what mends it.
    equal "$(grep -cE '^  (miss|hint) ' <<<"$output" || :)" "$(grep -c 'mend: ' <<<"$output" || :)"
}

@test "an unprivileged user under yama 1 is told how to attach" {
    run on yama1
    matches "$output" 'hint  ptrace .*only a loader that the harness launches'
    matches "$output" 'mend: sudo sysctl kernel.yama.ptrace_scope=0'
}

@test "yama 3 without the capability is a miss and exit 1" {
    run -1 on yama3
    matches "$output" 'miss  ptrace '
}

@test "yama 3 bars root too, and yama 2 does not" {
    cp -r "$FIXTURES/machines/yama3" "$BATS_TEST_TMPDIR"
    printf 'CapEff:\t000001ffffffffff\n' >"$BATS_TEST_TMPDIR/yama3/proc/self/status"
    DOCTOR_ROOT=$BATS_TEST_TMPDIR/yama3 run -1 "$ROOT/scripts/doctor"
    matches "$output" 'miss  ptrace .*not even by root'
    echo 2 >"$BATS_TEST_TMPDIR/yama3/proc/sys/kernel/yama/ptrace_scope"
    DOCTOR_ROOT=$BATS_TEST_TMPDIR/yama3 run "$ROOT/scripts/doctor"
    matches "$output" 'ok    ptrace '
}

@test "a container without SYS_PTRACE, with little memory, is named as one" {
    run on container
    matches "$output" 'hint  container .*without CAP_SYS_PTRACE'
    matches "$output" 'docker run --cap-add SYS_PTRACE'
    matches "$output" 'hint  cgroup .*memory limit 512 MiB'
}

@test "barred perf, a zero schedstat and a slow clock are hints with commands" {
    run on yama1
    matches "$output" 'hint  perf .*(perf_event_paranoid 4|not installed)'
    matches "$output" 'hint  run-queue .*n/a'
    matches "$output" 'hint  clock .*hpet'
}

@test "a schedstat that counts is never taken for one that reads nothing" {
    local run wait rest
    read -r run wait rest </proc/$$/schedstat && [[ $run$wait != 00 ]] || skip 'this kernel counts nothing'
    run -0 bash -c '. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/doctor.sh"; for ((i = 0; i < 100; i++)); do check_schedstat; done; echo "$HINTS"'
    equal "${lines[-1]}" 0 'hints'
}

@test "a perf that may not see the kernel is a hint with the command" {
    cp -r "$FIXTURES/machines/yama1" "$BATS_TEST_TMPDIR"
    echo 2 >"$BATS_TEST_TMPDIR/yama1/proc/sys/kernel/perf_event_paranoid"
    mkdir "$BATS_TEST_TMPDIR/bin"
    printf '#!/bin/sh\n' | install /dev/stdin "$BATS_TEST_TMPDIR/bin/perf"
    DOCTOR_ROOT=$BATS_TEST_TMPDIR/yama1 PATH=$BATS_TEST_TMPDIR/bin:$PATH run "$ROOT/scripts/doctor"
    matches "$output" 'hint  perf .*paranoid 2: no functions of the kernel[^:]*mend: sudo sysctl kernel.perf_event_paranoid=1'
    # What root sees.
    printf 'CapEff:\t000001ffffffffff\n' >"$BATS_TEST_TMPDIR/yama1/proc/self/status"
    DOCTOR_ROOT=$BATS_TEST_TMPDIR/yama1 PATH=$BATS_TEST_TMPDIR/bin:$PATH run "$ROOT/scripts/doctor"
    matches "$output" 'ok    perf '
}

@test "a missing tool is a miss with the package's name" {
    local c
    mkdir "$BATS_TEST_TMPDIR/bin"
    for c in bash sed awk env cat df tail head nproc uname grep dirname tput python3 cc jq ls readlink; do
        ln -s "$(command -v "$c")" "$BATS_TEST_TMPDIR/bin/$c"
    done
    PATH=$BATS_TEST_TMPDIR/bin run -1 "$ROOT/scripts/doctor"
    matches "$output" 'miss  gnuplot .*not installed'
    matches "$output" 'mend: sudo apt-get install gnuplot-nox'
}
