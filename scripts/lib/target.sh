# SPDX-License-Identifier: MIT
# The only code that knows the loader: how it is launched, found, watched and stopped.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

. "$ROOT/scripts/lib/outcome.sh"

LOADER_CMD=()
MORE_ARGS=()
# What a target adds to the launch: variables for the loader alone, flags for its procrun.
LOADER_VARIABLES=()
PROCRUN_FLAGS=()

# ---- which loader, which workspace --------------------------------------------------------------------------------

has_loader() { "$1" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("qdrant_loader") is None)' 2>/dev/null; }

# target_check: the words that say which loader and which workspace, before anything is installed, made or started:
# LOADER_CMD (of LOADER) and MORE_ARGS.
target_check() {
    if [[ -n $PID ]]; then
        [[ -z $WORKSPACE$LOADER ]] ||
            die 2 bad-option "PID attaches to a loader that runs; WORKSPACE and LOADER launch one. Give one of the two"
        return 0
    fi
    words_of ARGS
    MORE_ARGS=("${WORDS[@]}")
    if [[ -n $LOADER ]]; then
        words_of LOADER
        LOADER_CMD=("${WORDS[@]}")
        command -v "${LOADER_CMD[0]-}" >/dev/null ||
            die 2 no-loader "LOADER: no such command: '${LOADER_CMD[0]-}'"
    fi
    [[ -z $LOADER_DIR || (-d $LOADER_DIR && -x $LOADER_DIR) ]] || die 2 bad-option "LOADER_DIR: no such folder: '$LOADER_DIR'"
    if [[ -n $WORKSPACE ]]; then
        [[ -r $WORKSPACE/config.yaml ]] ||
            die 2 no-workspace "WORKSPACE: no config.yaml in '$WORKSPACE'. Name the folder that holds config.yaml and .env"
    else
        standins_check
    fi
}

# target_prepare: the loader that PID names, or what a launch needs and may have to be built first: LOADER_CMD, the user's own (LOADER, or a LOADER_PYTHON that
# has the loader), else the cached one; the corpus and the model of the stand-ins.
target_prepare() {
    if [[ -n $PID ]]; then
        target_find "$PID"
        return
    fi
    if [[ -n $LOADER ]]; then
        :
    elif [[ -n $LOADER_PYTHON ]] && has_loader "$LOADER_PYTHON"; then
        LOADER_CMD=("$LOADER_PYTHON" -m qdrant_loader.cli.cli)
    else
        need_loader_env
        LOADER_CMD=("$LOADER_ENV_PYTHON" -m qdrant_loader.cli.cli)
    fi
    [[ -n $WORKSPACE ]] || standins_prepare
}

# target_workspace: WORKSPACE_DIR, the user's own or an embedded one with stand-ins; LOADER_ARGS.
target_workspace() {
    local hash
    if [[ -n $WORKSPACE ]]; then
        capture WORKSPACE_DIR absolute "$WORKSPACE"
        secrets_collect "$WORKSPACE_DIR/config.yaml" "$WORKSPACE_DIR/.env"
        LOADER_ARGS=(ingest --workspace "$WORKSPACE_DIR" "${MORE_ARGS[@]}")
        run_set workspace own
    else
        standins_start
        WORKSPACE_DIR=$TMP/workspace
        "$TOOLS_PYTHON" "$ROOT/scripts/standin/workspace.py" "$WORKSPACE_DIR" --corpus "$CORPUS" \
            --qdrant-url "$QDRANT_URL" --embeddings-url "$EMBEDDINGS_URL" \
            --min-request-interval "$MIN_REQUEST_INTERVAL" --batch-size "$BATCH_SIZE"
        LOADER_ARGS=(ingest --workspace "$WORKSPACE_DIR" --force "${MORE_ARGS[@]}")
        run_set workspace "embedded, $FILES files"
    fi
    capture hash workspace_hash
    run_set workspace_sha256 "$hash"
}

# workspace_hash: what is ingested and how: the configuration, without its addresses, and the corpus's manifest.
workspace_hash() {
    {
        sed -E 's#https?://[^"[:space:]]*##; s#file://[^"[:space:]]*##' "$WORKSPACE_DIR/config.yaml"
        [[ -z ${CORPUS-} ]] || cat "$CORPUS/../manifest.tsv"
    } | sha256sum | cut -c1-16
}

# ---- the loader's process -----------------------------------------------------------------------------------------

# target_launch [ARGUMENT…]: the loader under procrun: PROCRUN (pid), LOADER_PID and LOADER_START. What it prints goes
# to log/loader.log without secrets.
target_launch() {
    local words last hold
    secrets_collect
    capture words redact_words "${LOADER_CMD[@]}" "${LOADER_ARGS[@]}" "$@"
    run_set command "$words"
    mkfifo "$TMP/loader.out"
    # Open both ways for a moment, so that no end waits for the other.
    exec {hold}<>"$TMP/loader.out"
    exec {LOG_FD}>"$TMP/loader.out"
    (
        trap '' INT TERM HUP
        status=0
        redact_stream -u >"$RUN/log/loader.log" || status=1
        # A loader that cannot print any more would stop working.
        cat >/dev/null
        exit "$status"
    ) <"$TMP/loader.out" {hold}>&- {LOG_FD}>&- &
    LOG_FILTER=$!
    exec {hold}>&-
    set -m
    env "${LOADER_VARIABLES[@]}" procrun --die-with-parent --result "$RUN/raw/procrun.tsv" "${PROCRUN_FLAGS[@]}" \
        --cwd "${LOADER_DIR:-$WORKSPACE_DIR}" -- "${LOADER_CMD[@]}" "${LOADER_ARGS[@]}" "$@" </dev/null >&"$LOG_FD" 2>&1 &
    PROCRUN=$!
    set +m
    exec {LOG_FD}>&-
    at_exit target_end
    if target_appears; then
        read -r LOADER_PID LOADER_START _ <"$TMP/found"
        run_set attached launched pid "$LOADER_PID"
        return 0
    fi
    stop_if_asked
    if alive "$PROCRUN"; then
        # Kept in the run folder too.
        capture words redact_words "${LOADER_CMD[@]}"
        capture last tail -n 1 "$RUN/log/pidfind.log" || :
        die 3 loader-not-found "no loader appeared in $APPEARS_IN s below '$words': $last. See log/loader.log in $RUN"
    fi
    target_wait
    capture last loader_last_words || :
    die "$((LOADER_STATUS ? LOADER_STATUS : 3))" loader-ended-early "the loader ended before it could be found (exit status $LOADER_STATUS): $last"
}

# target_appears: what pidfind says of the loader below PROCRUN is in TMP/found; false when there came none in APPEARS_IN seconds, since
# a wrapper may install it first, or a signal did.
APPEARS_IN=300
target_appears() {
    local finder next=$((SECONDS + 10))
    pidfind --tree "$PROCRUN" --wait "$APPEARS_IN" >"$TMP/found" 2>"$RUN/log/pidfind.log" &
    finder=$!
    while alive "$finder"; do
        if [[ -n $STOPPED ]]; then
            end_process "$finder" TERM
            return 1
        fi
        if ((SECONDS >= next)); then
            say "waiting for the loader to appear below ${LOADER_CMD[0]}"
            next=$((SECONDS + 10))
        fi
        pause 0.01
    done
    wait "$finder"
}

# target_find PID|find: LOADER_PID, LOADER_START and LOADER_WORDS (its argv) of a loader that runs already: that process, the
# one behind that wrapper, or the only one there is.
target_find() {
    local found status=0 theirs=
    # What it finds, or what it says when it finds none.
    if [[ $1 == find ]]; then
        target_find_several
        found=$(pidfind 2>&1) || status=$?
    else
        found=$(pidfind --pid "$1" 2>&1) || status=$?
        # It may be a wrapper that has yet to start one.
        if ((status)) && [[ -d /proc/$1 ]]; then
            say "no loader at or below PID=$1 yet: looking for one for 10 s"
            status=0
            found=$(pidfind --pid "$1" --wait 10s 2>&1) || status=$?
        fi
    fi
    if ((status)); then
        if [[ $1 == find && $found =~ pid\ ([0-9]+)\ looks\ like\ it\ but\ belongs\ to\ another\ user ]]; then
            theirs=${BASH_REMATCH[1]}
        elif ((EUID)) && [[ -d /proc/$1 && ! -O /proc/$1 ]]; then
            theirs=$1
        fi
        [[ -z $theirs ]] ||
            die 3 no-loader-process "$(target_whose "$1" "$theirs"). Run as that user, or: sudo make $SELF PID=$theirs"
        [[ -z $found ]] || printf '%s\n' "$found" >&2
        die 3 no-loader-process "PID=$1: no loader to attach to (see above). Is it running? Try: $BIN/pidfind --all"
    fi
    read -r LOADER_PID LOADER_START LOADER_WORDS <<<"$found"
}

# target_whose PID|find PID: in words, whose that process is.
target_whose() {
    local user
    user=$(stat -c %U "/proc/$2" 2>/dev/null) || user='another user'
    if [[ $1 == find ]]; then printf 'a loader runs, pid %s, but it belongs to %s' "$2" "$user"; else printf 'PID=%s belongs to %s' "$2" "$user"; fi
}

# target_find_several: leaves when several loaders run, with pidfind's table of them and what to say here.
target_find_several() {
    local found table
    found=$(pidfind --all 2>/dev/null) || return 0
    [[ $found == *$'\n'* ]] || return 0
    table=$(pidfind 2>&1 >/dev/null) || :
    printf '%s\n' "$table" | sed 1d >&2
    die 3 several-loaders "$(wc -l <<<"$found") loaders run (above): give one of them, make $SELF PID=${found%% *}"
}

# target_attach: the loader that target_prepare has found, and its workspace.
target_attach() {
    capture WORKSPACE_DIR workspace_of "$LOADER_PID"
    secrets_collect "$WORKSPACE_DIR/config.yaml" "$WORKSPACE_DIR/.env"
    # Its words one by one where they can still be read: quoted, they do not show where a value ends.
    local words=()
    { mapfile -d '' -t words <"/proc/$LOADER_PID/cmdline"; } 2>/dev/null || :
    ((${#words[@]} == 0)) || capture LOADER_WORDS redact_words "${words[@]}"
    run_set attached attached pid "$LOADER_PID" command "$LOADER_WORDS"
}

# workspace_of PID: from its --workspace argument, else where it stands.
workspace_of() {
    local args dir='' i
    mapfile -d '' -t args <"/proc/$1/cmdline" 2>/dev/null || :
    for ((i = 0; i < ${#args[@]}; i++)); do
        case ${args[i]} in
            --workspace | -w) dir=${args[i + 1]-} ;;
            --workspace=*) dir=${args[i]#*=} ;;
        esac
    done
    [[ $dir == /* ]] || dir=$(readlink "/proc/$1/cwd" 2>/dev/null)/$dir
    printf '%s' "${dir%/}"
}

# target_alive: is it still the same process?
target_alive() {
    local stat
    { IFS= read -r stat <"/proc/$LOADER_PID/stat"; } 2>/dev/null || return 1
    # shellcheck disable=SC2086 # fields
    set -- ${stat##*) }
    [[ $1 != [ZX] && ${20} == "$LOADER_START" ]]
}

# process_started PID: epoch in ns, to the kernel's 10 ms.
process_started() {
    local stat up
    { IFS= read -r stat <"/proc/$1/stat" && read -r up _ </proc/uptime; } 2>/dev/null || {
        now_ns
        return
    }
    # shellcheck disable=SC2086 # fields
    set -- ${stat##*) }
    printf '%s' $(($(now_ns) - (${up/./} - ${20}) * 10000000))
}

# process_cpu PID: user + system seconds so far, all threads; n/a when it is gone.
process_cpu() {
    local stat
    { IFS= read -r stat <"/proc/$1/stat"; } 2>/dev/null || {
        printf 'n/a'
        return
    }
    # shellcheck disable=SC2086 # fields
    set -- ${stat##*) }
    printf '%d.%02d' $(((${12} + ${13}) / 100)) $(((${12} + ${13}) % 100))
}

# pipeline_begun: imports and initialisation are over and documents are worked on: the state database is open.
pipeline_begun() {
    local found
    capture found find "/proc/$LOADER_PID/fd" -lname '*/qdrant-loader.db' -print -quit 2>/dev/null || :
    [[ -n $found ]]
}

# target_python, target_version: what runs there, asked of the interpreter itself where that is harmless, else n/a.
target_python() {
    local exe
    exe=$(readlink "/proc/$LOADER_PID/exe" 2>/dev/null) && "$exe" -c 'import platform; print(platform.python_version())' 2>/dev/null || printf 'n/a\n'
}
target_version() {
    local dir
    # The metadata folder that the loader was installed with; its process has the files of that folder open or mapped.
    dir=$(sed -n 's#.* \(/.*/site-packages\)/.*#\1#p' "/proc/$LOADER_PID/maps" 2>/dev/null | sort | uniq -c | sort -rn | sed -n '1s/^ *[0-9]* //p') || :
    for dir in "$dir"/qdrant_loader-*.dist-info; do
        if [[ -d $dir ]]; then
            dir=${dir##*/qdrant_loader-}
            printf '%s\n' "${dir%.dist-info}"
            return
        fi
    done
    printf 'n/a\n'
}

# target_facts: python and loader_version in run.json. What it runs shows only when it has loaded it, so that this is called again and
# again: it asks twice a second, for half a minute at the most.
FACTS_ASKED=0
FACTS_NEXT=0
target_facts() {
    ((FACTS_ASKED < 60 && ${EPOCHREALTIME/./} >= FACTS_NEXT)) && target_alive || return 0
    local version python
    # A Ctrl-C ends what was asked too.
    capture version target_version || :
    [[ -n $version ]] || return 0
    if ((!FACTS_ASKED)); then
        capture python target_python || :
        run_set python "$python" loader_version "$version"
    fi
    FACTS_ASKED=$((FACTS_ASKED + 1))
    FACTS_NEXT=$((${EPOCHREALTIME/./} + 500000))
    if [[ $version != n/a ]]; then
        FACTS_ASKED=60
        run_set loader_version "$version"
    fi
}

# ---- its end ------------------------------------------------------------------------------------------------------

# target_wait: LOADER_STATUS and LOADER_SIGNAL when the launched loader has ended, and all that it printed is in its log.
target_wait() {
    LOADER_STATUS=0
    wait "$PROCRUN" 2>/dev/null || LOADER_STATUS=$?
    wait "$LOG_FILTER" 2>/dev/null ||
        tool_failed log-failed "log/loader.log is not complete, so that what the loader counted may be n/a. Is the disk full (df $RUN)? Run it again"
    capture LOADER_SIGNAL procrun_fact signal || :
    [[ $LOADER_SIGNAL != n/a ]] || LOADER_SIGNAL=
    # With procrun killed the loader was killed too, and nobody wrote it down.
    [[ -n $LOADER_SIGNAL || $LOADER_STATUS != 137 ]] || LOADER_SIGNAL=KILL
    run_set loader_exit_status "$LOADER_STATUS" loader_signal "${LOADER_SIGNAL:-none}"
    # Its own log is kept; the workspace of the stand-ins goes with the temporary folder.
    if [[ -z $WORKSPACE && -d $WORKSPACE_DIR/logs ]]; then
        redact_stream <"$WORKSPACE_DIR/logs/ingest.log" >"$RUN/log/ingest.log" 2>/dev/null || :
    fi
}

# loader_end SIGNAL SECONDS: asks twice, since a loader that imports its modules may swallow the first, and kills it then.
loader_end() {
    kill -s "$1" "$PROCRUN" 2>/dev/null || :
    wait_gone "$PROCRUN" "$(($2 / 2))" || :
    end_process "$PROCRUN" "$1" "$(($2 / 2))"
}

target_end() {
    loader_end INT 16
    standins_end
}

# target_verdict: how the ingestion went: 0 when all is well by its counts, whatever the exit status says (one blank
# chunk of thousands makes the loader exit 1); else its status.
target_verdict() {
    if [[ $CHUNKS =~ ^[1-9][0-9]*$ && $CHUNKS_FAILED =~ ^[0-9]+$ ]] && ((CHUNKS_FAILED * 100 <= CHUNKS)) &&
        { ((LOADER_STATUS <= 1)); }; then
        if ((LOADER_STATUS)); then
            note loader-exit-1 "the loader exited $LOADER_STATUS though $CHUNKS chunks are stored and only $CHUNKS_FAILED failed: the profile stands"
        fi
        return 0
    fi
    return "$LOADER_STATUS"
}

# target_stash FILE, target_take FILE TO: a file that the loader writes to the folder it stands in. One that was there
# before is put aside, and put back after this run's own was taken.
target_stash() {
    STASH=
    local file=${LOADER_DIR:-${WORKSPACE:-}}/$1
    if [[ -n $WORKSPACE$LOADER_DIR && -e $file ]]; then
        STASH=$TMP/stash.$1
        cp -p "$file" "$STASH"
    fi
}
target_take() {
    local file=${LOADER_DIR:-$WORKSPACE_DIR}/$1
    if [[ -e $file ]] && ! { [[ -n $STASH ]] && cmp -s "$file" "$STASH"; }; then mv "$file" "$2"; fi
    if [[ -n $STASH ]]; then cp -p "$STASH" "$file"; fi
}
