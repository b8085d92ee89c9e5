# SPDX-License-Identifier: MIT
# Loaded by tests that need particular Pythons: `load ../lib/python`.

# find_python MINOR: prints a CPython 3.MINOR: $PYTHON3MINOR, python3.MINOR, pyenv's, uv's. Fails when there is none.
find_python() {
    local from_env=PYTHON3$1 found
    if [[ -n ${!from_env-} ]]; then
        printf '%s\n' "${!from_env}"
        return 0
    fi
    for found in "$(command -v "python3.$1" || :)" "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$1".*/bin/"python3.$1" \
        "$(uv python find "3.$1" 2>/dev/null || :)"; do
        # A pyenv shim is there for versions that are not.
        if [[ -x $found ]] && "$found" -c "import sys; sys.exit(sys.version_info[:2] != (3, $1))" 2>/dev/null; then
            printf '%s\n' "$found"
            return 0
        fi
    done
    echo "no CPython 3.$1: set PYTHON3$1 to one$([[ $1 == 13 ]] && echo ", or PYTHON313=none to go without")" >&2
    return 1
}

# has_name PYTHON FUNCTION: whether perf can name that static function of its interpreter. Not in a distribution's own, which
# are stripped; then it says so.
has_name() {
    local file
    file=$("$1" -c 'import os; print(next((line.split()[5] for line in open("/proc/self/maps") if "/libpython3" in line), os.readlink("/proc/self/exe")))')
    nm "$file" 2>/dev/null | grep -q " $2\$" || {
        echo "# $file is stripped: $2 is not looked for" >&3
        return 1
    }
}

# each_python COMMAND…: runs it with PYTHON set to each supported version. Without 3.13 only where PYTHON313=none.
# Called as a plain command: behind `||` or in an `if`, bash would not stop at what fails within it.
each_python() {
    local PYTHON minor
    for minor in 12 13; do
        if [[ $minor == 13 && ${PYTHON313-} == none ]]; then
            echo '# PYTHON313=none: 3.12 alone was looked at' >&3
            continue
        fi
        PYTHON=$(find_python "$minor")
        export PYTHON
        echo "with $PYTHON"
        "$@"
    done
}
