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
    equal "$(seconds "{$run, cpu_s: 3604, sampled_cpu_s: 4, startup_cpu_s: \"n/a\", startup_wall_s: \"n/a\"}")" 'startup 0.00 chunk 3.00 embed 1.00 '
    # Launched, and sampled for DURATION: what came after it belongs to nobody.
    equal "$(seconds "{$run, cpu_s: 20, sampled_cpu_s: 4, startup_cpu_s: 5, startup_wall_s: 6}")" 'startup 5.00 chunk 3.00 embed 1.00 '
    # A folder of before there was this figure.
    equal "$(seconds "{$run, cpu_s: 9, startup_cpu_s: 5, startup_wall_s: 6}")" 'startup 5.00 chunk 3.00 embed 1.00 '
}
