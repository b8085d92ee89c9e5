#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make doctor, on this machine and on recorded ones (tests/fixtures/machines; its README says what differs).
load ../lib/common

# on MACHINE: doctor's answer there.
on() {
    DOCTOR_ROOT=$FIXTURES/machines/$1 "$ROOT/scripts/doctor"
}

# fake COMMAND: a program of that name, by its text on stdin, that comes before the machine's own.
fake() {
    mkdir -p "$BATS_TEST_TMPDIR/bin"
    install /dev/stdin "$BATS_TEST_TMPDIR/bin/$1"
    [[ $PATH == "$BATS_TEST_TMPDIR/bin:"* ]] || PATH=$BATS_TEST_TMPDIR/bin:$PATH
}

# own_cache [FOLDER…]: an empty cache folder, with those environments in it, of this machine's.
own_cache() {
    export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache LOADER_PYTHON=$PYTHON312
    OWN_CACHE=$XDG_CACHE_HOME/qdrant-loader-profiling
    mkdir -p "$OWN_CACHE"
    (($# == 0)) || ln -s "$@" "$OWN_CACHE"
}
TOOLS=${TOOLS_ENV_PYTHON%/bin/*}
LOADER=${LOADER_ENV_PYTHON%/bin/*}

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
    # So is all that every profile asks for.
    for c in make:make column:bsdextrautils curl:curl; do
        matches "$output" "miss  ${c%:*}  *not installed [^:]*mend: sudo apt-get install ${c#*:}"
    done
    for c in cc jq; do
        rm "$BATS_TEST_TMPDIR/bin/$c"
    done
    PATH=$BATS_TEST_TMPDIR/bin run -1 "$ROOT/scripts/doctor"
    matches "$output" 'miss  cc  *not installed [^:]*mend: sudo apt-get install gcc'
    matches "$output" 'miss  jq  *not installed [^:]*mend: sudo apt-get install jq'
}

@test "missing headers that the helpers are built with are a miss with the package's name" {
    run -1 own_mounts bash -c 'mount -t tmpfs none /usr/include && exec "$ROOT/scripts/doctor"'
    matches "$output" 'miss  libc  *not installed [^:]*mend: sudo apt-get install libc6-dev'
    matches "$output" 'miss  zlib  *not installed [^:]*mend: sudo apt-get install zlib1g-dev'
}

@test "what the profiles ask for is on the list that doctor goes through" {
    local script
    for script in "$ROOT"/scripts/profile-* "$ROOT/scripts/setup" "$ROOT/scripts/metrics"; do
        grep -qF 'need_debs "${PROFILES_NEED[@]}"' "$script" || fail "${script##*/}"
    done
    run -0 bash -c '. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/env.sh"
        BIN=$ROOT/build/bin; need_debs() { echo "$*"; exit; }; echo "${HELPERS_NEED[*]}"; need_helpers'
    equal "${lines[1]}" "${lines[0]}"
}

@test "a tool's line has its version" {
    local c
    fake perf <<<$'#!/bin/sh\necho perf version 6.5.13'
    fake cc <<<'#!/bin/sh'
    fake gcc <<<$'#!/bin/sh\necho "gcc (Ubuntu 13.3.0-6ubuntu2~24.04) 13.3.0"; echo "Copyright (C) 2023 1.2"'
    fake clang <<<$'#!/bin/sh\necho "Ubuntu clang version 18.1.3 (1ubuntu1)"'
    fake gnuplot <<<$'#!/bin/sh\necho "gnuplot 6.0 patchlevel 2"'
    fake jq <<<$'#!/bin/sh\necho jq-1.7.1'
    fake bats <<<$'#!/bin/sh\necho Bats 1.11.0'
    run "$ROOT/scripts/doctor"
    for c in 'perf .*version 6\.5\.13,' 'cc .*\(gcc 13\.3\.0, clang 18\.1\.3\)' 'gnuplot .*\(gnuplot 6\.0 patchlevel 2\)' \
        'jq .*\(jq 1\.7\.1\)' 'bats .*\(bats 1\.11\.0\)'; do
        matches "$output" "(ok  |hint)  $c"
    done
}

@test "an environment of other requirements, or half built, is none" {
    own_cache
    mkdir "$OWN_CACHE/tools-0123456789abcdef" "$OWN_CACHE/loader-0123456789abcdef" "$OWN_CACHE/${TOOLS##*/}"
    touch "$OWN_CACHE"/{tools,loader}-0123456789abcdef/.complete
    run "$ROOT/scripts/doctor"
    matches "$output" 'hint  tools .*not built yet'
    matches "$output" 'hint  loader .*not built yet'
    # Nor has the question built one, or written a word.
    equal "$(cd "$OWN_CACHE" && find . -type f -o -name .lock\* | sort)" $'./loader-0123456789abcdef/.complete\n./tools-0123456789abcdef/.complete'
}

@test "an environment is there when it holds what it is for" {
    own_cache "$TOOLS" "$LOADER"
    run "$ROOT/scripts/doctor"
    matches "$output" "ok    tools  *py-spy [0-9.]+, Python 3[0-9.]+ in $OWN_CACHE/tools-"
    matches "$output" "ok    loader  *qdrant-loader [0-9.]+, Python 3.12[0-9.]+ in $OWN_CACHE/loader-"
    rm "$OWN_CACHE"/*
    mkdir -p "$OWN_CACHE/${TOOLS##*/}/bin" "$OWN_CACHE/${LOADER##*/}/bin"
    touch "$OWN_CACHE/${TOOLS##*/}/.complete" "$OWN_CACHE/${LOADER##*/}/.complete"
    ln -s "$TOOLS_ENV_PYTHON" "$OWN_CACHE/${TOOLS##*/}/bin/python"
    ln -s "$PYTHON312" "$OWN_CACHE/${LOADER##*/}/bin/python"
    run -1 "$ROOT/scripts/doctor"
    matches "$output" "miss  tools  *no py-spy [^:]*mend: rm -r $OWN_CACHE/${TOOLS##*/} && make setup"
    matches "$output" "miss  loader  *no Python with qdrant-loader [^:]*mend: rm -r $OWN_CACHE/${LOADER##*/} && make setup"
}

@test "the cache folder needs room for the environments that are not yet built, and no more" {
    fake df <<<$'#!/bin/sh\necho Avail\necho $((1000 * 1024))'
    own_cache
    run -1 "$ROOT/scripts/doctor"
    matches "$output" 'miss  disk  *the cache .* has 1000 MiB free, and needs 3020'
    ln -s "$LOADER" "$OWN_CACHE"
    run "$ROOT/scripts/doctor"
    matches "$output" 'ok    disk  *the cache: 1000 MiB free'
    ln -s "$TOOLS" "$OWN_CACHE"
    fake df <<<$'#!/bin/sh\necho Avail\necho $((300 * 1024))'
    run "$ROOT/scripts/doctor"
    matches "$output" 'ok    disk  *the cache: 300 MiB free'
}
