#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# loader_exporter at the end of a loader: nothing that was counted is lost.
load ../lib/common
load ../lib/exporter

setup() {
    PY=${LOADER_ENV_PYTHON:?"the loader environment's Python"}
    DIR=$BATS_TEST_TMPDIR/multiproc
    PID_FILE=$BATS_TEST_TMPDIR/pid
    RESULT=$BATS_TEST_TMPDIR/result.tsv
    SNAPSHOT=$BATS_TEST_TMPDIR/loader.prom
    mkdir -m 0700 "$DIR"
    "$PY" "$ROOT/tests/lib/multiproc.py" raw "$DIR/counter_1.db" good
}

teardown() {
    stop_all
}

# loader: a process that lives until it is killed; its pid in $LOADER, and in the pid file.
loader() {
    sleep 1000 3>&- &
    LOADER=$!
    STARTED+=("$LOADER")
    printf '%d %s\n' "$LOADER" "$(starttime "$LOADER")" >"$PID_FILE.new"
    mv "$PID_FILE.new" "$PID_FILE"
}

# The end of the loader, as procrun sees it.
end_loader() {
    kill -9 "$LOADER"
    wait "$LOADER" || :
}

# result LINE…: adds to what procrun has written.
result() {
    printf '# %s\n' "$@" >>"$RESULT"
}

is_over() {
    shows qdrant_loader_up 0.0
}

@test "the end is shown: exit status, times, success, and the last values" {
    loader
    result 'format: procrun 1' "started: $((EPOCHSECONDS - 2)).500000000" "pid: $LOADER"
    start --multiproc-dir "$DIR" --pid-file "$PID_FILE" --run-result "$RESULT"
    shows qdrant_loader_up 1.0
    equal "$(value qdrant_loader_run_end_timestamp_seconds)" ''
    equal "$(value qdrant_loader_run_exit_code)" ''
    local end=$EPOCHSECONDS
    end_loader
    result 'exit_status: 0' "ended: $end.250000000" 'wall_s: 12.500000000'
    until_true 5 is_over
    until_true 5 shows qdrant_loader_run_exit_code 0.0
    equal "$(value good_total)" 7.0
    result 'processes: 3' 'cpu_user_s: 101.250000' 'cpu_system_s: 7.5' 'maxrss_kib: 2000000' 'complete: yes'
    until_true 5 shows 'qdrant_loader_process_cpu_seconds_total{mode="user"}' 101.25
    equal "$(value 'qdrant_loader_process_cpu_seconds_total{mode="system"}')" 7.5
    equal "$(value qdrant_loader_process_resident_memory_peak_bytes)" 2.048e+09
    equal "$(value qdrant_loader_run_duration_seconds)" 12.5
    awk -v v="$(value qdrant_loader_run_end_timestamp_seconds)" -v e="$end.25" 'BEGIN { exit v + 0 != e + 0 }'
    equal "$(value qdrant_loader_run_last_success_timestamp_seconds)" "$(value qdrant_loader_run_end_timestamp_seconds)"
    run -0 promtool check metrics <"$PAGE"
}

@test "what a loader used that had ended before it was seen stands on the page by its result" {
    loader
    end_loader
    result 'format: procrun 1' "started: $EPOCHSECONDS.5" "pid: $LOADER" 'exit_status: 0' "ended: $EPOCHSECONDS.75" 'wall_s: 0.25' \
        'cpu_user_s: 1.25' 'cpu_system_s: 0.5' 'maxrss_kib: 2000000' 'complete: yes'
    start --pid-file "$PID_FILE" --run-result "$RESULT"
    until_true 5 shows qdrant_loader_run_exit_code 0.0
    equal "$(value 'qdrant_loader_process_cpu_seconds_total{mode="user"}')" 1.25
    equal "$(value 'qdrant_loader_process_cpu_seconds_total{mode="system"}')" 0.5
    equal "$(value qdrant_loader_process_resident_memory_peak_bytes)" 2.048e+09
    # What nobody has seen is not told.
    equal "$(grep '^qdrant_loader_process' "$PAGE" | grep -vc 'cpu_seconds_total\|memory_peak_bytes')" 0
    run -0 promtool check metrics <"$PAGE"
}

@test "a signal that ended the loader is 128 + N, and no success" {
    loader
    start --pid-file "$PID_FILE" --run-result "$RESULT"
    end_loader
    result 'signal: 9' "ended: $EPOCHSECONDS.0" 'wall_s: 1.5' 'complete: yes'
    until_true 5 shows qdrant_loader_run_exit_code 137.0
    equal "$(value qdrant_loader_run_last_success_timestamp_seconds)" ''
}

@test "without a result the end is known, the exit status not" {
    loader
    start --pid-file "$PID_FILE"
    end_loader
    until_true 5 is_over
    awk -v v="$(value qdrant_loader_run_end_timestamp_seconds)" -v now="$EPOCHSECONDS" 'BEGIN { exit v < now - 20 || v > now + 1 }'
    equal "$(value qdrant_loader_run_exit_code)" ''
    [[ -n $(value qdrant_loader_run_duration_seconds) ]]
}

@test "a command that could not be started has ended with its status" {
    result 'format: procrun 1' "started: $EPOCHSECONDS.5" 'error: nosuch: No such file or directory' 'exit_status: 127'
    start --pid-file "$PID_FILE" --run-result "$RESULT" --linger 20 --linger-scrapes 1
    until_true 5 shows qdrant_loader_run_exit_code 127.0
    # The alert on runs that failed goes by the time of the end.
    [[ -n $(value qdrant_loader_run_end_timestamp_seconds) ]]
    equal "$(value qdrant_loader_run_end_timestamp_seconds)" "$(value qdrant_loader_run_start_timestamp_seconds)"
    prometheus
    ended 0
}

@test "it lingers until the last values were scraped twice, by scrapes that began after the end" {
    loader
    start --multiproc-dir "$DIR" --pid-file "$PID_FILE" --run-result "$RESULT" --linger 60
    prometheus
    prometheus
    prometheus
    end_loader
    until_true 5 is_over
    # The result is not there: these do not count.
    prometheus
    prometheus
    prometheus
    result 'exit_status: 0' "ended: $EPOCHSECONDS.5" 'complete: yes'
    until_true 5 shows qdrant_loader_run_exit_code 0.0
    # Nor do people who look.
    scrape
    scrape
    gone "$EXPORTER" && fail 'it did not wait for the second scrape'
    # Without a GET for the page, nothing was shown.
    curl -sSI -H 'X-Prometheus-Scrape-Timeout-Seconds: 1' -o /dev/null "http://$ADDR/-/healthy"
    prometheus
    equal "$(value good_total)" 7.0
    gone "$EXPORTER" && fail 'it did not wait for the second scrape'
    prometheus
    equal "$(value qdrant_loader_run_exit_code)" 0.0
    ended 0 5
}

@test "a scrape that has given up before it is answered does not count" {
    loader
    start --pid-file "$PID_FILE" --linger 60
    end_loader
    until_true 5 is_over
    kill -STOP "$EXPORTER"
    for _ in 1 2; do
        run -28 curl -sS --max-time 0.3 -H 'X-Prometheus-Scrape-Timeout-Seconds: 1' -o /dev/null "http://$ADDR/metrics"
    done
    kill -CONT "$EXPORTER"
    # They are answered before this one.
    until_true 5 is_over
    awk '/^loader_exporter_http_requests_total\{code="200"/ { n = $2 } END { exit n < 3 }' "$PAGE"
    gone "$EXPORTER" && fail 'nobody has its last values'
    prometheus
    prometheus
    ended 0 5
}

@test "--linger ends it when nobody scrapes, with exit 1 and a message" {
    loader
    start --pid-file "$PID_FILE" --linger 300ms
    prometheus
    end_loader
    ended 1 5
    equal "$(tail -n 1 "$LOG")" 'loader_exporter: the last values were scraped 0 of 2 times before the end of --linger'
    [[ ! -e $READY ]]
}

@test "--linger-scrapes 0 stays for all of --linger" {
    loader
    start --pid-file "$PID_FILE" --linger 4s --linger-scrapes 0
    end_loader
    until_true 5 is_over
    prometheus
    prometheus
    prometheus
    gone "$EXPORTER" && fail 'it did not stay'
    ended 0 10
}

@test "the snapshot has the last values, no timestamps, nothing of now, and comes at once" {
    loader
    "$PY" "$ROOT/tests/lib/multiproc.py" raw "$DIR/gauge_livesum_1.db" gauge
    "$PY" "$ROOT/tests/lib/multiproc.py" raw "$DIR/gauge_all_1.db" loaders-gauges
    "$PY" "$ROOT/tests/lib/multiproc.py" raw "$DIR/gauge_max_1.db" peak
    start --multiproc-dir "$DIR" --pid-file "$PID_FILE" --run-result "$RESULT" --snapshot "$SNAPSHOT"
    shows good_total 7.0
    equal "$(value g)" 4.0
    equal "$(value 'qdrant_chunk_queue_size{pid="1"}')" 5.0
    [[ ! -e $SNAPSHOT ]]
    "$PY" "$ROOT/tests/lib/multiproc.py" raw "$DIR/counter_1.db" duplicate
    end_loader
    result 'exit_status: 3' "ended: $EPOCHSECONDS.5" 'complete: yes'
    until_true 5 test -e "$SNAPSHOT"
    PAGE=$SNAPSHOT
    equal "$(value good_total)" 14.0
    equal "$(value qdrant_loader_up)" 0.0
    equal "$(value qdrant_loader_run_exit_code)" 3.0
    [[ -n $(value 'qdrant_loader_process_cpu_seconds_total{mode="user"}') ]]
    equal "$(value qdrant_loader_process_resident_memory_bytes)" ''
    # Live gauges, those of the loader's queues and of the machine; a peak and other gauges stay.
    run -1 grep -E '^(# (HELP|TYPE) )?(g|qdrant_chunk_queue_size|qdrant_memory_usage_percent|qdrant_loader_process_processes)[{ ]' "$SNAPSHOT"
    equal "$(value qdrant_loader_backlog_chunks_peak)" 7.0
    equal "$(value 'other{pid="1"}')" 4.0
    run -1 grep -E 'loader_exporter_|^[^#].* .* ' "$SNAPSHOT"
    run -0 promtool check metrics <"$SNAPSHOT"
    equal "$(find "$BATS_TEST_TMPDIR" -maxdepth 1 -name '.loader.prom*')" ''
    equal "$(stat -c %a "$SNAPSHOT")" 644
    stop
}

@test "SIGTERM while the loader runs leaves a snapshot that does not say that it runs" {
    loader
    start --multiproc-dir "$DIR" --pid-file "$PID_FILE" --snapshot "$SNAPSHOT"
    stop
    PAGE=$SNAPSHOT
    equal "$(value good_total)" 7.0
    equal "$(value qdrant_loader_up)" ''
    equal "$(value qdrant_loader_process_resident_memory_bytes)" ''
    equal "$(value qdrant_loader_process_processes)" ''
}

@test "SIGHUP and SIGINT end it as SIGTERM does, but not where it was started to outlive them" {
    local signal sd=$BATS_TEST_TMPDIR/sd.json
    raw_exporter() {
        env "$@" loader_exporter --multiproc-dir "$DIR" --web.listen-address 127.0.0.1:0 --ready-file "$READY" --file-sd "$sd" --snapshot "$SNAPSHOT" 3>&- &
        EXPORTER=$!
        until_true 10 test -e "$READY"
        ADDR=127.0.0.1:$(jq .port "$READY")
    }
    for signal in HUP INT; do
        READY=$BATS_TEST_TMPDIR/ready.$signal
        rm -f "$SNAPSHOT"
        raw_exporter --default-signal="$signal"
        kill -s "$signal" "$EXPORTER"
        ended 0
        [[ -s $SNAPSHOT && ! -e $sd && ! -e $READY ]] || fail "$signal"
    done
    READY=$BATS_TEST_TMPDIR/ready.ignored
    raw_exporter --ignore-signal=INT,HUP
    kill -INT "$EXPORTER"
    kill -HUP "$EXPORTER"
    # A page that was asked for after the signals is answered.
    scrape
    scrape
    gone "$EXPORTER" && fail 'it ended'
    stop
}

@test "--once --snapshot writes a snapshot of a loader whose exporter is gone, and prints nothing" {
    "$PY" "$ROOT/tests/lib/multiproc.py" raw "$DIR/gauge_livesum_1.db" gauge
    run -0 loader_exporter --multiproc-dir "$DIR" --once --snapshot "$SNAPSHOT"
    equal "$output" ''
    PAGE=$SNAPSHOT
    equal "$(value good_total)" 7.0
    equal "$(value g)" ''
    # The same when its end is known.
    rm "$SNAPSHOT"
    result 'exit_status: 3' "ended: $EPOCHSECONDS.5" 'complete: yes'
    run -0 loader_exporter --multiproc-dir "$DIR" --run-result "$RESULT" --once --snapshot "$SNAPSHOT"
    equal "$(value good_total)/$(value g)/$(value qdrant_loader_run_exit_code)" 7.0//3.0
    run -3 loader_exporter --multiproc-dir "$DIR" --once --snapshot "$BATS_TEST_TMPDIR/none/x.prom"
}

@test "a snapshot that could never be written is exit 3 at the start" {
    loader
    run -3 --separate-stderr timeout 10 loader_exporter --web.listen-address 127.0.0.1:0 --pid-file "$PID_FILE" --snapshot "$BATS_TEST_TMPDIR/none/x.prom"
    equal "$stderr" "loader_exporter: $BATS_TEST_TMPDIR/none/x.prom: No such file or directory"
}

@test "a snapshot that cannot be written is exit 3, and the scrapes go on before" {
    loader
    mkdir "$BATS_TEST_TMPDIR/none"
    start --multiproc-dir "$DIR" --pid-file "$PID_FILE" --snapshot "$BATS_TEST_TMPDIR/none/x.prom" --linger 20 --linger-scrapes 1
    rmdir "$BATS_TEST_TMPDIR/none"
    end_loader
    until_true 5 is_over
    grep -q "x.prom: No such file or directory" "$LOG"
    prometheus
    ended 3 5
}

@test "a loader that starts again, even on the same pid, is another run" {
    loader
    start --multiproc-dir "$DIR" --pid-file "$PID_FILE" --run-result "$RESULT" --linger 60
    shows qdrant_loader_up 1.0
    local first
    first=$(value qdrant_loader_run_start_timestamp_seconds)
    # The pid file names a process of the same pid that began at another time: ours has ended.
    printf '%d %s\n' "$LOADER" 1 >"$PID_FILE.new"
    mv "$PID_FILE.new" "$PID_FILE"
    until_true 5 is_over
    result 'exit_status: 1' "ended: $EPOCHSECONDS.5" 'complete: yes'
    until_true 5 shows qdrant_loader_run_exit_code 1.0
    prometheus
    # And one that is alive again: the scrapes of the last run's end do not count for its end.
    rm "$RESULT"
    loader
    until_true 5 shows qdrant_loader_up 1.0
    equal "$(value qdrant_loader_run_exit_code)" ''
    awk -v a="$(value qdrant_loader_run_start_timestamp_seconds)" -v b="$first" 'BEGIN { exit a < b }'
    prometheus
    gone "$EXPORTER" && fail 'it took the end of the first run for the end'
    end_loader
    result 'exit_status: 0' "ended: $((EPOCHSECONDS + 1)).5" 'complete: yes'
    until_true 5 shows qdrant_loader_run_exit_code 0.0
    prometheus
    gone "$EXPORTER" && fail 'it counted a scrape of the first run'
    prometheus
    ended 0 5
}

@test "a result of an earlier run is not taken for this one's" {
    result 'exit_status: 0' 'ended: 1000000000.0' 'complete: yes'
    loader
    start --pid-file "$PID_FILE" --run-result "$RESULT" --linger 20 --linger-scrapes 1
    shows qdrant_loader_up 1.0
    end_loader
    until_true 5 is_over
    equal "$(value qdrant_loader_run_exit_code)" ''
}

@test "a pid file that comes later is waited for" {
    start --multiproc-dir "$DIR" --pid-file "$PID_FILE" --linger 20
    shows good_total 7.0
    equal "$(value qdrant_loader_up)" ''
    : >"$PID_FILE"
    shows qdrant_loader_up ''
    loader
    until_true 5 shows qdrant_loader_up 1.0
}

@test "under procrun: a killed loader's last values, its signal and all of its CPU are shown" {
    run -0 bash -c 'command -v procrun'
    procrun --result "$RESULT" --pid-file "$PID_FILE" -- env PROMETHEUS_MULTIPROC_DIR="$DIR" "$PY" -c '
import os, signal, subprocess, sys, time
from prometheus_client import Counter
c = Counter("jobs", "Jobs")
for _ in range(222307):
    c.inc()
subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"])
os.kill(os.getpid(), signal.SIGKILL)' 3>&- &
    STARTED+=($!)
    start --multiproc-dir "$DIR" --pid-file "$PID_FILE" --run-result "$RESULT" --linger 60 --snapshot "$SNAPSHOT"
    until_true 30 shows qdrant_loader_run_exit_code 137.0
    equal "$(value jobs_total)" 222307.0
    awk '/^qdrant_loader_process_cpu_seconds_total/ { s += $2 } END { if (s < 0.7) { print s; exit 1 } }' "$PAGE"
    until_true 5 grep -qsx 'jobs_total 222307.0' "$SNAPSHOT"
    prometheus
    prometheus
    ended 0 5
}
