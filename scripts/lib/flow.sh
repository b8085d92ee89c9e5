# SPDX-License-Identifier: MIT
# The course of a profile, the same for every profiler: prepare, launch or attach, wait for the pipeline, watch, end,
# render, finish. A target's script says which sampler runs in between.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

STOPPED=
TOOL_FAILED=0
PIPELINE_MARKED=
# tool_failed ID TEXT…: notes it, and makes the target exit 3 at its end, with what there is kept.
tool_failed() {
    TOOL_FAILED=1
    note "$@"
}

# A signal ends sampling, not the report.
on_signal() { STOPPED=$1; }

# signals_noted: while they are, this process expands no `$(…)`, `<(…)` or `>(…)` (see capture), for which bash 5.2 takes a trap. In a
# child, such as a `( … )`, there are no traps.
signals_noted() {
    trap 'on_signal INT' INT
    trap 'on_signal TERM' TERM
    trap 'on_signal HUP' HUP
}

# signals_ignored: when nothing is left to end and what there is becomes a report, by tools that a terminal's Ctrl-C would end.
signals_ignored() { trap '' INT TERM HUP; }

# stop_if_asked: leaves when a signal came before there was anything to keep.
stop_if_asked() {
    local status
    [[ -n $STOPPED ]] || return 0
    say "stopped by SIG$STOPPED before there was anything to sample"
    capture status signal_status
    exit "$status"
}

signal_status() {
    case $STOPPED in
        INT) printf 130 ;;
        TERM) printf 143 ;;
        HUP) printf 129 ;;
    esac
}

# profile_prepare TARGET: what the run depends on, then its folder. A set-up that fails or is stopped leaves no run.
profile_prepare() {
    target_prepare
    make_tmp
    signals_noted
    run_new "$1"
    say "run folder: $RUN"
    run_facts
}

# profile_target: a loader to profile, and procsample beside it.
profile_target() {
    if [[ -n $PID ]]; then
        target_attach
        say "attached to the loader $LOADER_PID"
        ! pipeline_begun || PIPELINE_MARKED=before
    else
        target_workspace
        stop_if_asked
        mark launch
        target_launch "$@"
        say "launched the loader: pid $LOADER_PID"
    fi
    capture LOADER_STARTED process_started "$LOADER_PID"
    sampler_start "$LOADER_PID"
}

# pipeline_wait: returns when the loader has begun to work on documents, ended, or a signal came.
pipeline_wait() {
    local began=$SECONDS deadline=$((SECONDS + 300)) next=$((SECONDS + SHOW_EVERY)) wall cpu used
    if [[ $PIPELINE_MARKED == before ]]; then
        note attached-late "attached after the pipeline began: what start-up cost is not known (n/a)"
        return 0
    fi
    until pipeline_begun; do
        [[ -z $STOPPED ]] && target_alive || return 0
        if ((SECONDS > deadline)); then
            note pipeline-not-seen "the pipeline did not begin in 300 s: sampling what there is"
            return 0
        fi
        if ((SECONDS >= next)); then
            capture used used_so_far || :
            show "$((SECONDS - began)) s: waiting for the pipeline, $used"
            next=$((SECONDS + SHOW_EVERY))
        fi
        pause 0.05
    done
    pipeline_mark
    capture wall seconds_between "$LOADER_STARTED" "${EPOCHREALTIME/./}000"
    capture cpu process_cpu "$LOADER_PID"
    run_set startup_wall_s "$wall" startup_cpu_s "$cpu"
}

# pipeline_mark: the moment when the pipeline begins. PIPELINE_MARKED: 1 then, `before` when it had begun before we came.
pipeline_mark() {
    mark pipeline
    PIPELINE_MARKED=1
}

# profile_watch SAMPLER_PID: until the sampler or the loader ends, or a signal comes.
profile_watch() {
    local next=0 began=$SECONDS
    WATCH_BEGAN=${EPOCHREALTIME/./}000
    capture WATCH_CPU_BEGAN process_cpu "$LOADER_PID"
    mark "sampling begins"
    run_latest
    target_facts
    while [[ -z $STOPPED ]] && alive "$1" && target_alive; do
        if ((SECONDS >= next)); then
            progress "$((SECONDS - began))"
            next=$((SECONDS + SHOW_EVERY))
        fi
        # Where sampling begins before it.
        if [[ -z $PIPELINE_MARKED ]] && pipeline_begun; then pipeline_mark; fi
        target_facts
        pause 0.1
    done
    WATCH_ENDED=${EPOCHREALTIME/./}000
    WATCH_CPU_ENDED=n/a
    if target_alive; then capture WATCH_CPU_ENDED process_cpu "$LOADER_PID"; fi
    # The sampler sees the loader's end by itself, and writes what it has.
    if [[ -z $STOPPED ]] && ! target_alive; then wait_gone "$1" 20 || :; fi
    capture SAMPLED_S seconds_between "$WATCH_BEGAN" "$WATCH_ENDED"
    if [[ -n $STOPPED ]]; then say "stopped by SIG$STOPPED: keeping what was sampled"; fi
}

# progress SECONDS: one line of how it goes; overwritten on a terminal.
progress() {
    local line
    capture line progress_words "$1" || return 0
    show "$line"
}

progress_words() { printf '%s s: %s, chunks %s, %s' "$1" "$(sampler_progress)" "$(chunks_done)" "$(used_so_far)"; }

used_so_far() {
    local cpu rss
    read -r cpu rss < <(samples_last cpu_user_s+cpu_system_s rss_kib)
    printf 'CPU %s s, RSS %s MiB' "$cpu" "$(mib "$rss")"
}

# Seconds between two lines of how it goes: to put one together takes CPU beside the loader.
SHOW_EVERY=10
[[ ! -t 2 ]] || SHOW_EVERY=1

# show TEXT: a line that is overwritten on a terminal, a line of its own elsewhere.
show() {
    if [[ -t 2 ]]; then live "$1"; else say "$1"; fi
}

mib() {
    if [[ $1 =~ ^[0-9]+$ ]]; then printf '%d' $(($1 / 1024)); else printf 'n/a'; fi
}

# profile_end: the loader and the samplers are over when it returns; counts and the loader's own status are recorded.
profile_end() {
    if [[ -z $PID ]]; then
        if [[ -n $STOPPED ]]; then
            loader_end "$STOPPED" 20
        elif alive "$PROCRUN" && [[ -z $WORKSPACE ]]; then
            say "ending the ingestion of the made corpus"
            ENDED_BY_US=1
            run_set ended_here "${DURATION:-n/a}"
            loader_end INT 20
        elif alive "$PROCRUN"; then
            say "sampling is over; your ingestion goes on to its end (Ctrl-C ends it)"
            while alive "$PROCRUN" && [[ -z $STOPPED ]]; do pause 0.25; done
            [[ -z $STOPPED ]] || loader_end "$STOPPED" 20
        fi
        target_wait
        mark "loader ends"
    fi
    signals_ignored
    sampler_end
    target_counts
    profile_times
}

# sampler_tool_failed ID NAME COMMAND…: notes that this sampler ended before its time, and what COMMAND prints of why.
sampler_tool_failed() {
    local id=$1 name=$2 last words
    capture last "${@:3}" || :
    capture words sampler_words "$last" || :
    tool_failed "$id" "$name ended before its time, $words"
}

# sampler_failed PID [COMPLETE]: did it end before its time? SAMPLER_STATUS is its exit status. With DURATION it ends by itself,
# with status 0 and, where there is another way to know that it sampled to the end, COMPLETE=yes. Without, it ends with the
# loader: a sampler sees the loader's threads go before the process is gone, so that is waited for.
sampler_failed() {
    [[ -z $STOPPED ]] && ! alive "$1" || return 1
    local deadline=$((SECONDS + 5))
    SAMPLER_STATUS=0
    wait "$1" 2>/dev/null || SAMPLER_STATUS=$?
    # No sampler ends by a signal that nobody sent, whatever the loader did meanwhile.
    ((SAMPLER_STATUS <= 128)) || return 0
    if [[ -n $DURATION && ${2-yes} == yes ]] && ((SAMPLER_STATUS == 0)); then return 1; fi
    while target_alive; do
        ((SECONDS < deadline)) || return 0
        pause 0.05
    done
    return 1
}

# sampler_words WORDS: how a sampler that failed ended, what it said, and the next step.
sampler_words() {
    printf 'exit status %s after %s s' "$SAMPLER_STATUS" "$(ratio "$SAMPLED_S" 1 1)"
    ((SAMPLER_STATUS <= 128)) || printf ', signal %s' "$(kill -l "$SAMPLER_STATUS")"
    [[ -z ${DURATION-} ]] || printf ' of the %s s asked for' "$DURATION"
    printf ': %s. What it had written is kept; run it again, and see make doctor' "${1:-it said nothing}"
}

# profile_times: wall and CPU seconds of the loader: what the kernel gave procrun at its end, else what was sampled last.
profile_times() {
    local wall cpu
    if [[ -z $PID ]]; then
        wall=$(procrun_fact wall_s)
        cpu=$(procrun_cpu "$LOADER_PID")
        # Behind uv or make the loader is reaped by its wrapper.
        [[ $cpu != n/a ]] || cpu=$(samples_last cpu_user_s+cpu_system_s)
    else
        wall=$(seconds_between "$LOADER_STARTED" "$WATCH_ENDED")
        cpu=$(samples_last cpu_user_s+cpu_system_s)
    fi
    # To its own end, or as long as it was watched.
    [[ $WATCH_CPU_ENDED != n/a ]] || WATCH_CPU_ENDED=$cpu
    SAMPLED_CPU_S=$(awk -v a="$WATCH_CPU_BEGAN" -v b="$WATCH_CPU_ENDED" 'BEGIN { print (a == "n/a" || b == "n/a" ? "n/a" : sprintf("%.2f", b > a ? b - a : 0)) }')
    run_set wall_s "$(ratio "$wall" 1 2)" sampled_cpu_s "$SAMPLED_CPU_S" cpu_s "$(ratio "$cpu" 1 2)" sampled_s "$(ratio "$SAMPLED_S" 1 2)"
}

# profile_finish: exits with the verdict: 130 or 143 after a signal, 3 when a tool failed or nothing of the made corpus was
# ingested, the loader's own status when its run failed, else 0.
profile_finish() {
    local status=0
    if [[ -z $PID ]]; then
        target_verdict || status=$?
        if ((status)) && [[ -z $STOPPED && -z ${ENDED_BY_US-} ]]; then
            note loader-failed "the loader failed ($(target_end_words)). Its last words: $(loader_last_words)"
        fi
        if [[ -z ${STOPPED}${ENDED_BY_US-} && $LOADER_STATUS == 0 && $CHUNKS == @(0|n/a) ]]; then
            note nothing-ingested "the loader ended with status 0 and stored no chunk: $(loader_last_words). What was sampled had nothing to do"
            # Of the made corpus nothing can have been there before.
            [[ -n $WORKSPACE ]] || status=3
        fi
        [[ -z ${ENDED_BY_US-} ]] || status=0
    fi
    run_finish "$status"
}

# run_finish STATUS: writes and prints the summary, prints the run folder, and exits: after a signal or a failed tool with
# their status, else with this one.
run_finish() {
    local status=$1 state="done"
    if ((TOOL_FAILED)); then
        state=failed
        status=3
    fi
    if [[ -n $STOPPED ]]; then
        state=stopped
        status=$(signal_status)
        run_set stopped "SIG$STOPPED"
    fi
    run_set state "$state" ended "$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)" exit_status "$status"
    report_write
    cat "$RUN/summary.md" >&2
    printf '%s\n' "$RUN"
    exit "$status"
}
