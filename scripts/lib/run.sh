# SPDX-License-Identifier: MIT
# The only code that knows results/: a run folder, its manifest run.json, and what may not be written into it.
# shellcheck shell=bash disable=SC2034 # what is set here is read by the other files

# run_new TARGET: makes results/<time>-TARGET (RUN) with raw/ and log/. Whatever ends this script, but kill -9, its manifest says so.
run_new() {
    local results=${RESULTS:-$ROOT/results} stamp name own_start n=1
    capture own_start process_start $$
    capture stamp date -u +%Y-%m-%dT%H-%M-%SZ
    mkdir -p "$results" 2>/dev/null && [[ -w $results ]] ||
        die 3 results-unwritable "cannot write to $results. Set RESULTS to a folder that you can write to"
    capture RESULTS absolute "$results"
    name=$stamp-$1
    # mkdir is the lock: of two runs in one second the later takes the next name.
    until mkdir "$RESULTS/$name" 2>/dev/null; do
        [[ -e $RESULTS/$name ]] || die 3 results-unwritable "cannot make $RESULTS/$name. Is the disk full?"
        n=$((n + 1))
        name=$stamp-$1-$n
    done
    RUN=$RESULTS/$name
    mkdir "$RUN/raw" "$RUN/log" && : >"$RUN/raw/notes.md" ||
        die 3 results-unwritable "cannot write to $RUN. Is the disk full?"
    NOTES_KEPT=1
    at_exit run_close
    capture stamp date -u +%Y-%m-%dT%H:%M:%S.%NZ
    run_set target "$1" started "$stamp" state running script_pid $$ script_start "$own_start"
}

# run_goes_on: is its script still at it?
run_goes_on() {
    local start
    [[ $(run_get state) == running ]] && start=$(process_start "$(run_get script_pid)") && [[ $start == "$(run_get script_start)" ]]
}

# run_cut_short: a line for the summary of a run that was ended before its time, by a signal or with its script.
run_cut_short() {
    case $(run_get state) in
        stopped) printf 'The run was stopped before its end (%s).\n' "$(run_get stopped)" ;;
        interrupted) printf 'The run was cut off before its end (its script was killed).\n' ;;
    esac
}

# run_latest: points results/latest at this run, which has something to show from now on.
run_latest() {
    ln -sfn "${RUN##*/}" "$RESULTS/.latest.$$" && mv -T "$RESULTS/.latest.$$" "$RESULTS/latest"
}

# run_close: of a run that did not come to its end: how it ended. In a shell of its own, since no exit step may exit.
run_close() (
    state=failed
    [[ $(run_get state) == running ]] || exit 0
    if [[ -n ${STOPPED-} ]]; then
        state=stopped
        run_set stopped "SIG$STOPPED" 2>/dev/null
    fi
    run_set state "$state" ended "$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)" exit_status "$EXIT_STATUS" 2>/dev/null
)

# What stays text, though it may be of digits alone: names, versions, hashes (a commit 0012345 is no 12345, a 1.10 no 1.1).
RUN_TEXTS='["command", "harness", "host", "kernel", "loader_version", "metrics_run", "python", "workspace_sha256"]'

# run_set KEY VALUE …: writes them to run.json; a value that is a number stays one, n/a stays text. Replaced whole, by
# rename, so that a run that is killed leaves a manifest that reads.
run_set() {
    local file=$RUN/run.json pairs=() old='{}' value
    while (($#)); do
        capture value redact_text "$2"
        pairs+=("$1" "$value")
        shift 2
    done
    if [[ -s $file ]]; then IFS= read -rd '' old <"$file" || :; fi
    # A terminal's Ctrl-C goes to jq too, and is not to cost the manifest.
    # shellcheck disable=SC2016 # jq's variables
    (
        trap '' INT TERM HUP
        jq -n --argjson old "$old" --argjson texts "$RUN_TEXTS" '
            $ARGS.positional as $p | reduce range(0; $p | length; 2) as $i ($old;
                .[$p[$i]] = ($p[$i + 1] | if test("^-?[0-9]+([.][0-9]+)?$") and ($p[$i] | IN($texts[]) | not) then tonumber else . end))
            ' --args -- "${pairs[@]}" >"$file.new" && mv "$file.new" "$file"
    ) 2>/dev/null || {
        if [[ -w $RUN ]]; then say "cannot write $file. Is the disk full (df $RUN)? What is there is kept: make room, then make report RUN=$RUN"; else say "cannot write $file: no right to write to its folder"; fi
        exit 3
    }
}

# run_get KEY: the value in run.json, or n/a.
run_get() (
    trap '' INT TERM HUP
    jq -r --arg k "$1" '.[$k] // "n/a" | tostring' "$RUN/run.json" 2>/dev/null || printf 'n/a\n'
)

# run_facts: what the run depends on beside the loader. A fact that cannot be had is n/a.
run_facts() (
    trap '' INT TERM HUP
    container=no
    model=$(sed -n 's/^model name[^:]*: *//p;T;q' /proc/cpuinfo)
    if [[ -e /.dockerenv || -e /run/.containerenv ]]; then container=yes; fi
    run_set host "$(uname -n)" kernel "$(uname -r)" os "$(. /etc/os-release && printf '%s' "${PRETTY_NAME-n/a}")" \
        cpu_model "${model:-n/a}" cpus "$(nproc)" container "$container" \
        harness "$(git -C "$ROOT" describe --always --dirty 2>/dev/null || printf n/a)"
)

# ---- secrets: no value of one is ever written into a run folder ------------------------------------------------------

SECRETS=()
# As WORDS in secrets.py.
SECRET_NAME='(KEY|TOKEN|SECRET|PASS|PWD|CREDENTIAL|AUTH|DSN|COOKIE|BEARER|WEBHOOK|SALT)'
# A personal access token, which as a part of a word (path, pattern) is none.
PAT_NAME='([A-Za-z0-9_-]*[_-])?PAT([_-][A-Za-z0-9_-]*)?'

# secrets_collect [FILE…]: remembers the values of variables with such a name, in the environment, in .env files and in
# YAML (secrets.py says which).
secrets_collect() {
    local values
    capture values secrets_found "$@" || :
    while [[ $values == *$'\x01'* ]]; do
        SECRETS+=("${values%%$'\x01'*}")
        values=${values#*$'\x01'}
    done
}

# secrets_found [FILE…]: each value, which may have several lines, with a \x01 behind it.
secrets_found() { "${TOOLS_PYTHON:-python3}" -B "$ROOT/scripts/lib/secrets.py" "$@" | tr '\0' '\1'; }

# A word as a shell reads it, however it is quoted; what follows a quote that nobody closes, to the next blank.
SHELL_WORD="(\\\$'(\\\\.|[^'\\\\])*'|'[^']*'|\"(\\\\.|[^\"\\\\])*\"|\\\\.|[^[:space:]'\"\\\\])"
SHELL_WORD="($SHELL_WORD+[^[:space:]]*|[^[:space:]]+)"
# What hides secrets whatever their names, for sed: the user part of URLs, up to the last @ of the authority; with a password
# also past a / or a blank, where that what stands behind the colon is no port; and the credentials of HTTP.
REDACT_RULES='s#(://)[^/[:space:]]*@#\1[redacted]@#g
s#(://)[^][/:@[:space:]]*:(/|[0-9]*[^0-9/[:space:]])[^[:space:]"'\''<>]*@#\1[redacted]@#g
s#(://)[^][/:@[:space:]]*:([0-9]+[^0-9/,;:.?)}"'\''<>[:space:]]|[^0-9/"'\''<>[:space:]])[^/"'\''<>\n]*@#\1[redacted]@#g
s#(Authorization["'\'']?\\?[:=](\\?[[:space:]])*["'\'']?([A-Za-z]+(\\?[[:space:]])+)?)[A-Za-z0-9._~+/=-]+#\1[redacted]#Ig
s#\b(Bearer(\\?[[:space:]])+)([A-Za-z._~+/-]*[0-9][A-Za-z0-9._~+/=-]*|[A-Za-z._~+/=-]{16,})#\1[redacted]#Ig
s#\b([Bb]asic(\\?[[:space:]])+)([A-Za-z+/]*([0-9]|[a-z][A-Z])[A-Za-z0-9+/]{6,}=*|[A-Za-z0-9+/]{6,}=+)#\1[redacted]#g
s#\b(X-[A-Za-z0-9-]*'$SECRET_NAME'[A-Za-z0-9-]*["'\'']?:(\\?[[:space:]])*["'\'']?)[^]/[:space:]"'\''\\[][^[:space:]"'\''\\]*#\1[redacted]#Ig'

# secret_within TEXT SECRET: is it in there, and as a whole where it must be?
secret_within() {
    if [[ $2 =~ ^[0-9]+$ ]]; then
        [[ $1 =~ (^|[^0-9.])$2($|[^0-9.]) ]]
    elif ((${#2} < 6)); then
        [[ $1 =~ (^|[^A-Za-z0-9_])"$2"($|[^A-Za-z0-9_]) ]]
    else
        [[ $1 == *"$2"* ]]
    fi
}

# redact_text TEXT: the text without secrets: known values, `--api-key VALUE` and NAME=VALUE of such names, and what
# REDACT_RULES hides.
redact_text() {
    local text=$1 s
    for s in "${SECRETS[@]}"; do
        # A number is one only as a whole: parts of weights and times are none. Nor are parts of words of a short one.
        if [[ $text == "$s" ]] || secret_within "$text" "$s"; then text=${text//"$s"/[redacted]}; fi
    done
    # Most texts hold nothing of the kind, and a process for each would cost more than the rest of the run's book-keeping.
    if [[ $text == *://*@* || ${text^^} =~ $SECRET_NAME || ${text^^} == *BEARER* || ${text^^} =~ (^|[^A-Z0-9])PAT([^A-Z0-9]|$) ]]; then
        # Of a word that is quoted with its name the quotes end the value: its = is put away from the rules that follow.
        # -z: a quoted value may have several lines.
        text=$(sed -z -E "$REDACT_RULES
            s#'(-{0,2}[A-Za-z0-9_-]*${SECRET_NAME}[A-Za-z0-9_-]*)=[^']*'#'\1\x01[redacted]'#Ig
            s#\"(-{0,2}[A-Za-z0-9_-]*${SECRET_NAME}[A-Za-z0-9_-]*)=(\\\\.|[^\"\\\\])*\"#\"\1\x01[redacted]\"#Ig
            s#((^|[^A-Za-z0-9_-])--?[A-Za-z0-9_-]*${SECRET_NAME}[A-Za-z0-9_-]*(=|[ \t]+))$SHELL_WORD#\1[redacted]#Ig
            s#\b([A-Za-z0-9_]*${SECRET_NAME}[A-Za-z0-9_]*=)$SHELL_WORD#\1[redacted]#Ig
            s#(^|[^A-Za-z0-9_-])(${PAT_NAME}=)$SHELL_WORD#\1\2[redacted]#Ig
            s#\x01#=#g" <<<"$text")
    fi
    printf '%s' "$text"
}

# redact_words WORD…: a command line, quoted, without secrets. Each word is looked at before it is quoted, so that its value
# is whole whatever it holds.
redact_words() {
    local word said='' hide='' name="([A-Z0-9_-]*${SECRET_NAME}[A-Z0-9_-]*|$PAT_NAME)"
    local url='^((-{0,2}[A-Za-z0-9_-]+=)?[A-Za-z][A-Za-z0-9+.-]*://)[^][/:@]*:.*@[^@]*$' port='^[^:]*://[^:]*:[0-9]+/'
    for word in "$@"; do
        if [[ -n $hide ]]; then
            word='[redacted]' hide=''
        elif [[ ${word^^} =~ ^--?$name$ ]]; then
            hide=1
        elif [[ ${word^^} =~ ^(-{0,2}$name=). ]] || [[ ${word^^} != ?(--*=)AUTHORIZATION:* && ${word^^} =~ ^((--[A-Z-]+=)?$name:[[:space:]]*)[^/[:space:]] ]]; then
            word="${word:0:${#BASH_REMATCH[1]}}[redacted]"
        else
            # A URL that is a word of its own, or the value of one, has its password up to the last @.
            if [[ $word =~ $url && ! $word =~ $port ]]; then word="${word%%://*}://[redacted]@${word##*@}"; fi
            word=$(redact_text "$word")
        fi
        printf -v word '%q' "$word"
        said+="${said:+ }${word//'\[redacted\]'/[redacted]}"
    done
    printf '%s' "$said"
}

# redact_stream [-u]: the same for known values and what REDACT_RULES hides, as a filter; -u passes each line on at once, which
# costs a read per byte. The values are given to sed by a file descriptor: an argument would show them to everybody.
redact_stream() (sed "$@" -E -f <(redact_script))

# redact_stacks: redact_stream for collapsed stacks: their last column is a weight, and no secret though it may equal one.
redact_stacks() (
    sed -E -f <(
        # The weight is held while the stack is looked at.
        printf '%s\n' 'h' '/ [0-9.]+$/!s#.*##' 's#^.* ##' 'x' 's# [0-9.]+$##'
        redact_script
        printf '%s\n' 'G' 's#\n$##' 's#\n# #'
    )
)

redact_script() {
    local s literal
    printf '%s\n' "$REDACT_RULES"
    for s in "${SECRETS[@]}"; do
        if [[ $s =~ ^[0-9]+$ ]]; then
            printf 's#(^|[^0-9.])%s($|[^0-9.])#\\1[redacted]\\2#g\n' "$s"
            continue
        fi
        literal=$(sed 's/[][\\.^$*+?(){}|#/]/\\&/g' <<<"$s")
        if ((${#s} < 6)); then
            # Twice: the character between two of them belongs to both.
            printf 's#(^|[^A-Za-z0-9_])%s($|[^A-Za-z0-9_])#\\1[redacted]\\2#g\n' "$literal" "$literal"
        else
            printf 's#%s#[redacted]#g\n' "$literal"
        fi
    done
}

# run_bench_file: the table of `make bench-helpers`, which is no run.
run_bench_file() {
    local dir=${RESULTS:-$ROOT/results}/bench
    mkdir -p "$dir" 2>/dev/null && [[ -w $dir ]] ||
        die 3 results-unwritable "cannot write to $dir. Set RESULTS to a folder that you can write to"
    printf '%s/helpers.tsv' "$dir"
}

# run_open NAME [OPTION]: RUN is the folder of that name, below results/ or by its path. OPTION is what the name was given by.
run_open() {
    local dir
    for dir in "$1" "${RESULTS:-$ROOT/results}/$1"; do
        if [[ -f $dir/run.json ]]; then
            RUN=$(cd "$dir" && pwd -P)
            jq -es 'length == 1 and (.[0] | type == "object")' "$RUN/run.json" >/dev/null 2>&1 ||
                die 3 manifest-unreadable "${2-RUN}: $RUN/run.json cannot be read, is empty or damaged: nothing says what was run. Name another run: ls ${RUN%/*}"
            return 0
        fi
    done
    RUN=
    die 2 no-run "${2-RUN}: no run folder '$1' (a folder with run.json) in ${RESULTS:-$ROOT/results}. Try: ls results/"
}
