#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is made of the wall view's stacks: reasons, the sentence that leads, knobs.
load ../lib/common

setup() {
    export RUN=$BATS_TEST_TMPDIR/run
    mkdir -p "$RUN/raw" "$RUN/log"
    MAIN='_run_module_as_main (<frozen runpy>:198);<module> (qdrant_loader/cli/cli.py:14)'
    IMPORT='import (<frozen importlib._bootstrap>)'
    WORK='_run_module_as_main (<frozen runpy>:198);<module> (qdrant_loader/cli/cli.py:522);ingest (qdrant_loader/cli/commands/ingest_cmd.py:9)'
}

# made LINE…: what wall_stages and wall_lead say of these stacks.
made() {
    printf '%s\n' "$@" >"$RUN/profile.folded"
    run -0 --separate-stderr bash -c '
        . "$ROOT/scripts/lib/common.sh"
        for part in env run tools target flow report wall; do . "$ROOT/scripts/lib/$part.sh"; done
        wall_stages && wall_lead && wall_knobs'
}

@test "a library that is being imported does none of its work: no advice about requests" {
    made "$MAIN;$IMPORT;<module> (qdrant_client/__init__.py:1);$IMPORT;<module> (httpx/_models.py:34);$IMPORT;[io: read] 800000" \
        "$MAIN;$IMPORT;<module> (openai/__init__.py:5);[io: openat] 100000" "$WORK;select (selectors.py:468);[io: epoll_wait] 90000"
    equal "$(awk -F '\t' '$3 > 0 { print $1, $3 }' "$RUN/waits.tsv" | tail -n +2)" $'imports 0.900\nwaiting 0.090'
    equal "${lines[0]}" '91 % of 1.0 s wall: importing modules'
    equal "${lines[1]}" '* None: no reason passes its threshold (scripts/knobs.tsv).'
}

@test "the sentence names what is largest, also where no function of the loader is" {
    made "$MAIN;$IMPORT;[runnable] 3000000" "$WORK;[runnable] 3000000" "$WORK;settings (qdrant_loader/config/__init__.py:3);[running] 100000"
    equal "${lines[0]}" '98 % of 6.1 s wall: waiting for a CPU'
    made "$WORK;EmbeddingService._apply_rate_limit (qdrant_loader/core/embedding/embedding_service.py:91);sleep (asyncio/tasks.py:665);[sleep 0.5s] 700000" \
        "$WORK;[runnable] 300000"
    equal "${lines[0]}" '70 % of 1.0 s wall: waiting in EmbeddingService._apply_rate_limit (sleep 0.5 s)'
    made "$WORK;settings (qdrant_loader/config/__init__.py:3);[running] 200000" "$WORK;[runnable] 800000"
    equal "${lines[0]}" "20 % of 1.0 s wall: running in settings"
    # Of a loader that ran already, not all of its wall time.
    printf '{"attached": "attached"}' >"$RUN/run.json"
    made "$WORK;settings (qdrant_loader/config/__init__.py:3);[running] 200000" "$WORK;[runnable] 800000"
    equal "${lines[0]}" "20 % of 1.0 s sampled: running in settings"
    rm "$RUN/run.json"
    made "$WORK;f (x.py:1) 1"
    matches "${lines[0]}" 'ingest'
    made "f (x.py:1) 1"
    equal "${lines[0]}" 'No function of the loader was seen.'
}

# subtitle TARGET EXACT: what stands under the picture of such a run.
subtitle() {
    jq -n --arg target "$1" --arg exact "$2" '{target: $target, samples: 810, rate_achieved_hz: 99.9, rate_asked_hz: 100, samples_missed: 1,
        samples_torn: 2, proven_exact: ($exact | tonumber? // "n/a"), sampled_s: 8.1}' >"$RUN/run.json"
    run -0 --separate-stderr bash -c '. "$ROOT/scripts/lib/common.sh"; for part in env run tools report; do . "$ROOT/scripts/lib/$part.sh"; done; report_subtitle'
}

@test "the samples are stated with those torn and the share proven exact, in a profile of awaits" {
    subtitle profile-wall 0.8765
    equal "$output" '810 samples at 99.9 of 100 Hz, 1 missed, 2 torn, 87.65 % proven exact; 8.1 s'
    subtitle profile-wall n/a
    equal "$output" '810 samples at 99.9 of 100 Hz, 1 missed, 2 torn, n/a proven exact; 8.1 s'
    subtitle profile-other 0.8765
    equal "$output" '810 samples at 99.9 of 100 Hz, 1 missed; 8.1 s'
}

@test "the seconds of a loader that ran already are not called the wall time of the profile" {
    jq -n '{target: "profile-wall", attached: "attached", wall_s: 32.3, cpu_s: 8}' >"$RUN/run.json"
    run -0 --separate-stderr bash -c '. "$ROOT/scripts/lib/common.sh"; for part in env run tools flow report wall; do . "$ROOT/scripts/lib/$part.sh"; done; report_write'
    matches "$(<"$RUN/summary.md")" "Since the loader's start: wall 32\.3 s, CPU 8 s \(25 % of one core\)"
}
