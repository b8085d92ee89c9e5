# SPDX-License-Identifier: MIT
# The only code that knows versions and flags of py-spy, procsample and gnuplot: how each is started, ended and read.
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
    local status=0
    kill -s INT "$SAMPLER" 2>/dev/null || :
    wait_gone "$SAMPLER" 5 || kill -s KILL "$SAMPLER" 2>/dev/null || :
    wait "$SAMPLER" 2>/dev/null || status=$?
    if ((status)); then
        tool_failed procsample-failed "procsample ended with status $status: samples.tsv is not complete ($(tail -n 1 "$RUN/log/procsample.log"))"
    fi
}

# samples_last COLUMN…: the sum of the newest values of the whole tree, or n/a.
samples_last() {
    [[ -s $RUN/samples.tsv ]] || {
        printf n/a
        return
    }
    {
        grep -m1 -v '^#' "$RUN/samples.tsv"
        tail -n 60 "$RUN/samples.tsv"
    } | awk -F '\t' -v want="$*" '
        NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i; n = split(want, w, " "); next }
        /^#/ || NF <= 3 || $c["pid"] != "total" { next }
        {
            sum = 0
            for (i = 1; i <= n; i++) { if ($c[w[i]] == "n/a") next; sum += $c[w[i]] }
            v = sum
        }
        END { print (v == "" ? "n/a" : v) }'
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

# mark LABEL: a moment of the run, for the timeline.
mark() {
    printf '%s\t%s\n' "$(now_ns)" "$1" >>"$RUN/raw/marks.tsv"
}

# timeline: samples.tsv to timeline.svg by gnuplot.
timeline() {
    local started
    command -v gnuplot >/dev/null || {
        note no-gnuplot "no timeline.svg: gnuplot is not installed. Run: sudo apt-get install gnuplot-nox"
        return 1
    }
    started=$(sed -n 's/^# started: *//p' "$RUN/samples.tsv" | head -n 1)
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
    PYSPY_VERSION=$("$PYSPY" --version)
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

# pyspy_start PID
pyspy_start() {
    local args=(record --pid "$1" --output "$RUN/raw/pyspy.folded" "${PYSPY_FLAGS[@]}")
    # py-spy takes whole seconds.
    if [[ -n $DURATION ]]; then args+=(--duration "$(awk -v d="$DURATION" 'BEGIN { print (d < 1 ? 1 : int(d + 0.999)) }')"); fi
    job py-spy "$PYSPY" "${args[@]}"
    PYSPY_PID=$JOB
    # It reads the interpreter's symbols first; the clock of the profile begins when it says that it samples.
    until [[ -n $STOPPED ]] || grep -qs 'Sampling process' "$RUN/log/py-spy.log" || ! alive "$PYSPY_PID"; do pause 0.01; done
}

sampler_progress() { printf 'sampling at %s Hz' "$RATE"; }

# pyspy_counts: PYSPY_SAMPLES (moments sampled) and PYSPY_ERRORS (stacks that could not be read), from its last line.
pyspy_counts() {
    local line
    line=$(grep -aoE 'Samples: [0-9]+ Errors: [0-9]+' "$RUN/log/py-spy.log" | tail -n 1) || :
    PYSPY_SAMPLES=n/a
    PYSPY_ERRORS=n/a
    if [[ $line =~ ([0-9]+).*\ ([0-9]+)$ ]]; then
        PYSPY_SAMPLES=${BASH_REMATCH[1]}
        PYSPY_ERRORS=${BASH_REMATCH[2]}
    fi
}

# ---- cProfile and SnakeViz --------------------------------------------------------------------------------------------

cprofile_missing_reason() {
    printf 'exit status %s' "$LOADER_STATUS"
    [[ -z $LOADER_SIGNAL ]] || printf ', signal %s' "$LOADER_SIGNAL"
}

# cprofile_broken: says which columns of this profile cannot be trusted, with its own worst example.
cprofile_broken() {
    local n example
    n=$(sed -n 's/^own_above_cumulative\t//p' "$RUN/raw/invariants.tsv")
    example=$(sed -n 's/^example\t//p' "$RUN/raw/invariants.tsv" | head -n 1)
    note cprofile-threads "cumulative times and recursive counts cannot be trusted here: $n functions have an own time above their cumulative time (${example:-none}), since this Python's cProfile puts the calls of all threads into one stack. Calls and own times hold"
}

# snakeviz_serve: SnakeViz on a free loopback port until a signal comes.
snakeviz_serve() {
    local url=
    job snakeviz "$TOOLS_BIN/snakeviz" --server --hostname 127.0.0.1 --port "$(free_port)" "$RUN/profile.out"
    at_exit end_process "$JOB" INT 3
    until url=$(grep -aom1 'http://127[^ ]*' "$RUN/log/snakeviz.log"); do
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
