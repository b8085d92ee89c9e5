# SPDX-License-Identifier: MIT
# A real loader that the harness did not launch, with the stand-ins it talks to; and what is asked of every run folder.
# Loaded by the end-to-end tests. LOADER_ENV_PYTHON and TOOLS_ENV_PYTHON come from scripts/test.

# standins_start [FAULT…]: both stand-ins and a workspace (WS) in a folder whose name has a space and quotes.
standins_start() {
    # Behind the `&` it would be the stand-in's own.
    local name me=$BASHPID
    STANDIN_DIR="$BATS_TEST_TMPDIR/stand in's \"dir\""
    WS="$STANDIN_DIR/work space"
    mkdir -p "$STANDIN_DIR"
    STANDIN_PIDS=()
    for name in qdrant embeddings; do
        TMPDIR=$BATS_TEST_TMPDIR "$TOOLS_ENV_PYTHON" "$ROOT/scripts/standin/$name.py" --parent "$me" --ready-file "$STANDIN_DIR/$name.ready" \
            --counts-file "$STANDIN_DIR/$name.counts.json" >"$STANDIN_DIR/$name.log" 2>&1 3>&- &
        STANDIN_PIDS+=($!)
    done
    for name in qdrant embeddings; do until_true 20 test -s "$STANDIN_DIR/$name.ready"; done
    "$TOOLS_ENV_PYTHON" "$ROOT/scripts/standin/corpus.py" --files "${FILES:-100}" --loader-python "$LOADER_ENV_PYTHON" \
        "$STANDIN_DIR/corpus" >"$STANDIN_DIR/manifest.tsv"
    "$TOOLS_ENV_PYTHON" "$ROOT/scripts/standin/workspace.py" "$WS" --corpus "$STANDIN_DIR/corpus" \
        --qdrant-url "$(jq -r .url "$STANDIN_DIR/qdrant.ready")" --embeddings-url "$(jq -r .url "$STANDIN_DIR/embeddings.ready")" \
        --min-request-interval "${MIN_REQUEST_INTERVAL:-0}"
}

# loader_start WRAPPER: the loader behind uv, make, sh, timeout, or by its console script. WRAPPER is the outer pid.
loader_start() {
    local py=$LOADER_ENV_PYTHON quoted ingest
    standins_start
    ingest=(-m qdrant_loader.cli.cli ingest --workspace "$WS" --force)
    printf -v quoted '%q ' "$py" "${ingest[@]}"
    cd "$STANDIN_DIR"
    case $1 in
        uv) set -- "${TOOLS_ENV_PYTHON%/*}/uv" run --no-project --python "$py" -- python "${ingest[@]}" ;;
        make)
            printf 'all:\n\t@: && %s\n' "${quoted//\$/\$\$}" >Makefile
            set -- make -s all
            ;;
        sh) set -- sh -c "$quoted; true" ;;
        timeout) set -- timeout 300 "$py" "${ingest[@]}" ;;
        console) set -- "${py%/*}/qdrant-loader" "${ingest[@]:2}" ;;
        plain) set -- "$py" "${ingest[@]}" ;;
    esac
    "$@" >"$STANDIN_DIR/loader.log" 2>&1 3>&- &
    WRAPPER=$!
}

wait_loader() {
    wait "$WRAPPER"
    WRAPPER=
}

# loader_end: in teardown: nothing of it is left.
loader_end() {
    local pid
    if [[ -n ${WRAPPER-} ]]; then
        while read -r pid _; do kill -KILL "$pid" 2>/dev/null || :; done < <(pidfind --tree "$WRAPPER" --all 2>/dev/null)
        kill -KILL "$WRAPPER" 2>/dev/null || :
    fi
    for pid in "${STANDIN_PIDS[@]}"; do kill "$pid" 2>/dev/null || :; done
}

# nothing_left: no process has this test's folder in its arguments or its working folder: all that a run starts has.
nothing_left() {
    local p
    for p in /proc/[0-9]*; do
        # The test's own: this shell, and what it started itself.
        [[ " $BASHPID $$ ${STANDIN_PIDS[*]-} ${GATEWAY_PID-} " != *" ${p#/proc/} "* ]] || continue
        if [[ $(readlink "$p/cwd" 2>/dev/null) == "$BATS_TEST_TMPDIR"* ]] ||
            tr '\0' ' ' <"$p/cmdline" 2>/dev/null | grep -qF "$BATS_TEST_TMPDIR/"; then
            gone "${p#/proc/}" || return 1
        fi
    done 2>/dev/null
}

# child_of_target PATTERN: the pid of the part of the run whose command line matches.
child_of_target() {
    local p
    for p in /proc/[0-9]*; do
        if tr '\0' ' ' <"$p/cmdline" 2>/dev/null | grep -qE "^[^ ]*$1.*$BATS_TEST_TMPDIR"; then
            printf '%s\n' "${p#/proc/}"
            return 0
        fi
    done
    fail "no process matches $1"
}

# kill_child PATTERN: kill -9 of that part; false where there is none just now, or it has ended meanwhile.
kill_child() { kill -KILL "$(child_of_target "$1")"; }

shares_add_up() {
    awk -F '\t' '!/^#/ && $1 != "stage" { sum += $2 } END { exit !(sum >= 99 && sum <= 101) }' "$1/stages.tsv" ||
        fail "shares do not add to 100 %: $(<"$1/stages.tsv")"
}

# stages_named RUN: the stages of an ingestion have a share, or one that is n/a where run.json says that it is not known.
stages_named() {
    local stage
    for stage in chunk embed upsert state startup; do
        awk -F '\t' -v s="$stage" -v before="$(jq -r .startup_cpu_s "$1/run.json")" \
            '$1 == s && ($2 > 0 && $2 != "n/a" || s == "startup" && $2 == before) { found = 1 } END { exit !found }' "$1/stages.tsv" ||
            fail "no share of $stage: $(<"$1/stages.tsv")"
    done
}

# complete_run RUN: what every finished profile holds.
complete_run() {
    equal "$(jq -r .state "$1/run.json")" "done" state
    run -0 python3 -c 'import sys, xml.dom.minidom as m; [m.parse(f) for f in sys.argv[1:]]' "$1/profile.svg" "$1/timeline.svg"
    equal "$(grep -c '^#' "$1/profile.folded" || :)" 0 'comment lines in profile.folded'
    [[ $(head -n 1 "$1/profile.folded") =~ ^.+\ [0-9]+$ ]] || fail "not a collapsed stack: $(head -n 1 "$1/profile.folded")"
}

# attached_by WRAPPER: profiles a loader behind that wrapper, to its end.
attached_by() {
    local folder file
    loader_start "$1"
    run -0 --separate-stderr make --no-print-directory -C "$ROOT" profile-pyspy PID="$WRAPPER"
    folder=$output
    complete_run "$folder"
    for file in samples.tsv summary.md; do [[ -s $folder/$file ]] || fail "no $file"; done
    shares_add_up "$folder"
    stages_named "$folder"
    equal "$(jq -r .attached "$folder/run.json")" attached
    wait_loader
    equal "$(jq .chunks "$folder/run.json")" "$(jq .points "$STANDIN_DIR/qdrant.counts.json")" 'chunks and points'
    run -0 grep -cE 'chunk_document' "$folder/profile.folded"
}
