# SPDX-License-Identifier: MIT
# Two runs side by side. Reads their run folders only.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

# Above this share of its CPU time spent waiting for a CPU, a run says little about wall time, in per cent.
BUSY_PCT=20

# compare_open NAME base|cand: its folder and facts, as BASE_RUN and CAND_RUN, and in FACT[base.KEY].
declare -A FACT
compare_open() {
    local key folded
    run_open "$1" "${2^^}"
    for key in target state stopped exit_status off_cpu idle native gil wall_s cpu_s chunks documents workspace_sha256 sample_interval_s; do
        FACT[$2.$key]=$(run_get "$key")
    done
    [[ ${FACT[$2.state]} != running ]] || note compare-running "$1 has not ended: what there is so far is shown"
    FACT[$2.peak_rss_mib]=$(mib "$(samples_max peak_rss_kib)")
    FACT[$2.run_queue_s]=$(samples_max run_delay_s)
    FACT[$2.chunks_per_s]=$(ratio "${FACT[$2.chunks]}" "${FACT[$2.wall_s]}")
    FACT[$2.busy_pct]=$(awk -v q="${FACT[$2.run_queue_s]}" -v c="${FACT[$2.cpu_s]}" 'BEGIN { if (q == "n/a" || c == "n/a" || c <= 0) print "n/a"; else printf "%.0f", 100 * q / c }')
    folded=$RUN/profile.folded
    [[ -s $folded ]] || die 3 no-samples "$1 has no stacks to compare (profile.folded is empty). Try: make report RUN=$RUN"
    if [[ $2 == base ]]; then BASE_RUN=$RUN; else CAND_RUN=$RUN; fi
}

# known KEY: do both runs say it?
known() { [[ ${FACT[base.$1]} != n/a && ${FACT[cand.$1]} != n/a ]]; }
same() { [[ ${FACT[base.$1]} == "${FACT[cand.$1]}" ]]; }

compare_same_kind() {
    local key refused=
    same target || refused="${FACT[base.target]} and ${FACT[cand.target]}"
    [[ -n $refused ]] || same off_cpu || refused='CPU time and off-CPU time'
    # Runs of older harnesses do not say all of it.
    for key in idle native gil; do
        [[ -z $refused ]] || break
        if known "$key" && ! same "$key"; then refused="${key^^}=${FACT[base.$key]} and ${key^^}=${FACT[cand.$key]}"; fi
    done
    [[ -z $refused ]] ||
        die 2 compare-different "$refused cannot be compared: their stacks count different things. Compare two runs of the same target and options"
    [[ $BASE_RUN != "$CAND_RUN" ]] || die 2 compare-different "BASE and CAND are the same run, $BASE_RUN"
    if ! same documents || ! same chunks; then
        note compare-work "the two did not do the same work: ${FACT[base.documents]} documents and ${FACT[base.chunks]} chunks, then ${FACT[cand.documents]} and ${FACT[cand.chunks]}"
    fi
    if known workspace_sha256 && ! same workspace_sha256; then
        note compare-workspace "the two ran on different workspaces: configuration or files differ"
    fi
}

# compare_unfit: why the figures of these two cannot be judged, or nothing. A run that failed has used less of everything, and
# one that does not say what it did may have done nothing.
compare_unfit() {
    local run name
    for run in base cand; do
        name=$([[ $run == base ]] && printf 'the baseline' || printf 'the candidate')
        if [[ ${FACT[$run.state]} == stopped ]]; then
            printf '%s was stopped before its end (%s)' "$name" "${FACT[$run.stopped]}"
        elif [[ ${FACT[$run.exit_status]} != 0 && ${FACT[$run.exit_status]} != n/a ]]; then
            printf '%s failed (exit status %s)' "$name" "${FACT[$run.exit_status]}"
        elif [[ ${FACT[$run.state]} != "done" ]]; then
            printf '%s did not end (%s)' "$name" "${FACT[$run.state]}"
        elif [[ ${FACT[$run.chunks]} != [1-9]* || ${FACT[$run.documents]} == n/a ]]; then
            printf '%s does not say what it did (%s documents, %s chunks)' "$name" "${FACT[$run.documents]}" "${FACT[$run.chunks]}"
        else
            continue
        fi
        return 0
    done
}

# compare_folder: OUT, below the candidate's folder.
compare_folder() {
    OUT=$CAND_RUN/compare-${BASE_RUN##*/}
    mkdir -p "$OUT" 2>/dev/null && [[ -w $OUT ]] || die 3 results-unwritable "cannot write to $OUT"
    : >"$OUT/render.log"
}

# compare_figures: figure, baseline, candidate, difference in units and in per cent.
compare_figures() {
    local key
    printf 'figure\tbaseline\tcandidate\tdifference\tdifference_pct\n'
    for key in wall_s cpu_s chunks chunks_per_s peak_rss_mib run_queue_s; do
        printf '%s\t%s\t%s\n' "$key" "${FACT[base.$key]}" "${FACT[cand.$key]}"
    done | awk -F '\t' -v OFS='\t' '{
        if ($2 == "n/a" || $3 == "n/a") print $1, $2, $3, "n/a", "n/a"
        else print $1, $2, $3, sprintf("%+.2f", $3 - $2), ($2 + 0 == 0 ? "n/a" : sprintf("%+.1f", 100 * ($3 - $2) / $2))
    }'
}

# stage_column RUN: what stages.tsv counts: wall time, else CPU time, else thread-seconds. Start-up may be n/a, of a loader that
# was attached to late.
stage_column() {
    awk -F '\t' '/^#/ { next } !h++ { for (i = 1; i <= NF; i++) c[$i] = i; next }
        $1 == "startup" { next }
        { for (k in c) if ($c[k] != "n/a") known[k]++; n++ }
        END {
            split("wall_s cpu_s thread_s", want, " ")
            for (i = 1; i <= 3; i++) if (n && known[want[i]] == n) { print want[i]; exit }
            print "share_pct"
        }' "$1/stages.tsv"
}

# compare_stages: stage, baseline, candidate, difference, in seconds; the sums, of what both know, are the last line.
compare_stages() {
    local column
    [[ -s $BASE_RUN/stages.tsv && -s $CAND_RUN/stages.tsv ]] || {
        note compare-no-stages "one of the two has no stages.tsv. Try: make report RUN=..."
        return 0
    }
    column=$(stage_column "$BASE_RUN")
    awk -F '\t' -v OFS='\t' -v want="$column" '
        FNR == 1 { file++; head = 0 }
        /^#/ { next }
        !head { for (i = 1; i <= NF; i++) c[$i] = i; head = 1; next }
        {
            if (!($1 in seen)) { order[++n] = $1; seen[$1] = 1 }
            v[file, $1] = $c[want]
        }
        function number(a) { return (a == "n/a" ? a : sprintf("%.2f", a)) }
        function row(name, a, b) { print name, number(a), number(b), (a == "n/a" || b == "n/a" ? "n/a" : sprintf("%+.2f", b - a)) }
        END {
            print "# counted: " want
            print "stage", "baseline", "candidate", "difference"
            for (i = 1; i <= n; i++) {
                a = v[1, order[i]]
                b = v[2, order[i]]
                row(order[i], a, b)
                if (a == "n/a" || b == "n/a") continue
                sum[1] += a
                sum[2] += b
            }
            row("sum", sum[1], sum[2])
        }' "$BASE_RUN/stages.tsv" "$CAND_RUN/stages.tsv"
}

# in_us base|cand RUN: its stacks in microseconds, so that runs sampled at different rates compare; rounding is carried on, and
# the sum is right. Others keep their weights.
in_us() {
    local interval=${FACT[$1.sample_interval_s]}
    if [[ ${FACT[base.sample_interval_s]} == n/a || ${FACT[cand.sample_interval_s]} == n/a ]]; then interval=0.000001; fi
    awk -v us="$interval" '/^#/ { next } {
        n = $NF
        sub(/ [^ ]*$/, "")
        sum += n * us * 1e6
        whole = int(sum + 0.5) - done
        if (whole > 0) { printf "%s %.0f\n", $0, whole; done += whole }
    }' "$2/profile.folded"
}

# compare_pictures: lines are taken off the frames, since the same work in two runs is rarely sampled at the same line.
compare_pictures() {
    local unit=us title subtitle
    if [[ ${FACT[base.sample_interval_s]} == n/a && ${FACT[base.target]} == profile-pyspy ]]; then unit=samples; fi
    title="QDrant Loader: ${FACT[base.target]#profile-}, what changed"
    subtitle="baseline ${BASE_RUN##*/}, candidate ${CAND_RUN##*/}"
    in_us base "$BASE_RUN" >"$TMP/base.folded"
    in_us cand "$CAND_RUN" >"$TMP/cand.folded"
    stackdiff --merge-lines "$TMP/base.folded" "$TMP/cand.folded" >"$OUT/diff.folded" &&
        flamegraph --diff --title "$title" --subtitle "$subtitle" --unit "$unit" "$OUT/diff.folded" >"$OUT/diff.svg" ||
        tool_failed flamegraph-failed "diff.svg was not made ($OUT/render.log)"
    # Exit 1: nothing has vanished; the picture says so.
    flamegraph --diff --vanished --title "$title: what vanished" --subtitle "stacks of the baseline that the candidate lacks; $subtitle" \
        --unit "$unit" "$OUT/diff.folded" >"$OUT/vanished.svg" || (($? == 1)) ||
        tool_failed flamegraph-failed "vanished.svg was not made ($OUT/render.log)"
} 2>>"$OUT/render.log"

# above KEY: is the candidate's figure more than THRESHOLD per cent above the baseline's?
above() {
    awk -v a="${FACT[base.$1]}" -v b="${FACT[cand.$1]}" -v t="$THRESHOLD" 'BEGIN { exit !(a != "n/a" && b != "n/a" && a > 0 && b > a * (1 + t / 100)) }'
}

# compare_verdict: WORSE, UNFIT, and VERDICT in words.
compare_verdict() {
    local worse=() busy=() key run
    WORSE=0
    UNFIT=$(compare_unfit)
    if [[ -n $UNFIT ]]; then
        VERDICT="Not judged: $UNFIT."
        note compare-unfit "not judged: $UNFIT. Compare two runs that went through"
        return 0
    fi
    for run in base cand; do
        key=${FACT[$run.busy_pct]}
        if [[ $key != n/a ]] && ((key > BUSY_PCT)); then
            busy+=("$([[ $run == base ]] && printf 'the baseline' || printf 'the candidate') waited ${FACT[$run.run_queue_s]} s for a CPU and had one for ${FACT[$run.cpu_s]} s")
        fi
    done
    for key in cpu_s peak_rss_mib; do
        if above "$key"; then worse+=("$key"); fi
    done
    VERDICT=
    if ((${#busy[@]})); then
        VERDICT="The machine was busy (${busy[*]}): wall times and chunks/s are worthless here, compare CPU. "
    elif [[ ${FACT[base.busy_pct]} == n/a || ${FACT[cand.busy_pct]} == n/a ]]; then
        VERDICT="How busy the machine was is n/a: wall times are not judged. "
    elif above wall_s; then
        worse+=(wall_s)
    fi
    if ((${#worse[@]})); then
        WORSE=1
        VERDICT+="Worse: ${worse[*]} of the candidate more than $THRESHOLD % above the baseline's."
    else
        VERDICT+="Not worse: nothing that can be judged is more than $THRESHOLD % above the baseline's."
    fi
}

# largest_changes: the functions whose own time changed most.
largest_changes() {
    awk '/^#/ { next } {
        b = $NF; a = $(NF - 1)
        sub(/ [^ ]* [^ ]*$/, "")
        n = split($0, f, ";")
        # A state belongs to who waits in it.
        name = f[n]
        if (name ~ /^\[/ && n > 1) name = f[n - 1] " " name
        before[name] += a
        after[name] += b
    } END { for (k in before) { d = after[k] - before[k]; printf "%.0f\t%.3f\t%.3f\t%+.3f\t%s\n", (d < 0 ? -d : d), before[k] / 1e6, after[k] / 1e6, d / 1e6, k } }' "$OUT/diff.folded" |
        sort -rn | awk 'NR <= 10' | cut -f 2- | { printf 'baseline\tcandidate\tdifference\tfunction (own seconds)\n' && cat; } | column -t -s $'\t'
}

compare_summary() {
    printf '# compare: %s\n\n**%s**\n\nBaseline %s\nCandidate %s\n' "${FACT[base.target]}" "$VERDICT" "$BASE_RUN" "$CAND_RUN"
    printf '\n## Figures\n\n```\n'
    column -t -s $'\t' "$OUT/compare.tsv"
    printf '```\n\n## Stages, in seconds'
    sed -n 's/^# counted: \(.*\)_s$/ (\1)/p; s/^# counted: share_pct/ (shares, %)/p' "$OUT/stages.tsv" | tr -d '\n'
    printf '\n\n```\n'
    grep -v '^#' "$OUT/stages.tsv" | column -t -s $'\t'
    printf '```\n\n## The ten largest changes\n\n```\n'
    largest_changes
    printf '```\n'
}
