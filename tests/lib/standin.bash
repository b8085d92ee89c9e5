# SPDX-License-Identifier: MIT
# For tests that talk to the stand-ins: TOOLS_ENV_PYTHON and LOADER_ENV_PYTHON are given by scripts/test.
# shellcheck shell=bash
: "${TOOLS_ENV_PYTHON:?the Python of the tools environment; scripts/test sets it}"
: "${LOADER_ENV_PYTHON:?the Python of the loader environment; scripts/test sets it}"
STANDIN=$ROOT/scripts/standin
STARTED=()

# start NAME [ARGUMENT…]: a stand-in that ends with the test. Sets URL, PID and READY. PYTHON: another than the tools'.
# Its own folder is the test's, which ends it by SIGKILL.
start() {
    local name=$1 ready=$BATS_TEST_TMPDIR/$1.$RANDOM.ready
    shift
    TMPDIR=$BATS_TEST_TMPDIR "${PYTHON:-$TOOLS_ENV_PYTHON}" "$STANDIN/$name.py" --parent $$ --ready-file "$ready" "$@" \
        >"$ready.out" 2>"$ready.err" 3>&- &
    PID=$!
    STARTED+=("$PID")
    until_true 20 test -s "$ready"
    URL=$(jq -r .url "$ready")
    # shellcheck disable=SC2034 # for the tests
    READY=$ready
}

end_started() {
    local pid
    for pid in "${STARTED[@]}"; do
        kill -KILL "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
}

# ask METHOD PATH [JSON]: the answer's body, and its HTTP status on a line of its own (000: no answer).
ask() {
    curl -s --max-time 20 -w '\n%{http_code}\n' -X "$1" ${3+-H 'content-type: application/json' --data-binary "$3"} "$URL$2" || :
}

# status_of METHOD PATH [JSON]
status_of() {
    ask "$@" | tail -n 1
}

# counted FILTER: a value of the counts, by jq.
counted() {
    curl -sf "$URL/_standin/counts" | jq -r "$1"
}
