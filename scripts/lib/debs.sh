# SPDX-License-Identifier: MIT
# Debian packages by name: which are missing, how they are installed, and what is named otherwise on Ubuntu.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

SUDO=()

# The command that shows that a package is there, and the package.
DEB_OF=(
    cc:gcc make:make jq:jq gnuplot:gnuplot-nox python3:python3 bats:bats shellcheck:shellcheck shfmt:shfmt
    clang:clang clang-format:clang-format clang-tidy:clang-tidy cppcheck:cppcheck gzip:gzip
    valgrind:valgrind cargo:cargo curl:curl git:git column:bsdextrautils pgrep:procps go:golang-go g++:g++ xz:xz-utils protoc-c:protobuf-c-compiler
)

# What the helpers are built with, and what every target that profiles reads and writes its text with.
HELPERS_NEED=(make cc libc zlib)
PROFILES_NEED=(jq column curl)

# need_debs COMMAND…: installs the packages of those commands that are missing, and only those. `venv`, `libc` and
# names of header files are asked for by what shows them.
need_debs() {
    debs_missing "$@"
    debs_install || die 3 packages-missing "$DEBS_WHY"
    [[ " $* " != *' perf '* ]] || perf_find || :
}

# want_debs ID WITHOUT COMMAND…: the same for what a run can do without, as WITHOUT says where they cannot be installed.
want_debs() {
    local id=$1 without=$2
    shift 2
    debs_missing "$@"
    debs_install || note "$id" "$without: $DEBS_WHY"
}

# debs_missing COMMAND…: DEBS_MISSING, the packages of those that are not there.
debs_missing() {
    local c pair
    DEBS_MISSING=()
    for c in "$@"; do
        case $c in
            venv) python3 -c 'import ensurepip, venv' 2>/dev/null || DEBS_MISSING+=(python3-venv) ;;
            libc) [[ -e /usr/include/stdio.h ]] || DEBS_MISSING+=(libc6-dev) ;;
            libmicrohttpd) [[ -e /usr/include/microhttpd.h ]] || DEBS_MISSING+=(libmicrohttpd-dev) ;;
            protobuf-c) [[ -e /usr/include/protobuf-c/protobuf-c.h ]] || DEBS_MISSING+=(libprotobuf-c-dev) ;;
            zlib) [[ -e /usr/include/zlib.h ]] || DEBS_MISSING+=(zlib1g-dev) ;;
            perf) perf_find || DEBS_MISSING+=("$(perf_package)") ;;
            # Ubuntu's package is a snap: need_chromium fetches another there, which needs this library.
            chromium)
                if is_ubuntu; then
                    chromium_program >/dev/null || compgen -G '/usr/lib/*/libnss3.so' >/dev/null || DEBS_MISSING+=(libnss3)
                else
                    chromium_program >/dev/null || DEBS_MISSING+=(chromium)
                fi
                ;;
            # Of the distribution's own 3.12; any other brings its own.
            python3.12-dev) [[ -e /usr/include/python3.12/Python.h ]] || DEBS_MISSING+=(libpython3.12-dev) ;;
            clang-rt) compgen -G '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.asan-*.a' >/dev/null || DEBS_MISSING+=("$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/libclang-rt-\1-dev/p')") ;;
            *)
                command -v "$c" >/dev/null && continue
                for pair in "${DEB_OF[@]}"; do
                    if [[ ${pair%%:*} == "$c" ]]; then DEBS_MISSING+=("${pair#*:}"); fi
                done
                ;;
        esac
    done
}

# debs_install: installs DEBS_MISSING; false, with DEBS_WHY (the reason and the command), where that cannot be.
debs_install() {
    local names=${DEBS_MISSING[*]} so_far
    ((${#DEBS_MISSING[@]})) || return 0
    DEBS_INSTALL=(apt-get install -y --no-install-recommends "${DEBS_MISSING[@]}")
    DEBS_WHY="missing: $names, and no right to install them. Run: sudo ${DEBS_INSTALL[*]}"
    command -v apt-get >/dev/null && as_root "to install $names" || return 1
    need_cache
    say "installing Debian packages: $names"
    # The part of the log that is this installation's.
    printf '\n' >>"$(setup_log)"
    so_far=(debs_so_far $(($(log_size) + 1)))
    DEBS_WHY="could not install $names (see $(setup_log)). Run: sudo apt-get update && sudo ${DEBS_INSTALL[*]}"
    # dpkg that is killed leaves its database for a person to mend: it is given the time that it takes.
    END_WITHIN=600 with_progress "installing Debian packages" install_debs
}

# as_root WHAT_FOR: SUDO, the words before a command that only root may run. Where there is a terminal sudo asks for the
# password itself, after a line that says what for; elsewhere the rights are there without one, or it is false.
as_root() {
    SUDO=()
    ((EUID)) || return 0
    command -v sudo >/dev/null || return
    SUDO=(sudo -n)
    "${SUDO[@]}" true 2>/dev/null && return
    [[ -t 2 ]] && { : </dev/tty; } 2>/dev/null || return
    say "sudo asks for your password, $1"
    sudo -v
}

# An image's package lists may be absent or years old: they are fetched when the first try fails. On a machine that has
# just started another apt-get may be at work, which is waited for.
install_debs() {
    local install=("${SUDO[@]}" env LC_ALL=C DEBIAN_FRONTEND=noninteractive "${DEBS_INSTALL[@]}" -o DPkg::Lock::Timeout=300)
    "${install[@]}" || { "${SUDO[@]}" apt-get update && "${install[@]}"; }
}

# debs_so_far BYTE: how far apt is, by its own lines in the set-up log from that byte on.
debs_so_far() {
    tail -c "+$1" "$(setup_log)" | awk '
        { sub(/\r$/, "") }
        NF { last = $0 }
        / newly installed,/ { all = $1 + $3; split("", n); doing = "" }
        /^Get:/ { doing = "fetched"; package = $5 }
        /^Unpacking / { doing = "unpacked"; package = $2 }
        /^Setting up / { doing = "set up"; package = $3 }
        /^(Get:|Unpacking |Setting up )/ { n[doing]++ }
        END {
            sub(/:.*/, "", package)
            if (all && doing) printf "%s %d of %d (%s)", doing, n[doing], all, package
            else printf "%s", substr(last, 1, 60)
        }'
}

is_ubuntu() { grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null; }

# Debian's perf fits every kernel; Ubuntu's is made for one, and its packages know no kernel but Ubuntu's.
perf_package() {
    if ! is_ubuntu; then
        printf linux-perf
    elif apt-cache show "linux-tools-$(uname -r)" >/dev/null 2>&1; then
        printf 'linux-tools-%s' "$(uname -r)"
    else
        printf linux-tools-generic
    fi
}

# perf_find: a perf that works. Ubuntu's /usr/bin/perf refuses on a kernel that is not Ubuntu's own (a container's); the
# perf of any version, which is beside it, works there too.
perf_find() {
    local perf
    perf --version >/dev/null 2>&1 && return 0
    for perf in "${LINUX_TOOLS:-/usr/lib/linux-tools}"/*/perf; do # another folder in the tests
        "$perf" --version >/dev/null 2>&1 || continue
        PATH=${perf%/*}:$PATH
        return 0
    done
    return 1
}
