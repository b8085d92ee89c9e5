# SPDX-License-Identifier: MIT
# What a run of the loader has done, by its own log and by the stand-in: counts, its last words, how it ended.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

# loader_log: the text of this run of the loader so far, without colours: what it printed when it was launched here, else
# its own log from the last start on.
loader_log() {
    if [[ -z $PID ]]; then
        sed 's/\x1b\[[0-9;]*m//g' "$RUN/log/loader.log" 2>/dev/null || :
    else
        tac "$WORKSPACE_DIR/logs/ingest.log" 2>/dev/null | awk '{ print } /AsyncIngestionPipeline initialized/ { exit }' | tac || :
    fi
}

# chunks_done: so far: the points the Qdrant stand-in's engine holds, else the loader's last word on it, else n/a.
chunks_done() {
    local counts=
    if [[ -s $RUN/raw/qdrant.counts.json ]]; then
        # Without jq, since it is asked for each second.
        { IFS= read -rd '' counts <"$RUN/raw/qdrant.counts.json"; } 2>/dev/null || :
        if [[ $counts =~ \"points\":\ *([0-9]+) ]]; then printf '%s\n' "${BASH_REMATCH[1]}"; else printf 'n/a\n'; fi
    else
        # What a batch of documents has embedded so far begins anew with each batch.
        loader_log | awk '
            /items in batch, [0-9]+ total processed/ { sub(/.*items in batch, /, ""); now = $1 + 0; seen = 1 }
            /Batch processing completed: [0-9]+ chunks/ { sub(/.*completed: /, ""); n += $1; now = 0; seen = 1 }
            END { print (seen ? n + now : "n/a") }'
    fi
}

# loader_log_counts: documents, chunks and failed chunks that it has told so far, n/a each where it has not.
loader_log_counts() {
    loader_log | awk '
        /Completed processing all projects: [0-9]+ total documents/ { sub(/.*all projects: /, ""); d = $1 + 0 }
        /Batch processing completed: [0-9]+ chunks, [0-9]+ errors/ {
            sub(/.*completed: /, ""); c += $1; f += $3; seen = 1 }
        END { print (d == "" ? "n/a" : d), (seen ? c : "n/a"), (seen ? f : "n/a") }'
}

# target_counts: documents, chunks and failed chunks by the loader's own log, and points by the stand-in's engine.
target_counts() {
    local counts documents chunks failed points=n/a
    capture counts loader_log_counts
    read -r documents chunks failed <<<"$counts"
    standins_end
    [[ ! -s $RUN/raw/qdrant.counts.json ]] || capture points jq -r '.points // "n/a"' "$RUN/raw/qdrant.counts.json"
    # One that was ended, or goes on, has not said how many in all.
    [[ $chunks != n/a ]] || capture chunks chunks_done
    CHUNKS=$chunks
    CHUNKS_FAILED=$failed
    run_set documents "$documents" chunks "$chunks" chunks_failed "$failed" qdrant_points "$points"
}

# loader_last_words: the last thing it said, for a message.
loader_last_words() {
    # Of a panel, which it draws for errors of its configuration, the headline; else its last error, behind which it tidies up.
    loader_log | awk '
        /^╭/ { panel = 1; next }
        /^╰/ || /^[[:space:]]*$/ { next }
        /^│/ { gsub(/^│ *| *│$/, ""); if (panel && $0 != "") { words = $0; panel = 0; error = "" }; next }
        /\[(error|critical) *\]|^([A-Za-z_.]*(Error|Exception)): / { error = $0 }
        { words = $0 }
        END { print substr(error != "" ? error : words, 1, 200) }'
}

# target_end_words: how it ended, or what ended it with procrun. SIGKILL that nobody here sent is what the kernel's OOM killer does.
target_end_words() {
    printf 'exit status %s' "$LOADER_STATUS"
    [[ -z $LOADER_SIGNAL ]] || printf ', signal %s' "$LOADER_SIGNAL"
    if [[ $(procrun_fact error) != n/a ]]; then
        printf ': %s' "$(procrun_fact error)"
    elif ((LOADER_STATUS == 137)); then
        printf ': killed, perhaps out of memory (see dmesg)'
        [[ ! -s $RUN/samples.tsv ]] || printf '; its RSS was %s MiB at most, see samples.tsv' "$(mib "$(samples_max peak_rss_kib)")"
    fi
}
