#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# pidfind, on real processes of the loader's shape (fixtures/loader-shape) and on recorded trees.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # text for other programs; each test is a subshell; run sets stderr
# Other loaders may run on the machine: what must be the only one is looked for inside of a tree of this test.
load ../lib/common

setup_file() {
    local name
    export SHAPE=$FIXTURES/loader-shape TOOLS=$BATS_FILE_TMPDIR/bin PY
    PY=$(python3 -c 'import sys; print(sys.executable)')
    mkdir -p "$TOOLS"
    "${CC:-cc}" -O1 -pthread -o "$TOOLS/uv" "$SHAPE/second_thread.c"
    for name in py-spy perf; do
        cp "$TOOLS/uv" "$TOOLS/$name"
    done
    # As pip writes it.
    sed "1s|.*|#!$PY|" "$SHAPE/bin/qdrant-loader" >"$TOOLS/qdrant-loader"
    chmod +x "$TOOLS/qdrant-loader"
    export PYTHONPATH=$SHAPE:$SHAPE/tools
}

setup() {
    WS="$BATS_TEST_TMPDIR/my ws"
    STARTED=()
    mkdir -p "$WS"
    cd "$WS" || return 1
}

teardown() {
    local pid
    for pid in "${STARTED[@]}"; do
        kill -KILL -- "-$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
}

# start COMMAND…: runs it in a session of its own, which teardown ends. ROOTPID is its pid.
start() {
    setsid "$@" </dev/null >>"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    ROOTPID=$!
    STARTED+=("$ROOTPID")
}

# ready: waits until the loader has opened its files. LOADER is its pid.
ready() {
    until_true 20 test -e "$WS/ready" || fail "$(cat "$BATS_TEST_TMPDIR/out")"
    LOADER=$(cat "$WS/ready")
}

starttime() {
    local stat
    stat=$(cat "/proc/$1/stat")
    awk '{ print $20 }' <<<"${stat##*) }"
}

# finds COMMAND…: launches it; the loader is found by its launcher, in this test's tree and among all of the machine.
finds() {
    local expected
    start "$@"
    ready
    matches "$(readlink "/proc/$LOADER/exe")" '/python[^/]*$'
    expected="$LOADER $(starttime "$LOADER") "
    run -0 --separate-stderr pidfind --pid "$ROOTPID"
    [[ $output == "$expected"* && -z $stderr ]] || fail "--pid: expected '$expected'"
    run -0 --separate-stderr pidfind --tree $$
    [[ $output == "$expected"* && -z $stderr ]] || fail "--tree: expected '$expected'"
    run -0 --separate-stderr pidfind --all
    [[ $'\n'$output == *$'\n'"$expected"* ]] || fail "--all: expected '$expected'"
}

# finds_not COMMAND…: launches a decoy, which says that it runs by creating `up`; nothing is found.
finds_not() {
    start "$@"
    until_true 20 test -e "$WS/up" || fail "$(cat "$BATS_TEST_TMPDIR/out")"
    run -1 --separate-stderr pidfind --tree $$
    [[ -z $output && $stderr == *"pidfind: no loader"* ]] || fail "a decoy was found: $*"
    run -1 --separate-stderr pidfind --pid "$ROOTPID"
}

# recorded EXE ARGUMENT…: a recorded tree with one process, 100, in $WS/proc.
recorded() {
    local p=$WS/proc/100
    rm -rf "$WS/proc"
    mkdir -p "$p/fd" "$p/task/100"
    ln -s "$1" "$p/exe"
    shift
    printf '%s\0' "$@" >"$p/cmdline"
    echo '100 (py (x) y) S 1 100 100 0 -1 0 0 0 0 0 5 6 0 0 20 0 1 0 4242 1000 100' >"$p/stat"
    : >"$p/task/100/children"
}

# ---- Every launcher of the discovery table ----

@test "python -m qdrant_loader.cli is found" { finds "$PY" -m qdrant_loader.cli ingest; }
@test "python -m qdrant_loader.cli.cli is found" { finds "$PY" -m qdrant_loader.cli.cli ingest; }
@test "python -m qdrant_loader.main is found" { finds "$PY" -m qdrant_loader.main ingest --workspace "$WS"; }
@test "python .../qdrant_loader/main.py is found" { finds "$PY" "$SHAPE/qdrant_loader/main.py" ingest; }
@test "python .../qdrant_loader/cli/cli.py is found" { finds "$PY" "$SHAPE/qdrant_loader/cli/cli.py" ingest; }
@test "the console script is found" { finds "$TOOLS/qdrant-loader" ingest; }
@test "python -c with ingest among its arguments is found" {
    finds "$PY" -c 'from qdrant_loader.main import cli; cli()' ingest
}
@test "python -c with ingest inside of its code is found by its open files" {
    finds "$PY" -c 'from qdrant_loader.main import cli; cli(["ingest"])'
}
@test "a script of any name that runs the loader is found by its open files" {
    printf 'from qdrant_loader.main import cli\ncli(["ingest"])\n' >mine.py
    finds "$PY" mine.py
}
@test "interpreter options, with and without arguments, are skipped" {
    finds "$PY" -W ignore -X utf8 -Wdefault -Xfaulthandler -uB --check-hash-based-pycs always -m qdrant_loader.cli ingest
}
@test "global options before ingest are skipped" { finds "$TOOLS/qdrant-loader" --log-level DEBUG ingest --force; }
@test "sh -c is passed over" { finds sh -c "'$PY' -m qdrant_loader.cli ingest"; }
@test "sh -c with two commands is passed over" { finds sh -c "'$PY' -m qdrant_loader.cli ingest; :"; }
@test "bash -c with a pipe to tee, whose file is named after the loader, is passed over" {
    finds bash -c "'$PY' -m qdrant_loader.cli ingest | tee 'qdrant_loader ingest.out'"
}
@test "make is passed over" {
    printf 'run:\n\t%s -m qdrant_loader.cli ingest\n' "$PY" >Makefile
    finds make run
}
@test "make with && is passed over" {
    printf 'run:\n\tcd . && %s -m qdrant_loader.cli ingest && true\n' "$PY" >Makefile
    finds make run
}
@test "timeout is passed over" { finds timeout 60 "$PY" -m qdrant_loader.cli ingest; }
@test "nohup is found" { finds nohup "$PY" -m qdrant_loader.cli ingest; }
@test "env is found" { finds env X=1 "$PY" -m qdrant_loader.cli ingest; }
@test "another argv[0] does not hide it" {
    finds bash -c "exec -a worker '$PY' -m qdrant_loader.cli ingest"
}
@test "a launcher that forks from its second thread, as uv does, is passed over" {
    start "$TOOLS/uv" "$PY" -m qdrant_loader.cli ingest
    ready
    # The trap itself: the main thread has no children.
    equal "$(cat "/proc/$ROOTPID/task/$ROOTPID/children")" ''
    equal "$(cat "/proc/$ROOTPID/task"/*/children)" "$LOADER "
    run -0 --separate-stderr pidfind --pid "$ROOTPID"
    equal "${output%% *}" "$LOADER"
}
@test "the console script below such a launcher is found" { finds "$TOOLS/uv" "$TOOLS/qdrant-loader" ingest; }
@test "uv run is passed over, the recorded one and the real one" {
    run -0 --separate-stderr pidfind --proc "$FIXTURES/proc-uv-run"
    equal "$output" "3353 297615 /opt/python/bin/python3.12 -m qdrant_loader.cli.cli ingest --workspace '/srv/my work space'"
    run -0 --separate-stderr pidfind --proc "$FIXTURES/proc-uv-run" --pid 3349
    equal "${output%% *}" 3353
    UV_OFFLINE=1 finds "${TOOLS_ENV_PYTHON%/*}/uv" run --no-project --python "$PY" python -m qdrant_loader.cli ingest
}
@test "py-spy record -- is passed over" { finds "$TOOLS/py-spy" record -o x.svg -- "$PY" -m qdrant_loader.cli ingest; }
@test "perf record -- is passed over" { finds "$TOOLS/perf" record -g -- "$TOOLS/qdrant-loader" ingest; }
@test "mprof run, a Python program too, is passed over" {
    finds "$PY" "$SHAPE/tools/mprof" run "$PY" -m qdrant_loader.cli ingest
    [[ $LOADER != "$ROOTPID" ]]
}
@test "memray run is the loader itself" {
    finds "$PY" -m memray run -o out.bin -m qdrant_loader.cli ingest
    equal "$LOADER" "$ROOTPID"
}
@test "pyinstrument -m is the loader itself" {
    finds "$PY" -m pyinstrument -m qdrant_loader.main ingest
    equal "$LOADER" "$ROOTPID"
}
@test "cProfile is the loader itself" { finds "$PY" -m cProfile -o p.out -m qdrant_loader.cli ingest; }
@test "it is found before it has opened a file" {
    SHAPE_NO_FILES=1 finds "$PY" -m qdrant_loader.cli ingest
    run -0 --separate-stderr pidfind --pid "$ROOTPID" --json
    equal "$(jq -c '[.argv_matches, .files_open]' <<<"$output")" '[true,false]'
}
@test "a child that it forked, which runs no program of its own, is not a second loader" {
    SHAPE_FORK=1 finds "$PY" -m qdrant_loader.cli ingest
    until_true 5 grep -q . "/proc/$LOADER/task/$LOADER/children"
    run -0 --separate-stderr pidfind --tree $$
    equal "${output%% *}" "$LOADER"
}

# ---- Decoys ----

@test "tail -f on a file named after the loader is not found" {
    echo up >'qdrant_loader ingest.log'
    finds_not sh -c "tail -f 'qdrant_loader ingest.log' | tee up"
}
@test "a grep for the loader is not found" {
    mkfifo pipe
    finds_not sh -c "touch up; grep 'python -m qdrant_loader.cli ingest' <>pipe"
}
@test "another program that calls itself python is not found" {
    mkfifo pipe
    finds_not bash -c 'touch up; exec -a python cat -- pipe'
}
@test "script on a file named after the loader is not found" {
    finds_not script -qc 'touch up; sleep 60' 'python -m qdrant_loader.cli ingest'
}
@test "python -c that holds the name in a string is not found" {
    finds_not "$PY" -c 'import signal; open("up", "w"); x = "python -m qdrant_loader.cli ingest"; signal.pause()'
}
@test "python -c that only imports the loader is not found" {
    finds_not "$PY" -c 'import signal, qdrant_loader.main; open("up", "w"); signal.pause()'
}
@test "a Python program that only reads the log and the database is not found" {
    mkdir logs data && touch logs/ingest.log data/qdrant-loader.db
    finds_not "$PY" -c 'import signal; a = open("logs/ingest.log"), open("data/qdrant-loader.db"); open("up", "w"); signal.pause()'
}
@test "mprof alone is not found" {
    finds_not "$PY" "$SHAPE/tools/mprof" run sh -c 'touch up; sleep 60; : python -m qdrant_loader.cli ingest'
}
@test "another command of the loader than ingest is not found, and the message says so" {
    start "$PY" -m qdrant_loader.cli config
    ready
    run -1 --separate-stderr pidfind --pid "$ROOTPID"
    matches "$stderr" "pid [0-9]+ runs the loader, but not its ingest"
}
@test "a zombie is not found" {
    start bash -c "'$PY' -m qdrant_loader.cli ingest & exec sleep 60"
    ready
    kill -KILL "$LOADER"
    until_true 5 gone "$LOADER"
    run -0 awk '{ print $3 }' "/proc/$LOADER/stat"
    equal "$output" Z
    run -1 --separate-stderr pidfind --tree "$ROOTPID"
    run -1 --separate-stderr pidfind --pid "$LOADER"
    matches "$stderr" 'it has ended'
}
@test "a process that runs pidfind itself is not found by it" {
    run -1 --separate-stderr "$PY" -c '# qdrant_loader
import os, subprocess, sys
sys.exit(subprocess.call(["pidfind", "--tree", str(os.getppid())]))' ingest
    matches "$stderr" 'no loader'
}
@test "argv forms are told apart on recorded processes" {
    local ok=(
        'python3.12 -m qdrant_loader.cli ingest'
        'python -Im qdrant_loader.cli ingest'
        'python -mqdrant_loader.main ingest'
        'python -Xfrozen_modules=off -W error -X dev -m qdrant_loader.cli.cli ingest'
        'python -- /a/bin/qdrant-loader ingest'
        'python bin/qdrant-loader --workspace w ingest'
        'python qdrant_loader/main.py ingest'
        'python /a/qdrant_loader/cli/__main__.py ingest'
        'python /a/bin/memray -v run --native -m qdrant_loader.cli ingest'
        'python /a/bin/memray run -o f /a/bin/qdrant-loader ingest'
        'python /a/bin/pyinstrument --show-all /a/bin/qdrant-loader ingest'
        'python -m cProfile -o x -m qdrant_loader.main ingest'
    )
    local no=(
        'python -m qdrant_loader ingest'
        'python -m qdrant_loader.cli.clix ingest'
        'python -m qdrant_loader.cli'
        'python -m qdrant_loader.cli --profile ingested'
        'python -m pip install qdrant-loader ingest'
        'python -W qdrant_loader.cli ingest'
        'python -X -m qdrant_loader.cli ingest'
        'python ingest -m qdrant_loader.cli'
        'python my-qdrant-loader ingest'
        'python qdrant-loader.py ingest'
        'python /a/my_qdrant_loader/main.py ingest'
        'python main.py ingest'
        'python -m memray flamegraph qdrant-loader ingest'
        'python /a/bin/mprof run python -m qdrant_loader.cli ingest'
        'python -c pass /a/bin/qdrant-loader ingest'
        'python -m'
        'python'
        'python -'
    )
    local line
    for line in "${ok[@]}"; do
        # shellcheck disable=SC2086 # one argument a word
        recorded /opt/bin/python3.12 $line
        run -0 --separate-stderr pidfind --proc proc
        equal "$output" "100 4242 $line"
    done
    for line in "${no[@]}"; do
        # shellcheck disable=SC2086
        recorded /opt/bin/python3.12 $line
        run -1 --separate-stderr pidfind --proc proc
        equal "$output" ''
    done
    recorded /usr/bin/vim python3.12 -m qdrant_loader.cli ingest
    run -1 pidfind --proc proc
    recorded '/opt/bin/python3.12 (deleted)' python3.12 -m qdrant_loader.cli ingest
    run -0 pidfind --proc proc
}
@test "an argv without any argument, as of a process that is ending, is no match" {
    recorded /opt/bin/python3.12
    : >proc/100/cmdline
    run -1 --separate-stderr pidfind --proc proc
}

# ---- Trees ----

@test "a kernel without children files is asked for parents" {
    cp -r "$FIXTURES/proc-uv-run" tree
    rm tree/*/task/*/children
    run -0 --separate-stderr pidfind --proc tree --tree 3349
    equal "${output%% *}" 3353
}
@test "a child that only the list of a second thread has is found by that" {
    cp -r "$FIXTURES/proc-uv-run" tree
    sed -i 's/) S 3349 /) S 1 /' tree/3353/stat
    run -0 --separate-stderr pidfind --proc tree --tree 3349
    equal "${output%% *}" 3353
}
@test "a child that its children list lacks is found by its parent" {
    cp -r "$FIXTURES/proc-uv-run" tree
    : >tree/3349/task/3351/children
    run -0 --separate-stderr pidfind --proc tree --pid 3349
    equal "${output%% *}" 3353
}
@test "a loader outside of the tree is not found in it" {
    start "$PY" -m qdrant_loader.cli ingest
    ready
    start sleep 60
    run -1 --separate-stderr pidfind --tree "$ROOTPID"
    matches "$stderr" "no loader that runs ingest in pid $ROOTPID or below it"
}
@test "a recorded zombie and a vanished process are data, not errors" {
    recorded /opt/bin/python3.12 python -m qdrant_loader.cli ingest
    sed -i 's/) S /) Z /' proc/100/stat
    run -1 --separate-stderr pidfind --proc proc
    rm proc/100/stat
    run -1 --separate-stderr pidfind --proc proc
    run -1 --separate-stderr pidfind --proc proc --tree 100
    matches "$stderr" 'it has ended'
}
@test "a /proc that is none exits 3" {
    run -3 --separate-stderr pidfind --proc "$WS/none"
    matches "$stderr" 'pidfind: .*/none: No such file or directory'
}
@test "--any-python finds an interpreter of another program, inside of a launcher" {
    start "$TOOLS/uv" "$PY" -c 'import signal; open("up", "w"); signal.pause()'
    until_true 20 test -e up
    run -1 --separate-stderr pidfind --pid "$ROOTPID"
    run -0 --separate-stderr pidfind --pid "$ROOTPID" --any-python
    matches "$output" '^[0-9]+ [0-9]+ .*signal.pause'
    equal "${output%% *} " "$(cat "/proc/$ROOTPID/task"/*/children)"
}

# ---- Several ----

@test "two loaders exit 3 with a table that tells them apart; --all lists both; --exclude and --pid choose" {
    local one two
    start "$PY" -m qdrant_loader.cli ingest
    ready
    one=$LOADER
    mkdir "$WS/other" && rm "$WS/ready"
    start "$PY" -m qdrant_loader.cli ingest --workspace "$WS/other"
    until_true 20 test -e "$WS/other/ready"
    two=$(cat "$WS/other/ready")
    run -3 --separate-stderr pidfind --tree $$
    equal "$output" ''
    matches "$stderr" '2 are running: choose one with --pid PID'
    matches "$stderr" "$one +20[0-9-]+T[0-9:]+Z +[0-9.]+s +$(id -un) +'$WS' +"
    matches "$stderr" "$two +20[0-9-]+T[0-9:]+Z +[0-9.]+s +$(id -un) +'$WS/other' +"
    run -0 --separate-stderr pidfind --tree $$ --all
    equal "${#lines[@]}" 2
    run -0 --separate-stderr pidfind --tree $$ --exclude "$two"
    equal "${output%% *}" "$one"
    run -0 --separate-stderr pidfind --pid "$two"
    equal "${output%% *}" "$two"
    run -1 --separate-stderr pidfind --tree $$ --exclude "$one" --exclude "$two"
}

# ---- Output ----

@test "a line gives every argument back to a shell, and stays one line" {
    local args=(-m qdrant_loader.cli ingest 'two words' "it's" '' $'a\nb\tc' $'\xff\\' 'é' '$HOME' '*' '-x=1' $'\e[1m')
    finds "$PY" "${args[@]}"
    run -0 --separate-stderr pidfind --pid "$ROOTPID"
    equal "${#lines[@]}" 1
    eval "set -- $output"
    equal "$*" "$LOADER $(starttime "$LOADER") $PY ${args[*]}"
    equal "$#" $((3 + ${#args[@]}))
}
@test "--json is JSON with the same facts" {
    start "$PY" -m qdrant_loader.cli ingest $'a"b\n\xff'
    ready
    run -0 --separate-stderr pidfind --pid "$ROOTPID" --json
    run -0 jq -r '[.pid, .starttime, .uid, .user, .workspace, .cwd, .argv_matches, .files_open, (.argv | length), .argv[4]] | @tsv' <<<"$output"
    equal "$output" "$LOADER	$(starttime "$LOADER")	$EUID	$(id -un)	$WS	$WS	true	true	5	a\"b\\n$(printf '\xef\xbf\xbd')"
}
@test "what a recorded tree does not tell is null in JSON" {
    recorded /opt/bin/python3.12 python -m qdrant_loader.cli ingest -w /some/ws
    run -0 --separate-stderr pidfind --proc proc --json
    run -0 jq -c '[.started, .age_s, .uid, .user, .cwd, .workspace, .files_open]' <<<"$output"
    equal "$output" '[null,null,null,null,null,"/some/ws",false]'
}
@test "the workspace of argv is seen from the directory of the process, until the open files tell it" {
    local way
    recorded /opt/bin/python3.12 python -m qdrant_loader.cli ingest --workspace .
    ln -s /srv/here proc/100/cwd
    for way in '.=/srv/here' 'a b=/srv/here/a b' '/abs=/abs'; do
        printf '%s\0' python -m qdrant_loader.cli ingest "--workspace=${way%=*}" >proc/100/cmdline
        run -0 --separate-stderr pidfind --proc proc --json
        run -0 jq -r .workspace <<<"$output"
        equal "$output" "${way#*=}"
    done
}
@test "an executable of another user that cannot be read is named in the message" {
    local as=()
    SHAPE_HIDDEN=1 start "$PY" -m qdrant_loader.cli ingest
    ready
    if ((EUID == 0)); then
        as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    fi
    exec 9<"$BIN/pidfind"
    run -1 --separate-stderr "${as[@]}" /proc/self/fd/9 --tree $$
    exec 9<&-
    matches "$stderr" "pid $LOADER looks like it but belongs to another user: run as that user or as root"
    # Where it is all that was asked for, it is all that is said.
    exec 9<"$BIN/pidfind"
    run -1 --separate-stderr "${as[@]}" /proc/self/fd/9 --tree "$LOADER"
    exec 9<&-
    equal "$stderr" "pidfind: pid $LOADER looks like it but belongs to another user: run as that user or as root"
}

@test "a process of one's own user with more rights is named with what gives them, and not waited for" {
    SHAPE_HIDDEN=1 start "$PY" -m qdrant_loader.cli ingest
    ready
    ((EUID == 0)) || fail "needs root: a process that has a capability which the finder has given up"
    run -1 --separate-stderr timeout 20 setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace pidfind --pid "$LOADER" --wait 60s
    equal "$stderr" "pidfind: pid $LOADER looks like it but may not be read: it has rights that you lack. Run as root with CAP_SYS_PTRACE; in a container: docker run --cap-add SYS_PTRACE"
}

@test "of two that may not be read, the one in the tree that is asked about is named" {
    local pids=() pid
    ((EUID == 0)) || fail "needs root: a process that has a capability which the finder has given up"
    for _ in 1 2; do
        SHAPE_HIDDEN=1 start "$PY" -m qdrant_loader.cli ingest
        ready
        rm ready
        pids+=("$LOADER")
    done
    for pid in "${pids[@]}"; do
        run -1 --separate-stderr timeout 20 setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace pidfind --pid "$pid" --wait 60s
        matches "$stderr" "^pidfind: pid $pid looks like it but may not be read"
    done
    # A fork of it, which may not be read either, does not take its place.
    SHAPE_HIDDEN=1 SHAPE_FORK=1 start "$PY" -m qdrant_loader.cli ingest
    ready
    run -1 --separate-stderr timeout 20 setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace pidfind --pid "$LOADER" --wait 60s
    matches "$stderr" "^pidfind: pid $LOADER looks like it but may not be read"
    # What is elsewhere says nothing of a tree without one.
    start sleep 60
    run -1 --separate-stderr setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace pidfind --pid "$ROOTPID"
    equal "$stderr" "pidfind: no loader that runs ingest in pid $ROOTPID or below it: name another, or wait for it with --wait 30s"
}

# ---- Waiting ----

# later COMMAND…: starts a shell that becomes COMMAND when `go` is called.
later() {
    mkfifo "$WS/go"
    start sh -c 'read -r _ <"$1"; shift; exec "$@"' sh "$WS/go" "$@"
}

go() {
    echo >"$WS/go"
}

# waits OPTION…: pidfind waits with them, the loader starts, and it is found.
waits() {
    local finder
    later "$PY" -m qdrant_loader.cli ingest
    pidfind --tree $$ --wait 30s "$@" >found 2>&1 3>&- &
    finder=$!
    go
    wait "$finder" || fail "$(cat found)"
    equal "$(cut -d' ' -f1 found)" "$ROOTPID"
    ready
    equal "$LOADER" "$ROOTPID"
}

@test "--wait finds a loader that starts later, by kernel events where there are any" { waits; }
@test "--wait --poll finds a loader that starts later" { waits --poll; }
@test "--wait finds one that is running already" {
    start "$PY" -m qdrant_loader.cli ingest
    ready
    run -0 --separate-stderr pidfind --pid "$ROOTPID" --wait 10s
    equal "${output%% *}" "$LOADER"
}
@test "--wait finds by its files what its argv does not tell" {
    later "$PY" -c 'from qdrant_loader.main import cli; cli(["ingest"])'
    pidfind --tree $$ --wait 30s >found 3>&- &
    go
    wait $!
    equal "$(cut -d' ' -f1 found)" "$ROOTPID"
}
@test "--wait gives up at its deadline, with the next step" {
    local began=${EPOCHREALTIME/./}
    start sleep 60
    run -1 --separate-stderr pidfind --tree "$ROOTPID" --wait 200ms
    matches "$stderr" "no loader that runs ingest appeared in pid $ROOTPID within 200ms: wait longer"
    ((${EPOCHREALTIME/./} - began >= 200000)) || fail 'gave up too early'
}
holds_pidfd() {
    [[ -n $(find "/proc/$1/fd" -lname '*pidfd*' 2>/dev/null) ]]
}

@test "--wait ends when the root of the tree ends, and says so" {
    local way finder
    for way in '' --poll; do
        rm -f "$WS/go"
        later true
        pidfind --tree "$ROOTPID" --wait 60s ${way:+"$way"} >found 2>&1 3>&- &
        finder=$!
        until_true 5 holds_pidfd "$finder"
        go
        status=0
        wait "$finder" || status=$?
        equal "$status" 1
        matches "$(cat found)" "pid $ROOTPID ended before a loader that runs ingest appeared in it"
    done
}
@test "--wait on a recorded tree ends at its deadline" {
    recorded /usr/bin/vim vim
    run -1 --separate-stderr pidfind --proc proc --wait 50ms
}
@test "wrong options exit 2" {
    local options
    for options in '--pid 0' '--pid x' '--wait -1' '--wait 2d' '--tree 1 --pid 1' 'extra'; do
        # shellcheck disable=SC2086
        run -2 --separate-stderr pidfind $options
        matches "$stderr" "Try 'pidfind --help'"
    done
}
