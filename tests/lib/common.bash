# SPDX-License-Identifier: MIT
# Loaded by every .bats file: `load ../lib/common`.
bats_require_minimum_version 1.5.0

ROOT=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
# The helpers under test: the ones that ship, or the sanitized ones (SAN=1).
BIN=${BIN:-$ROOT/build${SAN:+/san}/bin}
FIXTURES=$ROOT/tests/fixtures
export ROOT BIN FIXTURES LC_ALL=C TZ=UTC
PATH=$BIN:$PATH

# fail MESSAGE…: ends the test with the message and what `run` saw.
fail() {
    printf '%s\n' "$*" "status: ${status-}" "output: ${output-}" "stderr: ${stderr-}" >&2
    return 1
}

# equal ACTUAL EXPECTED [WHAT]
equal() {
    [[ $1 == "$2" ]] || fail "${3:-value}: expected '$2', got '$1'"
}

# matches TEXT REGEX
matches() {
    [[ $1 =~ $2 ]] || fail "expected a match of /$2/ in: $1"
}

# until_true SECONDS COMMAND…: tries the command every 20 ms until it is true; fails when it was tried as often as the seconds
# allow, so that a machine that stands still uses none of them up, or after twice as long and 5 s. Waits for a condition,
# and never as a plain pause.
until_true() {
    local tries=$(($1 * 50)) deadline=$((${EPOCHREALTIME/./} + (2 * $1 + 5) * 1000000))
    shift
    until "$@"; do
        # `return`, since nothing stops at a failing command within a command substitution.
        ((tries-- > 0 && ${EPOCHREALTIME/./} < deadline)) || {
            fail "not true before the deadline: $*"
            return 1
        }
        read -rt 0.02 <> <(:) || :
    done
}

# gone PID: true when no such process is alive (a zombie counts as gone).
gone() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    stat=${stat##*) }
    [[ ${stat%% *} == [ZX] ]]
}

# own_mounts COMMAND…: where it may mount a file system of its own: in a user namespace, which a chroot has not and some
# machines bar, only where one is not root.
own_mounts() {
    if ((EUID)); then unshare -rm "$@"; else unshare -m "$@"; fi
}

# golden FILE TEXT: compares with tests/golden/FILE; UPDATE_GOLDEN=1 writes it instead (`git diff` shows the change).
golden() {
    local file=$ROOT/tests/golden/$1
    if [[ -n ${UPDATE_GOLDEN-} ]]; then
        mkdir -p "${file%/*}"
        printf '%s\n' "$2" >"$file"
    fi
    diff -u "$file" <(printf '%s\n' "$2")
}
