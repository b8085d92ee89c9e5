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
# its first moment (STARTUP=1), with what BEFORE changes of that; then CODE. Its own figures are in $OUT/truth.
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
        for part in env run tools target flow report wall perf_record perf; do . "$ROOT/scripts/lib/$part.sh"; done
        options_load
        RATE=499
        '"${BEFORE-}"'
        make_tmp
        run_new profile-perf
        run_set off_cpu 0
        perf_plan
        perf_support
        # A slow start: stopped before its dump is there, when it is asked what can be done. A busy machine may stop it too late.
        for tries in {1..20}; do
            env "${LOADER_VARIABLES[@]}" "$@" >"$OUT/truth" 3>&- &
            LOADER_PID=$!
            echo "$LOADER_PID" >"$OUT/pid"
            # The shell has become the interpreter, as it has where pidfind finds a loader.
            until [[ $(readlink "/proc/$LOADER_PID/exe") == *python* ]]; do :; done
            kill -STOP "$LOADER_PID"
            [[ -e /tmp/jit-$LOADER_PID.dump ]] || break
            kill -KILL "$LOADER_PID"
            wait "$LOADER_PID" 2>/dev/null || :
            rm "/tmp/jit-$LOADER_PID.dump"
            ((tries < 20)) || echo "stopped too late"
        done
        { pause 0.5; kill -CONT "$LOADER_PID"; } &
        perf_python
        run_set perf_python "$PERF_PYTHON" perf_python_why "$PERF_PYTHON_WHY" perf_frames_max "$(perf_frames_max)"
        STARTUP=1
        perf_start "$LOADER_PID"
        perf_begin
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

# by_frame_pointers PYTHON [CHANGE]: recorded so, whatever the interpreter can do. What perf's text makes of the recording: $OUT/by_text.
by_frame_pointers() {
    BEFORE='
        perf_python() { PERF_PYTHON=fp PERF_GRAPH=fp PERF_PYTHON_WHY="Python frames by -X perf and frame pointers"; }
        eval "really_$(declare -f perf_text)"
        perf_text() {
            perf script --no-inline -i "$PERF_DATA" 2>/dev/null | stackfold --annotate >"$OUT/by_text"
            '"${2-}"'
            really_perf_text
        }' run -0 --separate-stderr recorded '
        OFFCPU=0 CPU_S=n/a
        perf_facts
        perf_words
        cp "$RUN/run.json" "$OUT"
        [[ ! -e $RUN/raw/perf.script.gz ]] || touch "$OUT/has_text"' "$1"
    # The weight that has the same stack in both, and all of it.
    read -r same all < <(awk '{ w = $NF; sub(/ [0-9]+$/, "") }
        FNR == NR { text[$0] = w; next }
        { all += w; same += w < text[$0] ? w : text[$0] + 0 }
        END { print same, all }' "$OUT/by_text" "$OUT/perf.folded")
    ((all >= 200)) || fail "$all samples"
    ((same * 1000 >= all * 995)) || fail "$same of $all samples have the stack of perf script"
    equal "$(jq -r .samples "$OUT/run.json")" "$all"
}

@test "a recording of frame pointers is folded as it is, to the stacks that perf's text gives" {
    local python
    python=$(find_python 12)
    by_frame_pointers "$python"
    [[ ! -e $OUT/has_text ]] || fail "perf was asked for its text"
    equal "$(jq -r '.samples_missed' "$OUT/run.json")" 0
    matches "$output" "$all samples of CPU time by (cycles|cpu-clock)[^ ]* .*frame pointers: [0-9.]+ % beneath a Python function"
    if [[ $("$python" -c 'import sysconfig; print(sysconfig.get_config_var("CFLAGS"))') != *-fno-omit-frame-pointer* ]]; then
        echo "# $python has no frame pointers: what its stacks hold was not looked at" >&3
        return
    fi
    chain='py::<module>:[^;]*perf_truth.py.*;py::main:.*;py::alpha:.*;py::timed:.*;py::a_collects:|;Py_FinalizeEx'
    # Or in the end of the interpreter, which collects all.
    (($(beneath gc_collect_main "$chain") >= 95)) || fail "$(beneath gc_collect_main "$chain") % of gc stand beneath their chain"
    chain='py::<module>:[^;]*perf_truth.py.*;py::main:.*;py::(alpha|beta):.*;py::timed:.*;py::[ab]_sorts:'
    (($(beneath list_sort "$chain") >= 95)) || fail "$(beneath list_sort "$chain") % of sorting stand beneath their chain"
}

@test "where a recording of frame pointers is not understood, perf's text is taken" {
    by_frame_pointers "$(find_python 12)" 'stackfold() { [[ ${!#} != *perf.data ]] || return 3; command stackfold "$@"; }'
    [[ -e $OUT/has_text ]] || fail "no text of perf"
}
