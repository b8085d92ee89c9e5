#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# loader_exporter: its HTTP front, its formats, and /proc.
load ../lib/common
load ../lib/exporter

setup() {
    PY=${LOADER_ENV_PYTHON:?"the loader environment's Python"}
    MULTIPROC=$ROOT/tests/lib/multiproc.py
    GROUPS_MADE=()
    DIR=$BATS_TEST_TMPDIR/multiproc
    mkdir -m 0700 "$DIR"
}

teardown() {
    local group
    stop_all
    for group in "${GROUPS_MADE[@]}"; do until_true 20 rmdir "$group"; done
}

raw() {
    "$PY" "$MULTIPROC" raw "$DIR/$1" "$2"
}

# A loader of the test: counts as it is told, line by line on a FIFO, and answers each line.
WRITER='
import sys
from prometheus_client import Counter, Gauge, Histogram
c, h = Counter("jobs", "Jobs", ["kind"]), Histogram("took_seconds", "Time")
g = Gauge("here", "Here", multiprocess_mode="livesum")
g.set(1)
out = open(sys.argv[1] + ".out", "w")
print("ready", file=out, flush=True)
for line in open(sys.argv[1] + ".in"):
    n = int(line)
    for i in range(n):
        c.labels(f"kind {i}").inc()
    h.observe(n)
    print(n, file=out, flush=True)
'

# writer NAME: starts one; talk to it with `tell`.
writer() {
    mkfifo "$BATS_TEST_TMPDIR/$1.in" "$BATS_TEST_TMPDIR/$1.out"
    PROMETHEUS_MULTIPROC_DIR=$DIR "$PY" -c "$WRITER" "$BATS_TEST_TMPDIR/$1" 3>&- &
    WRITER_PID=$!
    STARTED+=("$WRITER_PID")
    exec {OUT}<"$BATS_TEST_TMPDIR/$1.out" {IN}>"$BATS_TEST_TMPDIR/$1.in"
    read -rt 20 -u "$OUT" line
    equal "$line" ready
}

tell() {
    local line
    printf '%s\n' "$1" >&"$IN"
    read -rt 20 -u "$OUT" line
    equal "$line" "$1"
}

# header NAME [CURL OPTION…]: that header of a page.
header() {
    local name=$1
    shift
    scrape -D "$BATS_TEST_TMPDIR/headers" "$@"
    tr -d '\r' <"$BATS_TEST_TMPDIR/headers" | sed -n "s/^$name: //Ip"
}

# CPU seconds of the tree on the page.
cpu() {
    awk '/^qdrant_loader_process_cpu_seconds_total/ { s += $2 } END { print s }' "$PAGE"
}

# used_cpu FROM TO: the page has so much, in seconds.
used_cpu() {
    scrape && awk -v v="$(cpu)" -v a="$1" -v b="$2" 'BEGIN { exit v < a || v > b }'
}

status_of() {
    curl -sS --max-time 10 -o /dev/null -w '%{http_code}' "$@"
}

@test "it listens on loopback only, and says where" {
    raw counter_1.db good
    start --multiproc-dir "$DIR"
    [[ $(<"$LOG") == "loader_exporter: serving http://127.0.0.1:$PORT/metrics" ]]
    equal "$(jq -r .url "$READY")" "http://127.0.0.1:$PORT/metrics"
    equal "$(jq .pid "$READY")" "$EXPORTER"
    shows good_total 7.0
    equal "$(value loader_exporter_build_info\{version=\"1.0.0\",libmicrohttpd=\""$(sed -n 's/.*libmicrohttpd="\([^"]*\)".*/\1/p' "$PAGE")"\"\})" 1.0
    stop
    [[ ! -e $READY ]]
}

@test "landing page, health, readiness, and 404 for the rest" {
    start --multiproc-dir "$DIR"
    equal "$(status_of "http://$ADDR/")" 200
    [[ $(curl -sS "http://$ADDR/") == *'href="/metrics"'* ]]
    equal "$(curl -sS "http://$ADDR/-/healthy")" healthy
    equal "$(curl -sS "http://$ADDR/-/ready")" ready
    local path
    for path in /x /metrics/ /metricsx //metrics /-/ /-/healthy/x '/%2e%2e/etc/passwd'; do
        equal "$(status_of --path-as-is "http://$ADDR$path")" 404 "$path"
    done
    equal "$(status_of "http://$ADDR/metrics?name=x")" 200
    rmdir "$DIR"
    equal "$(status_of "http://$ADDR/-/ready")" 503
    equal "$(status_of "http://$ADDR/-/healthy")" 200
}

@test "a watched folder that is not there is told, and not ready until it is; a loader that has ended is" {
    local watch=$BATS_TEST_TMPDIR/watch
    start --watch "$watch"
    equal "$(head -n 1 "$LOG")" "loader_exporter: --watch $watch: No such file or directory: not ready until it can be read"
    equal "$(status_of "http://$ADDR/-/ready")" 503
    mkdir "$watch"
    equal "$(status_of "http://$ADDR/-/ready")" 200
    stop
    sleep 1000 3>&- &
    STARTED+=("$!")
    printf '%d\n' "$!" >"$BATS_TEST_TMPDIR/pid"
    start --pid-file "$BATS_TEST_TMPDIR/pid"
    equal "$(status_of "http://$ADDR/-/ready")" 200
    kill -9 "${STARTED[0]}"
    wait "${STARTED[0]}" || :
    until_true 5 shows qdrant_loader_up 0.0
    # Its end is still to be scraped.
    equal "$(status_of "http://$ADDR/-/ready")" 200
}

@test "only GET and HEAD are taken" {
    start --multiproc-dir "$DIR"
    equal "$(status_of -X POST --data x "http://$ADDR/metrics")" 405
    equal "$(status_of -X DELETE "http://$ADDR/metrics")" 405
    equal "$(status_of -I "http://$ADDR/metrics")" 200
    equal "$(curl -sSI "http://$ADDR/metrics" | tail -c +1 | grep -c '# HELP')" 0
    # A GET with a body is answered too, and the body thrown away.
    equal "$(status_of -X GET --data 'x=1' "http://$ADDR/metrics")" 200
}

@test "--web.telemetry-path moves the metrics" {
    start --multiproc-dir "$DIR" --web.telemetry-path /m/x
    equal "$(status_of "http://$ADDR/m/x")" 200
    equal "$(status_of "http://$ADDR/metrics")" 404
    equal "$(jq -r .url "$READY")" "http://$ADDR/m/x"
}

@test "a taken port is an error that says what to do" {
    start --multiproc-dir "$DIR"
    run -3 --separate-stderr loader_exporter --multiproc-dir "$DIR" --web.listen-address "$ADDR"
    equal "$stderr" "loader_exporter: $ADDR: Address already in use
loader_exporter: take another port with --web.listen-address, or port 0 for any free one"
}

@test "it listens on several addresses, IPv6 too, and warns where everybody can read" {
    LISTEN=:0 start --multiproc-dir "$DIR" --web.listen-address '[::1]:0'
    equal "$(status_of "http://127.0.0.1:$PORT/metrics")" 200
    equal "$(status_of "http://[::1]:$PORT/metrics")" 200
    local second
    second=$(sed -n 's/.*serving http:..\[::1\]:\([0-9]*\).*/\1/p' "$LOG")
    equal "$(status_of "http://[::1]:$second/metrics")" 200
    equal "$(grep -c 'everybody who reaches this address can read the metrics: name users in --web.config.file, or listen on 127.0.0.1$' "$LOG")" 1 'warnings'
}

@test "the format is the one that the client asks for" {
    raw counter_1.db good
    start --multiproc-dir "$DIR"
    local text='text/plain; version=0.0.4; charset=utf-8'
    local open='application/openmetrics-text; version=1.0.0; charset=utf-8'
    equal "$(header Content-Type -H 'Accept:')" "$text"
    equal "$(header Content-Type -H 'Accept: */*')" "$text"
    equal "$(header Content-Type -H 'Accept: text/html,*/*;q=0.8')" "$text"
    # Prometheus 2.42, then 3.
    equal "$(header Content-Type -H 'Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1')" "$open"
    equal "$(header Content-Type -H 'Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,application/openmetrics-text;version=0.0.1;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3')" "$open"
    equal "$(header Content-Type -H 'Accept: application/openmetrics-text')" "$open"
    equal "$(header Content-Type -H 'Accept: application/openmetrics-text; version=0.0.1')" "${open/1.0.0/0.0.1}"
    equal "$(header Content-Type -H 'Accept: application/openmetrics-text; version=2.0.0')" "$text"
    equal "$(header Content-Type -H 'Accept: application/openmetrics-text;q=0.2,text/plain;q=0.8')" "$text"
    equal "$(header Content-Type -H 'Accept: application/openmetrics-text;q=0')" "$text"
    equal "$(header Content-Type -H 'Accept: application/openmetrics-text;q=nan,;;=,"')" "$text"
    scrape -H 'Accept: application/openmetrics-text'
    equal "$(tail -n 1 "$PAGE")" '# EOF'
    "$PY" "$MULTIPROC" strict "$PAGE"
    scrape
    run -0 promtool check metrics <"$PAGE"
    [[ -z $output ]]
}

@test "gzip comes above 16 kB, to those who take it" {
    local plain
    raw counter_1.db good
    start --multiproc-dir "$DIR"
    equal "$(header Content-Encoding -H 'Accept-Encoding: gzip')" ''
    raw counter_1.db 10000-series
    equal "$(header Content-Encoding)" ''
    equal "$(header Content-Encoding -H 'Accept-Encoding: gzip')" gzip
    equal "$(header Content-Encoding -H 'Accept-Encoding: deflate, gzip;q=0.5')" gzip
    equal "$(header Content-Encoding -H 'Accept-Encoding: gzip;q=0')" ''
    equal "$(header Content-Encoding -H 'Accept-Encoding: *;q=0.1')" gzip
    scrape
    plain=$(grep -v ^loader_exporter "$PAGE" | sha256sum)
    scrape --compressed
    equal "$(grep -v ^loader_exporter "$PAGE" | sha256sum)" "$plain"
}

@test "--web.disable-exporter-metrics leaves only the loader's series" {
    raw counter_1.db good
    start --multiproc-dir "$DIR" --web.disable-exporter-metrics
    scrape
    equal "$(grep -v '^#' "$PAGE")" 'good_total 7.0'
}

@test "a running writer is followed, over the growth of its files" {
    start --multiproc-dir "$DIR"
    writer a
    tell 3
    shows 'jobs_total{kind="kind 2"}' 1.0
    equal "$(value took_seconds_count)" 1.0
    tell 3000
    shows 'jobs_total{kind="kind 2"}' 2.0
    equal "$(value 'jobs_total{kind="kind 2999"}')" 1.0
    scrape -H 'Accept: application/openmetrics-text'
    "$PY" "$MULTIPROC" equal "$DIR" <(grep -v loader_exporter "$PAGE")
    equal "$(value 'loader_exporter_multiprocess_files{state="ok"}')" 3.0
}

@test "the folder vanishes, comes back, and its files are others then" {
    raw counter_1.db good
    start --multiproc-dir "$DIR"
    shows good_total 7.0
    rm -r "$DIR"
    shows good_total ''
    equal "$(value 'loader_exporter_source_up{source="multiprocess"}')" 0.0
    mkdir "$DIR"
    raw counter_1.db good-twice
    shows good_total 7.0
    equal "$(value behind_total)" 3.0
    # Another file of the same name, in place of the one that was read.
    raw new duplicate
    mv "$DIR/new" "$DIR/counter_1.db"
    shows good_total 14.0
    # The same file with other contents.
    raw counter_1.db bad-name
    shows 'm_m_total{l_l="v"}' 1.0
    : >"$DIR/counter_1.db"
    shows good_total ''
    rm "$DIR/counter_1.db"
    shows 'loader_exporter_multiprocess_files{state="empty"}' 0.0
}

@test "a file that comes within one tick of the folder's clock is found" {
    local before
    start --multiproc-dir "$DIR"
    touch "$DIR"
    shows good_total ''
    before=$(stat -c %y "$DIR")
    raw counter_1.db good
    # As if both had come in one tick: the folder's time says that nothing changed.
    touch -d "$before" "$DIR"
    shows good_total 7.0
}

@test "live gauges of a dead process are shown to Prometheus once more, then dropped; counters stay" {
    start --multiproc-dir "$DIR"
    writer a
    tell 1
    shows here 1.0
    kill -9 "$WRITER_PID"
    until_true 10 gone "$WRITER_PID"
    wait "$WRITER_PID" || :
    # Not to people who look, nor to what asks for the head only: nobody has stored it.
    for _ in 1 2 3; do
        shows here 1.0
        curl -sSI -H 'X-Prometheus-Scrape-Timeout-Seconds: 1' -o /dev/null "http://$ADDR/metrics"
    done
    shows here 1.0
    prometheus
    equal "$(value here)" 1.0
    # A page is shown when its answer has gone out, which the exporter learns a moment later.
    until_true 5 shows here ''
    equal "$(value 'jobs_total{kind="kind 0"}')" 1.0
    # They do not come back when another process adds files.
    raw counter_1.db good
    shows good_total 7.0
    equal "$(value here)" ''
}

@test "who lingers shows live gauges until their last values were scraped as often as it waits for" {
    writer a
    start --multiproc-dir "$DIR" --pid "$WRITER_PID" --linger 60 --linger-scrapes 2
    tell 1
    shows here 1.0
    prometheus
    kill -9 "$WRITER_PID"
    wait "$WRITER_PID" || :
    until_true 5 shows qdrant_loader_up 0.0
    shows here 1.0
    prometheus
    equal "$(value here)" 1.0
    # Two HEAD requests are no scrapes.
    for _ in 1 2; do curl -sSI -H 'X-Prometheus-Scrape-Timeout-Seconds: 1' -o /dev/null "http://$ADDR/metrics"; done
    shows here 1.0
    gone "$EXPORTER" && fail 'a HEAD counted as a scrape'
    prometheus
    equal "$(value here)" 1.0
    ended 0 5
}

@test "kill -9 of the writer loses nothing that was counted" {
    start --multiproc-dir "$DIR"
    writer a
    tell 5
    tell 5
    kill -9 "$WRITER_PID"
    shows 'jobs_total{kind="kind 4"}' 2.0
    equal "$(value took_seconds_sum)" 10.0
}

@test "switches and states are those of all threads, however long they slept, and a child of a second thread is found" {
    mkfifo "$BATS_TEST_TMPDIR/in"
    "$PY" -c '
import queue, subprocess, sys, threading, time
asked = [queue.Queue() for _ in range(6)]
def work(mine):
    while what := mine.get():
        if what == "fork":
            subprocess.Popen(["sleep", "1000"], close_fds=True)
        else:
            for _ in range(40):
                time.sleep(0.001)
        print(what, flush=True)
for mine in asked:
    threading.Thread(target=work, args=(mine,), daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    asked[int(line.split()[0])].put(line.split()[1])' <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out" 3>&- &
    local pid=$! n
    STARTED+=("$pid")
    exec {IN}>"$BATS_TEST_TMPDIR/in"
    until_true 10 grep -qs ready "$BATS_TEST_TMPDIR/out"
    as_the_kernel() {
        local kind
        scrape
        for kind in voluntary nonvoluntary; do
            [[ $(value "qdrant_loader_process_context_switches_total{kind=\"${kind/nonvol/invol}\"}") == "$(
                awk -v kind="^${kind}_ctxt" '$1 ~ kind { n += $2 } END { printf "%.1f", n }' "/proc/$pid"/task/*/status
            )" ]] || return 1
        done
        [[ $(value 'qdrant_loader_process_threads_by_state{state="sleeping"}') == 7.0 ]]
    }
    start --pid "$pid"
    until_true 5 as_the_kernel
    for n in 4 4 1; do
        : >"$BATS_TEST_TMPDIR/out"
        printf '%d nap\n' "$n" >&"$IN"
        until_true 10 grep -qs nap "$BATS_TEST_TMPDIR/out"
        until_true 5 as_the_kernel
    done
    equal "$(value qdrant_loader_process_processes)" 1.0
    printf '5 fork\n' >&"$IN"
    until_true 10 grep -qs fork "$BATS_TEST_TMPDIR/out"
    n=$(cat "/proc/$pid"/task/*/children)
    STARTED+=("${n% }")
    until_true 5 shows qdrant_loader_process_processes 2.0
}

@test "/proc of a tree: CPU, memory, I/O, threads, files, and what ended children used stays" {
    mkfifo "$BATS_TEST_TMPDIR/in"
    "$PY" -c '
import os, subprocess, sys, threading, time
while time.process_time() < 0.5: pass
hold = bytearray(50 << 20)
subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.4: pass\nprint(flush=True); input()"], input=None, stdin=0, stdout=1)
print("alone", flush=True)
while time.process_time() < 1: pass
print("done", flush=True)
input()' <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out" 3>&- &
    local pid=$! user
    STARTED+=("$pid")
    exec {IN}>"$BATS_TEST_TMPDIR/in"
    start --pid "$pid"
    until_true 20 shows qdrant_loader_process_processes 2.0
    until_true 10 grep -qs '^$' "$BATS_TEST_TMPDIR/out"
    # A page may be 100 ms old: all that the child used has been read.
    until_true 5 used_cpu 0.87 4
    equal "$(value qdrant_loader_process_processes)" 2.0
    printf '\n' >&"$IN"
    until_true 10 grep -qs alone "$BATS_TEST_TMPDIR/out"
    until_true 5 shows qdrant_loader_process_processes 1.0
    until_true 10 grep -qs 'done' "$BATS_TEST_TMPDIR/out"
    # 1 s of the process, 0.4 s and the start of Python of its child.
    until_true 5 used_cpu 1.35 4
    user=$(cpu)
    awk -v v="$(value qdrant_loader_process_resident_memory_bytes)" 'BEGIN { exit v < 50 * 1048576 || v > 200 * 1048576 }'
    awk -v v="$(value qdrant_loader_process_pss_bytes)" 'BEGIN { exit v <= 0 }'
    equal "$(value qdrant_loader_process_threads)" 1.0
    until_true 5 shows 'qdrant_loader_process_threads_by_state{state="sleeping"}' 1.0
    awk -v v="$(value qdrant_loader_process_open_fds)" 'BEGIN { exit v < 3 || v > 20 }'
    equal "$(value qdrant_loader_process_max_fds)" "$(awk '/Max open files/ { printf "%d.0", $4 }' "/proc/$pid/limits" | sed 's/1000000.0/1e+06/')"
    awk -v v="$(value qdrant_loader_process_memory_limit_bytes)" 'BEGIN { exit v < 1e6 }'
    equal "$(value qdrant_loader_up)" 1.0
    equal "$(value 'loader_exporter_source_up{source="proc"}')" 1.0
    awk -v v="$(value qdrant_loader_process_start_time_seconds)" -v now="$EPOCHSECONDS" 'BEGIN { exit v < now - 100 || v > now }'
    run -0 promtool check metrics <"$PAGE"
    scrape -H 'Accept: application/openmetrics-text'
    "$PY" "$MULTIPROC" strict "$PAGE"
    equal "$(value 'qdrant_loader_process_cpu_seconds_created{mode="user"}')" "$(value qdrant_loader_process_start_time_seconds)"
    kill -9 "$pid"
    until_true 10 shows qdrant_loader_up 0.0
    equal "$(value qdrant_loader_process_resident_memory_bytes)" ''
    awk -v v="$(cpu)" -v u="$user" 'BEGIN { exit v < u }'
}

@test "PSS follows a loader that grows, long before its interval is over" {
    mkfifo "$BATS_TEST_TMPDIR/in"
    "$PY" -c 'import sys; sys.stdin.readline(); hold = b"x" * (200 << 20); sys.stdin.readline(); del hold; sys.stdin.readline()' <"$BATS_TEST_TMPDIR/in" 3>&- &
    STARTED+=("$!")
    exec {IN}>"$BATS_TEST_TMPDIR/in"
    # pss CONDITION: of it in MiB.
    pss() { scrape && awk -v v="$(value qdrant_loader_process_pss_bytes)" "BEGIN { exit !(v / 1048576 $1) }"; }
    start --pid "${STARTED[0]}" --pss 1h
    until_true 5 pss '> 0'
    pss '< 100'
    printf '\n' >&"$IN"
    until_true 10 pss '> 200'
    printf '\n' >&"$IN"
    until_true 10 pss '< 100'
}

@test "--pss 0 reads no PSS" {
    start --pid $$ --pss 0
    scrape
    equal "$(value qdrant_loader_process_pss_bytes)" ''
    [[ -n $(value qdrant_loader_process_resident_memory_bytes) ]]
}

@test "limits are the smallest of the control groups above, v2 and v1" {
    local proc=$BATS_TEST_TMPDIR/proc group=$BATS_TEST_TMPDIR/cgroup
    mkdir -p "$proc/7/task/7" "$group/a/b" "$group/memory/m" "$group/cpu,cpuacct/c"
    printf '7 (x) S 1 7 7 0 -1 0 0 0 0 0 12 3 0 0 20 0 1 0 100 1000 50 0\n' >"$proc/7/stat"
    printf 'Name:\tx\nVmRSS:\t200 kB\nCpus_allowed:\tff,0000000f\n' >"$proc/7/status"
    printf 'MemTotal: 1000000 kB\n' >"$proc/meminfo"
    printf 'Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 4096                 files\n' >"$proc/7/limits"
    printf '0::/a/b\n' >"$proc/7/cgroup"
    printf 'max\n' >"$group/a/b/memory.max"
    printf '104857600\n' >"$group/a/memory.max"
    printf '150000 100000\n' >"$group/a/b/cpu.max"
    PAGE=$BATS_TEST_TMPDIR/page
    loader_exporter --once --proc "$proc" --cgroup "$group" --pid 7 >"$PAGE"
    equal "$(value qdrant_loader_process_memory_limit_bytes)" 1.048576e+08
    equal "$(value qdrant_loader_process_cpu_limit_cores)" 1.5
    equal "$(value qdrant_loader_process_max_fds)" 1024.0
    printf '4:memory:/m\n3:cpu,cpuacct:/c\n0::/\n' >"$proc/7/cgroup"
    printf '209715200\n' >"$group/memory/m/memory.limit_in_bytes"
    printf '9223372036854771712\n' >"$group/memory/memory.limit_in_bytes"
    printf '50000\n' >"$group/cpu,cpuacct/c/cpu.cfs_quota_us"
    printf '100000\n' >"$group/cpu,cpuacct/c/cpu.cfs_period_us"
    loader_exporter --once --proc "$proc" --cgroup "$group" --pid 7 >"$PAGE"
    equal "$(value qdrant_loader_process_memory_limit_bytes)" 2.097152e+08
    equal "$(value qdrant_loader_process_cpu_limit_cores)" 0.5
    rm -r "$group"
    loader_exporter --once --proc "$proc" --cgroup "$group" --pid 7 >"$PAGE"
    equal "$(value qdrant_loader_process_memory_limit_bytes)" 1.024e+09
    equal "$(value qdrant_loader_process_cpu_limit_cores)" 12.0
}

# group NAME MIB: GROUP, a memory control group of that size, which teardown removes.
group() {
    GROUP=/sys/fs/cgroup/memory
    [[ -d $GROUP ]] || GROUP=/sys/fs/cgroup
    GROUP+=/bats-$BASHPID-$1
    mkdir "$GROUP"
    GROUPS_MADE+=("$GROUP")
    if [[ -e $GROUP/memory.max ]]; then echo "$2M" >"$GROUP/memory.max"; else echo "$2M" >"$GROUP/memory.limit_in_bytes"; fi
}

# contained GROUP COMMAND…: as in a container that has this group, and sees no other.
contained() {
    # shellcheck disable=SC2016 # expanded by those shells
    exec bash -c 'echo $$ >"$1/cgroup.procs"; exec unshare --cgroup --mount bash -c '"'"'
        if [[ -d /sys/fs/cgroup/memory ]]; then
            umount -l /sys/fs/cgroup/memory && mount -t cgroup -o memory none /sys/fs/cgroup/memory
        else
            umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup
        fi || exit 9
        exec "$@"'"'"' "$@"' contained "$@"
}

@test "the limit of a loader in another container is that container's, and not the exporter's own" {
    ((EUID == 0)) || fail "needs root, to make control groups: sudo make test"
    local theirs
    group loader 512
    theirs=$GROUP
    contained "$theirs" sleep 1000 3>&- &
    STARTED+=($!)
    until_true 10 grep -qs '^sleep' "/proc/$!/comm"
    group exporter 128
    PAGE=$BATS_TEST_TMPDIR/page
    # In this container the loader's group is /../…, which is not in what is mounted.
    (contained "$GROUP" bash -c 'grep -q ":/\.\./" /proc/$1/cgroup && loader_exporter --once --pid "$1"' - "${STARTED[0]}") >"$PAGE"
    equal "$(value qdrant_loader_process_memory_limit_bytes)" 5.36870912e+08
    # What cannot be read is not known, and not the machine's.
    (contained "$GROUP" loader_exporter --once --pid "${STARTED[0]}" --cgroup /sys/none) >"$PAGE"
    equal "$(value qdrant_loader_process_memory_limit_bytes)" ''
    equal "$(value qdrant_loader_process_cpu_limit_cores)" ''
    [[ -n $(value qdrant_loader_process_max_fds) ]]
}

@test "two loaders, one exporter: series stand together and are told apart by name" {
    local other=$BATS_TEST_TMPDIR/other
    mkdir "$other"
    raw counter_1.db good
    "$PY" "$MULTIPROC" raw "$other/counter_1.db" good-twice
    start --loader a --multiproc-dir "$DIR" --pid $$ --loader 'b "x"' --multiproc-dir "$other"
    scrape
    equal "$(value 'good_total{loader="a"}')" 7.0
    equal "$(value 'good_total{loader="b \"x\""}')" 7.0
    equal "$(value 'behind_total{loader="b \"x\""}')" 3.0
    equal "$(value 'qdrant_loader_up{loader="a"}')" 1.0
    equal "$(value 'loader_exporter_source_up{source="multiprocess",loader="a"}')" 1.0
    equal "$(grep -c '^# TYPE good_total' "$PAGE")" 1
    run -0 promtool check metrics <"$PAGE"
    scrape -H 'Accept: application/openmetrics-text'
    "$PY" "$MULTIPROC" strict "$PAGE"
}

@test "a FIFO, link or device in place of a pid file, result or table holds nothing up" {
    local watch=$BATS_TEST_TMPDIR/watch file
    mkdir -p "$watch"/{good,bad,links}/multiproc
    printf '%d %s\n' $$ "$(starttime $$)" >"$watch/good/pid"
    start --watch "$watch" --loader named --multiproc-dir "$DIR" --pid-file "$BATS_TEST_TMPDIR/pid" --tasks "$BATS_TEST_TMPDIR/tasks"
    until_true 5 shows 'qdrant_loader_up{loader="good"}' 1.0
    for file in "$watch"/bad/{pid,result.tsv} "$BATS_TEST_TMPDIR"/{pid,tasks}; do
        mkfifo "$file"
        scrape
    done
    ln -s ../good/pid "$watch/links/pid"
    ln -s /dev/zero "$watch/links/result.tsv"
    # Longer than the pause between two looks.
    SECONDS=0
    while ((SECONDS < 2)); do
        scrape
        equal "$(value 'qdrant_loader_up{loader="good"}')" 1.0
        equal "$(value 'qdrant_loader_up{loader="bad"}')$(value 'qdrant_loader_up{loader="links"}')" ''
    done
    stop
}

@test "--watch takes loaders on and drops them with their folders" {
    local watch=$BATS_TEST_TMPDIR/watch
    mkdir -p "$watch/one/multiproc" "$watch/.hidden/multiproc"
    "$PY" "$MULTIPROC" raw "$watch/one/multiproc/counter_1.db" good
    start --watch "$watch"
    shows 'good_total{loader="one"}' 7.0
    mkdir -p "$watch/two/multiproc"
    "$PY" "$MULTIPROC" raw "$watch/two/multiproc/counter_1.db" good
    printf '%d %s\n' $$ "$(starttime $$)" >"$watch/two/pid"
    shows 'good_total{loader="two"}' 7.0
    equal "$(value 'qdrant_loader_up{loader="two"}')" 1.0
    rm -r "$watch/one"
    shows 'good_total{loader="two"}' 7.0
    run -1 grep -F 'loader="one"' "$PAGE"
    run -1 grep -F hidden "$PAGE"
    rm -r "$watch"
    shows 'good_total{loader="two"}' ''
}

@test "no secret of the loader's command line or environment is on the page" {
    mkfifo "$BATS_TEST_TMPDIR/in"
    API_KEY=hunter2-in-environment PROMETHEUS_MULTIPROC_DIR=$DIR "$PY" -c '
import prometheus_client, sys
prometheus_client.Counter("jobs", "Jobs").inc()
print("ready", flush=True)
sys.stdin.read()' --api-key hunter2-in-arguments <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out" 3>&- &
    STARTED+=($!)
    exec {IN}>"$BATS_TEST_TMPDIR/in"
    until_true 10 grep -qs ready "$BATS_TEST_TMPDIR/out"
    start --multiproc-dir "$DIR" --pid "${STARTED[0]}" --file-sd "$BATS_TEST_TMPDIR/sd.json"
    shows jobs_total 1.0
    run -1 grep -rF hunter2 "$PAGE" "$LOG" "$READY" "$BATS_TEST_TMPDIR/sd.json"
}

@test "file_sd names the targets, and is taken back at the end" {
    local sd=$BATS_TEST_TMPDIR/sd.json
    start --multiproc-dir "$DIR" --file-sd "$sd" --file-sd-label 'run=2026 "x"' --file-sd-label job=loader
    equal "$(jq -c . "$sd")" "[{\"targets\":[\"$ADDR\"],\"labels\":{\"__scheme__\":\"http\",\"__metrics_path__\":\"/metrics\",\"run\":\"2026 \\\"x\\\"\",\"job\":\"loader\"}}]"
    equal "$(find "$BATS_TEST_TMPDIR" -name '.sd.json*')" ''
    stop
    [[ ! -e $sd ]]
    # Prometheus is another user.
    umask 077
    start --multiproc-dir "$DIR" --file-sd "$sd"
    equal "$(stat -c %a "$sd")" 644
    stop
    [[ ! -e $sd ]]
}

@test "the end of one exporter leaves what another program has written under the same names" {
    local sd=$BATS_TEST_TMPDIR/sd.json first
    start --multiproc-dir "$DIR" --file-sd "$sd"
    first=$EXPORTER
    STARTED+=("$first")
    rm "$READY"
    start --multiproc-dir "$DIR"
    printf '[]\n' >"$BATS_TEST_TMPDIR/other"
    mv "$BATS_TEST_TMPDIR/other" "$sd"
    kill "$first"
    wait "$first"
    equal "$(<"$sd")" '[]'
    equal "$(jq .pid "$READY")" "$EXPORTER"
    stop
    [[ -e $sd && ! -e $READY ]]
}

@test "an exporter is refused the file_sd of another one that runs, with its address, and takes that of one that was killed" {
    local sd=$BATS_TEST_TMPDIR/sd.json before
    start --multiproc-dir "$DIR" --file-sd "$sd"
    before=$(<"$sd")
    run -3 --separate-stderr timeout 20 loader_exporter --multiproc-dir "$DIR" --web.listen-address 127.0.0.1:0 --file-sd "$sd"
    equal "$stderr" "loader_exporter: $sd: is the file of another exporter that runs ($ADDR): give this one a name of its own with --file-sd, in the same folder"
    equal "$(<"$sd")" "$before"
    equal "$(find "$BATS_TEST_TMPDIR" -name '.sd.json*')" ''
    # The lock of one that is killed is over, and a name that is a link or a FIFO holds nobody up.
    kill -KILL "$EXPORTER"
    wait "$EXPORTER" || :
    rm "$READY"
    equal "$(<"$sd")" "$before"
    start --multiproc-dir "$DIR" --file-sd "$sd"
    equal "$(jq -r '.[0].targets[0]' "$sd")" "$ADDR"
    stop
    [[ ! -e $sd ]]
    ln -s "$BATS_TEST_TMPDIR/elsewhere" "$sd"
    start --multiproc-dir "$DIR" --file-sd "$sd"
    [[ -f $sd && ! -L $sd && ! -e $BATS_TEST_TMPDIR/elsewhere ]]
    stop
    mkfifo "$sd"
    start --multiproc-dir "$DIR" --file-sd "$sd"
    equal "$(jq -r '.[0].targets[0]' "$sd")" "$ADDR"
}

@test "of two exporters that take one file_sd at the same moment, the later one is refused" {
    local sd=$BATS_TEST_TMPDIR/sd.json first
    # The first has seen that the name is free, and waits before it takes it.
    cat >"$BATS_TEST_TMPDIR/late.c" <<'X'
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    char byte;
    int fd = open(getenv("LATE"), O_RDONLY);
    (void)!read(fd, &byte, 1);
    close(fd);
    return (int)syscall(SYS_renameat2, from, old, to, new, flags);
}
X
    "${CC:-cc}" -shared -fPIC -o "$BATS_TEST_TMPDIR/late.so" "$BATS_TEST_TMPDIR/late.c"
    mkfifo "$BATS_TEST_TMPDIR/go"
    LATE=$BATS_TEST_TMPDIR/go LD_PRELOAD=$BATS_TEST_TMPDIR/late.so ASAN_OPTIONS=verify_asan_link_order=0 loader_exporter --multiproc-dir "$DIR" \
        --web.listen-address 127.0.0.1:0 --file-sd "$sd" 2>"$BATS_TEST_TMPDIR/first.log" 3>&- &
    first=$!
    STARTED+=("$first")
    # Opens when the other end is open too: it is there.
    exec {GO}>"$BATS_TEST_TMPDIR/go"
    start --multiproc-dir "$DIR" --file-sd "$sd"
    printf x >&"$GO"
    until_true 20 gone "$first"
    local status=0
    wait "$first" || status=$?
    equal "$status" 3
    equal "$(tail -n 1 "$BATS_TEST_TMPDIR/first.log")" "loader_exporter: $sd: is the file of another exporter that runs ($ADDR): give this one a name of its own with --file-sd, in the same folder"
    equal "$(jq -r '.[0].targets[0]' "$sd")" "$ADDR"
    equal "$(find "$BATS_TEST_TMPDIR" -name '.sd.json*')" ''
}

@test "a pid that is none exits 1, a folder for files that cannot be written 3" {
    run -1 --separate-stderr loader_exporter --pid 4194304
    equal "$stderr" "loader_exporter: PID 4194304: no such process. pidfind finds the loader that runs now."
    run -3 --separate-stderr loader_exporter --multiproc-dir "$DIR" --web.listen-address 127.0.0.1:0 --ready-file /nonexistent/x
    # Nor is it announced.
    run -3 --separate-stderr loader_exporter --multiproc-dir "$DIR" --web.listen-address 127.0.0.1:0 --ready-file /nonexistent/x --file-sd "$BATS_TEST_TMPDIR/sd.json"
    [[ ! -e $BATS_TEST_TMPDIR/sd.json ]]
    [[ $stderr == *"loader_exporter: /nonexistent/x: No such file or directory" ]]
}

@test "--config.check says what is wrong before anything is served, and opens no address" {
    local web=$BATS_TEST_TMPDIR/web.yml
    start --multiproc-dir "$DIR"
    # The address is taken, which is no matter of the options.
    run -0 --separate-stderr loader_exporter --config.check --web.listen-address "$ADDR" --file-sd "$BATS_TEST_TMPDIR/sd.json"
    equal "$output$stderr" ''
    [[ ! -e $BATS_TEST_TMPDIR/sd.json ]]
    run -2 loader_exporter --config.check --web.listen-address 127.0.0.1:99999
    matches "$output" "not a port from 0 to 65535: '99999'"
    run -2 loader_exporter --config.check --web.listen-address '[::1:0'
    matches "$output" 'an IPv6 address stands in brackets'
    printf 'users:\n  a: b\n' >"$web"
    run -2 loader_exporter --config.check --web.config.file "$web"
    matches "$output" 'web.yml:1: users: not tls_server_config'
    printf 'no pem\n' >"$BATS_TEST_TMPDIR/a"
    printf 'tls_server_config:\n  cert_file: a\n  key_file: a\n' >"$web"
    run -3 loader_exporter --config.check --web.config.file "$web"
    matches "$output" 'cannot serve TLS'
}

@test "options that make no sense exit 2" {
    local args
    while read -ra args; do
        run -2 --separate-stderr loader_exporter "${args[@]}"
        [[ $stderr == loader_exporter:* && $stderr == *"Try 'loader_exporter --help'." ]] || fail "${args[*]}"
    done <<'X'
--once
--multiproc-dir d --multiproc-dir e
--pid 0
--pid 1 --pid-file f
--pid 1 --web.listen-address 127.0.0.1
--pid 1 --web.listen-address ::1:80
--pid 1 --web.listen-address 127.0.0.1:70000
--pid 1 --web.telemetry-path metrics
--pid 1 --web.telemetry-path /-/x
--pid 1 --linger-scrapes 2
--multiproc-dir d --linger 3
--watch d --linger 3
--watch d --pid 1
--pid 1 --loader a --pid 1
--loader a --loader b --pid 1
--loader a --pid 1 --loader a --pid 1
--pid 1 --snapshot x.txt
--pid 1 --file-sd-label a=b
--pid 1 --file-sd f --file-sd-label 1=b
--pid 1 --once=json
--pid 1 --web.max-requests 0
--pid 1 --web.deadline never
--pid 1 extra
X
}
