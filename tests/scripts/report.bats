#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What the tables of a report are made of.
load ../lib/common

setup() {
    export RUN=$BATS_TEST_TMPDIR/run
    mkdir -p "$RUN/raw" "$RUN/log"
    printf '%s\n' 'main (a.py:1);ChunkingService.chunk_document (qdrant_loader/core/chunking/chunking_service.py:9) 30' \
        'main (a.py:1);EmbeddingService._process_batch (qdrant_loader/core/embedding/embedding_service.py:9) 10' >"$RUN/profile.folded"
}

# seconds MANIFEST: what chunk, embed and startup of a run of this manifest have in cpu_s.
seconds() {
    jq -n "$1" >"$RUN/run.json"
    bash -c '
        . "$ROOT/scripts/lib/common.sh"
        for part in run report; do . "$ROOT/scripts/lib/$part.sh"; done
        stages_table samples'
    awk -F '\t' '$1 ~ /^(chunk|embed|startup)$/ { printf "%s %s ", $1, $3 }' "$RUN/stages.tsv"
}

@test "stages get the CPU of the time in which they were sampled, and nothing of before or after" {
    local run='target: "profile-pyspy", idle: 0, sample_interval_s: 0.01'
    # Attached to after an hour of CPU, and sampled for 4 s of it.
    equal "$(seconds "{$run, attached: \"attached\", cpu_s: 3604, sampled_cpu_s: 4}")" 'startup n/a chunk 3.00 embed 1.00 '
    # Launched, and sampled for DURATION: what came after it belongs to nobody.
    equal "$(seconds "{$run, cpu_s: 20, sampled_cpu_s: 4, startup_cpu_s: 5, startup_wall_s: 6}")" 'startup 5.00 chunk 3.00 embed 1.00 '
    # A folder of before there was this figure.
    equal "$(seconds "{$run, cpu_s: 9, startup_cpu_s: 5, startup_wall_s: 6}")" 'startup 5.00 chunk 3.00 embed 1.00 '
}

# row STAGE: of stages.tsv.
row() { awk -F '\t' -v s="$1" '$1 == s' "$RUN/stages.tsv" | tr '\t' ' '; }

@test "what start-up cost a loader that was attached to late is n/a, and the other shares add to 100 %" {
    load ../lib/loader
    local run='target: "profile-pyspy", attached: "attached", sample_interval_s: 0.01, cpu_s: 3604, sampled_cpu_s: 5'
    seconds "{$run, idle: 0}"
    equal "$(row startup)" 'startup n/a n/a n/a n/a n/a 0'
    equal "$(row chunk)" 'chunk 75.0 3.75 0.30 n/a n/a 30'
    # Late imports that were sampled are not the cost of start-up, nor another stage's.
    echo 'import (<frozen importlib._bootstrap>) 10' >>"$RUN/profile.folded"
    seconds "{$run, idle: 0}"
    equal "$(row startup)" 'startup n/a n/a n/a n/a n/a 10'
    equal "$(row chunk)" 'chunk 75.0 3.00 0.30 n/a n/a 30'
    shares_add_up "$RUN"
    matches "$(<"$RUN/stages.tsv")" '^# share_of: cpu_s [^;]*, without startup, which is not known'
    # Of threads that wait too there is no CPU.
    seconds "{$run, idle: 1}"
    equal "$(row startup)" 'startup n/a n/a n/a n/a n/a 10'
    equal "$(row chunk)" 'chunk 75.0 n/a 0.30 n/a n/a 30'
    # Sampled from before the pipeline began (STARTUP=1).
    printf '1795519363306086053\tpipeline\n' >"$RUN/raw/marks.tsv"
    seconds "{$run, idle: 0}"
    equal "$(row startup)" 'startup 20.0 1.00 0.10 n/a n/a 10'
}

@test "two runs are compared in the stages that both know" {
    local run='target: "profile-pyspy", idle: 0, sample_interval_s: 0.01, cpu_s: 20, sampled_cpu_s: 4'
    seconds "{$run, attached: \"launched\", startup_cpu_s: 5, startup_wall_s: 6}"
    mkdir "$RUN/launched"
    mv "$RUN/stages.tsv" "$RUN/launched"
    seconds "{$run, attached: \"attached\"}"
    # stages BASE CAND
    stages() {
        BASE_RUN=$1 CAND_RUN=$2 bash -c '. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/compare.sh"; compare_stages' |
            grep -E '^(#|startup|chunk|sum)' | tr '\t\n' ' ;'
    }
    equal "$(stages "$RUN/launched" "$RUN")" '# counted: cpu_s;startup 5.00 n/a n/a;chunk 3.00 3.00 +0.00;sum 4.00 4.00 +0.00;'
    equal "$(stages "$RUN" "$RUN/launched")" '# counted: cpu_s;startup n/a 5.00 n/a;chunk 3.00 3.00 +0.00;sum 4.00 4.00 +0.00;'
}
