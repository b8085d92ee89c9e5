#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# How profile-perf names Python functions where perf can do it alone, on real interpreters, by the harness's own functions.
load ../lib/common

setup() {
    load ../lib/python
    export RESULTS=$BATS_TEST_TMPDIR/results TMPDIR=$BATS_TEST_TMPDIR OUT=$BATS_TEST_TMPDIR
}

teardown() {
    [[ ! -s $OUT/pid ]] || kill "$(<"$OUT/pid")" 2>/dev/null || :
}

# recorded CODE PYTHON [FLAG…]: the truth program, ended as programs end, launched and recorded as profile-perf does it from
# its first moment (STARTUP=1); then CODE. Its own figures are in $OUT/truth.
recorded() {
    local code=$1
    shift
    cat >"$OUT/program.py" <<'PY'
import os, runpy, sys
os._exit = sys.exit
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
PY
    bash -c '
        . "$ROOT/scripts/lib/common.sh"
        for part in env run tools target flow report perf; do . "$ROOT/scripts/lib/$part.sh"; done
        options_load
        RATE=499
        make_tmp
        run_new profile-perf
        run_set off_cpu 0
        perf_plan
        perf_support
        env "${LOADER_VARIABLES[@]}" "$@" >"$OUT/truth" 3>&- &
        LOADER_PID=$!
        echo "$LOADER_PID" >"$OUT/pid"
        # The shell has become the interpreter, as it has where pidfind finds a loader.
        until [[ $(readlink "/proc/$LOADER_PID/exe") == *python* ]]; do :; done
        # A slow start: its dump is not there yet when it is asked what can be done.
        kill -STOP "$LOADER_PID"
        [[ ! -e /tmp/jit-$LOADER_PID.dump ]] || echo "stopped too late"
        { pause 0.5; kill -CONT "$LOADER_PID"; } &
        perf_python
        run_set perf_python "$PERF_PYTHON" perf_python_why "$PERF_PYTHON_WHY"
        perf_start "$LOADER_PID"
        wait "$LOADER_PID"
        wait "$PERF_PID" || :
        perf_text
        perf_stacks
        cp "$RUN/run.json" "$OUT"
        cp "$RUN/raw/perf.folded" "$OUT"
        '"$code" profile-perf "$@" "$OUT/program.py" "$ROOT/tests/lib/perf_truth.py" 4
}

# beneath C CHAIN: of the samples in that C function, the share in per cent that stands beneath the chain.
beneath() {
    awk -v c="$1" -v chain="$2" 'index($0, c) { all += $NF; if ($0 ~ chain) of += $NF } END { printf "%d\n", all ? 100 * of / all : 0 }' "$OUT/perf.folded"
}

@test "on 3.13 perf_jit names the Python functions of the whole chain, from the start of the program" {
    [[ ${PYTHON313-} != none ]] || skip 'PYTHON313=none'
    run -0 --separate-stderr recorded '' "$(find_python 13)"
    equal "$output" ''
    equal "$(jq -r .perf_python_why "$OUT/run.json")" 'Python frames by perf_jit'
    # As the program wrote it: main() calls beta(), which calls b_sorts() by timed().
    chain='py::<module>:[^;]*perf_truth.py.*;py::main:.*;py::beta:.*;py::timed:.*;py::b_asks:'
    (($(beneath sqlite3_step "$chain") >= 95)) || fail "$(beneath sqlite3_step "$chain") % of SQLite stand beneath their chain"
    equal "$(find /tmp -maxdepth 1 -name "*-$(<"$OUT/pid")*")" '' 'left in /tmp'
}

@test "a perf inject that fails is a failed tool: the picture has no names then, which is said" {
    [[ ${PYTHON313-} != none ]] || skip 'PYTHON313=none'
    mkdir "$OUT/bin"
    printf '#!/bin/sh\n[ "$1" != inject ] || { echo no libelf >&2; exit 1; }\nexec %s "$@"\n' "$(command -v perf)" >"$OUT/bin/perf"
    chmod +x "$OUT/bin/perf"
    PATH=$OUT/bin:$PATH run -0 --separate-stderr recorded 'echo "failed $TOOL_FAILED"' "$(find_python 13)"
    equal "$output" 'failed 1'
    matches "$stderr" 'perf-failed. perf inject --jit failed: .*no libelf'
    equal "$(jq -r .perf_python_why "$OUT/run.json")" 'no Python frames: perf inject --jit failed'
}
