#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The environments in the cache folder: built whole or not at all, shared, keyed by what they hold.
load ../lib/common

setup() {
    export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
    printf 'a==1\n' >"$BATS_TEST_TMPDIR/req.txt"
    REQ=$BATS_TEST_TMPDIR/req.txt
    export REQ
}

# with_env CODE: a script with the builders `good` (counts how often it ran) and `slow` (waits until told).
with_env() {
    exec bash -c '. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/env.sh"; options_load
        good() { mkdir -p "$1/bin" && echo built >>"$CACHE/log"; }
        slow() { mkdir -p "$1/bin" && : >"$CACHE/started" && until [[ -e $CACHE/go ]]; do pause 0.02; done && good "$1"; }
        bad() { mkdir -p "$1/bin" && echo broken && return 1; }
        '"$1" test
}

@test "an environment is built once and then used" {
    run -0 with_env 'env_build demo k good "$REQ"; a=$ENV_DIR; env_build demo k good "$REQ"; [[ $a == "$ENV_DIR" ]]; wc -l <"$CACHE/log"'
    matches "$output" $'\n1$'
}

@test "another requirement or another Python makes another environment" {
    run -0 --separate-stderr with_env 'env_build demo k good "$REQ"; a=$ENV_DIR; echo "b==2" >>"$REQ"; env_build demo k good "$REQ"; b=$ENV_DIR
        env_build demo k2 good "$REQ"; printf "%s\n" "$a" "$b" "$ENV_DIR" | sort -u | wc -l'
    equal "$output" 3
}

@test "a build that fails is exit 3, and is tried again the next time" {
    run -3 with_env 'env_build demo k bad "$REQ"'
    matches "$output" 'could not be built.*network'
    run -0 with_env 'env_build demo k good "$REQ"; [[ -e $ENV_DIR/.complete ]]'
}

@test "a build that is killed never looks finished" {
    with_env 'env_build demo k slow "$REQ"' 3>&- &
    local pid=$!
    until_true 10 test -e "$XDG_CACHE_HOME/qdrant-loader-profiling/started"
    kill -KILL "$pid"
    wait "$pid" || :
    # What the installer of a killed script goes on doing finishes nothing; the next build waits for it, and begins anew.
    : >"$XDG_CACHE_HOME/qdrant-loader-profiling/go"
    until_true 10 test -e "$XDG_CACHE_HOME/qdrant-loader-profiling/log"
    run -1 compgen -G "$XDG_CACHE_HOME/qdrant-loader-profiling/demo-*/.complete"
    run -0 with_env 'env_build demo k good "$REQ"; [[ -e $ENV_DIR/.complete ]]'
}

@test "of two builds at once the later waits and builds nothing" {
    with_env 'env_build demo k slow "$REQ"' 3>&- &
    local first=$!
    until_true 10 test -e "$XDG_CACHE_HOME/qdrant-loader-profiling/started"
    with_env 'env_build demo k good "$REQ"' >"$BATS_TEST_TMPDIR/second" 2>&1 3>&- &
    local second=$!
    until_true 10 grep -q 'waiting for it' "$BATS_TEST_TMPDIR/second"
    : >"$XDG_CACHE_HOME/qdrant-loader-profiling/go"
    wait "$first"
    wait "$second"
    equal "$(wc -l <"$XDG_CACHE_HOME/qdrant-loader-profiling/log")" 1
}

@test "only the packages that are missing are named, with the command, when they cannot be installed" {
    # A PATH without apt-get, jq and gnuplot, for somebody who is not root there.
    mkdir "$BATS_TEST_TMPDIR/bin"
    local c
    for c in bash sed awk env cat mkdir sha256sum flock date python3 tput uname df mktemp rm; do
        ln -s "$(command -v "$c")" "$BATS_TEST_TMPDIR/bin/$c"
    done
    PATH=$BATS_TEST_TMPDIR/bin run -3 with_env 'need_debs sed jq awk gnuplot'
    matches "$output" 'missing: jq gnuplot-nox.*sudo apt-get install -y --no-install-recommends jq gnuplot-nox'
}

@test "a Chromium that is a snap is none, and the next on PATH is taken" {
    local bin=$BATS_TEST_TMPDIR/bin
    mkdir -p "$bin" "$BATS_TEST_TMPDIR/usr/bin"
    # As the snap itself is found, and as Ubuntu's package points to it.
    printf '#!/bin/sh\n' | install /dev/stdin "$BATS_TEST_TMPDIR/usr/bin/snap"
    ln -s ../usr/bin/snap "$bin/chromium"
    printf '#!/bin/sh\nif ! [ -x /snap/bin/chromium ]; then exit 1; fi\n' | install /dev/stdin "$bin/chromium-browser"
    # Nothing of the machine's own.
    local code="type() { builtin type \"\$@\" | grep '^$bin/'; }; chromium_program"
    PATH=$bin:$PATH run -1 with_env "$code"
    equal "$output" ''
    printf '#!/bin/sh\n' | install /dev/stdin "$bin/google-chrome"
    PATH=$bin:$PATH run -0 with_env "$code"
    equal "$output" "$bin/google-chrome"
}

@test "a cache folder that cannot be written is exit 3 with the next step" {
    : >"$BATS_TEST_TMPDIR/file"
    XDG_CACHE_HOME=$BATS_TEST_TMPDIR/file run -3 with_env 'env_build demo k good "$REQ"'
    matches "$output" 'cannot write to .*XDG_CACHE_HOME'
}

@test "a LOADER_PYTHON that is no CPython 3.12 is refused by its name" {
    LOADER_PYTHON=/bin/sh run -3 with_env 'TOOLS_BIN=/nonexistent; find_cpython_312'
    matches "$output" 'LOADER_PYTHON=/bin/sh is no CPython 3.12'
}
