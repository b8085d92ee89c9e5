#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# loader_exporter and inputs that nobody thought of. FUZZ_SECONDS=60 for longer; tests/fuzz/run fuzzes the reader by coverage.
load ../lib/common
load ../lib/exporter

setup() {
    PY=${LOADER_ENV_PYTHON:?"the loader environment's Python"}
}

teardown() {
    stop_all
}

@test "files spoiled at random neither crash the reader nor make a page that is broken" {
    local sources=()
    for file in "$ROOT"/helpers/loader_exporter/*.c "$ROOT"/helpers/lib/*.c; do
        [[ $file == */main.c ]] || sources+=("$file")
    done
    cc -std=c11 -D_GNU_SOURCE -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -DSTANDALONE "-I$ROOT/helpers/lib" \
        -o "$BATS_TEST_TMPDIR/fuzz" "$ROOT/tests/fuzz/loader_exporter_fuzz.c" "${sources[@]}" -lmicrohttpd -lz -lcrypt -lm
    run -0 timeout 300 "$BATS_TEST_TMPDIR/fuzz" "${FUZZ_SECONDS:-3}" "$ROOT"/tests/fuzz/corpus/loader_exporter/*
    matches "$output" '^[1-9][0-9]{2,} runs$'
}

@test "requests made up at random neither crash it nor stop it" {
    local dir=$BATS_TEST_TMPDIR/multiproc
    mkdir -m 0700 "$dir"
    "$PY" "$ROOT/tests/lib/multiproc.py" real "$dir" 1
    printf 'basic_auth_users:\n  alice: %s\n' '$2y$05$sa4rXEDWdecOEWwrDJ09ru8qCE7WCuF9ujKAbUw7W1lksFhVMvMuG' >"$BATS_TEST_TMPDIR/web.yml"
    start --multiproc-dir "$dir" --web.deadline 1
    run -0 "$PY" "$ROOT/tests/fuzz/http_client.py" "$PORT" "${FUZZ_SECONDS:-3}" "${FUZZ_SEED:-1}"
    matches "$output" '^[1-9][0-9]{1,} connections$'
    shows plain_total 0.0
    # Of the answers many were errors, and none left a request or a connection behind.
    awk '/^loader_exporter_http_requests_total\{code="(4|5)/ { n += $2 } END { exit n < 1 }' "$PAGE"
    until_true 5 shows loader_exporter_http_connections 1.0
    stop
    start --multiproc-dir "$dir" --web.config.file "$BATS_TEST_TMPDIR/web.yml" --web.deadline 1
    run -0 "$PY" "$ROOT/tests/fuzz/http_client.py" "$PORT" "${FUZZ_SECONDS:-3}" 2
    equal "$(curl -sS -u alice:secret "http://$ADDR/metrics" | grep '^plain_total')" 'plain_total 0.0'
    stop
}
