# SPDX-License-Identifier: MIT
# The checks of `make doctor`. Each prints one line: ok, miss (a target cannot work) or hint (it could show more), and
# for the latter two the command that mends it. They read below $SYS, so that recorded machines can be tested.
# shellcheck shell=bash disable=SC2034 # the counters are read by the script

# Recorded machines stand under another root in the tests.
SYS=${DOCTOR_ROOT-}
MISSES=0
HINTS=0

ok() { printf '  ok    %-12s %s\n' "$1" "$2"; }
miss() {
    MISSES=$((MISSES + 1))
    printf '  miss  %-12s %s\n        %-12s mend: %s\n' "$1" "$2" '' "$3"
}
hint() {
    HINTS=$((HINTS + 1))
    printf '  hint  %-12s %s\n        %-12s mend: %s\n' "$1" "$2" '' "$3"
}

# sys FILE: its first line, or the word absent.
sys() {
    local line
    { IFS= read -r line <"$SYS$1"; } 2>/dev/null || line=absent
    printf '%s' "$line"
}

os_name() {
    sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' "$SYS/etc/os-release" 2>/dev/null || printf 'an unknown system'
}

# has_cap N: is bit N of this process's effective capabilities set?
has_cap() {
    local caps
    caps=$(sed -n 's/^CapEff:[[:space:]]*//p' "$SYS/proc/self/status" 2>/dev/null)
    [[ -n $caps ]] && (((16#$caps >> $1) & 1))
}

check_ptrace() {
    local yama
    yama=$(sys /proc/sys/kernel/yama/ptrace_scope)
    if [[ $yama == 3 ]]; then
        miss ptrace "no process can be profiled, not even by root (yama ptrace_scope 3)" \
            "start the machine with another kernel.yama.ptrace_scope (see /etc/sysctl.d); it cannot be lowered before"
    elif has_cap 19; then
        ok ptrace "CAP_SYS_PTRACE: every process can be profiled"
    elif [[ $yama == absent || $yama == 0 ]]; then
        ok ptrace "your own processes can be profiled (yama ptrace_scope $yama)"
    elif [[ $yama == 1 ]]; then
        hint ptrace "only a loader that the harness launches can be profiled (yama ptrace_scope 1); PID= needs more" \
            "sudo sysctl kernel.yama.ptrace_scope=0, or run with sudo; in a container: --cap-add SYS_PTRACE"
    else
        miss ptrace "no process can be profiled without CAP_SYS_PTRACE (yama ptrace_scope $yama)" \
            "run with sudo, or: sudo sysctl kernel.yama.ptrace_scope=1"
    fi
}

check_perf() {
    local paranoid words version
    paranoid=$(sys /proc/sys/kernel/perf_event_paranoid)
    words="perf_event_paranoid $paranoid"
    if ! perf_find; then
        hint perf "perf is not installed: no native stacks" "sudo apt-get install $(perf_package)"
        return
    fi
    version=$(version_of perf)
    version=${version:+version $version, }
    if has_cap 38 || has_cap 21 || [[ $paranoid =~ ^-?[012]$ ]]; then
        if [[ -z $SYS ]] && perf stat -e instructions:u true 2>&1 | grep -q 'not supported'; then
            words="software clock only (the machine offers no hardware counters); paranoid $paranoid"
        fi
        if [[ $paranoid == 2 ]] && ! has_cap 38 && ! has_cap 21; then
            hint perf "$version$words: no functions of the kernel, no OFFCPU=1" "sudo sysctl kernel.perf_event_paranoid=1"
        else
            ok perf "$version$words"
        fi
    else
        hint perf "${version}perf is barred (perf_event_paranoid $paranoid)" "sudo sysctl kernel.perf_event_paranoid=1"
    fi
}

check_schedstat() {
    local run wait rest of=self
    # That of this script: `self` would be the subshell, which has just begun and often has all zero.
    [[ -n $SYS ]] || of=$$
    read -r run wait rest <<<"$(sys "/proc/$of/schedstat")"
    if [[ ${run-} =~ ^[0-9]+$ && "$run$wait" != 00 ]]; then
        ok run-queue "schedstat tells a slow loader from a busy machine"
    else
        hint run-queue "schedstat reads nothing: run-queue delay will be n/a" "sudo sysctl kernel.sched_schedstats=1 (where the kernel has it)"
    fi
}

check_container() {
    if [[ -e $SYS/.dockerenv || -e $SYS/run/.containerenv ]] || grep -qsz '^container=' "$SYS/proc/1/environ"; then
        if has_cap 19; then
            ok container "in a container, with CAP_SYS_PTRACE"
        else
            hint container "in a container without CAP_SYS_PTRACE: only launched loaders can be profiled" "docker run --cap-add SYS_PTRACE …"
        fi
    else
        ok container "none"
    fi
}

check_cgroup() {
    local path limit
    path=$(sed -n 's/^0:://p' "$SYS/proc/self/cgroup" 2>/dev/null | head -n 1)
    limit=$(sys "/sys/fs/cgroup${path%/}/memory.max")
    case $limit in
        absent | max) ok cgroup "no memory limit on this process" ;;
        *)
            if ((limit < 1073741824)); then
                hint cgroup "memory limit $((limit / 1048576)) MiB: the loader alone peaks at 300 to 400 MiB and may be OOM-killed" "raise the limit to 1 GiB or more"
            else
                ok cgroup "memory limit $((limit / 1048576)) MiB"
            fi
            ;;
    esac
}

check_clock() {
    local source
    source=$(sys /sys/devices/system/clocksource/clocksource0/current_clocksource)
    case $source in
        tsc | kvm-clock | hyperv* | arch_sys_counter | xen | absent) ok clock "clock source $source" ;;
        *) hint clock "clock source $source: reading the time is slow, high rates cost more" "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource" ;;
    esac
}

# check_disk WHAT FOLDER MIB
check_disk() {
    local dir=$2 free
    while [[ ! -e $dir ]]; do dir=$(dirname "$dir"); done
    free=$(($(df --output=avail -k "$dir" | tail -n 1) / 1024))
    if [[ ! -w $dir ]]; then
        miss disk "$1 ($2) cannot be written" "chown or chmod it, or choose another folder with RESULTS / XDG_CACHE_HOME"
    elif ((free < $3)); then
        miss disk "$1 ($2) has $free MiB free, and needs $3" "make room, or choose another folder with RESULTS / XDG_CACHE_HOME"
    else
        ok disk "$1: $free MiB free"
    fi
}

# version_of PROGRAM: the number in what it says of itself, empty where it says none.
version_of() {
    { "$1" --version 2>/dev/null || :; } | grep -oEm 1 '[0-9]+\.[0-9][0-9.]*( patchlevel [0-9]+)?' | head -n 1 || :
}

# check_tool needed|wanted COMMAND WHY [PROGRAM…]: COMMAND by the name that need_debs knows it by, with the versions of those
# programs that are there.
check_tool() {
    local p version versions=''
    debs_missing "$2"
    if ((${#DEBS_MISSING[@]} == 0)); then
        for p in "${@:4}"; do
            version=$(version_of "$p")
            [[ -z $version ]] || versions+="${versions:+, }$p $version"
        done
        ok "$2" "$3${versions:+ ($versions)}"
    elif [[ $1 == needed ]]; then
        miss "$2" "not installed ($3)" "sudo apt-get install ${DEBS_MISSING[*]}"
    else
        hint "$2" "not installed ($3)" "sudo apt-get install ${DEBS_MISSING[*]}"
    fi
}

# What need_helpers and every profile ask for.
check_needed() {
    local c why
    for c in "${HELPERS_NEED[@]}"; do
        case $c in
            cc) check_tool needed "$c" "builds the helpers" gcc clang ;;
            libc | zlib) check_tool needed "$c" "headers that the helpers are built with" ;;
            *) check_tool needed "$c" "builds the helpers" "$c" ;;
        esac
    done
    for c in "${PROFILES_NEED[@]}"; do
        case $c in
            jq) why="writes run.json" ;;
            column) why="lays out the tables" ;;
            curl) why="hands on metrics" ;;
            *) why="every profile calls it" ;;
        esac
        check_tool needed "$c" "$why" "$c"
    done
}

check_chromium() {
    if chromium_program >/dev/null || compgen -G "$CACHE/chromium-*/.complete" >/dev/null; then
        ok chromium "looks at the pictures in make test"
    elif is_ubuntu; then
        hint chromium "none that can open the pictures (a snap cannot)" "make test, which fetches one into the cache folder"
    else
        hint chromium "not installed (looks at the pictures in make test)" "sudo apt-get install chromium"
    fi
}

check_venv() {
    if ! command -v python3 >/dev/null; then
        miss python3 "not installed (holds py-spy and the stand-ins)" "sudo apt-get install python3 python3-venv"
    elif python3 -c 'import ensurepip, venv' 2>/dev/null; then
        ok python3 "$(python3 --version), can make environments"
    else
        miss python3 "cannot make environments" "sudo apt-get install python3-venv"
    fi
}

# env_built NEED…: prints the folder of the environment that NEED would build, false where it is not built whole. Nothing is
# installed, fetched or built: whatever writes there asks for the cache folder first.
# shellcheck disable=SC2317 # what is called by "$@" calls them
env_built() (
    need_debs() { :; }
    need_cache() { exit 1; }
    export TOOLS_BIN=$TOOLS_ENV/bin
    "$@" >/dev/null 2>&1 && printf '%s' "$ENV_DIR"
)

# find_environments: TOOLS_ENV and LOADER_ENV, empty where not built for what this version requires.
find_environments() {
    TOOLS_ENV=''
    TOOLS_ENV=$(env_built need_tools) || :
    LOADER_ENV=$(env_built need_loader_env) || :
}

# What the environments that are still to be built take while they are; a run alone keeps its corpus there.
check_cache_room() {
    local mib=20
    [[ -n $TOOLS_ENV ]] || mib=$((mib + 500))
    [[ -n $LOADER_ENV ]] || mib=$((mib + 2500))
    check_disk "the cache" "$CACHE" "$mib"
}

check_environments() {
    local versions
    if [[ -z $TOOLS_ENV ]]; then
        hint tools "environment not built yet (any target builds it)" "make setup"
    elif versions=$("$TOOLS_ENV/bin/py-spy" --version 2>/dev/null && "$TOOLS_ENV/bin/python" --version 2>/dev/null); then
        ok tools "${versions/$'\n'/, } in $TOOLS_ENV"
    else
        miss tools "no py-spy or no Python that runs in $TOOLS_ENV" "rm -r $TOOLS_ENV && make setup"
    fi
    if [[ -z $LOADER_ENV ]]; then
        hint loader "environment not built yet (any target that starts the loader builds it)" "make setup"
    elif versions=$("$LOADER_ENV/bin/python" -c "$LOADER_VERSIONS" 2>/dev/null); then
        ok loader "$versions in $LOADER_ENV"
    else
        miss loader "no Python with qdrant-loader that runs in $LOADER_ENV" "rm -r $LOADER_ENV && make setup"
    fi
}
LOADER_VERSIONS='import importlib.metadata, platform
print("qdrant-loader", importlib.metadata.version("qdrant-loader") + ", Python", platform.python_version())'

check_python() {
    local p
    for p in "$LOADER_PYTHON" $(type -ap python3.12 || :) "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12.*/bin/python3.12; do
        if is_cpython 12 "$p"; then
            ok cpython "3.12 at $p"
            return
        fi
    done
    if [[ -n $LOADER_ENV ]]; then
        ok cpython "3.12 in the loader environment"
    else
        hint cpython "no CPython 3.12 here; make setup will ask uv for one" "set LOADER_PYTHON=/path/to/python3.12"
    fi
}
