#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The shim in the real loader: what it counts is what the stand-ins counted.
load ../lib/common
load ../lib/standin

FILES=${E2E_FILES:-100}

setup() {
    # In memory where there is room: the loader's state database syncs to disk for every chunk.
    DIR=$(mktemp -d "$([[ -w /dev/shm ]] && echo /dev/shm || echo "$BATS_TEST_TMPDIR")/shim.XXXXXX")
    mkdir -m 700 "$DIR/mp"
    LOADER=
}

teardown() {
    if [[ -n $LOADER ]]; then kill -KILL "$LOADER" 2>/dev/null || :; fi
    end_started
    rm -rf "$DIR"
}

# launch INTERVAL [ARGUMENT…]: stand-ins, a workspace, and the loader under the shim: LOADER. The arguments are the
# embedding stand-in's; QDRANT_FAULT is the other one's.
launch() {
    local interval=$1
    shift
    start qdrant ${QDRANT_FAULT:+--fault "$QDRANT_FAULT"}
    QDRANT=$URL
    start embeddings "$@"
    EMBEDDINGS=$URL
    "$TOOLS_ENV_PYTHON" "$STANDIN/corpus.py" --files "$FILES" --loader-python "$LOADER_ENV_PYTHON" "$DIR/corpus" >/dev/null
    "$TOOLS_ENV_PYTHON" "$STANDIN/workspace.py" "$DIR/ws" --corpus "$DIR/corpus" --qdrant-url "$QDRANT" \
        --embeddings-url "$EMBEDDINGS" --min-request-interval "$interval"
    cd "$DIR/ws" || return
    PYTHONPATH=$ROOT/scripts/shim PROMETHEUS_MULTIPROC_DIR=$DIR/mp PYTHONDONTWRITEBYTECODE=1 \
        "$LOADER_ENV_PYTHON" -m qdrant_loader.cli.cli ingest --workspace "$DIR/ws" --force >"$DIR/out" 2>"$DIR/err" 3>&- &
    LOADER=$!
}

# ended STATUS: waits for the loader's end.
ended() {
    local status=0
    wait "$LOADER" || status=$?
    LOADER=
    equal "$status" "$1" "exit status of the loader ($(tail -n 3 "$DIR/err"))"
}

value() {
    PROMETHEUS_MULTIPROC_DIR=$DIR/mp "$LOADER_ENV_PYTHON" "$ROOT/tests/lib/multiprocess.py" "$@"
}

of() {
    curl -sf "$1/_standin/counts" | jq -r "$2"
}

positive() {
    value "$1" 2>/dev/null | awk '{ exit !($1 + 0 > 0) }'
}

@test "documents, chunks, points and requests are the ones that the stand-ins counted, and the backlog is empty at the end" {
    launch 0.2
    # While it runs chunks wait to be embedded, and the loader's own gauge says so too.
    until_true 300 positive 'qdrant_loader_backlog_chunks{between="chunk_embed"}'
    until_true 300 positive "qdrant_chunk_queue_size{pid=\"$LOADER\"}"
    ended 0
    run -1 grep -h 'qdrant-loader shim' "$DIR/err" "$DIR/out"
    local chunks
    chunks=$(value 'qdrant_loader_chunks_total{state="chunked"}')
    ((chunks > FILES * 6)) || fail "only $chunks chunks"
    equal "$(value 'qdrant_loader_documents_total{state="'{fetched,chunked,succeeded}'"}' | sort -u)" "$FILES" documents
    equal "$(value 'qdrant_loader_documents_total{state="'{chunk_failed,failed}'"}' | sort -u)" 0 'failed documents'
    equal "$(value 'qdrant_loader_chunks_total{state="'{embedded,upserted}'"}' | sort -u)" "$chunks" chunks
    equal "$(value 'qdrant_loader_stage_items_total{stage="'{chunk,embed,upsert}'"}' | sort -u)" "$chunks" items
    equal "$(of "$QDRANT" .points)" "$chunks" 'points in the engine'
    equal "$(of "$EMBEDDINGS" .texts)" "$chunks" 'texts embedded'
    equal "$(value 'qdrant_loader_requests_total{stage="embed",status="200"}')" "$(of "$EMBEDDINGS" .requests)" 'embedding requests'
    equal "$(value 'qdrant_loader_requests_total{stage="upsert",status="200"}')" "$(of "$QDRANT" '.by_route["PUT /collections/{c}/points"]')" upserts
    equal "$(value 'qdrant_loader_requests_total{stage="other",status="200"}')" \
        "$(of "$QDRANT" '.requests - .by_route["PUT /collections/{c}/points"]')" 'other requests'
    # Bytes of text: those of the files, read as the loader reads them.
    equal "$(value 'qdrant_loader_stage_bytes_total{stage="fetch"}')" \
        "$("$LOADER_ENV_PYTHON" -c 'import sys, pathlib; print(sum(len(p.read_text("utf-8").encode()) for p in pathlib.Path(sys.argv[1]).rglob("*") if p.is_file()))' "$DIR/corpus" |
            awk '{ printf "%g\n", $1 }')" bytes
    # Nothing is under way any more, and nothing failed, in the loader or in the shim.
    equal "$(value 'qdrant_loader_'{'backlog_chunks{between="chunk_embed"}','backlog_chunks{between="embed_upsert"}','backlog_documents{waiting_for="batch"}','backlog_documents{waiting_for="chunk_thread"}',rate_limit_waiting,'stage_in_flight{stage="'{fetch,chunk,embed,upsert,state}'"}'} | sort -u)" 0
    run -1 grep -E '^qdrant_loader_(stage|shim)_errors_total' <(value)
    equal "$(value 'qdrant_loader_shim_hooks{state="missing"}')" 0
    # The rate limit is most of the wall time of this run, and known as such.
    run -0 value qdrant_loader_rate_limit_wait_seconds_total qdrant_loader_rate_limit_idle_seconds_total 'qdrant_loader_stage_duration_seconds_sum{stage="embed"}'
    awk -v wait="${lines[0]}" -v idle="${lines[1]}" -v embed="${lines[2]}" 'BEGIN { exit !(wait > 8 && wait < embed && idle > 1 && idle < wait / 2) }' ||
        fail "rate limit: $output"
}

@test "429 from the embedding service: each failed batch is an error, and each of its retries a request" {
    launch 0 --fault '{"route": "embeddings", "status": 429, "after": 20}' --latency-ms 5
    ended 1
    run -0 value 'qdrant_loader_chunks_total{state="'{chunked,embedded,embed_failed,upserted}'"}' 'qdrant_loader_requests_total{stage="embed",status="'{200,429}'"}'
    equal "${lines[4]}" "$(of "$EMBEDDINGS" '.by_status["200"]')" 'requests answered'
    equal "${lines[5]}" "$(of "$EMBEDDINGS" '.by_status["429"]')" 'requests refused'
    equal "${lines[3]}" "$(of "$QDRANT" .points)" points
    equal "$((lines[1] + lines[2]))" "${lines[0]}" 'embedded and failed'
    ((lines[2] > 100)) || fail 'chunks of several batches fail'
    # The SDK asks three times; the loader's error is one per batch.
    equal "$(value 'qdrant_loader_stage_errors_total{stage="embed",type="RateLimitedError"}')" $((lines[5] / 3))
}

@test "500 from Qdrant: each failed batch is an error of its type, and its chunks are not counted as upserted" {
    QDRANT_FAULT='{"route": "points", "status": 500, "every": 3}' launch 0 --latency-ms 5
    ended 1
    local failed
    failed=$(of "$QDRANT" '.by_status["500"]')
    ((failed >= 2))
    run -0 value 'qdrant_loader_requests_total{stage="upsert",status="500"}' 'qdrant_loader_stage_errors_total{stage="upsert",type="UnexpectedResponse"}' \
        'qdrant_loader_chunks_total{state="upserted"}' 'qdrant_loader_chunks_total{state="upsert_failed"}' 'qdrant_loader_chunks_total{state="chunked"}' \
        'qdrant_loader_documents_total{state="'{succeeded,failed}'"}'
    equal "${lines[0]} ${lines[1]}" "$failed $failed"
    equal "${lines[2]}" "$(of "$QDRANT" .points)"
    equal "$((lines[2] + lines[3]))" "${lines[4]}"
    equal "$((lines[5] + lines[6]))" "$FILES"
    ((lines[6] > 0))
}

@test "kill -9 in the middle of a run loses nothing that was counted" {
    launch 0.5
    until_true 300 positive 'qdrant_loader_requests_total{stage="upsert",status="200"}'
    kill -KILL "$LOADER"
    ended 137
    # A request that was under way is answered and not counted; none is counted that was not answered.
    run -0 value 'qdrant_loader_requests_total{stage="embed",status="200"}' 'qdrant_loader_stage_in_flight{stage="embed"}'
    local answered
    answered=$(of "$EMBEDDINGS" .requests)
    ((lines[0] <= answered && lines[0] >= answered - 4 && lines[1] > 0)) || fail "$answered answered, $output counted and under way"
    ((lines[0] > 10))
}
