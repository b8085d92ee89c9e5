# SPDX-License-Identifier: MIT
# The only code that knows versions and flags of perf: what this machine can record, the recording, and its text.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

# So much of the C stack goes with each sample; of context switches, of which there are thousands a second, less.
PERF_STACK_BYTES=16384
# perf_plan: PERF_EVENT, and the words PERF_CLOCK for what it is. A machine without counters, as most virtual ones are, has
# a software clock; then every figure of a counter is n/a.
perf_plan() {
    local out=$TMP/perf.probe words
    if ! capture PERF_VERSION perf --version 2>/dev/null; then
        capture words perf_package
        die 3 no-perf "perf is missing. Run: sudo apt-get install $words"
    fi
    PERF_ARGS=(-F "$RATE")
    if ((OFFCPU)); then
        # It fires where a thread leaves the processor, as sched:sched_switch does, and needs no tracefs.
        PERF_EVENT=context-switches
        PERF_CLOCK='a context switch each'
        PERF_ARGS=(-c 1 --switch-events)
        PERF_STACK_BYTES=8192
    elif perf stat -x, -e cycles:u -- true 2>&1 | grep -q '^[0-9]'; then
        PERF_EVENT=cycles
        PERF_CLOCK='hardware counter'
    else
        PERF_EVENT=cpu-clock
        PERF_CLOCK='software clock; counters of the hardware: n/a on this machine'
    fi
    # What the kernel allows is asked of it, by trying. Where it bars its own part, perf takes EVENT:u by itself.
    capture words both perf record -q -e "$PERF_EVENT" "${PERF_ARGS[@]}" -o "$out" -- sleep 0.05 || perf_refused "$words"
    if ((OFFCPU)); then
        capture words perf script -i "$out" -F event 2>/dev/null || :
        [[ -n $words ]] || perf_refused "the kernel tells no context switches"
    fi
    # Its thread then writes a sample the moment it comes, which is when the Python stack is read.
    PERF_ARGS+=(--no-buffering)
    if perf record -q -r 1 -e cpu-clock -o "$out" -- true >/dev/null 2>&1; then PERF_ARGS+=(-r 1); fi
    rm -f "$out"
}

perf_refused() {
    local level=n/a
    { read -r level </proc/sys/kernel/perf_event_paranoid; } 2>/dev/null || :
    die 3 perf-refused "perf may not record $PERF_EVENT (perf_event_paranoid $level: ${1%%$'\n'*}). Run: sudo sysctl kernel.perf_event_paranoid=1; in a container: --cap-add PERFMON, or --privileged"
}

# perf_python: how Python functions get into the picture, by what the loader's interpreter can do: PERF_PYTHON is jit, fp
# or join, PERF_PYTHON_WHY the words for it, PERF_GRAPH how perf walks the stack. Frame pointers only when GRAPH=fp asks for
# them: the loader's extension modules have none, and what calls those is lost.
perf_python() {
    local exe flags='' minor=0 support=0 waits=0
    capture exe readlink "/proc/$LOADER_PID/exe" || :
    capture flags "$exe" -c 'import sys, sysconfig as s; print(sys.version_info[1], s.get_config_var("PY_CORE_CFLAGS"), s.get_config_var("CFLAGS"))' 2>/dev/null || :
    read -r minor flags <<<"$flags"
    if grep -qz '^PYTHONPERFSUPPORT=1' "/proc/$LOADER_PID/environ" 2>/dev/null || [[ -e /tmp/perf-$LOADER_PID.map ]]; then support=1; fi
    PERF_GRAPH=dwarf,$PERF_STACK_BYTES
    # STARTUP=1 comes here before the interpreter has written its dump, which is the first thing that it does.
    if ((support && minor >= 13)) && grep -qz '^PYTHON_PERF_JIT_SUPPORT=1' "/proc/$LOADER_PID/environ" 2>/dev/null; then
        until [[ -e /tmp/jit-$LOADER_PID.dump ]] || ((waits++ == 100)) || ! alive "$LOADER_PID"; do pause 0.02; done
    fi
    if [[ $GRAPH == fp ]]; then
        ((support && !OFFCPU)) && [[ $flags == *-fno-omit-frame-pointer* ]] ||
            die 3 no-frame-pointers "GRAPH=fp: takes a Python built with -fno-omit-frame-pointer that runs with -X perf, and no OFFCPU=1. Run without GRAPH=fp: pysample reads the Python stacks then"
        PERF_PYTHON=fp
        PERF_GRAPH=fp
        PERF_PYTHON_WHY='Python frames by -X perf and frame pointers'
    elif [[ -e /tmp/jit-$LOADER_PID.dump ]]; then
        PERF_PYTHON=jit
        PERF_PYTHON_WHY='Python frames by perf_jit'
    else
        PERF_PYTHON='join'
        PERF_PYTHON_WHY='C stacks by perf joined with Python stacks by pysample'
        if ((support)); then PERF_PYTHON_WHY+=', checked by the function that -X perf names'; fi
    fi
    if ((OFFCPU)) && [[ $PERF_PYTHON != join ]]; then
        PERF_PYTHON='join'
        PERF_PYTHON_WHY='C stacks by perf joined with Python stacks by pysample'
    fi
}

# perf_support: what makes the loader's interpreter, when it is launched here, name its functions for perf: 3.12 in a map,
# 3.13 in a dump. No other Python gets it: each would leave its own map behind.
perf_support() {
    [[ -z $PID ]] || return 0
    LOADER_VARIABLES+=(PYTHONPERFSUPPORT=1 PYTHON_PERF_JIT_SUPPORT=1)
    at_exit perf_support_end
}
# perf_support_end: when the loader has ended: what its interpreter left behind.
perf_support_end() {
    [[ -z ${LOADER_PID-} ]] || rm -f "/tmp/perf-$LOADER_PID.map" "/tmp/jit-$LOADER_PID.dump"
}

# perf_start PID: perf, all threads and those to come, and pysample beside it: PERF_PID. The recording holds pieces of the loader's memory, secrets too,
# so that it stays out of the run folder. Half of the room that is there is its limit.
perf_start() {
    local room args=()
    PERF_DATA=$TMP/perf.data
    capture room df --output=avail -m "$TMP"
    PERF_LIMIT_MIB=$((${room##*$'\n'} / 2))
    # perf takes a duration as a command to wait for. This one waits for perf_begin first.
    mkfifo "$TMP/perf.begin"
    exec {PERF_BEGIN}<>"$TMP/perf.begin"
    # shellcheck disable=SC2016 # the inner shell's
    [[ -z $DURATION ]] || args=(-- sh -c 'read -r _ <"$1"; exec sleep "$2"' sh "$TMP/perf.begin" "$DURATION")
    # BPF programs are of no use here, and perf's thread for them takes a CPU from the first end of a thread of the loader on.
    job perf perf record --no-bpf-event -k mono -e "$PERF_EVENT" "${PERF_ARGS[@]}" --call-graph "$PERF_GRAPH" --max-size "${PERF_LIMIT_MIB}M" \
        -o "$PERF_DATA" -p "$1" "${args[@]}"
    PERF_PID=$JOB
    until [[ -n $STOPPED || -s $PERF_DATA ]] || ! alive "$PERF_PID"; do pause 0.01; done
    if [[ $PERF_PYTHON == join && -s $PERF_DATA ]]; then
        # Context switches are so many that the moments are taken by the clock.
        if ((OFFCPU)); then args=(--rate 500); else args=(--rate 20 --follow "$PERF_DATA"); fi
        job pysample pysample "${args[@]}" --samples "$RUN/raw/python.samples" --summary "$RUN/raw/pysample.tsv" "$1"
        PYSAMPLE_PID=$JOB
        at_exit end_process "$PYSAMPLE_PID" INT 10
    fi
    capture PERF_EPOCH python3 -c 'import time; print(time.time_ns() - time.monotonic_ns())'
}

# perf_begin: from here on the recording counts: PERF_SINCE is the moment, in seconds of the clock of its samples.
perf_begin() {
    PERF_BEGAN=${EPOCHREALTIME/./}000
    PERF_SINCE=0
    if ((!STARTUP)); then capture PERF_SINCE awk -v ns="$((PERF_BEGAN - PERF_EPOCH))" 'BEGIN { printf "%.6f", ns / 1e9 }'; fi
    echo >&"$PERF_BEGIN"
}

# perf_complete: yes, or no where it ended before DURATION was over: a recording that has reached its limit ends with status 0.
perf_complete() {
    awk -v ns="$((WATCH_ENDED - PERF_BEGAN))" -v d="${DURATION:-0}" 'BEGIN { print (ns / 1e9 + 0.2 < d ? "no" : "yes") }'
}

# perf_fold: a recording of frame pointers folded as it is, raw/perf.folded: to the stacks that perf's text gives, without the
# text. False where perf alone can read it.
perf_fold() {
    local words=$TMP/fold.words status=0
    stackfold --annotate --since "$PERF_SINCE" "$PERF_DATA" >"$RUN/raw/perf.folded.new" 2>"$words" || status=$?
    cat "$words" >>"$RUN/log/render.log"
    if ((status)); then
        rm "$RUN/raw/perf.folded.new"
        return 1
    fi
    capture PERF_LOST sed -n 's/.*: perf itself lost \([0-9]*\) samples.*/\1/p' "$words"
    PERF_LOST=${PERF_LOST:-0}
    capture PERF_EVENT perf evlist -i "$PERF_DATA" 2>>"$RUN/log/perf.log" || :
    PERF_EVENT=${PERF_EVENT%%$'\n'*}
    mv "$RUN/raw/perf.folded.new" "$RUN/raw/perf.folded"
}

# perf_text: the recording as text, raw/perf.script.gz, while the files that its symbols come from are still there.
# Without --no-inline perf asks addr2line about every address, which takes minutes; without --max-stack it shows 127 frames.
perf_text() {
    local words data=$PERF_DATA flags=(--no-inline --max-stack 8192 --ns --time "$PERF_SINCE," --show-lost-events -F 'comm,pid,tid,time,period,event,ip,sym,dso')
    PERF_LOST=n/a
    if [[ $PERF_PYTHON == fp ]] && perf_fold; then return 0; fi
    if ((OFFCPU)); then flags+=(--show-switch-events); fi
    if [[ $PERF_PYTHON == jit ]]; then
        if perf inject --jit -i "$data" -o "$TMP/perf.jit.data" >>"$RUN/log/perf.log" 2>&1; then
            data=$TMP/perf.jit.data
        else
            run_set perf_python_why 'no Python frames: perf inject --jit failed'
            capture words perf_last_words
            tool_failed perf-failed "perf inject --jit failed: the picture has no names of Python functions ($words)"
        fi
    fi
    perf script -i "$data" "${flags[@]}" 2>>"$RUN/log/perf.log" | gzip -1 >"$RUN/raw/perf.script.gz.new" &&
        mv "$RUN/raw/perf.script.gz.new" "$RUN/raw/perf.script.gz"
    # What perf inject leaves beside the dump.
    rm -f "/tmp/jitted-$LOADER_PID-"*.so
}
