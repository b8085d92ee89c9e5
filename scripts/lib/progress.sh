# SPDX-License-Identifier: MIT
# Long steps of a set-up: their log, how far they are, and that they end with the script that began them.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

need_cache() {
    mkdir -p "$CACHE" 2>/dev/null && [[ -w $CACHE ]] ||
        die 3 cache-unwritable "cannot write to $CACHE. Set XDG_CACHE_HOME to a folder that you can write to"
}

setup_log() { printf '%s/setup.log' "$CACHE"; }
log_size() { stat -c %s "$(setup_log)" 2>/dev/null || printf 0; }

# with_progress WHAT COMMAND…: runs it with its output in the set-up log, and says for how long and how far it is, which
# the command in the caller's `so_far` prints; on a terminal in one line, elsewhere every ten seconds. All that it starts ends
# with this script, whatever ends that (END_WITHIN: the seconds it is given to do so): a process group of its own, and beside
# it a guard that waits for the end of a pipe which only this script holds open.
with_progress() {
    local what=$1 pid guard pipe hold status=0 began=$SECONDS next=$((SECONDS + 10)) line
    shift
    exec {pipe}<> <(:)
    exec {hold}>"/proc/self/fd/$pipe"
    set -m
    "$@" </dev/null >>"$(setup_log)" 2>&1 {pipe}>&- {hold}>&- &
    pid=$!
    group_guard "$pid" <"/proc/self/fd/$pipe" >/dev/null 2>&1 {pipe}>&- {hold}>&- &
    guard=$!
    set +m
    exec {pipe}>&-
    at_exit progress_stopped "$what" "$pid" "${END_WITHIN:-5}"
    while alive "$pid"; do
        if [[ -t 2 ]] || ((SECONDS >= next)); then
            line="$what: $((SECONDS - began)) s, $("${so_far[@]}")"
            if [[ -t 2 ]]; then live "$line"; else say "$line"; fi
            next=$((SECONDS + 10))
        fi
        pause 0.2
    done
    wait "$pid" || status=$?
    unset 'EXIT_STEPS[-1]'
    echo over >&"$hold"
    exec {hold}>&-
    wait "$guard" || :
    live_clear
    return "$status"
}

# progress_stopped WHAT GROUP SECONDS: an exit step.
progress_stopped() {
    say "$1: stopped. The next start begins it anew"
    group_end "$2" "$3"
}

# group_guard GROUP: ends that process group when stdin ends without a word.
group_guard() {
    read -r _ || group_end "$1" "${END_WITHIN:-5}"
}

# group_end GROUP SECONDS: interrupts a process group as Ctrl-C would, its leader first, a shell that would go on with its next
# command; kills what is left after so long.
group_end() {
    local deadline=$((SECONDS + $2))
    kill -s TERM "$1" 2>/dev/null || :
    group_signal INT "$1"
    while group_lives "$1"; do
        if ((SECONDS >= deadline)); then
            group_signal KILL "$1"
            break
        fi
        pause 0.05
    done
}

# group_signal SIGNAL GROUP: to the processes of root too, where sudo started some.
group_signal() {
    kill -s "$1" -- "-$2" 2>/dev/null || { ((${#SUDO[@]})) && "${SUDO[@]}" kill -s "$1" -- "-$2" 2>/dev/null; } || :
}

# group_lives GROUP: zombies do not count: in a container nobody may ever reap them.
group_lives() {
    local file stat
    for file in /proc/[0-9]*/stat; do
        { IFS= read -r stat <"$file"; } 2>/dev/null || continue
        # shellcheck disable=SC2086 # fields
        set -- "$1" ${stat##*) }
        [[ $4 != "$1" || $2 == [ZX] ]] || return 0
    done
    return 1
}
