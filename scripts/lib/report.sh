# SPDX-License-Identifier: MIT
# From what a run left to what a person reads: profile.folded, profile.svg, stages.tsv, timeline.svg, summary.md. Reads the
# run folder only, so that `make report` makes the same of a run that was killed.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

# samples_max COLUMN: the largest value of the whole tree, or n/a.
samples_max() {
    [[ -s $RUN/samples.tsv ]] || {
        printf n/a
        return
    }
    awk -F '\t' -v want="$1" '/^#/ { next } !head++ { for (i = 1; i <= NF; i++) c[$i] = i; next }
        NF > 3 && $c["pid"] == "total" && $c[want] != "n/a" && $c[want] + 0 >= v + 0 { v = $c[want] }
        END { print (v == "" ? "n/a" : v) }' "$RUN/samples.tsv"
}

# profile_render RAW UNIT: everything that is made of collapsed stacks. A part that fails is noted and the rest is made.
profile_render() {
    local raw=$1 unit=$2
    if [[ ! -s $raw && -s $RUN/profile.folded ]]; then
        # Of a run folder without raw/: what was made of it is what there is.
        raw=
    fi
    # 130 and 143 are signals, ours or a person's.
    if [[ -n $raw && ! -s $raw && $(run_get loader_exit_status) != @([0n]*|130|143) && -z ${STOPPED-}${ENDED_BY_US-} ]] && ((TOOL_FAILED == 0)); then
        # It failed before there was anything to see: that is its own failure, and not the sampler's.
        note no-samples "no stack was sampled: the loader ended too soon (exit status $(run_get loader_exit_status))"
        timeline "QDrant Loader: $(run_get target)" || TOOL_FAILED=1
        return 0
    fi
    if [[ -n $raw && ! -s $raw ]]; then
        tool_failed no-samples "no stack was sampled: $(no_samples_reason)"
        timeline "QDrant Loader: $(run_get target)" || TOOL_FAILED=1
        return 0
    fi
    # A stack without a frame is a thread outside Python: the interpreter's own start and end.
    # Parts and shortened stacks come several times, which stackfold adds up; where there is no stack it says 1.
    if [[ -n $raw ]] && ! { { sed -E 's/^ ([0-9]+)$/[no Python frame] \1/' "$raw" | shorten_imports | redact_stacks | stackfold || (($? == 1)); } \
        >"$RUN/profile.folded.new" 2>>"$RUN/log/render.log" && mv "$RUN/profile.folded.new" "$RUN/profile.folded"; }; then
        tool_failed folded-failed "profile.folded was not made (log/render.log): $(tail -n 1 "$RUN/log/render.log"). Make room, then run make report"
        return 0
    fi
    stages_table "$unit" || { tool_failed stages-failed "no stages.tsv (log/render.log)"; }
    flamegraph --title "QDrant Loader: $(run_get target | sed 's/^profile-//')" \
        --subtitle "$(report_subtitle)" --unit "$unit" --stages "$ROOT/scripts/stages.map" --colors stages \
        "$RUN/profile.folded" >"$RUN/profile.svg" 2>>"$RUN/log/render.log" || {
        tool_failed flamegraph-failed "profile.svg shows nothing or was not made (log/render.log)"
    }
    few_samples
    timeline "QDrant Loader: $(run_get target)" || TOOL_FAILED=1
}

# shorten_imports: a filter for collapsed stacks: what the import system calls between two modules becomes one frame. An
# import is five to seven frames deep per module, and would make the picture four times as high as what it shows.
shorten_imports() {
    sed -E 's/([^;]*\(<frozen importlib[^;]*;)+/import (<frozen importlib._bootstrap>);/g'
}

# few_samples: says so where a single sample is 2 % of the picture and more. Context switches are all there, and not samples.
few_samples() {
    local samples
    samples=$(run_get samples)
    [[ $samples =~ ^[0-9]+$ && $(run_get off_cpu) != 1 ]] || return 0
    if ((samples > 0 && samples < 50)); then
        note few-samples "samples taken: $samples, so that each is $(ratio 100 "$samples" 1) % of the whole, and shares are rough. Sample longer (DURATION) or more often (RATE)"
    fi
}

# no_samples_reason: why a profile is empty, as far as can be seen.
no_samples_reason() {
    local words
    # py-spy's own words; a backtrace follows them.
    words=$(grep -ahE '^(py-spy> )?(Error|Reason)|denied|not permitted' "$RUN/log/py-spy.log" 2>/dev/null | tail -n 1) || :
    if [[ $words == *ermission* || $words == *"not permitted"* ]]; then
        printf 'no right to read the loader (%s). Run make doctor, or let the harness launch the loader' "$words"
    elif [[ $(run_get loader_exit_status) != n/a ]] && { [[ -z $words ]] || ((!TOOL_FAILED)); }; then
        # A py-spy that finds no process any more has words of its own for it.
        printf 'the loader ended (exit status %s) before there was anything to sample. STARTUP=1 samples from the start' "$(run_get loader_exit_status)"
    elif [[ -n $words ]]; then
        printf '%s' "$words"
    elif [[ $(run_get target) == profile-perf ]]; then
        printf 'the loader used no CPU. OFFCPU=1 shows where its threads leave it, make profile-wall what its coroutines wait for'
    elif [[ $(run_get target) == profile-pyspy && $(run_get parts) == n/a && $(pyspy_parts) == n/a* ]]; then
        printf 'py-spy ended before its first part was written (log/py-spy.log). Run it again'
    elif [[ $(run_get gil) == 1 ]]; then
        printf 'no thread of the loader held the GIL at any moment that was looked at. Without GIL=1 all busy threads count, with IDLE=1 those that wait too'
    else
        printf 'no thread of the loader was busy. IDLE=1 counts threads that wait'
    fi
}

# report_weight: what the weights of profile.folded are.
report_weight() {
    case $(run_get target)/$(run_get off_cpu) in
        profile-wall/*) printf 'seconds of wall time' ;;
        profile-perf/1) printf 'seconds off the CPU' ;;
        profile-pyspy/*) printf 'stacks of threads' ;;
        *) printf samples ;;
    esac
}

# report_trust: of a profile of awaits, how much of what was read contradicted itself, and how much cannot be wrong.
report_trust() {
    [[ $(run_get target) == profile-wall ]] || return 0
    awk -v torn="$(run_get samples_torn)" -v exact="$(run_get proven_exact)" 'BEGIN {
        printf ", %s torn, %s proven exact", torn, exact == "n/a" ? exact : sprintf("%.4g %%", 100 * exact) }'
}

report_subtitle() {
    if [[ $(run_get target) == profile-cprofile ]]; then
        cprofile_words
        return
    fi
    if [[ $(run_get target) == profile-perf ]]; then
        perf_words
        return
    fi
    if [[ $(run_get behind_s) != n/a ]]; then
        printf '%s stacks of threads at %s of %s Hz%s, %s not readable; %s s' "$(run_get samples)" "$(run_get rate_achieved_hz)" \
            "$(run_get rate_asked_hz)" "$(run_get behind_s | sed 's/^0$//; t; s/.*/, up to & s behind/')" "$(run_get samples_missed)" "$(run_get sampled_s)"
        return
    fi
    printf '%s samples at %s of %s Hz, %s missed%s; %s s' "$(run_get samples)" "$(run_get rate_achieved_hz)" \
        "$(run_get rate_asked_hz)" "$(run_get samples_missed)" "$(report_trust)" "$(run_get sampled_s)"
}

# stages_table UNIT: stages.tsv. Weights come from the stacks; the CPU seconds while they were sampled are apportioned by them, and
# start-up's, which lies before the first sample, is what the kernel counted until the pipeline began. Of a loader that was
# attached to later it is not known, whatever late imports were sampled: the shares are those of the other stages.
stages_table() {
    local late=
    if [[ $(run_get attached) == attached ]] && ! grep -qs $'\tpipeline$' "$RUN/raw/marks.tsv"; then late=1; fi
    stackstages --stages "$ROOT/scripts/stages.map" --unit "$1" "$RUN/profile.folded" >"$RUN/raw/stages.weights.tsv" 2>>"$RUN/log/render.log" || return 1
    awk -F '\t' -v OFS='\t' -v interval="$(run_get sample_interval_s)" -v idle="$(run_get idle)" \
        -v start_wall="$(run_get startup_wall_s)" -v start_cpu="$(run_get startup_cpu_s)" -v cpu="$(run_get cpu_s)" -v sampled="$(run_get sampled_cpu_s)" \
        -v whole="$([[ $(run_get target) != profile-cprofile ]] || echo 1)" -v late="$late" '
        /^#/ || $1 == "stage" { next }
        { order[++n] = $1; weight[$1] = $2 }
        END {
            known = (cpu != "n/a" && idle != 1)
            before = (start_cpu == "n/a" ? 0 : start_cpu)
            late = (late && start_cpu == "n/a")
            # cProfile is there from the start to the end.
            if (whole || (sampled == "n/a" && known)) sampled = cpu - before
            # cProfile has seen a part of what the kernel had counted by then.
            for (s in weight) { apportioned[s] = (s != "waiting" && !(whole && before && s == "startup")); if (apportioned[s]) sum += weight[s] }
            if (!("startup" in weight)) order[++n] = "startup"
            for (i = 1; i <= n; i++) {
                s = order[i]
                threads[s] = (interval == "n/a" ? 0 : weight[s] * interval) + (s == "startup" ? before : 0)
                cpus[s] = (known && sum && apportioned[s] ? weight[s] / sum * sampled : 0) + (s == "startup" ? before : 0)
                if (!(late && s == "startup")) total += (known ? cpus[s] : threads[s])
            }
            print "# share_of: " (known ? "cpu_s (CPU seconds of the loader" (whole ? "" : " while it was sampled") ", apportioned by " (whole ? "own times of cProfile, unsound where threads ran" : "samples") ")" : "thread_s (thread-seconds sampled)") (late ? ", without startup, which is not known" : "")
            if (whole) print "# unsound: share_pct, cpu_s and own_s where threads ran: they follow the own times of cProfile"
            print "stage", "share_pct", "cpu_s", "thread_s", "wall_s", "wait_s", (whole ? "own_s" : "samples")
            for (i = 1; i <= n; i++) {
                s = order[i]
                v = (known ? cpus[s] : threads[s])
                wall = wait = "n/a"
                if (s == "startup" && start_wall != "n/a") {
                    wall = start_wall
                    wait = sprintf("%.2f", (start_wall > before ? start_wall - before : 0))
                }
                unknown = (late && s == "startup")
                print s, (unknown ? "n/a" : sprintf("%.1f", total ? 100 * v / total : 0)), (known && !unknown ? sprintf("%.2f", cpus[s]) : "n/a"),
                    (interval == "n/a" || unknown ? "n/a" : sprintf("%.2f", threads[s])), wall, wait, (whole ? sprintf("%.3f", weight[s] / 1e6) : sprintf("%.0f", weight[s]))
            }
        }' "$RUN/raw/stages.weights.tsv" >"$RUN/stages.tsv"
}

# report_write: summary.md.
report_write() {
    local wall cpu chunks unit=()
    if [[ $(report_weight) == seconds* ]]; then unit=(--unit us); fi
    if [[ $(run_get target) == metrics ]]; then
        metrics_summary
        return
    fi
    wall=$(run_get wall_s)
    cpu=$(run_get cpu_s)
    chunks=$(run_get chunks)
    {
        printf '# %s\n\n' "$(run_get target)"
        [[ ! -s $RUN/waits.tsv ]] || printf '**%s**\n\n' "$(wall_lead)"
        # Of a loader attached to: more than was sampled.
        printf '%s %s s, CPU %s s' "$([[ $(run_get attached) == attached ]] && printf "Since the loader's start: wall" || printf Wall)" "$wall" "$cpu"
        if [[ $wall != n/a && $cpu != n/a ]]; then awk -v w="$wall" -v c="$cpu" 'BEGIN { if (w > 0) printf " (%.0f %% of one core)", 100 * c / w }'; fi
        printf '; %s documents, %s chunks' "$(run_get documents)" "$chunks"
        if [[ $chunks != n/a && $wall != n/a ]]; then awk -v w="$wall" -v c="$chunks" 'BEGIN { if (w > 0) printf " (%.1f chunks/s)", c / w }'; fi
        printf '; %s failed' "$(run_get chunks_failed)"
        [[ $(run_get qdrant_points) == n/a ]] || printf '; Qdrant holds %s points' "$(run_get qdrant_points)"
        printf '.\nPeaks: RSS %s MiB, %s threads, %s file descriptors. Loader exit status %s' "$(mib "$(samples_max peak_rss_kib)")" \
            "$(samples_max threads)" "$(samples_max fds)" "$(run_get loader_exit_status)"
        [[ $(run_get ended_here) == n/a ]] || printf ', ended here when the %s s of DURATION were over' "$(run_get ended_here)"
        printf '.\n'
        run_cut_short
        printf '%s%s.\n' "$([[ $(run_get target) == profile-cprofile ]] || printf 'Sampled ')" "$(report_subtitle)"
        if [[ -s $RUN/stages.tsv ]]; then
            printf '\n## Where the time went, by stage\n\n```\n'
            grep -v '^#' "$RUN/stages.tsv" | column -t -s $'\t'
            sed -n 's/^# share_of: /shares of /p' "$RUN/stages.tsv"
            printf '```\n'
        fi
        if [[ -s $RUN/waits.tsv ]]; then
            printf '\n## What the wall time was spent on\n\n```\n'
            column -t -s $'\t' "$RUN/waits.tsv"
            printf '```\n\n## Settings that change it\n\n'
            wall_knobs
        fi
        if [[ $(run_get target) == profile-cprofile ]]; then
            printf '\n## Functions\n\n```\n'
            cat "$RUN/raw/top.txt" 2>/dev/null || printf 'n/a\n'
            printf '```\n'
        elif [[ -s $RUN/profile.folded ]]; then
            printf '\n## The ten widest functions, by what is their own (%s)\n\n```\n' "$(report_weight)"
            # States are no functions: what a function waits for is its own.
            sed -E 's/;\[[^];]*\]//g' "$RUN/profile.folded" | stacktop -n 10 --merge-lines "${unit[@]}" 2>>"$RUN/log/render.log" || printf 'n/a\n'
            printf '```\n'
        fi
        printf '\n## What this profile cannot show\n\n'
        report_blind_spots
        if [[ -s $RUN/raw/notes.md ]]; then
            printf '\n## Notes\n\n'
            cat "$RUN/raw/notes.md"
        fi
    } >"$RUN/summary.md.new" && mv "$RUN/summary.md.new" "$RUN/summary.md"
}

report_blind_spots() {
    case $(run_get target) in
        profile-pyspy)
            cat <<'TEXT'
* What a coroutine waits for. A suspended coroutine is on no thread's stack, so the rate-limit sleep, the largest wait of
  a default run, is not in this picture: a wall time far above the CPU time is the sign of it.
* C code beneath Python functions (NATIVE=1), and which of the busy threads held the GIL (GIL=1).
* What a thread does outside Python, `[no Python frame]`: mostly the interpreter's own end, which frees all that there is.
TEXT
            ;;
        profile-wall)
            cat <<'TEXT'
* C code beneath Python functions (make profile-perf), and calls that come and go between two samples.
* Await stacks read while a task changes are kept as `<unknown>` and never dropped, since dropping them would favour
  waiting; their share is in run.json. Thread stacks of fast code can be mixed where nothing is stopped.
TEXT
            ;;
        profile-perf)
            cat <<'TEXT'
* What waits: CPU time only (OFFCPU=1 shows where threads leave the CPU; make profile-wall what coroutines wait for).
* Frames of libraries without symbols have the library's name. Where Python stack and C stack do not fit together, the
  frames in between are `[python frames unknown]`, and their share is stated.
TEXT
            if [[ $(run_get perf_event) == *:u* ]]; then
                printf '* Functions of the kernel, which this user may not see. Run before it: sudo sysctl kernel.perf_event_paranoid=1\n'
            fi
            ;;
        profile-cprofile)
            cat <<'TEXT'
* Waiting: a suspended coroutine costs no calls. Shares of time: cProfile makes frequent calls look dearer than they are.
* Own times, cumulative times and callers where several threads ran, on CPython 3.12 and 3.13 (docs/targets/profile-cprofile.md).
TEXT
            ;;
    esac
}

# report_again: for a run folder that is there already: what its target would have made of it.
report_again() {
    IDLE=$(run_get idle)
    case $(run_get target) in
        profile-pyspy)
            # Of a run that was killed nobody counted.
            if [[ -s $RUN/raw/pyspy.parts.tsv ]]; then RATE=$(run_get rate_asked_hz) pyspy_counts; fi
            profile_render "$RUN/raw/pyspy.folded" samples
            ;;
        profile-cprofile) profile_render "$RUN/raw/cprofile.folded" us ;;
        profile-wall) wall_render ;;
        profile-perf)
            perf_stacks
            profile_render "$RUN/raw/perf.folded" "$([[ $(run_get off_cpu) == 1 ]] && printf us || printf samples)"
            ;;
        metrics) ;;
        *) die 2 no-run "RUN: '$(run_get target)' is no profile. Name the folder of one" ;;
    esac
    report_write
}
