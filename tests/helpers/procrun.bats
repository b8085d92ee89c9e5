#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# procrun, with real processes, signals and a real terminal.
# shellcheck disable=SC2016,SC2154 # text for other programs; run sets stderr
load ../lib/common

setup_file() {
    export PY SIGNALS=$FIXTURES/signal-log.py
    PY=$(python3 -c 'import sys; print(sys.executable)')
}

setup() {
    STARTED=()
    cd "$BATS_TEST_TMPDIR" || return 1
}

teardown() {
    local pid
    for pid in "${STARTED[@]}"; do
        kill -KILL -- "-$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
    # What has left the session of its parent, if a test failed.
    if [[ -e pids ]]; then
        xargs kill -KILL <pids 2>/dev/null || :
    fi
}

# start COMMAND…: runs it in a session of its own. FRONT is its pid.
start() {
    setsid "$@" </dev/null >>out 2>>err 3>&- &
    FRONT=$!
    STARTED+=("$FRONT")
}

# ends STATUS: the command of `start` ends with it.
ends() {
    status=0
    until_true 60 gone "$FRONT"
    wait "$FRONT" || status=$?
    equal "$status" "$1" "exit status ($(cat err))"
}

# listening: waits until signal-log listens. COMMAND is its pid.
listening() {
    until_true 20 test -e log.ready || fail "$(cat err)"
    COMMAND=$(cat log.ready)
}

# The numbers of the signals that signal-log got, but SIGCONT.
got() {
    local numbers
    numbers=$(od -An -v -w1 -tu1 log | grep -vw 18)
    # shellcheck disable=SC2086 # one a word
    echo $numbers
}

got_is() {
    [[ $(got) == "$*" ]]
}

guardian() {
    tr -d ' ' <"/proc/$FRONT/task/$FRONT/children"
}

state_is() {
    local stat
    stat=$(cat "/proc/$1/stat") && stat=${stat##*) } && [[ ${stat%% *} == "$2" ]]
}

# only_child_is PID NAME: PID has one child, which is called so.
only_child_is() {
    local pid
    pid=$(tr -d ' ' <"/proc/$1/task/$1/children") && grep -qx "$2" "/proc/$pid/comm"
}

# key NAME [FILE]: the value of a `# key: value` line.
key() {
    sed -n "s/^# $1: //p" "${2:-run.tsv}"
}

# rows AWK: the rows of run.tsv through awk, with the columns by name, as c["pid"].
rows() {
    awk -F'\t' '/^#/ { next } !head { for (i = 1; i <= NF; i++) name[i] = $i; head = NF; next }
        NF != head { print "a row of " NF " fields"; exit } { for (i = 1; i <= NF; i++) c[name[i]] = $i } '"$1" run.tsv
}

# A tree of three: the command, an orphan, and an orphan in a session of its own. Their pids are in `pids`.
tree() {
    cat >tree.sh <<'END'
(sh -c 'echo $$ >>pids; exec sleep 300' &)
(setsid sh -c 'echo $$ >>pids; exec sleep 300' &)
until [ "$(wc -l <pids)" = 2 ]; do :; done
echo $$ >>pids
mv pids all.new && cp all.new pids && mv all.new all
exec sleep 300
END
    : >pids
    start procrun --result run.tsv sh tree.sh
    until_true 10 test -e all
    GUARDIAN=$(guardian)
}

all_gone() {
    local pid
    while read -r pid; do
        gone "$pid" || return 1
    done <all
}

# ---- Status, arguments, files ----

@test "the exit status is the command's" {
    run -0 procrun true
    run -7 procrun -- sh -c 'exit 7'
    run -137 procrun -- sh -c 'kill -KILL $$'
    run -143 procrun -- sh -c 'kill -TERM $$'
}
@test "standard input, output and error are the command's" {
    run -0 --separate-stderr procrun -- sh -c 'cat; echo e >&2' <<<'in it'
    equal "$output" 'in it'
    equal "$stderr" e
}
@test "arguments arrive as they are, and options of the command are its own" {
    run -0 procrun -- printf '<%s>' 'two words' "it's" '' '$HOME' '*' --result -h
    equal "$output" "<two words><it's><><\$HOME><*><--result><-h>"
    run -0 procrun printf '<%s>' --grace
    equal "$output" '<--grace>'
}
@test "a command that is not found exits 127, and one that is no program 126" {
    run -127 --separate-stderr procrun --result run.tsv --pid-file pidfile -- ./no-such
    equal "$stderr" 'procrun: ./no-such: No such file or directory: is it installed, and on PATH?'
    equal "$(key exit_status)" 127
    equal "$(key error)" './no-such: No such file or directory'
    run -0 find . -name 'pidfile*'
    equal "$output" ''
    run -126 --separate-stderr procrun /etc
    equal "$stderr" 'procrun: /etc: Permission denied: give a program that can be executed'
}
@test "no command, or a wrong option, is a usage error" {
    run -2 --separate-stderr procrun
    matches "$stderr" 'no command is given'
    run -2 --separate-stderr procrun --grace never true
    matches "$stderr" '--grace: not a duration'
}
@test "--cwd is where the command runs, and other paths are not relative to it" {
    mkdir 'my dir'
    run -0 procrun --cwd 'my dir' --result run.tsv pwd
    equal "$output" "$PWD/my dir"
    equal "$(key exit_status)" 0
    run -3 --separate-stderr procrun --cwd none touch started
    equal "$stderr" 'procrun: --cwd none: No such file or directory: nothing was started; give a directory that exists'
    [[ ! -e started ]]
}
@test "a result or pid file that cannot be written exits 3 before anything is started" {
    run -3 --separate-stderr procrun --result none/run.tsv touch started
    equal "$stderr" 'procrun: --result none/run.tsv: No such file or directory: nothing was started; give a file that can be written'
    run -3 --separate-stderr procrun --result /dev/full touch started
    matches "$stderr" '/dev/full: No space left on device: nothing was started'
    run -3 --separate-stderr procrun --pid-file none/pid touch started
    matches "$stderr" '--pid-file none/pid: No such file or directory: nothing was started'
    [[ ! -e started ]]
}
@test "a result file that fails in the middle of a run does not end the command, but exits 3" {
    mkfifo fifo go
    head -n 1 fifo >first 3>&- &
    reader=$!
    start procrun --result fifo -- sh -c 'read -r _ <go; echo finished'
    wait "$reader"
    equal "$(cat first)" '# format: procrun 1'
    echo >go
    ends 3
    equal "$(cat out)" finished
    matches "$(cat err)" 'fifo: Broken pipe: the command goes on, but its figures are lost'
}
@test "--pid-file holds the command's pid and start time, whole from the first moment" {
    start procrun --pid-file pidfile -- "$PY" "$SIGNALS" log INT
    until_true 5 test -e pidfile
    read -r pid began <pidfile
    equal "$(wc -l <pidfile)" 1
    listening
    equal "$pid" "$COMMAND"
    run -0 sed 's/.*) //' "/proc/$pid/stat"
    equal "$(cut -d' ' -f20 <<<"$output")" "$began"
    kill -INT "$FRONT"
    ends 42
    run -0 find . -name 'pidfile*'
    equal "$output" ./pidfile
}
@test "a pid file that is a link, a FIFO or a device stays one" {
    ln -s target link
    run -0 procrun --pid-file link true
    [[ -L link ]]
    matches "$(cat target)" '^[0-9]+ [0-9]+$'
    mkfifo fifo
    cat fifo >"$PWD/taken" 3>&- &
    reader=$!
    run -0 timeout 20 procrun --pid-file fifo sleep 0.2
    wait "$reader"
    [[ -p fifo ]]
    matches "$(<taken)" '^[0-9]+ [0-9]+$'
    # Root could replace the system's own.
    if ((EUID == 0)); then mknod full c 1 7; else ln -s /dev/full full; fi
    run -3 --separate-stderr procrun --pid-file full true
    equal "$stderr" 'procrun: --pid-file full: No space left on device: the command goes on'
    [[ -c full ]]
    run -2 procrun --pid-file one --result one touch started
    [[ ! -e started ]]
}
@test "no descriptor but 0, 1 and 2 reaches the command" {
    exec 7</dev/null 8>other
    start procrun --result run.tsv --pid-file pidfile --cwd . -- sleep 300
    until_true 5 test -e pidfile
    read -r pid _ <pidfile
    until_true 5 grep -q sleep "/proc/$pid/comm"
    run -0 ls "/proc/$pid/fd"
    equal "${lines[*]}" '0 1 2'
    exec 7<&- 8>&-
}
@test "a closed standard input is /dev/null for the command, and no file of procrun's" {
    start bash -c 'exec procrun --pid-file pidfile -- sleep 300 <&- >&-'
    until_true 5 test -e pidfile
    read -r pid _ <pidfile
    equal "$(readlink "/proc/$pid/fd/0") $(readlink "/proc/$pid/fd/1")" '/dev/null /dev/null'
}

# ---- Usage and orphans ----

@test "an adopted orphan has a row of its own, with its own usage, though the command exits 3" {
    cat >burn.py <<'END'
import time
kept = bytearray(60 << 20)
while time.process_time() < 0.3:
    pass
END
    run -3 procrun --wait-all --result run.tsv -- sh -c "('$PY' burn.py &); exit 3"
    run -0 rows '{ print c["role"], c["comm"], c["exit_status"], c["signal"], (c["cpu_user_s"] + c["cpu_system_s"] > 0.28), (c["maxrss_kib"] > 60000) }'
    equal "${#lines[@]}" 2
    equal "${lines[0]}" 'command sh 3 n/a 0 0'
    matches "${lines[1]}" '^orphan python[0-9.]* 0 n/a 1 1$'
    equal "$(key exit_status)" 3
    equal "$(key complete)" yes
}
@test "times are those of the clock: started, ended and wall_s agree" {
    local before after
    before=$EPOCHREALTIME
    run -0 procrun --result run.tsv sleep 0.2
    after=$EPOCHREALTIME
    run -0 awk -v b="$before" -v a="$after" -v s="$(key started)" -v e="$(key ended)" -v w="$(key wall_s)" 'BEGIN {
        print (b <= s), (s < e), (e <= a), (w >= 0.2), (w - (e - s) < 0.05 && (e - s) - w < 0.05) }'
    equal "$output" '1 1 1 1 1'
    matches "$(key started)" '^[0-9]+\.[0-9]{9}$'
}
@test "the file is useful at any moment: head and rows are there while the command runs" {
    start procrun --result run.tsv -- sh -c '(sh -c "exit 9" &); exec sleep 300'
    until_true 5 grep -q orphan run.tsv
    run -0 rows '{ print c["role"], c["exit_status"] }'
    equal "$output" 'orphan 9'
    equal "$(key pid)" "$(tr -d ' ' <"/proc/$(guardian)/task/$(guardian)/children")"
    matches "$(key started)" '^[0-9]+\.[0-9]{9}$'
    equal "$(key complete)$(key exit_status)" ''
}
@test "500 short orphans are all there, and their CPU time adds up to what the kernel counted" {
    run -0 procrun --wait-all --result run.tsv -- sh -c 'i=0; while [ $i -lt 500 ]; do (/bin/true &); i=$((i + 1)); done'
    equal "$(key processes)" 501
    run -0 rows '{ n++; pid[c["pid"]]; u += c["cpu_user_s"]; s += c["cpu_system_s"] } END { print n, length(pid), u, s }'
    read -r n different user system <<<"$output"
    equal "$n $different" '501 501'
    run -0 awk -v u="$user" -v s="$system" -v ku="$(key cpu_user_s)" -v ks="$(key cpu_system_s)" 'BEGIN {
        print (ku + ks > 0.1), (u + s - ku - ks)^2 < 0.01^2 }'
    equal "$output" '1 1' "rows $user + $system, kernel $(key cpu_user_s) + $(key cpu_system_s)"
}
@test "a name with a tab and a backslash does not break its row" {
    cp "$(type -P true)" $'a\tb\\c'
    run -0 procrun --result run.tsv $'./a\tb\\c'
    run -0 rows '{ print c["comm"], c["argv0"] }'
    equal "$output" 'a\tb\\c ./a\tb\\c'
}

# ---- What is left behind ----

@test "what the command leaves behind is ended: by SIGTERM at once where SIGINT is ignored" {
    local began=${EPOCHREALTIME/./}
    run -3 procrun --result run.tsv -- sh -c 'sleep 300 & until read -r c </proc/$!/comm && [ "$c" = sleep ]; do :; done; exit 3'
    ((${EPOCHREALTIME/./} - began < 5000000)) || fail 'it waited for the grace'
    run -0 rows '{ print c["role"], c["comm"], c["signal"] }'
    equal "${lines[1]}" 'orphan sleep 15'
}
@test "what the command leaves behind is ended by SIGINT where that is not ignored" {
    run -0 procrun --result run.tsv -- "$PY" -c 'import os, subprocess, sys, time
subprocess.Popen(sys.argv[1:])
while not os.path.exists("log.ready"): time.sleep(0.01)' "$PY" "$SIGNALS" log INT
    equal "$(got)" 2
    run -0 rows '{ print c["role"], c["exit_status"] }'
    equal "${lines[1]}" 'orphan 42'
}
@test "what does not end within the grace is killed, and said so" {
    run -0 --separate-stderr procrun --grace 200ms --result run.tsv -- sh -c "trap '' INT; '$PY' '$SIGNALS' log & until [ -e log.ready ]; do :; done"
    equal "$stderr" 'procrun: sh: what it left behind has not ended; sending SIGKILL'
    run -0 rows '{ print c["role"], c["signal"] }'
    equal "${lines[1]}" 'orphan 9'
}
@test "--wait-all waits for what the command leaves behind" {
    run -3 procrun --wait-all --result run.tsv -- sh -c '(sleep 0.3; exit 5) & exit 3'
    run -0 rows '{ print c["role"], c["exit_status"] }'
    equal "${lines[1]}" 'orphan 5'
}

# ---- Signals ----

@test "SIGINT is passed on, once" {
    start procrun -- "$PY" "$SIGNALS" log TERM
    listening
    kill -INT "$FRONT"
    until_true 5 got_is 2
    kill -USR1 "$FRONT"
    until_true 5 got_is 2 10
    kill -TERM "$FRONT"
    ends 55
    equal "$(got)" '2 10 15'
}
@test "SIGINT gives as much time as it takes" {
    start procrun --grace 50ms -- "$PY" "$SIGNALS" log INT=0.5
    listening
    kill -INT "$FRONT"
    ends 42
    equal "$(got)" 2
}
@test "SIGINT reaches a Python program that a script started in the background" {
    export PYTHONPATH=$FIXTURES/loader-shape
    start sh -c "procrun --result run.tsv -- '$PY' -m qdrant_loader.cli ingest & echo \$! >front; wait \$!"
    until_true 20 test -e ready
    kill -INT "$(cat front)"
    ends 130
    [[ -e interrupted ]]
}
@test "SIGTERM and SIGHUP become SIGINT, after which the command ends by itself" {
    local sig
    for sig in TERM HUP; do
        rm -f log log.ready
        start procrun -- "$PY" "$SIGNALS" log INT TERM HUP
        listening
        kill -"$sig" "$FRONT"
        ends 42
        equal "$(got)" 2
    done
}
@test "after the grace SIGTERM follows, then SIGKILL" {
    start procrun --grace 2500ms -- "$PY" "$SIGNALS" log TERM
    listening
    kill -TERM "$FRONT"
    ends 55
    equal "$(got)" '2 15'
    rm -f log log.ready
    start procrun --grace 2500ms --result run.tsv -- "$PY" "$SIGNALS" log
    listening
    kill -TERM "$FRONT"
    ends 137
    equal "$(got)" '2 15'
    equal "$(key signal)" 9
    matches "$(cat err)" 'has not ended; sending SIGTERM.*has not ended; sending SIGKILL'
}
@test "a second signal goes one step on at once, a third one to the end" {
    start procrun --grace 1h -- "$PY" "$SIGNALS" log
    listening
    kill -TERM "$FRONT"
    until_true 5 got_is 2
    kill -TERM "$FRONT"
    until_true 5 got_is 2 15
    kill -INT "$FRONT"
    ends 137
}
@test "while it waits for the grace it uses no CPU time" {
    start procrun --grace 1h -- "$PY" "$SIGNALS" log
    listening
    kill -TERM "$FRONT"
    until_true 5 got_is 2
    until_true 5 state_is "$(guardian)" S
    until_true 5 state_is "$FRONT" S
    before=$(cut -d' ' -f1 "/proc/$(guardian)/schedstat" "/proc/$FRONT/schedstat")
    read -rt 0.5 <> <(:) || :
    equal "$(cut -d' ' -f1 "/proc/$(guardian)/schedstat" "/proc/$FRONT/schedstat")" "$before" 'ns on a CPU'
}
@test "a signal reaches what has left the process group, once, and the wrapper's early end brings no second one" {
    start procrun --result run.tsv -- sh -c "setsid '$PY' '$SIGNALS' log INT=0.5 & exec sleep 300"
    listening
    kill -INT "$FRONT"
    # Dash starts background commands with SIGINT ignored; signal-log listens nevertheless.
    ends 130
    equal "$(got)" 2
    run -0 rows '{ print c["role"], c["exit_status"], c["signal"] }'
    equal "${lines[0]}" 'command n/a 2'
    equal "${lines[1]}" 'orphan 42 n/a'
}
# with_child CHILD -- SIGNAL-LOG ARGUMENT…: a signal-log that is the parent of one process, as Python started it.
WITH_CHILD='import os, subprocess, sys
at = sys.argv.index("--")
subprocess.Popen(sys.argv[1:at])
os.execv(sys.executable, [sys.executable, *sys.argv[at + 1 :]])'

# A launcher that passes its SIGINT on, whoever else sent one, as uv does without a terminal.
FORWARDER='import signal, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
signal.signal(signal.SIGINT, lambda number, _: child.send_signal(number))
sys.exit(child.wait())'

@test "a launcher that passes SIGINT on is passed over, so that its child gets one and not two" {
    local sig
    for sig in INT TERM; do
        rm -f log log.ready
        start procrun --grace 1h -- "$PY" -c "$FORWARDER" "$PY" "$SIGNALS" log INT=0.3
        listening
        kill -"$sig" "$FRONT"
        ends 42
        equal "$(got)" 2
    done
}
@test "uv run is passed over" {
    set -- "${TOOLS_ENV_PYTHON%/*}/uv" run --no-project --offline --python "$PY" python
    start procrun --grace 1h -- "$@" "$SIGNALS" log INT=0.3
    listening
    kill -TERM "$FRONT"
    ends 42
    equal "$(got)" 2
}
@test "a Python launcher that would kill its child when interrupted is passed over" {
    start procrun --grace 1h -- "$PY" "$FIXTURES/loader-shape/tools/mprof" run "$PY" "$SIGNALS" log INT=0.6
    listening
    kill -TERM "$FRONT"
    ends 42
}
@test "sh and make are interrupted with their child, so that no further command is started" {
    printf 'run:\n\t-%s %s log INT\n\ttouch further\n' "$PY" "$SIGNALS" >Makefile
    start procrun --grace 1h -- make -s run
    listening
    kill -TERM "$FRONT"
    ends 130
    rm log log.ready
    start procrun --grace 1h -- sh -c "'$PY' '$SIGNALS' log INT; touch further"
    listening
    kill -TERM "$FRONT"
    ends 130
    [[ ! -e further ]]
}
@test "a program is interrupted at once though it has a child that ignores SIGINT" {
    start procrun --grace 1h -- "$PY" -c "$WITH_CHILD" sh -c "trap '' INT; exec sleep 300" -- "$SIGNALS" log INT
    listening
    until_true 5 only_child_is "$COMMAND" sleep
    kill -TERM "$FRONT"
    until_true 10 got_is 2
    until_true 10 gone "$COMMAND"
    ends 42
}
@test "a program is interrupted when its child has ended of it" {
    start procrun --grace 1h -- "$PY" -c "$WITH_CHILD" sleep 300 -- "$SIGNALS" log INT
    listening
    kill -TERM "$FRONT"
    ends 42
    equal "$(got)" 2
}
@test "nobody is passed over for more than half of the grace" {
    start procrun --grace 5s -- "$PY" -c "$WITH_CHILD" "$PY" "$SIGNALS" other TERM -- "$SIGNALS" log TERM
    listening
    until_true 20 test -e other.ready
    kill -TERM "$FRONT"
    ends 55
    equal "$(got)" '2 15'
}
@test "SIGUSR1 and SIGQUIT are passed on" {
    start procrun -- "$PY" "$SIGNALS" log USR2
    listening
    kill -QUIT "$FRONT"
    until_true 5 got_is 3
    kill -USR1 "$FRONT"
    until_true 5 got_is 3 10
    kill -USR2 "$FRONT"
    ends 52
}
@test "SIGTSTP stops command and procrun, SIGCONT lets both go on" {
    start procrun -- "$PY" "$SIGNALS" log INT
    listening
    kill -TSTP "$FRONT"
    until_true 5 state_is "$COMMAND" T
    until_true 5 state_is "$FRONT" T
    kill -CONT "$FRONT"
    until_true 5 state_is "$COMMAND" S
    kill -INT "$FRONT"
    ends 42
}
@test "a stopped command that is asked to end goes on, so that it can" {
    start procrun --grace 1h -- "$PY" "$SIGNALS" log INT
    listening
    kill -STOP "$COMMAND"
    until_true 5 state_is "$COMMAND" T
    kill -TERM "$FRONT"
    ends 42
}
@test "under nohup SIGHUP stays ignored" {
    run -0 sh -c 'nohup procrun -- sh -c '\''kill -HUP $PPID $$; echo alive'\'' 2>/dev/null'
    equal "$output" alive
}

# ---- Kills ----

@test "kill -9 of procrun ends the whole tree" {
    tree
    kill -KILL "$FRONT"
    ends 137
    until_true 10 all_gone
    until_true 10 gone "$GUARDIAN"
    matches "$(key error)" 'procrun was killed, and its tree with it'
    equal "$(key complete)" no
    run -0 rows '{ n[c["signal"]]++ } END { print n[9] }'
    equal "$output" 3
}
@test "kill -9 of the guardian ends the whole tree, and exits 3" {
    tree
    kill -KILL "$GUARDIAN"
    ends 3
    all_gone
    matches "$(cat err)" 'its guardian was killed by signal 9; the command and its tree are ended'
    equal "$(key complete)" no
    run -0 rows '{ n[c["signal"]]++ } END { print n[9] }'
    equal "$output" 3
}
@test "kill -9 of the process group that procrun is in ends the whole tree" {
    tree
    kill -KILL -- "-$FRONT"
    until_true 10 all_gone
    until_true 10 gone "$GUARDIAN"
}
@test "kill -9 of both at once still ends the command" {
    tree
    kill -KILL "$FRONT" "$GUARDIAN"
    until_true 10 gone "$(tail -n 1 all)"
}
@test "kill -9 of the command is recorded, and what it leaves behind is ended" {
    tree
    kill -KILL "$(tail -n 1 all)"
    ends 137
    all_gone
    equal "$(key signal)" 9
    equal "$(key complete)" yes
}
@test "--die-with-parent asks the command to end when the parent is killed" {
    start sh -c "procrun --die-with-parent -- '$PY' '$SIGNALS' log INT; :"
    listening
    kill -KILL "$FRONT"
    until_true 10 gone "$COMMAND"
    equal "$(got)" 2
}
@test "without --die-with-parent the command outlives the parent" {
    start sh -c "procrun -- '$PY' '$SIGNALS' log INT; :"
    listening
    kill -KILL "$FRONT"
    until_true 10 gone "$FRONT"
    kill -USR1 "$COMMAND"
    until_true 5 got_is 10
}

# ---- A terminal ----

# on_tty COMMAND: runs a shell command on a terminal of its own; `press` types on it.
on_tty() {
    mkfifo keys
    exec 9<>keys
    # As a shell with job control starts it: what runs in the background here ignores SIGINT.
    SHELL=/bin/sh setsid env --default-signal=INT,QUIT script -qefc "$1" typescript <keys >>out 2>>err 3>&- 9>&- &
    FRONT=$!
    STARTED+=("$FRONT")
}

press() {
    # shellcheck disable=SC2059 # an escape
    printf "$1" >&9
}

@test "Ctrl-C on a terminal reaches the command exactly once" {
    local how
    for how in '' --foreground; do
        rm -f keys log log.ready front
        on_tty "echo \$\$ >front; exec procrun $how -- '$PY' '$SIGNALS' log TERM"
        listening
        press '\003'
        until_true 5 got_is 2
        kill -USR1 "$(cat front)"
        until_true 5 got_is 2 10
        kill -TERM "$(cat front)"
        ends 55
        equal "$(got)" '2 10 15'
        exec 9>&-
    done
}
@test "a script's own SIGINT for the same Ctrl-C is no second signal" {
    cat >script.sh <<END
trap 'kill -INT \$front; echo >trapped' INT
procrun -- '$PY' '$SIGNALS' log TERM &
front=\$!
echo \$front >front
until [ -e end ]; do wait; done
END
    on_tty 'exec bash script.sh'
    listening
    press '\003'
    until_true 5 test -e trapped
    until_true 5 got_is 2
    kill -USR1 "$(cat front)"
    until_true 5 got_is 2 10
    : >end
    kill -KILL "$COMMAND"
    ends 0
    exec 9>&-
}
@test "--foreground lets the command read from the terminal" {
    on_tty 'procrun --foreground -- sh -c '\''read -r x; echo "<$x>" >answer'\'
    press 'hello\n'
    ends 0
    equal "$(cat answer)" '<hello>'
    exec 9>&-
}
@test "a command that stops because it wants the terminal is told of" {
    on_tty 'procrun -- sh -c '\''read -r x'\'' 2>told'
    until_true 5 grep -q 'sh: is stopped, since it wants the terminal: end it and use --foreground' told
    exec 9>&-
}

@test "who started it may look into the command where yama asks for that" {
    # Not every kernel has yama: what is asked of it is written down.
    cc -shared -fPIC -o asks.so -x c - <<'C'
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int prctl(int what, ...) {
    unsigned long a[4];
    va_list args;
    va_start(args, what);
    for (int i = 0; i < 4; i++) a[i] = va_arg(args, unsigned long);
    va_end(args);
    if (what == PR_SET_PTRACER) dprintf(2, "%d allows %lu\n", getpid(), a[0]);
    return (int)syscall(SYS_prctl, what, a[0], a[1], a[2], a[3]);
}
C
    run -0 --separate-stderr env ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD="$PWD/asks.so" bash -c \
        'procrun -- sh -c "echo \$\$" & wait; echo $$'
    equal "$stderr" "${lines[0]} allows ${lines[1]}"
}
