# SPDX-License-Identifier: MIT
# The profile of perf: from its text to stacks of Python and C, the figures of how they were joined, the words on the picture.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

# perf_stacks: raw/perf.folded out of raw/perf.script.gz and raw/python.samples, where it is not there already without the text.
perf_stacks() {
    local words how off_cpu script=$RUN/raw/perf.script.gz args=(--summary "$RUN/raw/join.tsv")
    if [[ ! -e $script && -s $RUN/raw/perf.folded ]]; then
        join_facts
        named_facts
        return 0
    fi
    if [[ ! -s $script ]]; then
        capture words perf_last_words
        tool_failed perf-failed "perf recorded nothing that can be read: $words"
        return 0
    fi
    capture how run_get perf_python
    if [[ $how == join && -s $RUN/raw/python.samples ]]; then
        capture off_cpu run_get off_cpu
        if [[ $off_cpu == 1 ]]; then args+=(--off-cpu); fi
        gzip -dc "$script" | stackjoin "${args[@]}" - "$RUN/raw/python.samples" 2>>"$RUN/log/render.log" | shorten_waits >"$RUN/raw/perf.folded" || :
    else
        gzip -dc "$script" | stackfold --annotate >"$RUN/raw/perf.folded" 2>>"$RUN/log/render.log" || :
    fi
    join_facts
    named_facts
}

# named_facts: where perf alone names the Python functions: how much stands beneath one; and how much of the stacks of frame
# pointers was cut at the most frames that the kernel keeps. The first frame is the program's.
named_facts() (
    trap '' INT TERM HUP
    pct=n/a cut=n/a
    if [[ $(run_get perf_python) != join ]]; then
        read -r pct cut < <(awk -F ';' -v max="$(run_get perf_frames_max)" '
            { w = $0; sub(/.* /, "", w); n += w }
            /;py::/ { named += w }
            NF > max { cut += w }
            END { if (n) printf "%.1f %.1f\n", 100 * named / n, 100 * cut / n }' "$RUN/raw/perf.folded") || :
    fi
    if [[ $(run_get perf_python) != fp ]]; then cut=n/a; fi
    run_set beneath_python_pct "$pct" perf_cut_pct "$cut"
)

# shorten_waits: of how the kernel puts a thread off the processor, the same ten frames for every wait, the system call stays.
shorten_waits() (
    if [[ $(run_get off_cpu) != 1 ]]; then
        exec cat
    fi
    sed -E 's/;entry_SYSCALL_64_after_hwframe_\[k\];do_syscall_64_\[k\]//; s/(;__x64_sys_[a-z0-9_]+_\[k\]);.*;schedule_\[k\]/\1/' | stackfold
)

# perf_frames_max: the kernel keeps no more of a stack of frame pointers.
perf_frames_max() { cat /proc/sys/kernel/perf_event_max_stack 2>/dev/null || printf 127; }

perf_last_words() { tail -n 1 "$RUN/log/perf.log" 2>/dev/null || :; }

join_fact() { tsv_fact join.tsv "$1"; }

# join_facts: what was joined, and how sure it is, into run.json.
join_facts() (
    trap '' INT TERM HUP
    run_set joined_pct "$(join_fact joined_pct)" join_guessed_pct "$(join_fact guessed_pct)" join_mismatch_pct "$(join_fact mismatch_pct)" \
        join_unknown_pct "$(join_fact unknown_pct)" join_outside_python_pct "$(join_fact outside_python_pct)" \
        join_named_pct "$(join_fact named_by_perf_pct)" native_cut_short_pct "$(join_fact native_cut_short_pct)" \
        join_distance_median_us "$(join_fact distance_median_us)" join_distance_max_us "$(join_fact distance_max_us)"
)

# For the line that says how it goes: what perf counts it says at its end.
sampler_progress() {
    printf '%s, %s MiB recorded' "$( ((OFFCPU)) && printf 'every context switch' || printf 'sampling at %s Hz' "$RATE")" \
        "$(($(stat -c %s "$PERF_DATA" 2>/dev/null || echo 0) / 1048576))"
}

# perf_facts: what was sampled. CPU_S: the loader's CPU seconds meanwhile.
perf_facts() (
    trap '' INT TERM HUP
    lost=$PERF_LOST event=''
    [[ ! -e $RUN/raw/perf.script.gz ]] || event=$(gzip -dc "$RUN/raw/perf.script.gz" | grep -aom1 -E '(cycles|cpu-clock|context-switches)[:a-zA-Z]*:' | sed 's/:$//') || :
    samples=$(join_fact samples)
    if [[ $samples == n/a ]]; then
        samples=$(awk '{ n += $NF } END { printf "%.0f\n", n }' "$RUN/raw/perf.folded" 2>/dev/null) || samples=n/a
    else
        lost=$(join_fact lost)
    fi
    run_set samples "$samples" samples_missed "$lost" perf_event "${event:-$PERF_EVENT}" sampler_cpu_s "$(pysample_fact cpu_s)"
    if ((OFFCPU)); then
        run_set rate_asked_hz n/a rate_achieved_hz n/a idle 1 sample_interval_s 0.000001
    else
        samples=$(ratio "$samples" "$CPU_S")
        run_set rate_achieved_hz "$samples" sample_interval_s "$(ratio 1 "$RATE" 6)"
    fi
)

# perf_words: how the picture was made, for its subtitle and the summary.
perf_words() {
    if [[ $(run_get off_cpu) == 1 ]]; then
        printf 'off-CPU time: %s context switches in %s s' "$(run_get samples)" "$(run_get sampled_s)"
    else
        printf '%s samples of CPU time by %s (%s), %s of %s Hz, %s lost' "$(run_get samples)" "$(run_get perf_event)" "$(run_get perf_clock)" \
            "$(run_get rate_achieved_hz)" "$(run_get rate_asked_hz)" "$(run_get samples_missed)"
    fi
    printf '; %s' "$(run_get perf_python_why)"
    if [[ $(run_get joined_pct) != n/a ]]; then
        printf ': %s %% joined, %s us apart (median; at most %s); %s %% by a path seen in another sample, %s %% mismatched, %s %% outside Python' "$(run_get joined_pct)" \
            "$(run_get join_distance_median_us)" "$(run_get join_distance_max_us)" "$(run_get join_guessed_pct)" "$(run_get join_mismatch_pct)" \
            "$(run_get join_outside_python_pct)"
    elif [[ $(run_get beneath_python_pct) != n/a ]]; then
        printf ': %s %% beneath a Python function' "$(run_get beneath_python_pct)"
        if [[ $(run_get perf_cut_pct) == *[1-9]* ]]; then
            printf ', %s %% cut at %s frames (fewer after: sudo sysctl kernel.perf_event_max_stack=512)' "$(run_get perf_cut_pct)" "$(run_get perf_frames_max)"
        fi
    fi
}
