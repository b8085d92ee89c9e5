# SPDX-License-Identifier: MIT
# The only code that knows versions and flags of py-spy, procsample, gnuplot and SnakeViz: how each is started, ended and read.
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
