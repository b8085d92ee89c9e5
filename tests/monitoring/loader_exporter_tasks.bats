#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A loader without the shim: its tasks, counted from outside, and the exporter that shows them.
load ../lib/common
load ../lib/exporter

setup() {
    PY=${LOADER_ENV_PYTHON:?"the loader environment's Python"}
    TABLE=$BATS_TEST_TMPDIR/tasks.tsv
    sleep 300 3>&- &
    TARGET=$!
    STARTED=("$TARGET")
}

teardown() {
    stop_all
}

# table [NAME COUNT]…: written as count-tasks does it: whole, by a rename.
table() {
    {
        printf 'stage\ttasks\tshare_pct\n'
        while (($#)); do
            printf '%s\t%s\t0.0\n' "$1" "$2"
            shift 2
        done
    } >"$TABLE.new"
    mv "$TABLE.new" "$TABLE"
}

flights() {
    sed -n 's/^qdrant_loader_stage_in_flight{stage="\(.*\)"} \([0-9]*\)\.0$/\1 \2/p' "$PAGE" | paste -sd' '
}

@test "the table's rows are the gauges that the shim has, and what waits for the rate limit is under way" {
    table rate-limit 3 chunk-wait 40 startup 1 fetch 2 chunk 5 embed 1 upsert 4 state 6 waiting 7 other 8
    start --pid "$TARGET" --tasks "$TABLE"
    scrape
    equal "$(flights)" 'fetch 2 convert 0 chunk 5 embed 4 upsert 4 state 6'
    equal "$(value qdrant_loader_rate_limit_waiting)" 3.0
    equal "$(value 'qdrant_loader_backlog_documents{waiting_for="batch"}')" 40.0
    equal "$(value 'loader_exporter_source_up{source="tasks"}')" 1.0
    equal "$(value 'loader_exporter_source_up{source="shim"}')" 0.0
    # It is read for each page.
    table embed 2
    scrape
    equal "$(flights)" 'fetch 0 convert 0 chunk 0 embed 2 upsert 0 state 0'
    run -0 promtool check metrics <"$PAGE"
    scrape -H 'Accept: application/openmetrics-text'
    run -0 "$PY" -c 'import sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as p; print(sum(1 for _ in p(open(sys.argv[1]).read())) > 5)' "$PAGE"
    equal "$output" True
    # Its own label where there are several loaders.
    stop
    start --loader 'a "b"' --pid "$TARGET" --tasks "$TABLE"
    shows 'qdrant_loader_stage_in_flight{stage="embed",loader="a \"b\""}' 2.0
}

@test "a table that is missing, old, cut short or none says nothing, and the source is down" {
    start --pid "$TARGET" --tasks "$TABLE"
    local how
    for how in missing old other empty large folder; do
        rm -rf "$TABLE"
        case $how in
            missing) ;;
            old)
                table embed 2
                touch -d '20 seconds ago' "$TABLE"
                ;;
            other) printf 'embed\t2\n' >"$TABLE" ;;
            empty) : >"$TABLE" ;;
            large) { printf 'stage\ttasks\n'; head -c 20000 /dev/zero | tr '\0' 'x'; } >"$TABLE" ;;
            folder) mkdir "$TABLE" ;;
        esac
        scrape
        equal "$(value 'loader_exporter_source_up{source="tasks"}')" 0.0 "$how"
        run -1 grep '^qdrant_loader_stage_in_flight' "$PAGE"
    done
    # Rows that are no counts are left out, and a line that has no end yet.
    rmdir "$TABLE"
    printf 'stage\ttasks\nembed\t-2\nchunk\tmany\nfetch\t99999999999999999999\nstate\nconvert\t3\t\nupsert\t5' >"$TABLE"
    scrape
    equal "$(flights)" 'fetch 0 convert 3 chunk 0 embed 0 upsert 0 state 0'
    # Without the option the source is not spoken of.
    stop
    start --pid "$TARGET"
    scrape
    run -1 grep 'source="tasks"' "$PAGE"
}

@test "the shim's own figures go before the table's" {
    local dir=$BATS_TEST_TMPDIR/multiproc
    mkdir -m 700 "$dir"
    PROMETHEUS_MULTIPROC_DIR=$dir "$PY" -c '
from prometheus_client import Gauge
Gauge("qdrant_loader_shim_hooks", "Hooks", ["state"], multiprocess_mode="max").labels("placed").set(1)
Gauge("qdrant_loader_stage_in_flight", "Calls", ["stage"], multiprocess_mode="max").labels("embed").set(9)'
    table embed 2
    start --pid "$TARGET" --multiproc-dir "$dir" --tasks "$TABLE"
    scrape
    equal "$(value 'loader_exporter_source_up{source="shim"}')" 1.0
    equal "$(value 'loader_exporter_source_up{source="tasks"}')" 0.0
    equal "$(flights)" 'embed 9'
}

@test "what a loader did that has ended is not under way, nor in the snapshot" {
    table embed 2
    start --pid "$TARGET" --tasks "$TABLE" --linger 60 --snapshot "$BATS_TEST_TMPDIR/last.prom"
    shows 'qdrant_loader_stage_in_flight{stage="embed"}' 2.0
    kill "$TARGET"
    until_true 10 shows qdrant_loader_up 0.0
    equal "$(flights)" ''
    until_true 10 test -s "$BATS_TEST_TMPDIR/last.prom"
    run -1 grep stage_in_flight "$BATS_TEST_TMPDIR/last.prom"
}

@test "count-tasks gives up on what is no Python, and takes its table back when the process ends or it is told to end" {
    run -3 "$ROOT/scripts/lib/count-tasks" "$TARGET" "$TABLE" 0.01
    matches "$output" 'pysample'
    [[ ! -e $TABLE ]]
    # Calls of functions with the loader's names count by its maps; a task that waits for another one does not.
    mkdir -p "$BATS_TEST_TMPDIR/lib/qdrant_loader/core/embedding"
    touch "$BATS_TEST_TMPDIR/lib/qdrant_loader/"{,core/,core/embedding/}__init__.py
    cat >"$BATS_TEST_TMPDIR/lib/qdrant_loader/core/embedding/embedding_service.py" <<'PY'
import asyncio
class EmbeddingService:
    async def _apply_rate_limit(self):
        await asyncio.sleep(300)
    async def get_embeddings(self, limited):
        await (self._apply_rate_limit() if limited else asyncio.Event().wait())
async def main():
    await asyncio.gather(*(EmbeddingService().get_embeddings(n < 2) for n in range(5)))
PY
    PYTHONPATH=$BATS_TEST_TMPDIR/lib "$PY" -c 'import asyncio
from qdrant_loader.core.embedding.embedding_service import main
asyncio.run(main())' 3>&- &
    local loader=$! counter status=0
    STARTED+=("$loader")
    "$ROOT/scripts/lib/count-tasks" "$loader" "$TABLE" 0.1 2>"$BATS_TEST_TMPDIR/err" 3>&- &
    counter=$!
    STARTED+=("$counter")
    until_true 20 grep -qsE $'^rate-limit\t2\t' "$TABLE"
    grep -qE $'^embed\t3\t' "$TABLE"
    equal "$(awk -F '\t' 'NR > 1 { n += $2 } END { print n }' "$TABLE")" 5
    # Told to end, it leaves nothing.
    "$ROOT/scripts/lib/count-tasks" "$loader" "$BATS_TEST_TMPDIR/other.tsv" 300 2>"$BATS_TEST_TMPDIR/err" 3>&- &
    STARTED+=("$!")
    until_true 20 test -s "$BATS_TEST_TMPDIR/other.tsv"
    kill "${STARTED[-1]}"
    until_true 10 gone "${STARTED[-1]}"
    equal "$(find "$BATS_TEST_TMPDIR" -name 'other.tsv*')" ''
    start --pid "$loader" --tasks "$TABLE"
    shows 'qdrant_loader_stage_in_flight{stage="embed"}' 5.0
    kill "$loader"
    wait "$loader" || :
    wait "$counter" || status=$?
    equal "$status" 0
    [[ ! -e $TABLE ]]
}
