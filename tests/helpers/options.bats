#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is the same for every helper.
load ../lib/common

# every CHECK…: runs a check for each helper that is built.
every() {
    local bin name n=0
    for bin in "$BIN"/*; do
        name=${bin##*/}
        "$@" "$name" || fail "$name"
        n=$((n + 1))
    done
    ((n > 0))
}

synopsis_of_help() {
    "$1" --help | sed -n 's/^usage: *//p; s/^ *or: *//p'
}

synopsis_of_man() {
    sed -n '/^\.SH SYNOPSIS/,/^\.fi/p' "$ROOT/docs/man/$1.1" | sed '/^\./d'
}

# Each check is one && chain: `fail` calls it where bash does not stop at a failing command.
help_goes_to_stdout() {
    run -0 --separate-stderr "$1" --help && [[ -n $output && -z $stderr && $output == *"$1"* ]]
}

unknown_option_is_usage_error() {
    run -2 --separate-stderr "$1" --no-such-option && [[ -z $output && $stderr == *"Try '$1 --help'."* ]]
}

full_disk_is_an_error() {
    run -3 bash -c "$1 --help >/dev/full" && [[ $output == *"$1: standard output: No space left on device"* ]]
}

man_page_agrees() {
    [[ -n $(synopsis_of_help "$1") ]] && diff -u <(synopsis_of_help "$1") <(synopsis_of_man "$1")
}

@test "--help goes to standard output and exits 0" { every help_goes_to_stdout; }
@test "an unknown option exits 2 and says how to get help" { every unknown_option_is_usage_error; }
@test "a full disk is an error, not a silent short file" { every full_disk_is_an_error; }
@test "the SYNOPSIS of the man page equals --help" { every man_page_agrees; }
