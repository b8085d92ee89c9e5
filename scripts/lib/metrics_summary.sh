# SPDX-License-Identifier: MIT
# The summary of `make metrics`, of the run folder alone: counts.tsv and summary.md out of metrics.prom and run.json. With
# metrics.sh the only code that knows the names of the exporter's series.
# shellcheck shell=bash

# series_sum NAME [LABELS]: the sum of these series in metrics.prom, or n/a.
series_sum() {
    awk -v name="$1" -v labels="${2-}" '
        index($1, name) == 1 && substr($1, length(name) + 1) ~ /^(\{|$)/ && (labels == "" || index($1, labels)) { sum += $NF; n++ }
        END { if (n) printf "%.10g\n", sum; else print "n/a" }' "$RUN/metrics.prom" 2>/dev/null || printf 'n/a\n'
}

# metrics_counts: counts.tsv, a row per stage.
metrics_counts() {
    awk -v OFS='\t' '
        function label(name) { return match($1, name "=\"[^\"]*\"") ? substr($1, RSTART + length(name) + 2, RLENGTH - length(name) - 3) : "" }
        function take(array) { array[label("stage")] += $NF }
        /^qdrant_loader_stage_calls_total\{/ { if (!(label("stage") in calls)) order[++n] = label("stage"); take(calls) }
        /^qdrant_loader_stage_successes_total\{/ { take(successes) }
        /^qdrant_loader_stage_errors_total\{/ { take(errors) }
        /^qdrant_loader_stage_items_total\{/ { take(items) }
        /^qdrant_loader_stage_duration_seconds_sum\{/ { take(seconds) }
        /^qdrant_loader_requests_total\{/ { take(requests) }
        /^qdrant_loader_request_duration_seconds_sum\{/ { take(request_s) }
        END {
            print "stage", "calls", "successes", "errors", "items", "call_s", "requests", "request_s"
            for (i = 1; i <= n; i++) {
                s = order[i]
                print s, calls[s] + 0, successes[s] + 0, errors[s] + 0, items[s] + 0, sprintf("%.3f", seconds[s]), requests[s] + 0, sprintf("%.3f", request_s[s])
            }
        }' "$RUN/metrics.prom" >"$RUN/counts.tsv"
}

# metrics_summary: summary.md.
metrics_summary() {
    local errors
    {
        printf '# metrics\n\n'
        printf 'Wall %s s, CPU %s s; %s documents, %s chunks, %s failed' "$(run_get wall_s)" "$(run_get cpu_s)" "$(run_get documents)" \
            "$(run_get chunks)" "$(run_get chunks_failed)"
        [[ $(run_get counted_by) != shim ]] || printf ', as counted inside the loader until it ended'
        [[ $(run_get qdrant_points) == n/a ]] || printf '; Qdrant holds %s points' "$(run_get qdrant_points)"
        printf '.\n'
        run_cut_short
        printf 'Loader exit status %s. Peak RSS %s MiB.\n' "$(run_get loader_exit_status)" \
            "$(series_sum qdrant_loader_process_resident_memory_peak_bytes | awk '{ print ($1 == "n/a" ? $1 : int($1 / 1048576)) }')"
        if [[ -s $RUN/metrics.prom ]]; then
            metrics_counts
            if (($(wc -l <"$RUN/counts.tsv") > 1)); then
                printf '\n## Per stage, as counted inside the loader\n\n```\n'
                column -t -s $'\t' "$RUN/counts.tsv"
                printf '```\n\n'
                printf '* Chunks upserted: %s. Documents succeeded: %s.\n' "$(series_sum qdrant_loader_chunks_total 'state="upserted"')" \
                    "$(series_sum qdrant_loader_documents_total 'state="succeeded"')"
                printf '* Backlog peak: %s chunks waited to be embedded, %s to be upserted.\n' \
                    "$(series_sum qdrant_loader_backlog_chunks_peak 'between="chunk_embed"')" "$(series_sum qdrant_loader_backlog_chunks_peak 'between="embed_upsert"')"
                printf '* Rate limit: %s s waited, summed over requests; %s s of wall time with nothing else to do.\n' \
                    "$(ratio "$(series_sum qdrant_loader_rate_limit_wait_seconds_total)" 1)" "$(ratio "$(series_sum qdrant_loader_rate_limit_idle_seconds_total)" 1)"
                errors=$(sed -nE 's/^qdrant_loader_stage_errors_total\{(.*)\} (.*)$/    \2 \1/p' "$RUN/metrics.prom")
                if [[ -n $errors ]]; then printf '* Errors by stage and type:\n\n%s\n' "$errors"; fi
            else
                printf '\nWhat the loader did by stage was not counted: that needs scripts/shim in it from the start (make metrics without PID).\n'
            fi
        fi
        printf '\n## Where the values are\n\n'
        printf '* `metrics.prom`: the last values, in the text format%s.\n' "$([[ -s $RUN/metrics.prom ]] || printf ' (not written: the exporter was killed before the end)')"
        printf '* Served at %s; announced in %s while it was, as run="%s".\n' "$(run_get metrics_url)" "$(run_get metrics_file_sd)" "$(run_get metrics_run)"
        case $(run_get metrics_scraped) in
            yes) printf '* The last values were scraped twice after the end.\n' ;;
            no) printf '* The last values were not scraped twice before LINGER was over: no Prometheus has seen the exact totals.\n' ;;
            stopped) printf '* The run was stopped, so that nobody was waited for to scrape the last values.\n' ;;
            'wait ended') printf '* The wait was ended before the last values were scraped twice.\n' ;;
            *) printf '* Whether the last values were scraped twice is n/a.\n' ;;
        esac
        [[ $(run_get metrics_textfile) == n/a ]] || printf '* For the textfile collector: %s\n' "$(run_get metrics_textfile)"
        [[ $(run_get metrics_pushed) == n/a ]] || printf '* Pushed to %s\n' "$(run_get metrics_pushed)"
        if [[ -s $RUN/raw/notes.md ]]; then
            printf '\n## Notes\n\n'
            cat "$RUN/raw/notes.md"
        fi
    } >"$RUN/summary.md.new" && mv "$RUN/summary.md.new" "$RUN/summary.md"
}
