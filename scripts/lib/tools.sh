# SPDX-License-Identifier: MIT
# The only code that knows versions and flags of py-spy, perf, procsample and gnuplot: how each is started, ended and read.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

# job NAME COMMAND…: starts a part of the run in the background in a process group of its own (a Ctrl-C reaches this
# script alone, which then ends the parts in order; and SIGINT is not ignored in it, as bash otherwise arranges), its
# output in log/NAME.log. It ends with this script, whatever ends that. Sets JOB to its pid.
job() {
    local name=$1
    shift
    set -m
    procrun --die-with-parent -- "$@" </dev/null >"$RUN/log/$name.log" 2>&1 &
    JOB=$!
    set +m
}

# ---- procsample -----------------------------------------------------------------------------------------------------

# sampler_start PID: the process tree over time, on the clock that marks use: SAMPLER (pid).
sampler_start() {
    job procsample procsample --rate 10 --pss-interval 1 --output "$RUN/samples.tsv" "$1"
    SAMPLER=$JOB
    at_exit end_process "$SAMPLER" INT 5
}

# sampler_end: its last rows are written when it returns.
sampler_end() {
    local status=0 words
    kill -s INT "$SAMPLER" 2>/dev/null || :
    wait_gone "$SAMPLER" 5 || kill -s KILL "$SAMPLER" 2>/dev/null || :
    wait "$SAMPLER" 2>/dev/null || status=$?
    if ((status)); then
        words=$(tail -n 1 "$RUN/log/procsample.log") || :
        tool_failed procsample-failed "procsample ended with status $status: samples.tsv is not complete (${words:-it said nothing}). The stacks are whole; run it again, and see make doctor"
    fi
}

# samples_last COLUMN[+COLUMN…]…: of each word the newest value of the whole tree, of several columns their sum; or n/a.
samples_last() {
    local words
    [[ -s $RUN/samples.tsv ]] || {
        words=("${@/*/n/a}")
        printf '%s\n' "${words[*]}"
        return
    }
    {
        grep -m1 -v '^#' "$RUN/samples.tsv"
        tail -n 60 "$RUN/samples.tsv"
    } | awk -F '\t' -v want="$*" '
        NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i; n = split(want, w, " "); next }
        /^#/ || NF <= 3 || $c["pid"] != "total" { next }
        {
            for (i = 1; i <= n; i++) {
                m = split(w[i], part, "+")
                sum = 0
                for (k = 1; k <= m && sum != "n/a"; k++) sum = ($c[part[k]] == "n/a" ? "n/a" : sum + $c[part[k]])
                if (sum != "n/a") v[i] = sum
            }
        }
        END { for (i = 1; i <= n; i++) printf "%s%s", (i in v ? v[i] : "n/a"), (i < n ? " " : "\n") }'
}

# procrun_fact KEY, procrun_cpu PID: out of what procrun wrote of the loader's tree, or n/a.
procrun_fact() {
    local v
    v=$(sed -n "s/^# $1:[[:space:]]*//p" "$RUN/raw/procrun.tsv" 2>/dev/null | tail -n 1) || :
    printf '%s' "${v:-n/a}"
}
procrun_cpu() {
    awk -F '\t' -v pid="$1" '/^#/ { next } !head++ { for (i = 1; i <= NF; i++) c[$i] = i; next }
        $c["pid"] == pid { v = $c["cpu_user_s"] + $c["cpu_system_s"] }
        END { print (v == "" ? "n/a" : v) }' "$RUN/raw/procrun.tsv" 2>/dev/null || printf 'n/a\n'
}

# tsv_fact FILE KEY: of the `key value` lines that a helper wrote to raw/FILE, or n/a.
tsv_fact() {
    local v
    v=$(awk -F '\t' -v k="$2" '$1 == k { print $2 }' "$RUN/raw/$1" 2>/dev/null) || :
    printf '%s' "${v:-n/a}"
}

# mark LABEL: a moment of the run, for the timeline.
mark() {
    printf '%s000\t%s\n' "${EPOCHREALTIME/./}" "$1" >>"$RUN/raw/marks.tsv"
}

# timeline: samples.tsv to timeline.svg by gnuplot.
timeline() {
    local started
    command -v gnuplot >/dev/null || {
        note no-gnuplot "no timeline.svg: gnuplot is not installed. Run: sudo apt-get install gnuplot-nox"
        return 1
    }
    [[ -s $RUN/samples.tsv ]] || {
        note gnuplot-failed "no timeline.svg: there is no samples.tsv in $RUN"
        return 1
    }
    started=$(sed -n 's/^# started: *//p' "$RUN/samples.tsv" | head -n 1)
    [[ -e $RUN/raw/marks.tsv ]] || : >"$RUN/raw/marks.tsv"
    awk -F '\t' -v zero="${started:-0}" '{ printf "%.3f\t%s\n", ($1 - zero) / 1e9, $2 }' "$RUN/raw/marks.tsv" >"$RUN/raw/marks.rel.tsv"
    (cd "$RUN" && gnuplot -e "samples='samples.tsv'; marks='raw/marks.rel.tsv'; out='timeline.svg'; title='$1'" \
        "$ROOT/scripts/plots/timeline.gp") >"$RUN/log/gnuplot.log" 2>&1 || {
        note gnuplot-failed "no timeline.svg: gnuplot failed (log/gnuplot.log)"
        return 1
    }
}

# ---- py-spy ---------------------------------------------------------------------------------------------------------

PYSPY_VERSION=
# pyspy_plan: the mode that hurts the loader least, by measurement (docs/targets/profile-pyspy.md): PYSPY_FLAGS and why.
pyspy_plan() {
    PYSPY=$TOOLS_BIN/py-spy
    [[ -x $PYSPY ]] || die 3 no-py-spy "py-spy is missing from $TOOLS_BIN. Remove that environment's folder and run make setup"
    PYSPY_VERSION=$("$PYSPY" --version 2>&1) ||
        die 3 no-py-spy "$PYSPY does not run: ${PYSPY_VERSION##*$'\n'}. Remove the folder ${TOOLS_BIN%/bin} and run make setup"
    PYSPY_FLAGS=(--format raw --rate "$RATE")
    if ((NATIVE)); then
        PYSPY_FLAGS+=(--native)
        PYSPY_WHY='blocking with C frames, as NATIVE=1 asks: C stacks cannot be read from a running thread. About twice the CPU'
    else
        PYSPY_FLAGS+=(--nonblocking)
        PYSPY_WHY='nonblocking: the loader is never stopped, which costs it least (CPU x1.06 to x1.09, against x1.18 to x1.21 when stopped); a stack read while it changes counts as an error'
    fi
    if ((IDLE)); then PYSPY_FLAGS+=(--idle); fi
    if ((GIL)); then PYSPY_FLAGS+=(--gil); fi
}

# pyspy_start PID: PYSPY_PID, which ends py-spy when it is ended.
pyspy_start() {
    local seconds=0
    # py-spy takes whole seconds.
    [[ -z $DURATION ]] || capture seconds awk -v d="$DURATION" 'BEGIN { print (d < 1 ? 1 : int(d + 0.999)) }'
    job py-spy "$ROOT/scripts/lib/pyspy-parts" "$1" "$RUN/raw" "$RATE" "$seconds" "$PYSPY" record "${PYSPY_FLAGS[@]}"
    PYSPY_PID=$JOB
    # It reads the interpreter's symbols first; the clock of the profile begins when it says that it samples.
    until [[ -n $STOPPED ]] || grep -qs 'Sampling process' "$RUN/log/py-spy.log" || ! alive "$PYSPY_PID"; do pause 0.01; done
}

# pyspy_parts: of the parts that have ended: stacks, one per thread and moment; errors, which are stacks that could not be read;
# moments a second in the parts that ran to their end; seconds between parts; how many. n/a each where there is none.
pyspy_parts() {
    awk -F '\t' '
        NR == 1 { next }
        {
            if (n++) gaps += ($2 - last) / 1e9
            last = $3
            stacks += $5
            errors += $6
            if ($4 != "n/a") { moments += $4; whole += ($3 - $2) / 1e9 }
        }
        END {
            rate = (whole > 0 ? sprintf("%.1f", moments / whole) : "n/a")
            if (n) print stacks, errors, rate, sprintf("%.3f", gaps), n
            else print "n/a n/a n/a n/a n/a"
        }' "$RUN/raw/pyspy.parts.tsv" 2>/dev/null || printf 'n/a n/a n/a n/a n/a\n'
}

# pyspy_last_words: why it ended: which part was lost, where others are there.
pyspy_last_words() {
    local words
    words=$(sed -n 's/^pyspy-parts: //p' "$RUN/log/py-spy.log" | tail -n 1) || :
    if [[ -s $RUN/raw/pyspy.folded ]]; then printf '%s' "$words"; else no_samples_reason; fi
}

sampler_progress() {
    local parts
    read -ra parts < <(pyspy_parts)
    if [[ ${parts[0]} == n/a ]]; then
        printf 'sampling at %s Hz' "$RATE"
    else
        printf '%s samples, %s of %s Hz' "${parts[0]}" "${parts[2]}" "$RATE"
    fi
}

# pyspy_counts: what of all parts goes into the manifest.
pyspy_counts() (
    trap '' INT TERM HUP
    read -ra parts < <(pyspy_parts)
    # py-spy says so from one second on, and makes up for it.
    behind=$(sed -nE 's/.*[^0-9.]([0-9.]+)s behind in sampling.*/\1/p' "$RUN/log/py-spy.log" | sort -rn | sed -n 1p)
    interval=$(ratio 1 "${parts[2]/n\/a/$RATE}" 6)
    run_set samples "${parts[0]}" samples_missed "${parts[1]}" rate_achieved_hz "${parts[2]}" gaps_s "${parts[3]}" parts "${parts[4]}" \
        behind_s "${behind:-0}" sample_interval_s "$interval"
)

# ---- cProfile and SnakeViz --------------------------------------------------------------------------------------------

cprofile_missing_reason() {
    printf 'exit status %s' "$LOADER_STATUS"
    [[ -z $LOADER_SIGNAL ]] || printf ', signal %s' "$LOADER_SIGNAL"
}

# cprofile_trust: says which columns of this profile hold, with its own worst example where it has one.
cprofile_trust() {
    local words example
    words=$(cprofile trust "$RUN/profile.out") || words='profile.out cannot be read'
    example=$(sed -n 's/^example\t//p' "$RUN/raw/invariants.tsv" | head -n 1)
    run_set cprofile_trust "$words" threads_started "$(tsv_fact invariants.tsv threads_started)" calls "$(tsv_fact invariants.tsv calls)" \
        functions "$(tsv_fact invariants.tsv functions)" own_s "$(tsv_fact invariants.tsv own_s)" odd_call_counts "$(tsv_fact invariants.tsv odd_call_counts)"
    [[ $words == "No thread"* ]] || note cprofile-threads "$words${example:+. Impossible here: $example}"
}

# cprofile_words: the sentence under the picture.
cprofile_words() {
    local hold='One thread: times hold' threads odd
    threads=$(run_get threads_started)
    odd=$(run_get odd_call_counts)
    if [[ $threads != 0 ]]; then
        hold="$threads threads were started: widths, callers and stages are unsound, calls hold"
        [[ $odd =~ ^(0|n/a)$ ]] || hold+=" but for those of $odd functions"
    fi
    printf '%s calls of %s functions; own times add up to %s s of wall time. %s' "$(run_get calls)" "$(run_get functions)" "$(run_get own_s)" "$hold"
}

# snakeviz_serve: SnakeViz on a free loopback port until a signal comes.
snakeviz_serve() {
    local url='' port
    signals_noted
    capture port free_port
    # Its address is wanted at once, not when its buffer is full.
    job snakeviz env PYTHONUNBUFFERED=1 "$TOOLS_BIN/snakeviz" --server --hostname 127.0.0.1 --port "$port" "$RUN/profile.out"
    at_exit end_process "$JOB" INT 3
    until capture url grep -aom1 'http://127[^ ]*' "$RUN/log/snakeviz.log"; do
        alive "$JOB" && [[ -z $STOPPED ]] || break
        pause 0.05
    done
    say "SnakeViz: ${url:-did not start (log/snakeviz.log)}   (Ctrl-C ends it; if it draws for long, set its Depth to 3)"
    while alive "$JOB" && [[ -z $STOPPED ]]; do pause 0.25; done
    end_process "$JOB" INT 3
    # The Ctrl-C that ends the viewing is not a broken run.
    STOPPED=
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# ---- perf -------------------------------------------------------------------------------------------------------------

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

# perf_frames_max: the kernel keeps no more of a stack of frame pointers.
perf_frames_max() { cat /proc/sys/kernel/perf_event_max_stack 2>/dev/null || printf 127; }

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
