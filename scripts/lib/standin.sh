# SPDX-License-Identifier: MIT
# What the embedded workspace needs in place of the user's own: Qdrant and an embedding service on loopback, and a corpus.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

STANDINS=()
STANDIN_NAMES=()

# standins_check: the words that say which stand-ins are wanted.
standins_check() {
    case $EMBEDDINGS in
        hash | minilm) ;;
        *) die 2 bad-option "EMBEDDINGS: not hash or minilm: '$EMBEDDINGS'" ;;
    esac
    case $FILES in
        100 | 1000 | 3000) ;;
        *) die 2 bad-option "FILES: not 100, 1000 or 3000: '$FILES'" ;;
    esac
}

# standins_prepare: what they may have to be made or built of: the corpus and the model.
standins_prepare() {
    corpus_make
    [[ $EMBEDDINGS != minilm ]] || need_minilm
}

# corpus_key: a corpus depends on the packages it is made of and on the code that makes it.
corpus_key() {
    {
        cat "$ROOT"/scripts/env/loader*.txt "$ROOT/scripts/standin/corpus.py" "$ROOT/scripts/standin/docstrings.py"
    } | sha256sum | cut -c1-16
}

# corpus_make: CORPUS, FILES real text files, made once and kept beside the environments.
corpus_make() {
    need_loader_env
    local dir
    dir=$CACHE/corpus-$FILES-$(corpus_key)
    CORPUS=$dir/files
    [[ -e $dir/manifest.tsv ]] && return 0
    say "making a corpus of $FILES text files in $dir"
    rm -rf "$dir.new.$$"
    mkdir -p "$dir.new.$$"
    "$TOOLS_PYTHON" "$ROOT/scripts/standin/corpus.py" --files "$FILES" --loader-python "$LOADER_ENV_PYTHON" \
        "$dir.new.$$/files" >"$dir.new.$$/manifest.tsv"
    mv -T "$dir.new.$$" "$dir" 2>/dev/null || rm -rf "$dir.new.$$"
}

# standin_start NAME ARGUMENT…: sets REPLY to its URL. It ends with this shell (--parent), so no subshell may call this.
standin_start() {
    local name=$1 ready=$TMP/$1.ready python=$TOOLS_PYTHON words
    shift
    [[ $name != embeddings || $EMBEDDINGS != minilm ]] || python=$MINILM_PYTHON
    set -m
    "$python" "$ROOT/scripts/standin/$name.py" --parent $$ --ready-file "$ready" \
        --counts-file "$RUN/raw/$name.counts.json" "$@" </dev/null >>"$RUN/log/standin-$name.log" 2>&1 &
    STANDINS+=($!)
    STANDIN_NAMES+=("$name")
    set +m
    at_exit end_process $! TERM 3
    until [[ -s $ready ]]; do
        stop_if_asked
        if ! alive "${STANDINS[-1]}"; then
            capture words tail -n 1 "$RUN/log/standin-$name.log" || :
            die 3 standin-failed "the $name stand-in did not start: $words"
        fi
        pause 0.05
    done
    capture REPLY jq -r .url "$ready"
}

# standins_start: both, ready to be called: QDRANT_URL and EMBEDDINGS_URL.
standins_start() {
    standin_start qdrant --dir "$TMP/qdrant"
    QDRANT_URL=$REPLY
    standin_start embeddings --model "$EMBEDDINGS" --latency-ms "$LATENCY"
    EMBEDDINGS_URL=$REPLY
}

# standins_end: returns when none of them is left, and says which of them were gone before.
standins_end() {
    local i status name
    for i in "${!STANDINS[@]}"; do
        if alive "${STANDINS[i]}"; then
            end_process "${STANDINS[i]}" TERM 3
            continue
        fi
        status=0
        wait "${STANDINS[i]}" 2>/dev/null || status=$?
        if ((status > 128)); then
            capture name kill -l "$status" || :
            status+=" (signal $name)"
        fi
        note standin-failed "the ${STANDIN_NAMES[i]} stand-in ended before the loader did, exit status $status: what the loader asked of it from then on failed. See log/standin-${STANDIN_NAMES[i]}.log, and run it again"
    done
    STANDINS=()
    STANDIN_NAMES=()
}
