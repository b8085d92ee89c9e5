#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make export: what each profile counts, in each format, as the tools that it is for read it.
load ../lib/common

# run_of TARGET JQ STACK…: a run folder of that target, of stacks as it makes them.
run_of() {
    local dir=$RESULTS/$1
    mkdir -p "$dir/raw"
    jq -n --arg t "$1" '{target: $t, state: "done"} | '"$2" >"$dir/run.json"
    printf '%s\n' "${@:3}" >"$dir/profile.folded"
}

setup() {
    export RESULTS=$BATS_TEST_TMPDIR/results
    run_of profile-pyspy '.sample_interval_s = 0.01' 'MainThread;main (app.py:3);chunk (text/chunk.py:7) 30' 'MainThread;main (app.py:3) 10'
    run_of profile-wall . 'main (app.py:3);chunk (text/chunk.py:7);[sleep 0.5s] 3000000' 'main (app.py:3) 1000000'
    run_of profile-perf '.off_cpu = 0' 'main (app.py:3);chunk (text/chunk.py:7);gc_collect_main 30' 'main (app.py:3);do_sys_poll_[k] 10'
    run_of profile-cprofile . 'main (app.py:3);chunk (text/chunk.py:7) 3000000' 'main (app.py:3) 1000000'
}

# exported TARGET FORMAT NAME: make export prints that file of the run folder, and only that: FILE.
exported() {
    run -0 --separate-stderr env MAKEFLAGS= make --no-print-directory -C "$ROOT" export RUN="$1" FORMAT="$2" RESULTS="$RESULTS"
    equal "$output" "$RESULTS/$1/$3"
    FILE=$output
}

# pprof_says TARGET TYPE TOTAL WIDEST
pprof_says() {
    exported "$1" pprof profile.pb.gz
    run -0 go tool pprof -top "$FILE"
    matches "$output" "Type: $2"
    matches "$output" "accounting for $3, 100% of $3 total"
    matches "$output" "$4"
}

@test "go tool pprof reads the profile of every target, in samples or in seconds as it counts" {
    pprof_says profile-pyspy samples 40 '30 75.00% 75.00%         30 75.00%  chunk'
    pprof_says profile-wall wall 4s '3s 75.00% 75.00%         3s 75.00%  \[sleep 0.5s\]'
    pprof_says profile-perf samples 40 '30 75.00% 75.00%         30 75.00%  gc_collect_main'
    pprof_says profile-cprofile cpu 4s '3s 75.00% 75.00%         3s 75.00%  chunk'
    run_of profile-perf '.off_cpu = 1' 'main (app.py:3);futex_wait_[k] 2500'
    pprof_says profile-perf off-cpu 2.50ms 'futex_wait'
}

@test "speedscope gets every target's stacks with frames, lines and unit" {
    local target unit total
    for target in profile-pyspy:none:40 profile-wall:microseconds:4000000 profile-perf:none:40 profile-cprofile:microseconds:4000000; do
        IFS=: read -r target unit total <<<"$target"
        exported "$target" speedscope profile.speedscope.json
        equal "$(jq -c '.profiles[0] | [.type, .unit, .endValue, (.weights | add)]' "$FILE")" "[\"sampled\",\"$unit\",$total,$total]"
        equal "$(jq -c '.shared.frames[] | select(.name == "chunk")' "$FILE" | head -n 1)" '{"name":"chunk","file":"text/chunk.py","line":7}' "$target"
        equal "$(jq -r '.profiles[0].name' "$FILE")" "QDrant Loader: $target"
    done
}

@test "collapsed is the run's own file" {
    local target before
    for target in profile-pyspy profile-wall profile-perf profile-cprofile; do
        before=$(<"$RESULTS/$target/profile.folded")
        exported "$target" collapsed profile.folded
        equal "$(<"$FILE")" "$before"
    done
}

@test "a format that is none is 2, a run without stacks 3, and neither leaves a file" {
    RUN=profile-wall FORMAT=svg run -2 --separate-stderr "$ROOT/scripts/export"
    matches "$stderr" 'bad-option. FORMAT: not pprof, speedscope or collapsed'
    : >"$RESULTS/profile-wall/profile.folded"
    RUN=profile-wall FORMAT=pprof run -3 --separate-stderr "$ROOT/scripts/export"
    matches "$stderr" 'no-samples'
    RUN=nowhere run -2 --separate-stderr "$ROOT/scripts/export"
    equal "$(find "$RESULTS" -name 'profile.pb*' -o -name '*.speedscope*')" ''
}

@test "a run without stacks gets the command that may make them" {
    : >"$RESULTS/profile-wall/profile.folded"
    RUN=profile-wall run -3 --separate-stderr "$ROOT/scripts/export"
    matches "$stderr" "no-samples.*Try: make report RUN=.*/profile-wall\$"
}

@test "a folder that cannot be written is exit 3 with the next step, and no word of bash" {
    run -3 --separate-stderr own_mounts bash -c '
        mount --bind "$RESULTS/profile-wall" "$RESULTS/profile-wall" && mount -o remount,bind,ro "$RESULTS/profile-wall"
        RUN=profile-wall FORMAT=pprof "$ROOT/scripts/export"'
    matches "$stderr" '^export: \[results-unwritable\] cannot write to .*: no right to\. Copy the folder .*RUN$'
    equal "${#stderr_lines[@]}" 1
    # What is there already needs no writing.
    run -0 own_mounts bash -c '
        mount --bind "$RESULTS/profile-wall" "$RESULTS/profile-wall" && mount -o remount,bind,ro "$RESULTS/profile-wall"
        RUN=profile-wall FORMAT=collapsed "$ROOT/scripts/export"'
}

@test "a full disk is exit 3, and leaves nothing half-written" {
    run -0 --separate-stderr own_mounts bash -c '
        mkdir "$BATS_TEST_TMPDIR/full" && mount -t tmpfs -o size=64k tmpfs "$BATS_TEST_TMPDIR/full"
        cp -r "$RESULTS/profile-wall" "$BATS_TEST_TMPDIR/full"
        head -c 1M /dev/zero >"$BATS_TEST_TMPDIR/full/fill" 2>/dev/null
        for format in pprof speedscope; do
            RUN=$BATS_TEST_TMPDIR/full/profile-wall FORMAT=$format "$ROOT/scripts/export"
            echo "status $?"
        done
        ls "$BATS_TEST_TMPDIR/full/profile-wall"'
    equal "$output" $'status 3\nstatus 3\nprofile.folded\nraw\nrun.json'
    matches "$stderr" 'export: \[export-failed\] .*profile\.pb\.gz was not made \(see above\)\. If the disk is full: copy'
}
