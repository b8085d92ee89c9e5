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

# ends_with_its_child SIGNAL STATUS CODE: the script of that code, which writes the pid of a child to the cache's file `child`, ends by
# that signal with that status, and the child with it. What it said is in err, and out.
ends_with_its_child() {
    local pid status=0 child=$XDG_CACHE_HOME/qdrant-loader-profiling/child
    set -m
    with_env "$3" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
    pid=$!
    set +m
    until_true 10 test -s "$child"
    kill -s "$1" "$pid"
    wait "$pid" || status=$?
    equal "$status" "$2" 'exit status'
    until_true 5 gone "$(<"$child")"
}

# build_ends SIGNAL STATUS: with a build under way that has a child of its own, the script ends by that signal with that status,
# and neither the build nor its child is left.
build_ends() {
    local cache=$XDG_CACHE_HOME/qdrant-loader-profiling
    ends_with_its_child "$1" "$2" 'deep() { mkdir -p "$1/bin"; bash -c "echo \$\$ >$CACHE/child; read <> <(:)"; good "$1"; }
        env_build demo k deep "$REQ"'
    [[ $1 == KILL ]] || matches "$(<"$BATS_TEST_TMPDIR/err")" 'demo environment: stopped\. The next start begins it anew'
    run -1 compgen -G "$cache/demo-*/.complete"
    [[ ! -e $cache/log ]] || fail 'the build went on'
    # Nor does anybody hold the lock.
    until_true 5 flock -n "$cache/.lock-demo" true
    run -0 with_env 'env_build demo k good "$REQ"; [[ -e $ENV_DIR/.complete ]]'
    [[ $output != *'waiting for it'* ]] || fail "$output"
}

@test "a build whose script is killed ends with it, and never looks finished" { build_ends KILL 137; }
@test "SIGTERM in a build ends it, exit 143" { build_ends TERM 143; }
@test "SIGINT in a build ends it, exit 130" { build_ends INT 130; }

# fetch_ends SIGNAL STATUS: the same of uv, while it fetches a CPython that is nowhere on the machine.
fetch_ends() {
    local cache=$XDG_CACHE_HOME/qdrant-loader-profiling
    mkdir -p "$cache" "$BATS_TEST_TMPDIR/tools"
    # shellcheck disable=SC2016 # the stand-in's
    printf '#!/bin/bash\n[[ $2 == install ]] || exit 1\necho "$$" >%q\nread <> <(:)\n' "$cache/child" | install /dev/stdin "$BATS_TEST_TMPDIR/tools/uv"
    PYENV_ROOT=/nonexistent ends_with_its_child "$1" "$2" \
        'is_cpython() { return 1; }; TOOLS_BIN=$BATS_TEST_TMPDIR/tools; find_cpython_312; echo found'
    equal "$(<"$BATS_TEST_TMPDIR/out")" ''
    matches "$(<"$BATS_TEST_TMPDIR/err")" 'no CPython 3\.12 here: asking uv for one'
    [[ $(<"$BATS_TEST_TMPDIR/err") != *no-python-3.12* ]] || fail "$(<"$BATS_TEST_TMPDIR/err")"
    [[ $1 == KILL ]] || matches "$(<"$BATS_TEST_TMPDIR/err")" 'CPython 3\.12: stopped\.'
}

@test "the fetching of a CPython ends with the script that is killed" { fetch_ends KILL 137; }
@test "SIGTERM while a CPython is fetched ends that, exit 143" { fetch_ends TERM 143; }

@test "how far a build is says nothing of what was set up before it" {
    run -0 with_env 'need_cache; echo "Setting up jq" >"$(setup_log)"; from=$(($(log_size) + 1)); env_so_far "$CACHE" "$from"
        echo; printf "%s\n" "Downloaded one" "Downloaded two" >>"$(setup_log)"; env_so_far "$CACHE" "$from"'
    matches "$output" $'^[0-9]+ MB\n[0-9]+ MB; Downloaded two$'
}

@test "a helper that is left out for want of a library is not built anew by every run" {
    run -0 make -q --no-print-directory -C "$ROOT" LEFT_OUT=loader_exporter built
}

@test "of two builds at once the later waits, says how far the first is, and builds nothing" {
    with_env 'env_build demo k slow "$REQ"' 3>&- &
    local first=$!
    until_true 10 test -e "$XDG_CACHE_HOME/qdrant-loader-profiling/started"
    with_env 'env_build demo k good "$REQ"' >"$BATS_TEST_TMPDIR/second" 2>&1 3>&- &
    local second=$!
    until_true 20 grep -qE 'another set-up of the demo environment: 1[0-9] s, [0-9]+ MB' "$BATS_TEST_TMPDIR/second"
    : >"$XDG_CACHE_HOME/qdrant-loader-profiling/go"
    wait "$first"
    wait "$second"
    equal "$(wc -l <"$XDG_CACHE_HOME/qdrant-loader-profiling/log")" 1
}

# bare_path COMMAND…: BARE, a PATH with what need_debs itself needs and those, as links or, given as NAME=CODE, as scripts.
bare_path() {
    local c
    BARE=$BATS_TEST_TMPDIR/bare
    mkdir "$BARE"
    for c in bash sed awk env cat mkdir stat tail cut du date tput uname readlink grep rm "$@"; do
        if [[ $c == *=* ]]; then
            printf '#!/bin/bash\n%s\n' "${c#*=}" | install /dev/stdin "$BARE/${c%%=*}"
        else
            ln -s "$(type -P "$c")" "$BARE/$c"
        fi
    done
    export BARE
}

# not_root PATH CODE: with_env's CODE by a user who is not root, but may read and write the files here.
not_root() {
    local user=()
    ((EUID)) || user=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=+dac_override --ambient-caps=+dac_override)
    export -f with_env
    CODE=$2 "${user[@]}" env PATH="$1" bash -c 'with_env "$CODE"'
}

# A sudo that wants the password `open`, once; each of its calls is a line in sudo.log.
SUDO_ASKS='echo "$*" >>"$BATS_TEST_TMPDIR/sudo.log"
    if [[ $1 == -n ]]; then shift; [[ -e $BATS_TEST_TMPDIR/known ]] || exit 1; fi
    if [[ ! -e $BATS_TEST_TMPDIR/known ]]; then
        printf "[sudo] password: " >/dev/tty
        IFS= read -rs word </dev/tty
        [[ $word == open ]] || exit 1
        : >"$BATS_TEST_TMPDIR/known"
    fi
    [[ $1 == -v ]] || "$@"'
# An apt-get that writes what apt does, and stands still in the middle until it may go on.
APT='echo "$*" >>"$BATS_TEST_TMPDIR/apt.log"
    printf "%s\n" "Reading package lists..." "0 upgraded, 3 newly installed, 0 to remove and 0 not upgraded." \
        "Get:1 http://mirror bookworm/main amd64 libjq1 amd64 1.6-2 [135 kB]" "Unpacking libjq1:amd64 (1.6-2) ..." \
        "Setting up libjq1:amd64 (1.6-2) ..." "Setting up jq (1.6-2) ..."
    until [[ -e $BATS_TEST_TMPDIR/go ]]; do read -rt 0.02 <> <(:) || :; done
    echo "Setting up gnuplot-nox (5.4) ..."'

@test "only the packages that are missing are named, with the command, when they cannot be installed" {
    # No apt-get, jq and gnuplot.
    bare_path
    PATH=$BARE run -3 with_env 'need_debs sed jq awk gnuplot'
    matches "$output" 'missing: jq gnuplot-nox.*sudo apt-get install -y --no-install-recommends jq gnuplot-nox'
}

@test "what a run can do without is named with what will be missing and the command, and the run goes on" {
    bare_path
    PATH=$BARE run -0 with_env 'want_debs no-gnuplot "there will be no timeline.svg" sed gnuplot; echo "goes on"'
    equal "$output" "test: [no-gnuplot] there will be no timeline.svg: missing: gnuplot-nox, and no right to install them. Run: sudo apt-get install -y --no-install-recommends gnuplot-nox
goes on"
}

@test "without a terminal nobody is asked for a password: exit 3 with the command" {
    bare_path "sudo=$SUDO_ASKS" "apt-get=$APT"
    run -3 setsid --wait bash -c "$(declare -f not_root with_env); "'not_root "$BARE" "need_debs jq gnuplot"' </dev/null
    matches "$output" '^test: \[packages-missing\] missing: jq gnuplot-nox, and no right .*Run: sudo apt-get install -y --no-install-recommends jq gnuplot-nox$'
    equal "$(<"$BATS_TEST_TMPDIR/sudo.log")" '-n true'
    [[ ! -e $BATS_TEST_TMPDIR/apt.log ]]
}

# on_terminal ANSWER: not_root needs jq and gnuplot on a terminal, where ANSWER is typed when sudo asks; what was on the screen
# is in $SCREEN. Once apt stands still, `go` lets it go on when the screen says how far it is.
on_terminal() {
    bare_path "sudo=$SUDO_ASKS" "apt-get=$APT"
    SCREEN=$BATS_TEST_TMPDIR/screen
    export -f not_root with_env
    # shellcheck disable=SC2094 # the screen is read while it is written
    (
        until_true 10 grep -q 'password: ' "$SCREEN"
        printf '%s\n' "$1"
        if [[ $1 == open ]]; then
            until_true 10 grep -q 'installing Debian packages: [0-9]* s, set up 2 of 3 (jq)' "$SCREEN"
            : >"$BATS_TEST_TMPDIR/go"
        fi
        until_true 10 test -e "$BATS_TEST_TMPDIR/ended"
    ) 3>&- | SHELL=$BASH script -qefc 'not_root "$BARE" "need_debs jq gnuplot"; echo "status $?"; : >"$BATS_TEST_TMPDIR/ended"' /dev/null >"$SCREEN" 3>&-
}

@test "on a terminal sudo asks for the password after a line that says what for, and the screen says how far apt is" {
    on_terminal open
    matches "$(tr -d '\r' <"$SCREEN")" $'^test: sudo asks for your password, to install jq gnuplot-nox\n\\[sudo\\] password: '
    matches "$(<"$SCREEN")" 'status 0'
    equal "$(<"$BATS_TEST_TMPDIR/apt.log")" 'install -y --no-install-recommends jq gnuplot-nox -o DPkg::Lock::Timeout=300'
    # What apt said is kept.
    matches "$(<"$XDG_CACHE_HOME/qdrant-loader-profiling/setup.log")" 'Setting up gnuplot-nox'
}

@test "a wrong password on the terminal is exit 3 with the command" {
    on_terminal wrong
    matches "$(tr -d '\r' <"$SCREEN")" 'Run: sudo apt-get install -y --no-install-recommends jq gnuplot-nox'$'\n''status 3'
    [[ ! -e $BATS_TEST_TMPDIR/apt.log ]]
}

@test "without a terminal a line every ten seconds says how far apt is" {
    bare_path "sudo=shift; \"\$@\"" "apt-get=$APT"
    # A clock that runs fast, while apt is there.
    run -0 not_root "$BARE" 'pause() { read -rt 0.02 -u "$PAUSE_FD" || :; [[ ! -e $BATS_TEST_TMPDIR/apt.log || -e $BATS_TEST_TMPDIR/go ]] || ((SECONDS += 3)); ((SECONDS < 60)) || : >"$BATS_TEST_TMPDIR/go"; }
        need_debs jq gnuplot'
    equal "${lines[0]}" 'test: installing Debian packages: jq gnuplot-nox'
    matches "${lines[-1]}" '^test: installing Debian packages: [0-9]+ s, set up [23] of 3 \((jq|gnuplot-nox)\)$'
    ((${#lines[@]} > 3 && ${#lines[@]} < 9)) || fail "${#lines[@]} lines"
}

@test "where apt-get fails, its lists are fetched and it is tried again; then it is exit 3 with both commands" {
    bare_path "sudo=shift; \"\$@\"" 'apt-get=echo "$1" >>"$BATS_TEST_TMPDIR/apt.log"; [[ $1 == update ]]'
    run -3 not_root "$BARE" 'need_debs jq'
    matches "$output" 'could not install jq .*Run: sudo apt-get update && sudo apt-get install -y --no-install-recommends jq$'
    equal "$(tr '\n' ' ' <"$BATS_TEST_TMPDIR/apt.log")" 'install update install '
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

@test "where the perf on PATH refuses this kernel, one that works is taken out of Ubuntu's folder" {
    bare_path 'perf=exit 2'
    export LINUX_TOOLS=$BATS_TEST_TMPDIR/linux-tools
    PATH=$BARE run -1 with_env 'perf_find'
    mkdir -p "$LINUX_TOOLS"/{6.5.0-1,6.8.0-31-generic}
    printf '#!/bin/sh\nexit 2\n' | install /dev/stdin "$LINUX_TOOLS/6.5.0-1/perf"
    printf '#!/bin/sh\necho perf version 6.8\n' | install /dev/stdin "$LINUX_TOOLS/6.8.0-31-generic/perf"
    ln -s /bin/sh "$BARE/sh"
    PATH=$BARE run -0 with_env 'perf_find; perf --version; need_debs perf'
    equal "$output" 'perf version 6.8'
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

# stub_python PATH VERSION LOADER: a python of which that is the version, and which has the loader when LOADER is 0.
stub_python() {
    install /dev/stdin "$1" <<CODE
#!/bin/bash
case \$2 in
    *find_spec*) exit $3 ;;
    *version_info*) echo 'cpython $2' ;;
    *_base_executable*) echo "\$0" ;;
esac
CODE
}

@test "a LOADER_PYTHON of another version that has the loader leaves the 3.12 for the corpus to be found elsewhere" {
    local bin=$BATS_TEST_TMPDIR/bin
    mkdir "$bin"
    stub_python "$bin/python3.12" '3 12' 1
    stub_python "$bin/own" '3 13' 0
    export PATH=$bin:$PATH
    LOADER_PYTHON=$bin/own run -0 with_env 'TOOLS_BIN=/nonexistent; find_cpython_312; echo "$REPLY"'
    equal "$output" "$bin/python3.12"
    stub_python "$bin/own" '3 13' 1
    LOADER_PYTHON=$bin/own run -3 with_env 'TOOLS_BIN=/nonexistent; find_cpython_312'
    matches "$output" 'is no CPython 3.12, nor has it qdrant-loader'
    # One that is a 3.12 is the base, with the loader or without.
    stub_python "$bin/own" '3 12' 1
    LOADER_PYTHON=$bin/own run -0 with_env 'TOOLS_BIN=/nonexistent; find_cpython_312; echo "$REPLY"'
    equal "$output" "$bin/own"
}
