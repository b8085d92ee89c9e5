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

# cprofile_of TEXT: a file as cProfile writes it: of these functions, (primitive, calls, own, cumulative, callers). RE, CHUNK and
# STATE are a library's function, and functions that decide for a stage.
cprofile_of() {
    python3 -c '
import marshal, sys
lib = "/env/lib/python3.12/"
MAIN, RE, LEN = ("/app/main.py", 1, "main"), (lib + "re/__init__.py", 7, "split"), ("~", 0, "<built-in method builtins.len>")
CHUNK = (lib + "site-packages/qdrant_loader/core/chunking/chunking_service.py", 9, "chunk_document")
STATE = (lib + "site-packages/sqlalchemy/engine/base.py", 5, "execute")
START = ("~", 0, "<built-in method _thread.start_new_thread>")
sys.stdout.buffer.write(marshal.dumps(eval(sys.argv[1])))' "$1" >"$BATS_TEST_TMPDIR/profile.out"
}

@test "what is too small to be followed to its callers keeps their stages, by their shares of the calls" {
    # A hundred thousandth of the whole, in len: from split, which is called by chunking, by the database and by others.
    cprofile_of '{MAIN: (1, 1, 100.0, 100.1, {}),
        CHUNK: (6, 6, 0.0, 0.1, {MAIN: (6, 6, 0.0, 0.1)}),
        STATE: (2, 2, 0.0, 0.1, {MAIN: (2, 2, 0.0, 0.1)}),
        RE: (10, 10, 0.0, 0.1, {CHUNK: (6, 6, 0.0, 0.1), STATE: (2, 2, 0.0, 0.1), MAIN: (2, 2, 0.0, 0.1)}),
        LEN: (99, 99, 0.006, 0.006, {RE: (50, 50, 0.005, 0.005), CHUNK: (49, 49, 0.001, 0.001)})}'
    run -0 python3 "$ROOT/scripts/lib/cprofile.py" collapse "$BATS_TEST_TMPDIR/profile.out" "$ROOT/scripts/stages.map"
    equal "$(awk '{ sum += $NF } END { print sum }' <<<"$output")" 100006000
    run -0 stackstages --stages "$ROOT/scripts/stages.map" <(printf '%s\n' "$output")
    matches "$output" $'\nchunk\t4000\t'
    matches "$output" $'\nstate\t1000\t'
    # What nobody knows is other, and waits for nothing.
    matches "$output" $'\nwaiting\t0\t0.0\nother\t100001000\t'
}

@test "each stage has a line for what is not followed" {
    local stage stages
    read -ra stages < <(sed -n 's/^# stages: //p' "$ROOT/scripts/stages.map")
    for stage in "${stages[@]}"; do
        run -0 stackstages --stages "$ROOT/scripts/stages.map" <(echo "(not followed: $stage);f (a.py:1) 1")
        matches "$output" "$stage"$'\t1\t100.0'
    done
}

@test "of a profile whose call counts cannot be it is said how many" {
    cprofile_of '{MAIN: (1, 1, 1.0, 1.0, {}), START: (1, 1, 0.0, 0.0, {MAIN: (1, 1, 0.0, 0.0)}), RE: (0, 3, 0.0, 0.0, {MAIN: (0, 3, 0.0, 0.0)})}'
    run -1 python3 "$ROOT/scripts/lib/cprofile.py" check "$BATS_TEST_TMPDIR/profile.out"
    matches "$output" $'odd_call_counts\t1'
    run -0 python3 "$ROOT/scripts/lib/cprofile.py" trust "$BATS_TEST_TMPDIR/profile.out"
    matches "$output" '\. 1 functions have counts that cannot be'
}
