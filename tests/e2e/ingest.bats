#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The real loader against the stand-ins: what it says it stored is what the engine holds.
load ../lib/common
load ../lib/standin

FILES=${E2E_FILES:-100}

teardown() { end_started; }

# both [ARGUMENT…]: both stand-ins; QDRANT, EMBEDDINGS. The arguments are the embedding service's.
both() {
    start qdrant
    QDRANT=$URL
    start embeddings "$@"
    EMBEDDINGS=$URL
}

# workspace DIR CORPUS [ARGUMENT…]
workspace() {
    "$TOOLS_ENV_PYTHON" "$STANDIN/workspace.py" "$1" --corpus "$2" --qdrant-url "$QDRANT" --embeddings-url "$EMBEDDINGS" \
        --min-request-interval 0 "${@:3}"
}

# ingest WORKSPACE: the loader's run; its output without colours.
ingest() {
    (cd "$1" && "$LOADER_ENV_PYTHON" -m qdrant_loader.cli.cli ingest --workspace "$1" --force 2>&1 3>&-) |
        sed 's/\x1b\[[0-9;]*m//g'
    return "${PIPESTATUS[0]}"
}

# chunks: what the loader says it stored, over all its batches, and how many failed.
chunks() {
    sed -n 's/.*Batch processing completed: \([0-9]*\) chunks, \([0-9]*\) errors.*/\1 \2/p' <<<"$1" |
        awk '{ c += $1; f += $2 } END { print c + 0, f + 0 }'
}

of() {
    curl -sf "$1/_standin/counts" | jq -r "$2"
}

@test "the chunks that the loader reports are the points that the engine holds" {
    both --latency-ms 5
    "$TOOLS_ENV_PYTHON" "$STANDIN/corpus.py" --files "$FILES" --loader-python "$LOADER_ENV_PYTHON" "$BATS_TEST_TMPDIR/corpus" >/dev/null
    workspace "$BATS_TEST_TMPDIR/ws" "$BATS_TEST_TMPDIR/corpus"
    run -0 ingest "$BATS_TEST_TMPDIR/ws"
    local stored failed
    read -r stored failed < <(chunks "$output")
    matches "$output" "Completed processing all projects: $FILES total documents"
    equal "$failed" 0 'failed chunks'
    ((stored > FILES * 6)) || fail "only $stored chunks"
    equal "$(of "$QDRANT" .points)" "$stored" 'points in the engine'
    equal "$(of "$QDRANT" .points_received)" "$stored" 'points received'
    equal "$(of "$EMBEDDINGS" .texts)" "$stored" 'texts embedded'
    # All that the loader asks for is there, and nothing failed on the way.
    equal "$(of "$QDRANT" '.by_status | keys | tostring')" '["200"]'
    equal "$(of "$EMBEDDINGS" '.by_status | keys | tostring')" '["200"]'
}

@test "each type of text yields chunks, in a workspace whose path holds spaces and quotes" {
    local ws="$BATS_TEST_TMPDIR/my \"own\" 'work space'" corpus="$BATS_TEST_TMPDIR/the \"files\" 'of' %20 ä" type counts
    mkdir -p "$corpus"
    printf '# Title\n\nA *paragraph* of Markdown.\n' >"$corpus/a.md"
    printf 'Title\n=====\n\nA paragraph of reStructuredText.\n' >"$corpus/a.rst"
    printf '<!DOCTYPE html><html><body><h1>Title</h1><p>A paragraph of HTML.</p></body></html>\n' >"$corpus/a.html"
    printf 'A paragraph of plain text.\n' >"$corpus/a.txt"
    printf 'def add(a, b):\n    """Adds two numbers."""\n    return a + b\n' >"$corpus/a.py"
    both --latency-ms 0
    workspace "$ws" "$corpus"
    run -0 ingest "$ws"
    matches "$output" 'Completed processing all projects: 5 total documents'
    counts=$(curl -sf -X POST "$QDRANT/collections/profiling/points/scroll" -H 'content-type: application/json' \
        --data '{"limit": 1000, "with_payload": ["url"]}' | jq -r '.result.points[].payload.url')
    for type in md rst html txt py; do
        grep -q "\.$type\$" <<<"$counts" || fail "no chunk of a .$type file among: $counts"
    done
    equal "$(of "$QDRANT" .points)" "$(wc -l <<<"$counts")"
    # What the harness tells a loader by.
    [[ -s $ws/logs/ingest.log && -s $ws/data/qdrant-loader.db ]]
}

@test "the two environments that a profile needs take less than 2.5 GB" {
    local kib
    kib=$(du -sk "${TOOLS_ENV_PYTHON%/bin/*}" "${LOADER_ENV_PYTHON%/bin/*}" | awk '{ sum += $1 } END { print sum }')
    ((kib > 100000 && kib < 2500000)) || fail "$kib KiB"
}

@test "init recreates the collection" {
    mkdir "$BATS_TEST_TMPDIR/corpus"
    printf 'A paragraph of plain text.\n' >"$BATS_TEST_TMPDIR/corpus/a.txt"
    both --latency-ms 0
    workspace "$BATS_TEST_TMPDIR/ws" "$BATS_TEST_TMPDIR/corpus"
    run -0 ingest "$BATS_TEST_TMPDIR/ws"
    equal "$(of "$QDRANT" .points)" 1
    cd "$BATS_TEST_TMPDIR/ws"
    run -0 "$LOADER_ENV_PYTHON" -m qdrant_loader.cli.cli init --workspace "$BATS_TEST_TMPDIR/ws" --force
    equal "$(of "$QDRANT" '[.points, .by_route["DELETE /collections/{c}"]] | tostring')" '[0,1]'
    equal "$(of "$QDRANT" '[.collections, .by_route["PUT /collections/{c}"]] | tostring')" '[{"profiling":0},2]'
}

@test "a provider that refuses loses chunks, and the counts say which" {
    both --latency-ms 0
    "$TOOLS_ENV_PYTHON" "$STANDIN/corpus.py" --files 20 --loader-python "$LOADER_ENV_PYTHON" "$BATS_TEST_TMPDIR/corpus" >/dev/null
    workspace "$BATS_TEST_TMPDIR/ws" "$BATS_TEST_TMPDIR/corpus" --batch-size 10
    URL=$QDRANT
    equal "$(status_of POST /_standin/fault '{"route": "points", "status": 500, "after": 3, "times": 1}')" 200
    run -1 ingest "$BATS_TEST_TMPDIR/ws"
    local stored failed
    read -r stored failed < <(chunks "$output")
    ((failed > 0)) || fail 'no chunk failed'
    equal "$(of "$QDRANT" '[.faults, .by_status["500"]] | tostring')" '[1,1]'
    equal "$(of "$QDRANT" .points)" "$stored"
    equal "$((stored + failed))" "$(of "$EMBEDDINGS" .texts)"
}
