# SPDX-License-Identifier: MIT
# Sourced first by every script: strict mode, messages, options with their defaults, exit traps, temporary folder.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files
set -euo pipefail
export LC_ALL=C

ROOT=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
SELF=${0##*/}
BIN=${BIN:-$ROOT/build/bin}
PATH=$BIN:$PATH
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/qdrant-loader-profiling
export ROOT BIN PATH

# ---- messages: `script: what`, on stderr; stdout is for the answer -----------------------------------------------

say() {
    live_clear
    printf '%s: %s\n' "$SELF" "$*" >&2
}

# note ID TEXT…: a warning, explained under its id in docs/troubleshooting.md. Kept in the run folder too, once, by the script
# that makes or remakes it (NOTES_KEPT): one that only reads a run leaves no word in it.
NOTES_KEPT=
note() {
    local line kept='' file=${RUN-}/raw/notes.md
    printf -v line -- '* **%s** %s' "$1" "${*:2}"
    say "[$1] ${*:2}"
    if [[ -z $NOTES_KEPT || ! -e $file ]]; then return 0; fi
    { IFS= read -rd '' kept <"$file"; } 2>/dev/null || :
    [[ $'\n'$kept == *$'\n'"$line"$'\n'* ]] || { printf '%s\n' "$line" >>"$file"; } 2>/dev/null || :
}

# die STATUS ID TEXT… : the text says what, why and the next step. 2 = the user's words, 3 = could not be done.
die() {
    local status=$1 id=$2
    shift 2
    note "$id" "$*"
    exit "$status"
}

# One line that is overwritten, on a terminal only.
LIVE_SHOWN=
live() {
    local columns
    [[ -t 2 ]] || return 0
    capture columns tput cols 2>/dev/null && [[ $columns =~ ^[1-9] ]] || columns=80
    printf '\r\033[K%.*s' "$((columns - 1))" "$*" >&2
    LIVE_SHOWN=1
}
live_clear() {
    if [[ -n $LIVE_SHOWN ]]; then printf '\r\033[K' >&2; fi
    LIVE_SHOWN=
}

# capture NAME COMMAND…: NAME=$(COMMAND…), with its status, in a way that a trap can come at any moment: where one is due when bash 5.2
# begins to read a `$(…)`, `<(…)` or `>(…)`, it reads the trap as a part of that, misses a `)`, and the script ends with status 2. So
# while signals are noted (flow.sh) none of them is expanded by the script's own process; a child has no traps. COMMAND, which is to be
# short, is not ended by a signal to the whole group, as a terminal's Ctrl-C is: what it tells is whole.
capture() {
    local capture_to=$1 capture_parts=() capture_status=0
    shift
    shopt -s lastpipe
    {
        shopt -u lastpipe
        trap '' INT TERM HUP
        set +e
        "$@"
    } | mapfile -d '' -t capture_parts || capture_status=$?
    shopt -u lastpipe
    printf -v "$capture_to" '%s' "${capture_parts[0]-}"
    while [[ ${!capture_to} == *$'\n' ]]; do printf -v "$capture_to" '%s' "${!capture_to%$'\n'}"; done
    return "$capture_status"
}

# both COMMAND…: with its stderr on stdout, for capture.
both() { "$@" 2>&1; }

# absolute DIR: its path from the root.
absolute() { cd "$1" && pwd; }

# help_if_asked "$@": --help prints the script's header comment; any other argument is a usage error, since what a
# target takes comes by variables (scripts/options.tsv).
help_if_asked() {
    (($# == 0)) && return 0
    if [[ $1 == --help || $1 == -h ]]; then
        sed -n '2,/^[^#]/{/^# SPDX/d;/^# shellcheck /d;s/^# \{0,1\}//p}' "$0"
        echo
        options_table "$SELF"
        exit 0
    fi
    die 2 bad-argument "unexpected argument '$1'. Options are variables: $SELF --help lists them"
}

# ---- options: one table, scripts/options.tsv ----------------------------------------------------------------------

# Gives every option of the table that is not set its default, and checks those that have a form, FORM or FORM:LEAST:MOST.
options_load() {
    local name default form targets least most
    while IFS=$'\t' read -r name default form targets _; do
        [[ $name == \#* ]] && continue
        IFS=: read -r form least most <<<"$form"
        if [[ -z ${!name-} ]]; then
            [[ $default == - ]] && default=
            printf -v "$name" "%s" "$default"
        fi
        case $form in
            flag) [[ ${!name} =~ ^[01]?$ ]] || die 2 bad-option "$name: not 0 or 1: '${!name}'" ;;
            count) [[ ${!name} =~ ^[0-9]{0,9}$ ]] || die 2 bad-option "$name: not a whole number: '${!name}'" ;;
            Hz) [[ ${!name} =~ ^[1-9][0-9]{0,3}$ ]] || die 2 bad-option "$name: not a rate from 1 to 9999 Hz: '${!name}'" ;;
            s | ms) [[ ${!name} =~ ^[0-9]{0,7}(\.[0-9]+)?$ ]] || die 2 bad-option "$name: not a number of $form: '${!name}'" ;;
            pid) [[ ${!name} =~ ^(find)?$ ]] || is_pid "${!name}" || die 2 bad-option "$name: not a process id (1 to $PID_MAX), nor 'find': '${!name}'" ;;
        esac
        if [[ $name == DURATION && -n $DURATION && $DURATION != *[1-9]* ]]; then
            die 2 bad-option "DURATION: nothing is sampled in '$DURATION' s. Leave it empty to sample until the loader ends"
        fi
        if [[ -n ${!name} && -n $least && ${!name} != "$default" ]] && ! in_range "${!name}" "$least" "$most"; then
            [[ $form != count ]] || form=
            die 2 bad-option "$name: not ${most:+from }$least${most:+ to $most}${form:+ $form}$([[ -n $most ]] || printf ' or more'): '${!name}'"
        fi
    done <"$ROOT/scripts/options.tsv"
}

# The kernel's largest.
PID_MAX=4194304
is_pid() { [[ $1 =~ ^[1-9][0-9]{0,6}$ ]] && (($1 <= PID_MAX)); }

# in_range NUMBER LEAST MOST: an empty MOST is none.
in_range() { awk -v v="$1" -v a="$2" -v b="$3" 'BEGIN { exit !(v + 0 >= a + 0 && (b == "" || v + 0 <= b + 0)) }'; }

# options_table TARGET: the rows of the table that belong to a target, for --help and `make help`.
options_table() {
    awk -F '\t' -v target="$1" '!/^#/ && (" " $4 " ") ~ (" " target " ") {
        printf "    %-14s %-9s %s%s\n", $1, ($2 == "-" ? "" : $2), $5, ($3 ~ /^(Hz|s|ms)(:|$)/ ? " (" substr($3, 1, index($3 ":", ":") - 1) ")" : "")
    }' "$ROOT/scripts/options.tsv"
}

# ---- leaving: what was started last is ended first ----------------------------------------------------------------

EXIT_STEPS=()
at_exit() {
    local step
    printf -v step '%q ' "$@"
    EXIT_STEPS+=("$step")
}
run_exit_steps() {
    local status=$? i
    EXIT_STATUS=$status
    trap '' INT TERM HUP
    for ((i = ${#EXIT_STEPS[@]} - 1; i >= 0; i--)); do
        eval "${EXIT_STEPS[i]}" || :
    done
    live_clear
    exit "$status"
}
trap run_exit_steps EXIT

# words_of NAME: WORDS, what the option of that name holds, split and unquoted as a shell would.
words_of() {
    local quoted
    # shellcheck disable=SC2034 # w: by eval
    quoted=$(
        set +eu
        eval "w=(${!1})" 2>/dev/null || exit 1
        ((${#w[@]} == 0)) || printf '%q ' "${w[@]}"
    ) || die 2 bad-option "$1: not words that a shell can read: ${!1} (is a quote or a bracket not closed?)"
    eval "WORDS=($quoted)"
}

# end_process PID [SIGNAL [SECONDS]]: signals a child of this shell and waits for it; kills it at the deadline.
end_process() {
    local pid=$1 signal=${2:-TERM} seconds=${3:-5}
    kill -s "$signal" "$pid" 2>/dev/null || return 0
    wait_gone "$pid" "$seconds" || kill -s KILL "$pid" 2>/dev/null || :
    wait "$pid" 2>/dev/null || :
}

# pause SECONDS: without a child process, so that a signal's trap runs at once.
pause() {
    read -rt "$1" -u "$PAUSE_FD" || :
}
exec {PAUSE_FD}<> <(:)

# Not `$(<file)`: where the file is gone, bash 5.2 leaves the script under `set -e` whatever stands after it.
alive() {
    local stat
    { IFS= read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    stat=${stat##*) }
    [[ ${stat%% *} != [ZX] ]]
}

# wait_gone PID SECONDS: false when it is still there at the deadline.
wait_gone() {
    local deadline=$((${EPOCHREALTIME/./} + ${2%.*} * 1000000))
    while alive "$1"; do
        ((${EPOCHREALTIME/./} < deadline)) || return 1
        pause 0.02
    done
}

# process_start PID: its start in clock ticks since boot, which with the pid names a process; fails when it is gone.
process_start() {
    local stat
    { IFS= read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    # shellcheck disable=SC2086 # fields
    set -- ${stat##*) }
    printf '%s' "${20}"
}

# tmp_sweep PREFIX: removes what scripts that were killed left: folders PREFIX-PID-START.* of ours whose process is gone. The
# prefix holds the pid namespace, since processes of another container are not seen here.
tmp_sweep() {
    local dir pid start
    for dir in "$1"-*-*.*; do
        [[ -d $dir && ! -L $dir && -O $dir ]] || continue
        IFS=-. read -r pid start _ <<<"${dir#"$1"-}"
        [[ $pid =~ ^[1-9][0-9]*$ && $start =~ ^[0-9]+$ && $(process_start "$pid") != "$start" ]] || continue
        rm -rf "$dir" || :
    done
}

# The temporary folder of this script: in memory where there is room, since the loader's state database syncs to disk
# thousands of times and a disk's speed would swamp what is measured.
make_tmp() {
    local parent=${TMPDIR:-} prefix
    if [[ -z $parent ]]; then
        parent=/tmp
        if [[ -w /dev/shm ]] && (($(df --output=avail -k /dev/shm | tail -n 1) > 1048576)); then parent=/dev/shm; fi
    fi
    prefix=$parent/qlp-$(readlink /proc/self/ns/pid | tr -dc 0-9)
    tmp_sweep "$prefix"
    TMP=$(mktemp -d "$prefix-$$-$(process_start $$).XXXXXX") ||
        die 3 no-temporary-folder "cannot make a temporary folder in $parent. Set TMPDIR to a folder with room"
    at_exit rm -rf "$TMP"
}

# seconds_between EPOCH_NS EPOCH_NS → seconds with three decimals
seconds_between() {
    local ms=$((($2 - $1) / 1000000))
    printf '%d.%03d' $((ms / 1000)) $((ms % 1000))
}
now_ns() { printf '%s000' "${EPOCHREALTIME/./}"; }

# ratio A B [DECIMALS]: A / B, or n/a where one is not known or B is 0.
ratio() {
    awk -v a="$1" -v b="$2" -v d="${3:-1}" 'BEGIN { if (a == "n/a" || b == "n/a" || b + 0 == 0) print "n/a"; else printf "%.*f\n", d, a / b }'
}
