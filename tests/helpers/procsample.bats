#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell of its own; run sets stderr
# Real processes (tests/lib/target.py does what it is told) and recorded /proc trees (tests/fixtures/proc).
load ../lib/common

setup() {
    TREES=$FIXTURES/proc
    ROWS=$BATS_TEST_TMPDIR/samples.tsv
    started=()
    cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
    local pid
    for pid in "${started[@]}"; do
        kill -KILL "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
    # At the end of its input the target ends, and its children with it.
    if [[ -n ${commands-} ]]; then
        exec {commands}>&-
        wait "$target" 2>/dev/null || :
    fi
}

# start_target: a process that waits for commands; its pid in $target.
start_target() {
    mkfifo commands
    python3 "$ROOT/tests/lib/target.py" <commands >answers 3>&- &
    target=$!
    exec {commands}>commands
    asked=1
    until_true 20 answered
}

answered() {
    (($(wc -l <answers) >= asked))
}

# tell COMMAND…: has the target do it, and waits until it has; the answer is in $answer.
tell() {
    printf '%s\n' "$*" >&"$commands"
    asked=$((asked + 1))
    until_true 30 answered
    answer=$(tail -n 1 answers)
}

# sample ARGUMENT…: procsample in the background, its rows in $ROWS, its pid in $sampler.
sample() {
    procsample --output "$ROWS" "$@" 3>&- 2>errors &
    sampler=$!
    started+=("$sampler")
    until_true 10 rows 1
}

# finish [SIGNAL]: ends the sampler; its exit status in $status.
finish() {
    [[ -z ${1-} ]] || kill -s "$1" "$sampler"
    until_true 30 gone "$sampler"
    status=0
    wait "$sampler" || status=$?
}

# rows N: are there N total rows?
rows() {
    [[ -e $ROWS ]] && (($(grep -c $'^[^\t]*\ttotal\t' "$ROWS") >= $1))
}

# two_more_rows: waits until what happened before this call is in the last row.
two_more_rows() {
    until_true 10 rows $(($(grep -c $'^[^\t]*\ttotal\t' "$ROWS") + 2))
}

# column NAME [PID [FILE]]: that column of every row of the process (default: of the total).
column() {
    awk -F '\t' -v name="$1" -v pid="${2-total}" '
        /^#/ { next }
        !n { for (i = 1; i <= NF; i++) if ($i == name) n = i; next }
        $2 == pid { print $n }' "${3-$ROWS}"
}

last() {
    column "$@" | tail -n 1
}

# header KEY: the value of a `# key: value` line.
header() {
    sed -n "s/^# $1: //p" "$ROWS"
}

# near A B TOLERANCE
near() {
    awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { exit !(a - b <= t && b - a <= t) }' || fail "$1 is not within $3 of $2"
}

# read_tree TREE ARGUMENT…: one sample of a recorded tree, in $ROWS.
read_tree() {
    run -0 --separate-stderr procsample --proc "$TREES/$1" --count 1 --output "$ROWS" "${@:2}"
}

never_falls() {
    local name
    for name in cpu_user_s cpu_system_s oncpu_s run_delay_s peak_rss_kib io_read_bytes io_write_bytes io_rchar io_wchar minflt \
        majflt ctx_voluntary ctx_involuntary; do
        column "$name" | awk '$1 != "n/a" { if ($1 + 0 < most) exit 1; most = $1 + 0 }' || fail "$name of the total fell"
    done
}

# --- recorded trees

@test "a child that a second thread forked is found: uv and its Python" {
    read_tree uv-wrapper 10767
    equal "$(column comm 10767)" uv
    equal "$(column comm 10771)" python3.12
    equal "$(column processes)" 2
    equal "$(column rss_kib 10767) $(column rss_kib 10771) $(column rss_kib)" "22280 9604 31884"
    equal "$(column threads 10767) $(column threads 10771) $(column threads)" "3 1 4"
    equal "$(column fds) $(column sockets)" "18 3"
    equal "$(column pss_kib) $(column uss_kib)" "24472 23288"
    equal "$(column run_delay_s)" 0.025996 "sum of the second fields of schedstat"
    equal "$(column ctx_voluntary)" 51 "voluntary switches of four threads"
}

@test "without children files the parent of every process is asked" {
    cp -r "$TREES/uv-wrapper" tree
    rm tree/*/task/*/children
    run -0 procsample --proc tree --count 1 --output "$ROWS" 10767
    equal "$(column processes)" 2
    equal "$(column comm 10771)" python3.12
}

@test "--no-tree reads the process alone" {
    read_tree uv-wrapper --no-tree 10767
    equal "$(column processes)" 1
    equal "$(column rss_kib)" 22280
    equal "$(column comm 10771)" ""
}

@test "--exclude leaves a process out, and keeps what it started" {
    read_tree uv-wrapper --exclude 10767 10767
    equal "$(column comm 10767)" ""
    equal "$(column processes) $(column rss_kib)" "1 9604"
    read_tree uv-wrapper --exclude 10771 10767
    equal "$(column processes) $(column rss_kib)" "1 22280"
}

@test "a command name with parentheses, spaces, a tab and bytes that are no UTF-8 stays one column" {
    read_tree comm --per-thread threads.tsv 10858
    equal "$(column comm 10858)" 'x) R 1 (y?z?'
    equal "$(column state 10858)" S
    equal "$(column threads_sleeping 10858) $(column sockets 10858)" "3 2"
    equal "$(grep -v '^#' "$ROWS" | awk -F '\t' '{ print NF }' | sort -u)" 33
    equal "$(column comm 10858 threads.tsv | sort -u)" $'json;enc (2) S\nx) R 1 (y?z?'
}

@test "a zombie has its final CPU time and no memory, and counts as ended" {
    read_tree zombie 10937
    equal "$(column state 10979) $(column processes 10979)" "Z 0"
    equal "$(column cpu_user_s 10979) $(column cpu_system_s 10979)" "0.09 0.27"
    equal "$(column rss_kib 10979) $(column pss_kib 10979)" "0 0"
    equal "$(column cpu_user_s) $(column cpu_system_s)" "0.12 0.27"
    equal "$(column processes) $(column rss_kib)" "1 14572"
}

@test "a zombie is shown once, and its use stays in the total" {
    run -0 procsample --proc "$TREES/zombie" --count 3 --rate 100 --output "$ROWS" 10937
    equal "$(column state 10979)" Z
    equal "$(column cpu_user_s | sort -u)" 0.12
}

@test "a target that is a zombie ends the sampling with its row" {
    run -0 procsample --proc "$TREES/zombie" --output "$ROWS" 10979
    equal "$(column state 10979)" Z
    equal "$(header ended)" target-exited
    equal "$(header samples)" 1
}

@test "what vanished while it was read is n/a, and what is gone is left out" {
    read_tree vanished 400
    equal "$(column processes)" 2
    equal "$(column cpu_user_s 401) $(column rss_kib 401) $(column minflt 401)" "0.30 2000 77"
    equal "$(column io_rchar 401) $(column ctx_voluntary 401) $(column fds 401) $(column pss_kib 401)" "n/a n/a n/a n/a"
    equal "$(column comm 402)" ""
    equal "$(column cpu_user_s) $(column rss_kib) $(column fds)" "1.80 10000 n/a" "a sum with an unknown is unknown"
}

@test "a pid with another start time is another process: the child's use stays, the stranger's does not count" {
    cp -r "$TREES/pid-reuse" tree
    sample --proc tree --rate 100 500
    equal "$(last processes) $(last cpu_user_s)" "2 11.50"
    # Both at once, as far as the sampler can see.
    kill -STOP "$sampler"
    until_true 10 grep -q '^State:.T' "/proc/$sampler/status"
    mv tree/501.reused tree/501/stat
    : >tree/500/task/500/children
    kill -CONT "$sampler"
    two_more_rows
    finish INT
    equal "$status" 0
    equal "$(last processes) $(last cpu_user_s) $(last cpu_system_s)" "1 11.50 2.50"
    equal "$(last comm 501)" child
    never_falls
}

@test "a sum that the kernel lets fall does not fall in the rows" {
    cp -r "$TREES/pid-reuse" tree
    sample --proc tree --rate 100 500
    sed 's/^rchar: .*/rchar: 900/; s/^wchar: .*/wchar: 2500/' tree/500/io >io
    mv io tree/500/io
    two_more_rows
    finish INT
    equal "$(last io_rchar 500) $(last io_wchar 500)" "1000 2500"
    equal "$(last io_rchar) $(last io_wchar)" "2000 4500"
}

@test "a target whose pid is reused has exited" {
    cp -r "$TREES/pid-reuse" tree
    sample --proc tree --rate 100 501
    mv tree/501.reused tree/501/stat
    finish
    equal "$status" 0
    equal "$(header ended)" target-exited
    equal "$(last processes) $(last cpu_user_s) $(last rss_kib)" "0 10.00 0"
}

@test "a kernel that counts no schedstat and has no smaps_rollup gives n/a, not 0" {
    read_tree zero-schedstat 600
    equal "$(column run_delay_s) $(column oncpu_s) $(column pss_kib) $(column uss_kib)" "n/a n/a n/a n/a"
    equal "$(header schedstat)" zero
    equal "$(column cpu_user_s) $(column rss_kib) $(column ctx_voluntary)" "1.50 8000 71"
}

@test "3000 threads are all read, and ended threads stay in the sums" {
    cp -r "$TREES/zero-schedstat" tree
    python3 - <<'PYTHON'
from pathlib import Path
state = {0: "R (running)", 1: "D (disk sleep)", 2: "t (tracing stop)"}
for i in range(2999):
    task = Path(f"tree/600/task/{10000 + i}")
    task.mkdir()
    (task / "children").touch()
    (task / "schedstat").write_text("1000000 2000 5\n")
    (task / "status").write_text(
        f"Name:\tworker {i}\nState:\t{state.get(i % 1000, 'S (sleeping)')}\n"
        "voluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t2\n"
    )
PYTHON
    sample --proc tree --rate 2 --per-thread threads.tsv 600
    equal "$(column threads_running | head -n 1)" 3
    equal "$(column threads_disk | head -n 1)" 3
    equal "$(column threads_other | head -n 1)" 3
    equal "$(column threads_sleeping | head -n 1)" 2991
    equal "$(column oncpu_s | head -n 1)" 2.999000
    equal "$(column run_delay_s | head -n 1)" 0.005998
    equal "$(column ctx_voluntary | head -n 1)" 9068 "2999 times 3, and the 71 of the main thread"
    rm -r tree/600/task/11*
    two_more_rows
    equal "$(last threads_sleeping)" 1994
    equal "$(last ctx_voluntary) $(last run_delay_s)" "9068 0.005998"
    # What the others use from now on comes on top of it.
    sed 's/^\(voluntary_ctxt_switches:\).*/\1\t84/' tree/600/status >status
    mv status tree/600/task/600/status
    echo 700000 9000 3 >schedstat
    mv schedstat tree/600/task/600/schedstat
    two_more_rows
    finish INT
    equal "$(last ctx_voluntary) $(last run_delay_s) $(last oncpu_s)" "9081 0.006007 2.999700"
    equal "$(awk -F '\t' 'NR > 1 && $1 == t { n++ } NR == 2 { t = $1; n = 1 } END { print n }' threads.tsv)" 3000
}

@test "PSS is put off where it would take more than 1 % of the time" {
    cp -r "$TREES/pid-reuse" tree
    mv tree/500/smaps_rollup rollup
    mkfifo tree/500/smaps_rollup
    # Each reading takes 120 ms at least, more than two slots: the next one may come after 12 s.
    python3 - 3>&- <<'PYTHON' &
import time
while True:
    with open("tree/500/smaps_rollup", "w") as pipe:
        time.sleep(0.12)
        pipe.write(open("rollup").read())
PYTHON
    started+=($!)
    run -0 procsample --proc tree --no-tree --duration 2500ms --rate 20 --output "$ROWS" 500
    equal "$(header pss_readings)" 1
    equal "$(header pss_interval_asked_s) $(header pss_interval_achieved_s)" "1 n/a"
    equal "$(column pss_kib | grep -cv n/a)" 1
    (($(header missed) > 0)) || fail "the slots that passed meanwhile are not counted"
}

# --- real processes

@test "CPU time of a process that computes is that of its own getrusage" {
    start_target
    sample --rate 50 "$target"
    tell spin 0.73
    two_more_rows
    finish INT
    read -r user system clock <<<"$answer"
    near "$(last cpu_user_s)" "$user" 0.0101
    near "$(last cpu_system_s)" "$system" 0.0101
    near "$(last oncpu_s)" "$clock" 0.005
    equal "$(last cpu_user_s "$target")" "$(last cpu_user_s)"
}

@test "memory that a process maps is in RSS, PSS and USS, and leaves them again but for the peak" {
    start_target
    sample --rate 20 "$target"
    before=$(last rss_kib) pss_before=$(column pss_kib | head -n 1)
    tell map 101
    # PSS is read once a second.
    until_true 10 pss_above $((pss_before + 102400))
    near $(($(last rss_kib) - before)) 103424 1024
    near "$(last rss_kib)" "$(last peak_rss_kib)" 64
    near $(($(column pss_kib | grep -v n/a | tail -n 1) - pss_before)) 103424 1024
    near $(($(column uss_kib | grep -v n/a | tail -n 1) - $(column uss_kib | head -n 1))) 103424 1024
    near $(($(last rss_anon_kib) - $(column rss_anon_kib | head -n 1))) 103424 1024
    equal $(($(last rss_anon_kib) + $(last rss_file_kib) + $(last rss_shmem_kib))) "$(last rss_kib)"
    tell unmap
    two_more_rows
    finish INT
    near "$(last rss_kib)" "$before" 1024
    (($(last peak_rss_kib) - before > 102400))
}

pss_above() {
    (($(column pss_kib | grep -v n/a | tail -n 1) >= $1))
}

@test "a known number of files and sockets is counted" {
    start_target
    sample --rate 10 "$target"
    fds=$(last fds) sockets=$(column sockets | head -n 1)
    tell open 23 7
    until_true 10 sockets_are $((sockets + 7))
    finish INT
    equal "$(last fds)" $((fds + 30))
}

sockets_are() {
    [[ $(column sockets | grep -v n/a | tail -n 1) == "$1" ]]
}

@test "a known number of context switches is counted" {
    start_target
    sample --rate 50 "$target"
    two_more_rows
    before=$(last ctx_voluntary)
    tell switch 211
    until_true 5 grep -q '^State:.S' "/proc/$target/status"
    two_more_rows
    finish INT
    # One more when it waits for the next command; page faults may add a few.
    switched=$(($(last ctx_voluntary) - before))
    ((switched >= 212 && switched <= 217)) || fail "$switched switches, not 212"
}

@test "a known number of bytes is written" {
    start_target
    sample --rate 50 "$target"
    two_more_rows
    before=$(last io_wchar)
    tell write 1000003
    two_more_rows
    finish INT
    # The answer itself is 5 bytes.
    equal $(($(last io_wchar) - before)) 1000008
}

@test "the total never falls, and keeps what a child used that has ended" {
    start_target
    sample --rate 200 "$target"
    tell child 0.5
    read -r user system <<<"$answer"
    # More than the child used: only a sum holds both.
    tell spin 0.8
    two_more_rows
    finish INT
    children=$(awk -F '\t' '/^[0-9]/ { print $2 }' "$ROWS" | sort -u | grep -vcx -e total -e "$target")
    equal "$children" 1 "children seen"
    # It rests before it ends; what it used after its last sample is not known.
    near "$(awk -v a="$(last cpu_user_s)" -v b="$(last cpu_user_s "$target")" 'BEGIN { print a - b }')" "$user" 0.03
    never_falls
    equal "$(column processes | sort -u | xargs)" "1 2"
}

@test "a child forked by a second thread is found while it runs" {
    start_target
    sample --rate 20 "$target"
    tell thread-fork
    until_true 5 seen "$answer"
    finish INT
    equal "$(last processes)" 2
}

seen() {
    [[ -n $(column comm "$1") ]]
}

@test "an orphan stays in the tree when its parent ends" {
    start_target
    sample --rate 20 "$target"
    tell orphan
    read -r parent orphan <<<"$answer"
    until_true 5 seen "$orphan"
    tell disown
    until_true 5 gone "$parent"
    two_more_rows
    cp "$ROWS" now.tsv
    equal "$(last processes total now.tsv)" 2
    equal "$(last t_s "$orphan" now.tsv)" "$(last t_s total now.tsv)"
    kill -KILL "$target"
    two_more_rows
    equal "$(last processes)" 1
    kill -KILL "$orphan"
    finish
    equal "$status" 0
    equal "$(header ended)" target-exited
}

@test "a process keeps its row when it execs" {
    start_target
    sample --rate 20 "$target"
    tell map 50
    two_more_rows
    rss=$(last rss_kib)
    tell exec
    two_more_rows
    finish INT
    (($(last rss_kib) < rss))
    equal "$(column pid "$target" | sort -u)" "$target"
    (($(column pss_kib | grep -v n/a | tail -n 1) > 0))
}

@test "an excluded process of the tree is not counted" {
    start_target
    tell thread-fork
    sample --rate 20 --exclude "$answer" "$target"
    two_more_rows
    finish INT
    equal "$(last processes)" 1
    run ! seen "$answer"
}

@test "procsample does not count itself" {
    # shellcheck disable=SC2016 # the inner shell is the root of the tree
    run -0 bash -c 'procsample --count 2 --output "$1" $$; exit $?' - "$ROWS"
    equal "$(last processes)" 1
    equal "$(last comm)" total
}

@test "a process of another user has n/a where it may not be read, and a message says so" {
    if ((EUID == 0)); then
        start_target
        cp "$BIN/procsample" .
        chmod a+rx . procsample
        run -0 --separate-stderr setpriv --reuid 65534 --clear-groups ./procsample --count 1 "$target"
    else
        target=1
        run -0 --separate-stderr procsample --count 1 1
        unset target
    fi
    printf '%s\n' "$output" >"$ROWS"
    equal "$(last fds) $(last io_rchar) $(last pss_kib) $(last sockets)" "n/a n/a n/a n/a"
    matches "$(last rss_kib) $(last cpu_user_s)" '^[0-9]+ [0-9.]+$'
    matches "$stderr" 'procsample: PID [0-9]+: io and fd may not be read'
}

# --- rate, end, output

# at_once COMMAND…: at real-time priority where that is permitted: drift is looked for, and not waiting for a CPU.
at_once() {
    if chrt --rr 1 true 2>/dev/null; then set -- chrt --rr 1 "$@"; fi
    "$@"
}

@test "1000 Hz for 2 s: what is stated is true, and nothing drifts" {
    start_target
    run -0 at_once procsample --light --rate 1000 --duration 2s --output "$ROWS" "$target"
    equal "$(header ended) $(header rate_asked)" "duration 1000"
    samples=$(header samples) missed=$(header missed)
    # One slot at 0 and one at the end.
    equal $((samples + missed)) 2001
    equal "$(column t_s | wc -l)" "$samples"
    near "$(header rate_achieved)" "$(column t_s | awk 'NR == 1 { a = $1 } END { print (NR - 1) / ($1 - a) }')" 0.1
    near "$(last t_s)" 2 0.1
    # No sample comes before its slot: sample k stands in slot k or later, and one slot has one sample.
    column t_s | awk '$1 * 1000 + 0.001 < NR - 1 || $1 <= before && NR > 1 { exit 1 } { before = $1 }'
}

@test "a rate that is no whole number of milliseconds does not drift" {
    start_target
    run -0 at_once procsample --light --no-tree --rate 700 --count 701 --output "$ROWS" "$target"
    near "$(last t_s)" "$(awk -v n=$((700 + $(header missed))) 'BEGIN { print n / 700 }')" 0.02
}

@test "slots that pass while the sampler is stopped are counted as missed" {
    start_target
    sample --light --rate 100 "$target"
    kill -STOP "$sampler"
    before=$(($(date +%s%N) - $(header started)))
    until_true 5 wall_after $((before + 500000000))
    kill -CONT "$sampler"
    two_more_rows
    finish TERM
    (($(header missed) >= 45)) || fail "missed: $(header missed)"
    near "$(awk -v t="$(last t_s)" 'BEGIN { print t * 100 }')" $(($(header samples) + $(header missed) - 1)) 5
}

wall_after() {
    (($(date +%s%N) - $(header started) > $1))
}

@test "--count ends after that many samples" {
    start_target
    run -0 procsample --rate 100 --count 3 --output "$ROWS" "$target"
    equal "$(header ended) $(header samples) $(column t_s | wc -l)" "count 3 3"
}

@test "PSS is read once a second, and is n/a in between" {
    start_target
    run -0 at_once procsample --rate 20 --duration 2500ms --output "$ROWS" "$target"
    equal "$(header pss_readings)" 3
    near "$(header pss_interval_achieved_s)" 1 0.11
    equal "$(column pss_kib | grep -vc n/a)" 3
    equal "$(column uss_kib | grep -vc n/a)" 3
    (($(column pss_kib | grep -c n/a) >= 30))
}

@test "SIGINT, SIGTERM and SIGHUP end it cleanly" {
    start_target
    for signal in INT TERM HUP; do
        rm -f "$ROWS"
        sample "$target"
        finish "$signal"
        equal "$status" 0 "$signal"
        equal "$(header ended)" signal "$signal"
        equal "$(tail -n 1 "$ROWS" | cut -d : -f 1)" "# self_cpu_s"
    done
}

@test "a target that exits ends it with exit status 0 and a last row" {
    start_target
    sample --rate 50 "$target"
    tell spin 0.1
    kill -KILL "$target"
    finish
    equal "$status" 0
    equal "$(header ended)" target-exited
    equal "$(last processes) $(last rss_kib) $(last threads)" "0 0 0"
    (($(grep -c . "$ROWS") > 20))
    never_falls
}

@test "no such process is exit status 1, with a message and without a file" {
    (exit 0) &
    wait $!
    run -1 --separate-stderr procsample --output "$ROWS" $!
    equal "$stderr" "procsample: PID $!: no such process. pidfind finds the one that runs now."
    [[ ! -e $ROWS ]]
}

@test "kill -9 leaves complete rows" {
    start_target
    sample --rate 1000 "$target"
    until_true 10 rows 50
    finish KILL
    equal "$status" 137
    equal "$(tail -c 1 "$ROWS" | od -An -tx1 | tr -d ' ')" 0a
    equal "$(grep -v '^#' "$ROWS" | awk -F '\t' '{ print NF }' | sort -u)" 33
    equal "$(tail -n 1 "$ROWS" | cut -f 2)" total
}

@test "a disk that fills up is exit status 3, and the rows before it are kept whole" {
    start_target
    run -3 --separate-stderr procsample --output /dev/full "$target"
    matches "$stderr" '^procsample: /dev/full: No space left on device; '
    # shellcheck disable=SC2016 # arguments of the inner shell
    run -3 --separate-stderr bash -c 'ulimit -f 4; procsample --rate 1000 --output "$1" "$2"' - "$ROWS" "$target"
    matches "$stderr" 'samples.tsv: File too large; the rows before it are kept'
    equal "$(tail -c 1 "$ROWS" | od -An -tx1 | tr -d ' ')" 0a
    equal "$(tail -n 1 "$ROWS" | cut -f 2)" total
    (($(column t_s | wc -l) > 5))
}

@test "an unwritable folder is exit status 3" {
    start_target
    run -3 --separate-stderr procsample --output no/such/folder/x.tsv "$target"
    equal "$stderr" "procsample: no/such/folder/x.tsv: No such file or directory"
}

@test "a reader that goes away ends it without a message" {
    start_target
    run bash -c 'procsample --rate 1000 "$1" 2>"$2" | head -n 1 >/dev/null; echo ${PIPESTATUS[0]}' - "$target" errors
    equal "$output" 3
    [[ ! -s errors ]]
}

@test "rows are written as they come" {
    start_target
    sample --rate 10 "$target"
    until_true 5 rows 3
    ((!$(header ended | wc -l)))
    finish INT
}

@test "the header puts the rows on the clocks of the machine" {
    start_target
    wall=$(date +%s%N) monotonic=$(python3 -c 'import time; print(time.monotonic_ns())')
    run -0 procsample --count 1 --output "$ROWS" "$target"
    (($(header started) > wall && $(header started) < wall + 5000000000))
    (($(header started_monotonic) > monotonic && $(header started_monotonic) < monotonic + 5000000000))
    equal "$(header pid) $(header clk_tck) $(header page_size)" "$target $(getconf CLK_TCK) $(getconf PAGESIZE)"
    equal "$(header starttime_ticks)" "$(column starttime_ticks "$target")"
    matches "$(header self_cpu_s)" '^[0-9]+\.[0-9]{3}$'
    equal "$(header rate_achieved)" n/a "one sample has no rate"
}

@test "--light reads the fields of the process, and leaves out what is dear" {
    start_target
    run -0 procsample --light --count 2 --output "$ROWS" "$target"
    for name in pss_kib uss_kib run_delay_s threads_running threads_sleeping threads_disk threads_other sockets; do
        equal "$(last "$name")" n/a "$name"
    done
    for name in cpu_user_s cpu_system_s oncpu_s rss_kib rss_anon_kib swap_kib peak_rss_kib io_read_bytes io_write_bytes io_rchar \
        io_wchar minflt majflt ctx_voluntary ctx_involuntary threads fds; do
        matches "$(last "$name")" '^[0-9]+(\.[0-9]+)?$'
    done
    equal "$(header mode) $(header context_switches_of)" "light main thread"
}

@test "--light above 100 Hz reads I/O, parts of RSS and context switches 100 times a second, and they are n/a in between" {
    start_target
    run -0 at_once procsample --light --no-tree --rate 1000 --count 501 --output "$ROWS" "$target"
    for name in rss_anon_kib peak_rss_kib swap_kib ctx_voluntary io_rchar io_write_bytes; do
        # 500 periods, and those that it missed.
        count=$(column "$name" "$target" | grep -vc n/a)
        ((count >= 51 && count <= (500 + $(header missed)) / 10 + 1)) || fail "$name: $count readings, $(header missed) missed"
    done
    for name in rss_kib minflt threads fds oncpu_s cpu_user_s; do
        equal "$(column "$name" "$target" | grep -c n/a || :)" 0 "$name"
    done
    run -0 procsample --light --no-tree --rate 50 --count 5 --output "$ROWS" "$target"
    equal "$(column ctx_voluntary "$target" | grep -c n/a || :)" 0
}

@test "--per-thread writes a row per thread and sample" {
    start_target
    tell thread-fork
    run -0 procsample --count 2 --rate 100 --no-tree --output "$ROWS" --per-thread threads.tsv "$target"
    equal "$(head -n 1 threads.tsv)" $'t_s\tpid\ttid\tcomm\tstate\toncpu_s\trun_delay_s\tctx_voluntary\tctx_involuntary'
    equal "$(column tid "$target" threads.tsv | wc -l)" 4
    equal "$(column tid "$target" threads.tsv | head -n 1)" "$target"
}

@test "what the command line gets wrong is exit status 2" {
    for arguments in "" "1 2" "x" "0" "--rate 0 1" "--rate 1001 1" "--rate 10x 1" "--count 0 1" "--duration 0 1" \
        "--pss-interval 500ms 1" "--light --per-thread x 1" "--exclude 0 1" "--no-tree --exclude 1 1" "--output"; do
        # shellcheck disable=SC2086 # words
        run -2 --separate-stderr procsample $arguments
        matches "$stderr" "Try 'procsample --help'."
    done
}

@test "one file for both outputs is a usage error, by whatever names" {
    ln -s both other-name
    run -2 --separate-stderr procsample --count 1 --output both --per-thread other-name "$$"
    matches "$stderr" 'procsample: --output and --per-thread: the same file for both'
    run -0 procsample --count 1 --output /dev/null --per-thread /dev/null "$$"
}
