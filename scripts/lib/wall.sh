# SPDX-License-Identifier: MIT
# The wall-clock profile: pysample's flags and figures, the tables of stages and reasons, the sentence that leads the summary.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

# pysample_start PID
pysample_start() {
    local args=(--rate "$RATE" --output-dir "$RUN/raw" --summary "$RUN/raw/pysample.tsv")
    [[ -z $DURATION ]] || args+=(--duration "${DURATION}s")
    job pysample pysample "${args[@]}" "$1"
    PYSAMPLE_PID=$JOB
}

pysample_last_words() { tail -n 1 "$RUN/log/pysample.log"; }

pysample_fact() { tsv_fact pysample.tsv "$1"; }

pysample_facts() {
    capture SAMPLED_S pysample_fact elapsed_s
    (
        trap '' INT TERM HUP
        run_set samples "$(pysample_fact samples)" samples_missed "$(pysample_fact missed)" samples_torn "$(pysample_fact torn)" \
            rate_achieved_hz "$(pysample_fact rate_achieved)" proven_exact "$(pysample_fact proven_exact)" \
            unknown_wall_us "$(pysample_fact unknown_wall_us)" sampler_cpu_s "$(pysample_fact cpu_s)" idle 1
    )
}

# wall_render: the three views, drawn and counted.
wall_render() {
    local view
    # Without pysample's header lines, which other readers of collapsed stacks do not know; raw/ has them.
    for view in wall tasks threads; do
        [[ ! -s $RUN/raw/$view.folded ]] || sed '/^#/d' "$RUN/raw/$view.folded" | shorten_imports | redact_stacks >"$RUN/$view.folded"
    done
    if [[ -s $RUN/wall.folded ]]; then
        mv "$RUN/wall.folded" "$RUN/profile.folded"
    elif [[ ! -s $RUN/profile.folded ]]; then
        # Of a run folder without raw/, what was made of it is what there is.
        tool_failed no-samples "no moment was sampled: $(pysample_last_words)"
        : >"$RUN/profile.folded"
    fi
    wall_picture profile.folded profile.svg "wall time" "$(report_subtitle)"
    [[ ! -s $RUN/tasks.folded ]] || wall_picture tasks.folded tasks.svg "task-seconds" "every task, also those that nothing awaits; does not add up to wall time"
    [[ ! -s $RUN/threads.folded ]] || wall_picture threads.folded threads.svg "thread-seconds" "every thread; does not add up to wall time"
    wall_stages || tool_failed stages-failed "no stages.tsv (log/render.log)"
    few_samples
    long_gap
    timeline "QDrant Loader: $(run_get target)" || TOOL_FAILED=1
}

# long_gap: says so where nobody looked for so long that it can be seen in the picture.
long_gap() {
    local gap
    gap=$(pysample_fact longest_gap_s)
    if awk -v gap="$gap" -v rate="$(run_get rate_asked_hz)" 'BEGIN { exit !(gap != "n/a" && gap > 0.5 && rate > 0 && gap > 5 / rate) }'; then
        note long-gap "for $(ratio "$gap" 1) s no sample could be taken (the machine or pysample was held up): half of that time is given to what was seen before, half to what was seen after"
    fi
}

# wall_picture FOLDED SVG WHAT SUBTITLE
wall_picture() {
    flamegraph --title "QDrant Loader: $3" --subtitle "$4" --unit us --colors stages --stages "$ROOT/scripts/stages.map" \
        "$RUN/$1" >"$RUN/$2" 2>>"$RUN/log/render.log" || tool_failed flamegraph-failed "$2 shows nothing or was not made (log/render.log)"
}

# wall_stages: stages.tsv (wall, running and waiting per stage; CPU by the threads' view) and waits.tsv (wall per reason).
wall_stages() {
    local map=$ROOT/scripts/stages.map
    {
        stackstages --stages "$map" --unit us --by-wait "$RUN/profile.folded" >"$RUN/raw/stages.wall.tsv" &&
            stackstages --stages "$ROOT/scripts/waits.map" --unit us "$RUN/profile.folded" >"$RUN/raw/waits.us.tsv"
    } 2>>"$RUN/log/render.log" || return 1
    awk -F '\t' -v OFS='\t' '!/^#/ && $1 != "stage" { sum += $2; n++; name[n] = $1; us[n] = $2 }
        END { print "reason", "share_pct", "wall_s"
              for (i = 1; i <= n; i++) print name[i], sprintf("%.1f", sum ? 100 * us[i] / sum : 0), sprintf("%.3f", us[i] / 1e6) }' \
        "$RUN/raw/waits.us.tsv" >"$RUN/waits.tsv"
    # By column name: stage, us, share, then running and waiting.
    awk -F '\t' -v OFS='\t' '
        /^#/ { next }
        !head++ { for (i = 1; i <= NF; i++) c[$i] = i; print "# share_of: wall_s"; print "stage", "share_pct", "wall_s", "running_s", "wait_s"; next }
        { print $c["stage"], $c["share_pct"], sprintf("%.3f", $c["us"] / 1e6), sprintf("%.3f", $c["running_us"] / 1e6), sprintf("%.3f", $c["waiting_us"] / 1e6) }
        ' "$RUN/raw/stages.wall.tsv" >"$RUN/stages.tsv"
}

# wall_lead: the sentence that says it: the largest wait, or what ran longest where no wait is larger, by the loader's own
# innermost function. Imports, and waiting for a CPU whoever waits, are not the loader's to change and have their row in the
# tables: they lead where no function of the loader has a tenth.
wall_lead() {
    grep -v '^#' "$RUN/profile.folded" | awk -v of="$([[ $(run_get attached) == attached ]] && echo sampled || echo wall)" '
        function add(key, weight, leaf) {
            sum[key] += weight
            if (leaf ~ /^\[/ && weight > most[key]) { most[key] = weight; how[key] = leaf }
        }
        {
            weight = $NF
            total += weight
            sub(/ [0-9.]+$/, "")
            n = split($0, f, ";")
            leaf = f[n]
            own = ""
            imports = 0
            for (i = n; i >= 1 && own == "" && !imports; i--) {
                imports = f[i] ~ /\(<frozen importlib\./
                if (f[i] ~ /\(qdrant_loader/ && f[i] !~ /^<module>/) own = f[i]
            }
            sub(/ \(.*/, "", own)
            if (leaf == "[runnable]") other["waiting for a CPU"] += weight
            else if (imports) other["importing modules"] += weight
            else if (own != "") add((leaf == "[running]" ? "running" : "waiting") " in " own, weight, leaf)
        }
        END {
            for (k in sum) if (sum[k] > best) { best = sum[k]; key = k }
            if (10 * best < total) for (k in other) if (other[k] > best) { best = other[k]; key = k }
            if (!total || key == "") { print "No function of the loader was seen."; exit }
            detail = how[key]
            gsub(/^\[|\]$/, "", detail)
            if (match(detail, /[0-9]s$/)) detail = substr(detail, 1, RSTART) " s"
            printf "%.0f %% of %.1f s %s: %s%s\n", 100 * best / total, total / 1e6, of, key,
                (detail == "" || detail == "running" ? "" : " (" detail ")")
        }'
}

# wall_knobs: the settings that change what was found, each with the figure that it rests on.
wall_knobs() {
    awk -F '\t' '
        FNR == NR { if ($1 != "reason" && !/^#/) { pct[$1] = $2; s[$1] = $3 }; next }
        /^#/ { next }
        ($1 in pct) && pct[$1] + 0 >= $2 + 0 { printf "* `%s`: %s. Evidence: %s is %.1f s, %.1f %% of the wall time.\n", $3, $4, $1, s[$1], pct[$1]; n++ }
        END { if (!n) print "* None: no reason passes its threshold (scripts/knobs.tsv)." }' "$RUN/waits.tsv" "$ROOT/scripts/knobs.tsv"
}
