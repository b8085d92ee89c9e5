# SPDX-License-Identifier: MIT
# Read by a script before its first line (BASH_ENV): writes to $EXPANSIONS each command with a `$(…)`, `<(…)` or `>(…)` that the script's
# own process runs while it notes signals (scripts/lib/flow.sh, signals_noted), and to $EXPANSIONS.seen a byte for each command that it
# runs then.
# shellcheck shell=bash
set -o functrace
EXPANSIONS_NOTED=
expansions_look() {
    (($$ == BASHPID)) || return 0
    # By patterns, since =~ would take BASH_REMATCH from the script.
    local text=${1//'$(('/}
    case $1 in
        "trap 'on_signal "*) EXPANSIONS_NOTED=1 ;;
        "trap '' INT TERM HUP") EXPANSIONS_NOTED= ;;
    esac
    [[ -n $EXPANSIONS_NOTED ]] || return 0
    printf . >>"$EXPANSIONS.seen"
    case $text in
        *[\$\<\>]'('* | *'`'*) printf '%s:%s: %s\n' "${BASH_SOURCE[1]##*/}" "${BASH_LINENO[0]}" "$1" >>"$EXPANSIONS" ;;
    esac
}
trap 'expansions_look "$BASH_COMMAND"' DEBUG
