#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What must hold when things go wrong: a clear message, the right exit status, what was sampled kept, nothing left running.
load ../lib/common

setup() {
    load ../lib/loader
    # The default interval makes runs of 20 s and more, so that there is time for something to happen.
    export FILES=100 MIN_REQUEST_INTERVAL=0.5 RESULTS=$BATS_TEST_TMPDIR/results TMPDIR=$BATS_TEST_TMPDIR
    RUN=$RESULTS/latest
}

teardown() {
    [[ -z ${TARGET-} ]] || kill -KILL "$TARGET" 2>/dev/null || :
    loader_end
    [[ -z ${CGROUP-} ]] || until_true 20 rmdir "$CGROUP"
}

# target_start [NAME=VALUE…]: make profile-pyspy in the background, in a process group of its own; TARGET is its script.
target_start() {
    set -m
    env "$@" "$ROOT/scripts/${SCRIPT:-profile-pyspy}" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- &
    TARGET=$!
    set +m
}

# sampling: has the sampler been at work for a while?
sampling() {
    [[ -s $RUN/samples.tsv ]] && grep -qs 'sampling begins' "$RUN/raw/marks.tsv" &&
        grep -qsE '"points": [1-9]' "$RUN/raw/qdrant.counts.json"
}

# target_ends STATUS: it ends with that status, and nothing that it started is left.
target_ends() {
    local status=0
    wait "$TARGET" || status=$?
    equal "$status" "$1" "exit status; $(tail -n 5 "$BATS_TEST_TMPDIR/err")"
    until_true 20 nothing_left
    TARGET=
}

# readable_profile: what was sampled is there and can be read.
readable_profile() {
    local f
    for f in profile.svg profile.folded stages.tsv summary.md timeline.svg; do [[ -s $RUN/$f ]] || fail "no $f"; done
    shares_add_up "$RUN"
}

# was_stopped SIGNAL STATUS: its manifest tells one story of that.
was_stopped() {
    equal "$(jq -c '[.state, .stopped, .exit_status]' "$RUN/run.json")" "[\"stopped\",\"SIG$1\",$2]"
}

# tmp_folders: how many temporary folders of targets there are.
tmp_folders() { find "$TMPDIR" -maxdepth 1 -type d \( -name 'qlp-*' -o -name 'qdrant-loader-*' \) | wc -l; }

@test "Ctrl-C keeps what was sampled, exits 130 and leaves nothing running" {
    target_start
    until_true 120 sampling
    kill -INT -- "-$TARGET"
    target_ends 130
    readable_profile
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'stopped by SIGINT: keeping what was sampled'
    (($(jq .samples "$RUN/run.json") > 0))
    was_stopped INT 130
    matches "$(<"$RUN/summary.md")" 'The run was stopped before its end \(SIGINT\)'
}

@test "SIGTERM keeps what was sampled, exits 143 and leaves nothing running" {
    target_start
    until_true 120 sampling
    kill -TERM "$TARGET"
    target_ends 143
    readable_profile
}

# noted_only SCRIPT [NAME=VALUE…]: runs the target, and tells what its own process has expanded while it noted signals. Its exit status has to
# be STATUS (0).
noted_only() {
    local status=0
    rm -f "$BATS_TEST_TMPDIR"/expansions*
    env "${@:2}" BASH_ENV="$ROOT/tests/lib/expansions.bash" EXPANSIONS="$BATS_TEST_TMPDIR/expansions" "$ROOT/scripts/$1" \
        >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- || status=$?
    equal "$status" "${STATUS-0}" "exit status of $*; $(tail -n 5 "$BATS_TEST_TMPDIR/err")"
    (($(wc -c <"$BATS_TEST_TMPDIR/expansions.seen") > 500)) || fail "$*: nothing was looked at"
    [[ ! -e $BATS_TEST_TMPDIR/expansions ]] || fail "$*: $(sort "$BATS_TEST_TMPDIR/expansions" | uniq -c)"
}

# Bash 5.2 takes a trap that is due for a part of a substitution that it is about to read, and the script ends with status 2.
@test "no target's own process expands a substitution while it notes signals" {
    export MIN_REQUEST_INTERVAL=0
    noted_only profile-pyspy
    noted_only profile-wall
    noted_only profile-cprofile
    noted_only profile-perf
    noted_only profile-perf OFFCPU=1
    STATUS=3 noted_only metrics LISTEN=127.0.0.1:0 LINGER=1 TEXTFILE="$BATS_TEST_TMPDIR" PUSH=http://127.0.0.1:1
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'push-failed'
    STATUS=3 noted_only profile-wall LOADER=true
    MIN_REQUEST_INTERVAL=1 loader_start plain
    noted_only profile-wall PID="$WRAPPER" DURATION=2
    noted_only metrics PID="$WRAPPER" LISTEN=127.0.0.1:0 LINGER=1
    # One that does is told.
    printf '%s\n' '#!/usr/bin/env bash' '. "$ROOT/scripts/lib/common.sh"' '. "$ROOT/scripts/lib/flow.sh"' ': "$(echo 0)"' signals_noted \
        'for ((i = 0; i < 500; i++)); do :; done' ': "$(echo 1)" $((1 + 1))' 'read -r _ < <(echo 2)' '(: "$(echo 3)")' \
        signals_ignored ': "$(echo 4)"' >"$BATS_TEST_TMPDIR/wrong"
    chmod +x "$BATS_TEST_TMPDIR/wrong"
    run ! noted_only "$(realpath --relative-to "$ROOT/scripts" "$BATS_TEST_TMPDIR/wrong")"
    equal "$(cut -d ' ' -f 2- "$BATS_TEST_TMPDIR/expansions")" $': "$(echo 1)" $((1 + 1))\nread -r _ < <(echo 2)'
}

@test "a signal that comes while the line of how it goes is put together is noted" {
    run -0 bash -c '. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/flow.sh"
        sampler_progress() { kill -TERM $$; printf sampling; }
        chunks_done() { printf 5; }
        samples_last() { echo 7.5 2048; }
        signals_noted
        progress 3
        echo "stopped by $STOPPED"' test
    equal "$output" $'test: 3 s: sampling, chunks 5, CPU 7.5 s, RSS 2 MiB\nstopped by TERM'
}

@test "Ctrl-C before the loader is there exits 130 and leaves nothing running" {
    target_start
    until_true 60 compgen -G "$RESULTS/*-profile-pyspy/log/standin-qdrant.log"
    kill -INT -- "-$TARGET"
    target_ends 130
    equal "$(jq -c '[.state, .stopped, .exit_status, (.ended | type)]' "$RESULTS"/*-profile-pyspy/run.json)" '["stopped","SIGINT",130,"string"]'
    [[ ! -e $RESULTS/latest ]] || fail 'latest names a run that has nothing to show'
}

# waits_for_a_loader: it has launched what should become one, and looks for it.
waits_for_a_loader() { compgen -G "$RESULTS/*-profile-pyspy/log/pidfind.log" >/dev/null && child_of_target 'sh -c sleep' >/dev/null; }

# ended_while_it_waits SIGNAL STATUS: a wrapper that never comes to start the loader is given up by a signal, at once.
ended_while_it_waits() {
    target_start LOADER="sh -c 'sleep 600 & wait; : $BATS_TEST_TMPDIR'"
    until_true 60 waits_for_a_loader
    local began=$SECONDS
    kill -s "$1" -- "-$TARGET"
    target_ends "$2"
    ((SECONDS - began < 20)) || fail "it took $((SECONDS - began)) s"
    matches "$(<"$BATS_TEST_TMPDIR/err")" "stopped by SIG$1 before there was anything to sample"
    [[ $(<"$BATS_TEST_TMPDIR/err") != *loader-not-found* ]] || fail "$(<"$BATS_TEST_TMPDIR/err")"
    equal "$(jq -c '[.state, .stopped, .exit_status]' "$RESULTS"/*-profile-pyspy/run.json)" "[\"stopped\",\"SIG$1\",$2]"
}
@test "Ctrl-C while the loader is waited for exits 130 and leaves nothing running" { ended_while_it_waits INT 130; }
@test "SIGTERM while the loader is waited for exits 143 and leaves nothing running" { ended_while_it_waits TERM 143; }

# log_filter: the pid of the sed that writes the loader's log.
log_filter() {
    local p
    for p in /proc/[0-9]*; do
        if [[ $(cat "$p/comm" 2>/dev/null) == sed && $(readlink "$p/fd/1") == "$(readlink -f "$RUN")/log/loader.log" ]]; then
            printf '%s\n' "${p#/proc/}"
            return 0
        fi
    done
    fail 'nothing writes the log'
}

@test "kill -9 of the filter of the loader's log is a failed tool: exit 3, and the profile is kept" {
    target_start MIN_REQUEST_INTERVAL=0.2
    until_true 120 sampling
    kill -KILL "$(log_filter)"
    target_ends 3
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'log-failed. log/loader.log is not complete'
    matches "$(<"$RUN/summary.md")" 'log-failed'
    readable_profile
    # What the stand-in counted is told in place of what the loader did.
    equal "$(jq .chunks "$RUN/run.json")" "$(jq .qdrant_points "$RUN/run.json")"
}

@test "a run that ingests nothing of the made corpus is exit 3, with the loader's own reason" {
    ARGS=--source-type=git run -3 --separate-stderr "$ROOT/scripts/profile-pyspy"
    matches "$stderr" "nothing-ingested. the loader ended with status 0 and stored no chunk: .*No sources found"
}

@test "a loader that ends well before it can be sampled is told so" {
    ARGS=--help run -3 --separate-stderr "$ROOT/scripts/profile-pyspy"
    matches "$stderr" 'no-samples. no stack was sampled: the loader ended .exit status 0. before there was anything to sample. STARTUP=1'
}

@test "on a terminal one line tells elapsed time, samples and rate, chunks, CPU and RSS, and costs little" {
    local out=$BATS_TEST_TMPDIR/terminal
    DURATION=6 run -0 script -qfec "$ROOT/scripts/profile-pyspy" "$out"
    matches "$(tr '\r' '\n' <"$out")" '[0-9]+ s: waiting for the pipeline, CPU [0-9.]+ s, RSS [1-9][0-9]* MiB'
    matches "$(tr '\r' '\n' <"$out")" '[3-5] s: [1-9][0-9]* samples, [0-9.]+ of 100 Hz, chunks [0-9]+, CPU [0-9.]+ s, RSS [1-9][0-9]* MiB'
    # It is drawn once a second, not as fast as the loop goes round.
    local drawn
    drawn=$(tr '\r' '\n' <"$out" | grep -cE '[0-9]+ s: .*RSS')
    ((drawn <= 40)) || fail "$drawn lines were drawn"
    matches "$(<"$RUN/summary.md")" 'ended here when the 6 s of DURATION were over'
    matches "$(<"$RUN/summary.md")" '[0-9]+ chunks \([0-9.]+ chunks/s\)'
}

@test "kill -9 of the target's script ends everything, and make report reads what is left" {
    target_start
    until_true 120 sampling
    run -2 --separate-stderr make --no-print-directory -C "$ROOT" report
    matches "$stderr" "run-goes-on. .* is not at its end: process $TARGET makes the report then"
    equal "$(jq -r .state "$RUN/run.json")" running
    kill -KILL "$TARGET"
    target_ends 137
    equal "$(jq -r .state "$RUN/run.json")" running
    # Its temporary folder, where perf's recording would be, stays until the next target starts.
    equal "$(tmp_folders)" 1 'temporary folders'
    run -0 --separate-stderr make --no-print-directory -C "$ROOT" report
    equal "$(tmp_folders)" 0 'temporary folders'
    equal "$(jq -r .state "$RUN/run.json")" interrupted
    # py-spy was told to end, and wrote its stacks.
    readable_profile
    equal "$(awk '!/^#/ { sum += $NF } END { print sum }' "$RUN/profile.folded")" "$(jq .samples "$RUN/run.json")"
}

@test "kill -9 of make keeps what was sampled and leaves nothing running" {
    set -m
    make --no-print-directory -C "$ROOT" profile-pyspy >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- &
    TARGET=$!
    set +m
    until_true 120 sampling
    kill -KILL "$TARGET"
    # The script ends after make, in its own time, and its summary is the last that it writes.
    until_true 60 test -s "$RUN/summary.md"
    target_ends 137
    readable_profile
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'stopped by SIGTERM: keeping what was sampled'
    was_stopped TERM 143
}

@test "kill -9 of procrun ends the loader, and the target says so" {
    target_start
    until_true 120 sampling
    kill -KILL "$(child_of_target 'procrun .*--result')"
    target_ends 137
    readable_profile
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'loader-failed. .*exit status 137, signal .*: procrun was killed'
}

@test "kill -9 of the loader keeps the profile, and the target exits 137 and names the signal" {
    target_start
    until_true 120 sampling
    kill -KILL "$(jq .pid "$RUN/run.json")"
    target_ends 137
    readable_profile
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'exit status 137, signal (9|SIGKILL|KILL).*out of memory'
}

# cgroup_make LIMIT_MIB: CGROUP, a memory cgroup (version 1 or 2) of that size without swap.
cgroup_make() {
    ((EUID == 0)) || fail "needs root, to make a memory cgroup: sudo make test"
    local bytes=$(($1 << 20))
    if [[ -d /sys/fs/cgroup/memory ]]; then
        CGROUP=/sys/fs/cgroup/memory/bats-$BASHPID
        mkdir "$CGROUP"
        echo "$bytes" >"$CGROUP/memory.limit_in_bytes"
    else
        CGROUP=/sys/fs/cgroup/bats-$BASHPID
        mkdir "$CGROUP"
        echo "$bytes" >"$CGROUP/memory.max"
        echo 0 >"$CGROUP/memory.swap.max"
    fi
}

@test "a loader that the kernel kills for want of memory keeps its profile, and the target says what it looks like" {
    # Of memory that cannot be given back it has 215 MiB when the ingestion begins, and 255 MiB when it ends.
    cgroup_make 235
    run --separate-stderr env LOADER="sh -c 'echo \$\$ >$CGROUP/cgroup.procs; exec \"\$@\"' - $LOADER_ENV_PYTHON -m qdrant_loader.cli.cli" \
        "$ROOT/scripts/profile-pyspy"
    local killed=$status
    matches "$(cat "$CGROUP/memory.oom_control" "$CGROUP/memory.events" 2>/dev/null)" 'oom_kill [1-9]'
    equal "$killed" 137 "$stderr"
    matches "$stderr" 'loader-failed.*killed, perhaps out of memory .see dmesg.; its RSS was [1-9][0-9]* MiB at most'
    readable_profile
}

@test "a crash of the loader keeps the profile, and the target exits 139" {
    target_start
    until_true 120 sampling
    kill -SEGV "$(jq .pid "$RUN/run.json")"
    target_ends 139
    readable_profile
}

@test "kill -9 of py-spy is a failed tool: exit 3, and its stacks up to the part that it was at are drawn" {
    target_start
    until_true 120 sampling
    until_true 60 test -s "$RUN/raw/pyspy.folded"
    until_true 20 kill_child '.*py-spy record'
    target_ends 3
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'py-spy-failed. .*signal KILL: part [0-9]+ is lost'
    readable_profile
    # Nothing of what was kept is lost on its way to the picture.
    (($(jq .samples "$RUN/run.json") > 0))
    equal "$(awk '!/^#/ { sum += $NF } END { print sum }' "$RUN/profile.folded")" "$(jq .samples "$RUN/run.json")"
}

# path_without COMMAND…: a PATH on which the system's commands are, but those.
path_without() {
    local dir=$BATS_TEST_TMPDIR/bin word path=
    mkdir "$dir"
    ln -s /usr/bin/* /usr/sbin/* "$dir" 2>/dev/null || :
    for word in "$@"; do rm -f "$dir/$word"; done
    while IFS= read -r -d : word; do
        [[ $word =~ ^(/usr)?/s?bin$ ]] || path+=:$word
    done <<<"$PATH:"
    printf '%s%s' "$dir" "$path"
}

@test "gnuplot that cannot be installed costs a run its timeline alone: it is said at once, and exit 3 at the end" {
    PATH=$(path_without gnuplot apt-get) DURATION=2 MIN_REQUEST_INTERVAL=0 run -3 --separate-stderr "$ROOT/scripts/profile-pyspy"
    matches "$stderr" 'no-gnuplot. there will be no timeline.svg: missing: gnuplot-nox.* Run: sudo apt-get install'
    [[ -s $RUN/profile.svg && -s $RUN/summary.md && ! -e $RUN/timeline.svg ]] || fail "$(ls "$RUN")"
    matches "$(<"$RUN/summary.md")" 'no-gnuplot.* no timeline.svg'
}

@test "a tools environment that lost its py-spy is exit 3 with the next step, and leaves no run folder" {
    local cache=$BATS_TEST_TMPDIR/cache
    mkdir -p "$cache/qdrant-loader-profiling"
    cp -a "${TOOLS_ENV_PYTHON%/bin/*}" "$cache/qdrant-loader-profiling/"
    rm "$cache"/qdrant-loader-profiling/tools-*/bin/py-spy
    XDG_CACHE_HOME=$cache run -3 "$ROOT/scripts/profile-pyspy"
    matches "$output" 'no-py-spy. py-spy is missing from .*/bin\. Remove .* run make setup'
    printf '#!/bin/sh\necho "no room" >&2; exit 1\n' | install /dev/stdin "$(echo "$cache"/qdrant-loader-profiling/tools-*/bin)/py-spy"
    XDG_CACHE_HOME=$cache run -3 "$ROOT/scripts/profile-pyspy"
    matches "$output" 'no-py-spy. .*/py-spy does not run: no room\. Remove the folder .*tools-[0-9a-f]+ and run make setup'
    [[ ! -e $RESULTS ]]
}

@test "kill -9 of procsample loses no stacks, and is said" {
    target_start MIN_REQUEST_INTERVAL=0
    until_true 120 sampling
    kill -KILL "$(child_of_target 'procsample')"
    target_ends 3
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'procsample-failed'
    [[ -s $RUN/profile.svg && -s $RUN/stages.tsv ]]
    shares_add_up "$RUN"
}

@test "kill -9 of the Qdrant stand-in fails the ingestion and not the profile" {
    target_start MIN_REQUEST_INTERVAL=0.2
    until_true 120 sampling
    kill -KILL "$(child_of_target '.*standin/qdrant.py')"
    target_ends 1
    readable_profile
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'standin-failed. the qdrant stand-in ended before the loader did, exit status 137 .signal KILL.'
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'loader-failed.*exit status 1'
}

@test "kill -9 of the embedding stand-in fails the ingestion and not the profile" {
    target_start MIN_REQUEST_INTERVAL=0.2
    until_true 120 sampling
    kill -KILL "$(child_of_target '.*standin/embeddings.py')"
    target_ends 1
    readable_profile
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'standin-failed. the embeddings stand-in ended before the loader did, exit status 137 .signal KILL.'
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'loader-failed.*exit status 1'
}

@test "kill -9 of pysample is a failed tool: exit 3, and what it had written is drawn" {
    SCRIPT=profile-wall target_start
    until_true 120 sampling
    until_true 60 grep -qs '_apply_rate_limit' "$RUN/raw/wall.folded"
    kill -KILL "$(child_of_target 'pysample')"
    target_ends 3
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'pysample-failed'
    readable_profile
}

# killed_of_duration SCRIPT PATTERN ID: the sampler of a run of DURATION is killed long before that is over.
killed_of_duration() {
    SCRIPT=$1 target_start DURATION=600
    until_true 120 sampling
    until_true 20 kill_child "$2"
    target_ends 3
    matches "$(<"$BATS_TEST_TMPDIR/err")" "\\[$3\\].* ended before its time, exit status 137 after [0-9.]+ s, signal KILL of the 600 s asked for: .*make doctor"
    equal "$(jq -c '[.state, .exit_status]' "$RUN/run.json")" '["failed",3]'
    [[ -s $RUN/samples.tsv && -s $RUN/summary.md ]]
}

@test "kill -9 of pysample is a failed tool under DURATION too" {
    killed_of_duration profile-wall pysample pysample-failed
    equal "$(awk '$1 == "complete" { print $2 }' "$RUN/raw/pysample.tsv")" no
}
@test "kill -9 of py-spy is a failed tool under DURATION too" { killed_of_duration profile-pyspy '.*py-spy record' py-spy-failed; }
@test "kill -9 of perf is a failed tool under DURATION too" { killed_of_duration profile-perf 'perf record' perf-failed; }

@test "kill -9 of procrun before pysample is a failed tool under DURATION too" {
    killed_of_duration profile-wall 'procrun .*-- pysample' pysample-failed
}

@test "a recording of perf that ends before DURATION is a failed tool though its status is 0" {
    run -0 bash -c '. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/perf_record.sh"
        PERF_BEGAN=1000000000 WATCH_ENDED=4000000000
        for DURATION in "" 3 3.1 4; do perf_complete; done'
    equal "${lines[*]}" 'yes yes yes no'
}

@test "Ctrl-C under profile-wall keeps the await chains, and exits 130" {
    SCRIPT=profile-wall target_start
    until_true 120 sampling
    until_true 60 grep -qs '_apply_rate_limit' "$RUN/raw/wall.folded"
    kill -INT -- "-$TARGET"
    target_ends 130
    was_stopped INT 130
    readable_profile
    matches "$(<"$RUN/summary.md")" 'waiting in EmbeddingService._apply_rate_limit'
}

@test "Ctrl-C under profile-cprofile keeps profile.out, and exits 130" {
    SCRIPT=profile-cprofile target_start
    until_true 120 grep -qsE '"points": [1-9]' "$RUN/raw/qdrant.counts.json"
    kill -INT -- "-$TARGET"
    target_ends 130
    was_stopped INT 130
    [[ -s $RUN/profile.out ]] || fail "no profile.out: $(tail "$BATS_TEST_TMPDIR/err")"
    readable_profile
}

@test "Ctrl-C under profile-perf keeps the stacks, and exits 130" {
    SCRIPT=profile-perf target_start
    until_true 120 sampling
    kill -INT -- "-$TARGET"
    target_ends 130
    was_stopped INT 130
    readable_profile
}

@test "a loader that waits for a provider that never answers is sampled until Ctrl-C" {
    target_start LATENCY=600000
    until_true 120 grep -qs 'sampling begins' "$RUN/raw/marks.tsv"
    until_true 60 grep -qs 'Starting embedding generation' "$RUN/log/loader.log"
    kill -INT -- "-$TARGET"
    target_ends 130
    readable_profile
}

@test "a loader that was stopped is woken, and ended by Ctrl-C" {
    target_start
    until_true 120 sampling
    kill -STOP "$(jq .pid "$RUN/run.json")"
    kill -INT -- "-$TARGET"
    target_ends 130
    readable_profile
    equal "$(jq -c '[.loader_exit_status, .loader_signal]' "$RUN/run.json")" '[1,"none"]'
}

@test "a loader that ends at once is named with its own words, and its status is returned" {
    mkdir "$BATS_TEST_TMPDIR/ws"
    printf 'global: [broken\n' >"$BATS_TEST_TMPDIR/ws/config.yaml"
    target_start WORKSPACE="$BATS_TEST_TMPDIR/ws"
    target_ends 1
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'loader-(ended-early|failed).*exit status 1.*YAML syntax error in configuration file'
}

@test "a LOADER that is no loader is exit 3 with the next step" {
    target_start LOADER='sh -c true' FILES=100
    target_ends 3
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'loader-ended-early'
    equal "$(jq -c '[.state, .exit_status, (.ended | type)]' "$RESULTS"/*-profile-pyspy/run.json)" '["failed",3,"string"]'
    [[ ! -e $RESULTS/latest ]] || fail 'latest names a run that has nothing to show'
}

@test "a PID that is gone is exit 3 and says how to look" {
    bash -c : &
    local dead=$!
    wait "$dead"
    run -3 env PID="$dead" "$ROOT/scripts/profile-pyspy"
    matches "$output" "no-loader-process.*PID=$dead.*pidfind --all"
}

@test "a PID that is no loader, nor has one below it, is exit 3" {
    sleep 60 3>&- &
    run -3 env PID=$! "$ROOT/scripts/profile-pyspy"
    kill $!
    matches "$output" 'no-loader-process'
}

@test "the loader of another user is exit 3 with the command that may attach to it" {
    ((EUID == 0)) || fail "needs root, to be somebody else"
    run -3 setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=+dac_override --ambient-caps=+dac_override bash -c '
        . "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/target.sh"
        pidfind() { return 1; }
        target_find 1' profile-wall
    matches "$output" '\[no-loader-process\] PID=1 belongs to root\. .*: sudo make profile-wall PID=1$'
}

@test "PID=find where only another user's loader runs is exit 3 with one message, whose it is and what may attach to it" {
    ((EUID == 0)) || fail "needs root, to be somebody else"
    cd "$BATS_TEST_TMPDIR"
    # A machine of its own, as far as processes go.
    run -3 unshare --mount --pid --fork --mount-proc bash -c '
        PYTHONPATH=$ROOT/tests/fixtures/loader-shape python3 -m qdrant_loader.cli ingest 2>/dev/null &
        loader=$!
        pidfind --pid "$loader" --wait 30s >/dev/null || exit 9
        setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=+dac_override --ambient-caps=+dac_override bash -c "
            . \"\$ROOT/scripts/lib/common.sh\"; . \"\$ROOT/scripts/lib/target.sh\"
            target_find find" profile-wall
        status=$?
        kill -KILL "$loader"
        exit "$status"'
    matches "$output" '^profile-wall: \[no-loader-process\] a loader runs, pid ([0-9]+), but it belongs to root\. Run as that user, or: sudo make profile-wall PID=[0-9]+$'
    equal "${#lines[@]}" 1 'lines'
}

@test "without the right to trace, an attach is exit 3 at once and says what gives it" {
    ((EUID == 0)) || fail "needs root: a loader that has a capability which the target has given up"
    loader_start plain
    until_true 60 pidfind --pid "$WRAPPER"
    for target in profile-pyspy profile-wall; do
        run -3 --separate-stderr env PID="$WRAPPER" setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace "$ROOT/scripts/$target"
        matches "$stderr" "pid $WRAPPER looks like it but may not be read: .*docker run --cap-add SYS_PTRACE"
        matches "$stderr" 'no-loader-process'
    done
    run -0 kill -0 "$WRAPPER"
}

@test "a test that is killed leaves none of its stand-ins" {
    (
        standins_start
        : >"$BATS_TEST_TMPDIR/up"
        until_true 600 false
    ) 3>&- &
    local killed=$!
    until_true 120 test -e "$BATS_TEST_TMPDIR/up"
    run -1 nothing_left
    kill -KILL "$killed"
    until_true 20 nothing_left
}

@test "a process whose start time differs is another process" {
    run -0 bash -c '. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/target.sh"
        LOADER_PID=$$; stat=$(cat /proc/$$/stat); set -- ${stat##*) }; LOADER_START=${20}
        target_alive && LOADER_START=$((LOADER_START + 1)) && ! target_alive && echo told apart'
    matches "$output" 'told apart'
}

@test "a workspace with spaces and quotes is profiled, launched by the harness" {
    MIN_REQUEST_INTERVAL=0 standins_start
    target_start WORKSPACE="$WS" ARGS=--force
    target_ends 0
    equal "$(jq .chunks "$RUN/run.json")" "$(jq .points "$STANDIN_DIR/qdrant.counts.json")"
    # Nothing is left in a user's workspace that the loader itself does not make.
    run -1 test -e "$WS/profile.out"
}

@test "two runs at once do not meet" {
    local first status=0
    target_start MIN_REQUEST_INTERVAL=0
    first=$TARGET
    target_start MIN_REQUEST_INTERVAL=0
    wait "$first" || status=$?
    equal "$status" 0
    target_ends 0
    equal "$(cat "$RESULTS"/*-profile-pyspy*/run.json | jq -s 'map(select(.state == "done" and .chunks == .qdrant_points)) | length')" 2
}

@test "no secret of the environment, of argv, of config.yaml or of .env is in the run folder" {
    MIN_REQUEST_INTERVAL=0 standins_start
    sed -i 's/^\( *"api_key": \)"[^"]*"/\1"sk-config-secret-1"/; s/api_key: .*/api_key: "sk-config-secret-1"/' "$WS/config.yaml"
    run -0 grep -q sk-config-secret-1 "$WS/config.yaml"
    printf 'LLM_API_KEY=sk-dotenv-secret-2\n' >"$WS/.env"
    target_start WORKSPACE="$WS" ARGS=--force MY_API_TOKEN=env-secret-3 \
        LOADER="env QDRANT_API_KEY=argv-secret-4 $LOADER_ENV_PYTHON -m qdrant_loader.cli.cli"
    target_ends 0
    run -1 grep -raE 'sk-config-secret-1|sk-dotenv-secret-2|env-secret-3|argv-secret-4' "$RUN/"
}

@test "a file system that fills up during the run is exit 3, and nothing is left running" {
    run -0 own_mounts bash -c '
        mkdir "$BATS_TEST_TMPDIR/small" && mount -t tmpfs -o size=300k tmpfs "$BATS_TEST_TMPDIR/small"
        status=0
        RESULTS=$BATS_TEST_TMPDIR/small MIN_REQUEST_INTERVAL=0 "$ROOT/scripts/profile-pyspy" || status=$?
        echo "status $status"'
    matches "$output" 'disk full|No space left'
    matches "$output" 'status 3'
    until_true 20 nothing_left
}

@test "a loader that exits 1 for one blank chunk is no failed profile: both are shown" {
    standins_start
    # Of a Python file without a word the loader makes one chunk, which it does not embed.
    printf '\n\n \n' >"$STANDIN_DIR/corpus/blank.py"
    run -0 --separate-stderr env WORKSPACE="$WS" ARGS=--force "$ROOT/scripts/profile-pyspy"
    equal "$(jq -c '[.loader_exit_status, .exit_status, .chunks_failed]' "$RUN/run.json")" '[1,0,1]'
    matches "$(<"$RUN/summary.md")" 'loader-exit-1.*exited 1 though [1-9][0-9]* chunks are stored and only 1 failed'
    readable_profile
}

@test "a loader that exits 1 though 1 % of its chunks failed at most is no failed profile, and both are said" {
    verdict() {
        bash -c '. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/target.sh"
            LOADER_STATUS=$1 CHUNKS=$2 CHUNKS_FAILED=$3; target_verdict' verdict "$@"
    }
    run -0 verdict 0 846 0
    run -0 verdict 1 8862 1
    matches "$output" 'loader-exit-1.*exited 1 though 8862 chunks are stored and only 1 failed'
    run -1 verdict 1 746 100
    run -1 verdict 1 n/a n/a
    run -1 verdict 1 0 0
    run -137 verdict 137 846 0
}
