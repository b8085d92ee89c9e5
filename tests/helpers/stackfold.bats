#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What each input is made for stands in docs/formats/perf-script-folding.md.
load ../lib/common

SCRIPTS=$FIXTURES/perf-script

# Samples in each recording, counted by hand: what the weights of the output must add up to.
declare -gA SAMPLES=(["comm-absent"]=3 ["comm-brackets"]=4 ["comm-ends-in-number"]=3 ["comm-number"]=3 ["comm-only"]=2 ["comm-period"]=4 ["comm-semicolon"]=2 ["comm-time"]=5 ["comm-time-no-time"]=3 ["comments"]=2 ["crlf"]=2
    ["dso-spaces-deleted"]=1 ["empty-callchain"]=3 ["go-methods"]=1 ["header-truncated"]=1 ["ids-missing"]=1 ["inlined"]=2 ["jit"]=1
    ["kernel"]=2 ["last-line-truncated"]=2 ["last-stack-unterminated"]=2 ["missing-blank-line"]=3 ["no-header"]=2 ["not-utf8"]=1
    ["odd-lines"]=2 ["one-line-stacks"]=3 ["period-missing"]=3 ["period-only"]=4 ["pid-and-tid"]=4 ["records"]=2 ["rust-arrow"]=1 ["several-events"]=5
    ["spaces-for-tabs"]=2 ["srcline"]=2 ["symbol-newline"]=2 ["symbol-semicolon"]=1 ["tab-in-symbol"]=2 ["templates"]=2 ["time-missing"]=5
    ["tracepoints"]=4 ["unknown"]=1)

# folds NAME [OPTION]…: folds a recording and compares with the golden file of that name and options.
folds() {
    local name=$1
    shift
    run -0 --separate-stderr stackfold "$@" "$SCRIPTS/$name.txt"
    local IFS=
    golden "stackfold/$name$*.folded" "$output"
}

total() {
    awk '{ sum += $NF } END { printf "%d\n", sum }'
}

# stack LEAF…: a sample of two frames.
samples() {
    local leaf
    for leaf; do
        printf 'app  31 [001]  12.000100:     250000 cycles: \n\t          401000 %s+0x1 (/bin/app)\n' "$leaf"
        printf '\t          402000 main+0x1 (/bin/app)\n\n'
    done
}

@test "the weights of the output add up to the samples of the input, whatever the options" {
    local name options
    for name in "$SCRIPTS"/*.txt; do
        name=${name##*/} name=${name%.txt}
        for options in "" --tid --pid --no-kernel --inline --annotate "--no-kernel --inline --annotate --pid --tid"; do
            # shellcheck disable=SC2086 # options are words
            run -0 --separate-stderr stackfold $options "$SCRIPTS/$name.txt"
            equal "$(total <<<"$output")" "${SAMPLES[$name]}" "$name $options"
        done
    done
    run -0 --separate-stderr stackfold "$SCRIPTS"/*.txt
    equal "$(total <<<"$output")" "$(($(IFS=+ && echo "${SAMPLES[*]}")))"
}

@test "the weights add up to the period with --weight period" {
    run -0 --separate-stderr stackfold --weight period "$SCRIPTS/kernel.txt" "$SCRIPTS/templates.txt"
    equal "$(total <<<"$output")" $((2 * 250000 + 2 * 500250))
    run -0 --separate-stderr stackfold --weight period --event cycles "$SCRIPTS/several-events.txt"
    equal "$output" "app;main 750000"
    equal "$stderr" "stackfold: page-faults:u: left out 2 of period of this event"
}

@test "a comm that ends in a number keeps it: the ids are read from the right" { folds comm-ends-in-number --tid; }
@test "a semicolon in comm becomes a colon, and blanks become underscores" { folds comm-semicolon; }
@test "a comm may have brackets, colons, a time, and more than 15 characters" { folds comm-brackets; }
@test "a comm that holds ids and a time is a name: what stands behind it is the header" { folds comm-time --tid; }
@test "so it is without a time" { folds comm-time-no-time --tid; }
@test "a header may be a period alone, with frames and without, and it is a period" {
    folds period-only
    run -0 --separate-stderr stackfold --weight period "$SCRIPTS/period-only.txt"
    equal "$output" $'[unknown] 250000\nmain;f 1000300000'
}
@test "a header may be a name and a period, which is at least ten wide" {
    folds comm-period
    run -3 --separate-stderr stackfold --weight period "$SCRIPTS/comm-period.txt"
    matches "$stderr" "has no period"
}
@test "a name that ends in a number, and frames after it, are no collapsed stack" { folds comm-number; }
@test "without comm a stack begins with its outermost frame" { folds comm-absent; }
@test "without ids all before the time is comm" { folds ids-missing; }
@test "a header may be comm alone" {
    folds comm-only
    matches "$stderr" "left out: 1, the first: 'empty '"
}
@test "stacks without headers are samples" { folds no-header; }
@test "the arrow of a Rust type is no inlined call" { folds rust-arrow; }
@test "templates, argument lists, operator() and anonymous namespaces stay whole" { folds templates; }
@test "methods of Go types stay whole" { folds go-methods; }
@test "a dso may have spaces, brackets and (deleted)" { folds dso-spaces-deleted; }
@test "a semicolon in a symbol becomes a colon" { folds symbol-semicolon; }
@test "a newline in a symbol loses neither the frames after it nor the count" { folds symbol-newline; }
@test "an unknown symbol is named after its dso" { folds unknown --annotate; }
@test "a tab in a symbol does not begin a line" { folds tab-in-symbol; }
@test "the last stack counts without a blank line after it" { folds last-stack-unterminated; }
@test "a stack whose last line is cut counts" { folds last-line-truncated; }
@test "the next header ends a stack, too" { folds missing-blank-line; }
@test "a sample without a stack is counted as its process" { folds empty-callchain; }
@test "a header may be without a period" { folds period-missing; }
@test "a header may be without a time" { folds time-missing --tid; }
@test "pid and tid are told apart by the slash, and -1 is one" { folds pid-and-tid --tid; }
@test "--pid names the process" { folds pid-and-tid --pid; }
@test "tracepoints count with and without a stack" { folds tracepoints; }
@test "a stack of one frame may stand on the header's line" { folds one-line-stacks; }

@test "of a recording without stacks every sample is kept, whatever the name of its thread, or none" {
    local comm
    # perf puts names to the right, so that a short one begins with blanks, as frames do.
    for comm in python3 app bash 7z; do
        run -0 --separate-stderr stackfold <<<"$(sed "s/^ *app /$(printf '%16s' "$comm") /" "$ROOT/tests/fixtures/perf-script/one-line-stacks.txt")"
        equal "$output" "$(sed "s/^app;/$comm;/" "$ROOT/tests/golden/stackfold/one-line-stacks.folded")" "$comm"
    done
    run -0 --separate-stderr stackfold <<<'  352 31928.880000: cpu-clock:  ffffffff8158c21e foo ([k])
  353 31928.890000: cpu-clock:  ffffffff8158c21e foo ([k])'
    equal "$output" 'foo 2'
    run -0 --separate-stderr stackfold <<<'  swapper 0 [000] 1.000000: PERF_RECORD_SWITCH OUT
         python3 12/12 1.000002: 250000 cycles:u:  ffffffff8158c21e foo ([k])'
    equal "$output" 'python3;foo 1'
}
@test "comments are skipped, a comm that begins with # is not" { folds comments; }
@test "source lines are no frames" { folds srcline --inline; }
@test "frames may be indented with spaces" { folds spaces-for-tabs; }
@test "kernel frames are told by their dso" { folds kernel --annotate; }
@test "--no-kernel leaves kernel frames out and keeps the weight" { folds kernel --no-kernel; }
@test "frames of a JIT are told by their dso" { folds jit --annotate; }
@test "--inline makes frames of what a JIT inlined" { folds jit --annotate --inline; }
@test "--inline makes frames of inlined calls" { folds inlined --annotate --inline; }
@test "lines may end with CRLF" { folds crlf; }

@test "inlined calls count as their callers by default, which is said" {
    folds inlined
    matches "$stderr" "inlined frames are counted as .*--inline shows them"
}

@test "a header that is cut before its event is left out, which is said" {
    folds header-truncated
    matches "$stderr" "left out: 1, the first: 'app  31 \[001\]  12.000200:     5002'"
}

@test "bytes that are not UTF-8 stay as they are" {
    stackfold "$SCRIPTS/not-utf8.txt" >"$BATS_TEST_TMPDIR/out"
    cmp "$BATS_TEST_TMPDIR/out" "$ROOT/tests/golden/stackfold/not-utf8.folded"
}

@test "lines that are not understood are counted and shown" {
    folds odd-lines
    equal "$stderr" "stackfold: lines not understood and left out: 4, the first: 'what is this?'"
}

@test "perf's notes between samples are no samples, and what it lost is said" {
    folds records
    matches "$stderr" "perf itself lost 42 samples"
}

@test "several events are folded together, which is said with the weight of each" {
    folds several-events
    matches "$stderr" "cycles:u: 3 samples of this event are folded with the others"
    matches "$stderr" "page-faults:u: 2 samples of this event are folded with the others"
}

@test "--event takes one event, with or without its modifiers, and says what it left out" {
    folds several-events --event=cycles
    equal "$stderr" "stackfold: page-faults:u: left out 2 samples of this event"
    run -0 --separate-stderr stackfold --event page-faults:u "$SCRIPTS/several-events.txt"
    equal "$output" "app;main;touch 2"
    run -1 --separate-stderr stackfold --event page "$SCRIPTS/several-events.txt"
    matches "$stderr" "no sample of the event 'page'"
}

@test "the periods of different events are never added" {
    run -3 --separate-stderr stackfold --weight period "$SCRIPTS/several-events.txt"
    equal "$output" ""
    matches "$stderr" "periods of different events do not add up; choose one with --event"
}

@test "--weight period fails where a sample has none" {
    run -3 --separate-stderr stackfold --weight period "$SCRIPTS/period-missing.txt"
    equal "$output" ""
    matches "$stderr" "has no period; use .perf script -F \+period., or --weight samples"
}

@test "a recording of a real program is folded without loss" {
    cd "$BATS_TEST_TMPDIR"
    perf record -q -e cpu-clock -F 2000 -g -o perf.data -- python3 -c 'sum(i * i for i in range(2000000))'
    perf script --no-inline -i perf.data >script.txt 2>/dev/null
    local samples
    samples=$(grep -c ' cpu-clock:' script.txt)
    ((samples > 20))
    run -0 --separate-stderr stackfold script.txt
    equal "$(total <<<"$output")" "$samples"
    matches "$output" $'python3;[^\n]*PyEval'
    run -0 --separate-stderr stackfold --weight period script.txt
    equal "$(total <<<"$output")" $((samples * 500000))
}

@test "merging collapsed files adds the weights of equal stacks" {
    printf '%s\n' 'a;b 1' 'a;b;c d (x.py:3) 18446744073709550000' 'a 3' '' '# mode: wall' 'z;;y 2' >"$BATS_TEST_TMPDIR/one"
    printf '%s\r\n' 'a;b 2' 'a;bb 7' '#private;b 5' >"$BATS_TEST_TMPDIR/two"
    run -0 --separate-stderr stackfold "$BATS_TEST_TMPDIR/one" - "$BATS_TEST_TMPDIR/two" <<<'a;b;c d (x.py:3) 600'
    equal "$output" $'#private;b 5\na 3\na;b 3\na;b;c d (x.py:3) 18446744073709550600\na;bb 7\nz;;y 2'
    equal "$stderr" ""
}

@test "a merge of its own output is the same" {
    stackfold --tid "$SCRIPTS"/[a-m]*.txt >"$BATS_TEST_TMPDIR/once" 2>/dev/null
    stackfold "$BATS_TEST_TMPDIR/once" >"$BATS_TEST_TMPDIR/twice"
    cmp "$BATS_TEST_TMPDIR/once" "$BATS_TEST_TMPDIR/twice"
}

@test "perf script text and collapsed stacks mix" {
    run -0 --separate-stderr stackfold <(samples f g) <(echo 'app;main;f 40') <(samples f)
    equal "$output" $'app;main;f 42\napp;main;g 1'
}

@test "perf script text and collapsed stacks in one file are refused, whichever comes first" {
    local text last
    for last in 'main;f 3' 'main 3' $'main;f 3\n' $'main;f 3\nmain 3'; do
        for text in "$(samples f)"$'\n'"$last" "$(samples f)"$'\n\n'"$last" "$last"$'\n'"$(samples f)" "$last"$'\n\n'"$(samples f)"; do
            # A single frame after a symbol may be what a newline in the symbol left: that is said, and no failure.
            [[ $text != *')'$'\n''main 3' ]] || continue
            run -3 --separate-stderr stackfold <<<"$text"
            equal "$output" ""
            matches "$stderr" '^stackfold: standard input: it holds both perf script text and collapsed stacks, the first line of the other kind is .(main|app ).*; put them in files of their own$'
        done
    done
    # Tracepoints end in a number as stacks do.
    run -3 --separate-stderr stackfold <<<$'main;f 3\napp  31 [001]  12.000100: ext4:x: dev 3 len 5\n'
    matches "$stderr" "the first line of the other kind is 'app  31"
    # A recording that was cut within a header is none.
    run -0 --separate-stderr stackfold < <(samples f && printf 'app  31')
    equal "$output" 'app;main;f 1'
    matches "$stderr" "left out: 1, the first: 'app  31'"
}

@test "weights may have decimals, whose sums are exact" {
    run -0 --separate-stderr stackfold <(printf '%s\n' 'a;b 1' 'a;b 1.5' 'a 0.1') <(printf '%s\n' 'a 0.2' 'c 3.0000004' 'd 7' 'e 0.000000') <(samples f)
    equal "$output" $'a 0.3\na;b 2.5\napp;main;f 1\nc 3\nd 7'
    equal "$stderr" ""
}

@test "a weight that is no number below 2^64 is not understood" {
    run -0 --separate-stderr stackfold <(printf '%s\n' 'a;b 1' 'a;b 1.' 'a;b -1' 'a;b 18446744073709551616' 'a;b' 7)
    equal "$output" "a;b 1"
    matches "$stderr" "left out: 5, the first: 'a;b 1.'"
}

@test "collapsed stacks are sorted frame by frame, each by its bytes" {
    printf '%s 1\n' 'a (x.py:3)' 'a;c' a 'a;b' 'a b' $'a\x01' $'a\xe9' 'ab' 'a;' 'a;;' aaaaaaaaa 'aaaaaaaa;b' 'aaaaaaaa b' >"$BATS_TEST_TMPDIR/all"
    python3 - "$BATS_TEST_TMPDIR/all" >"$BATS_TEST_TMPDIR/expected" <<'PYTHON'
import sys
lines = [line[:-2] for line in open(sys.argv[1], "rb").read().split(b"\n")[:-1]]
sys.stdout.buffer.write(b"".join(line + b" 1\n" for line in sorted(lines, key=lambda line: line.split(b";"))))
PYTHON
    stackfold "$BATS_TEST_TMPDIR/all" >"$BATS_TEST_TMPDIR/out"
    cmp "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/expected"
}

@test "a large merge is what a sum by a dictionary is, from files and from a pipe" {
    cd "$BATS_TEST_TMPDIR"
    python3 - <<'PYTHON'
import random
rng = random.Random(3)
sums = {}
for name in ("one", "two"):
    with open(name, "w") as out:
        for i in range(30000):
            stack = ";".join(rng.choice("abc") * rng.randrange(1, 9) for _ in range(rng.randrange(1, 12)))
            weight = rng.randrange(1, 1000)
            sums[stack] = sums.get(stack, 0) + weight
            print(stack, weight, file=out, end="" if name == "two" and i == 29999 else "\n")
with open("expected", "w") as out:
    out.writelines(f"{stack} {sums[stack]}\n" for stack in sorted(sums, key=lambda stack: stack.split(";")))
PYTHON
    (($(stat -c %s one) > 300000)) # larger than what is read at once
    stackfold one two >merged
    cmp merged expected
    stackfold - two <one >merged
    cmp merged expected
    { read -r _ && stackfold - two; } < <(echo "# comment" && cat one) >merged
    cmp merged expected
    stackfold - two <one >merged
    cmp merged expected
}

# same_as_perf SHARE RECORDING: that share (in %) of the weight has the stack that perf script gives it.
same_as_perf() {
    perf script --no-inline -i "$2" >script.txt 2>/dev/null
    stackfold script.txt >expected
    stackfold "$2" >direct
    same_stacks "$1"
}

# same_stacks SHARE: of the files `direct` and `expected`; the totals are equal.
same_stacks() {
    equal "$(total <direct)" "$(total <expected)"
    python3 - "$1" <<'PYTHON'
import collections, re, sys

def plain(name):
    """A C++ name without its parameters and the type that it returns, which some builds of perf (Ubuntu's) add."""
    depth, begin, i = 0, 0, 0
    while i < len(name):
        whole = re.compile(r"\(anonymous namespace\)|operator(\(\)| (new|delete)|[-<>=]+)|^\[.*").match(name, i)
        if whole:
            i = whole.end()
            continue
        depth += (name[i] in "<{") - (name[i] in ">}")
        if depth == 0 and name[i] == "(":
            return name[begin:i]
        if depth == 0 and name[i] == " ":
            begin = i + 1
        i += 1
    return name

def stacks(file):
    weights = collections.Counter()
    for line in open(file, errors="replace"):
        stack, weight = line.rstrip("\n").rsplit(" ", 1)
        weights[";".join(map(plain, stack.split(";")))] += int(weight)
    return weights

expected, direct = stacks("expected"), stacks("direct")
share = 100 * sum(min(weight, direct[stack]) for stack, weight in expected.items()) / sum(expected.values())
sys.exit(f"same: {share:.2f} %" if share < float(sys.argv[1]) else 0)
PYTHON
}

record() {
    perf record -q -e cpu-clock -F 2000 -g -o perf.data "$@" >/dev/null 2>err.txt
}

@test "a recording is folded without perf script, to the same stacks" {
    cd "$BATS_TEST_TMPDIR"
    printf '%s\n' '#include <map>' '#include <regex>' '#include <string>' \
        'int f() { std::map<std::string, int> m; return m["x"] = std::regex_match("aab", std::regex("a+b")); }' >f.cc
    record -- sh -c 'g++ -O1 -c -o f.o f.cc; xz -1 -k -c "$(command -v perf)"'
    (($(perf script -F ip -i perf.data 2>/dev/null | grep -c '^$') > 500))
    same_as_perf 99.5 perf.data
    grep -q '^cc1plus;.*::' direct # C++ names
    grep -q ';do_syscall_64;' direct
}

@test "a recording of context switches is folded to the same stacks: the build of a library that only calls is not in it" {
    cd "$BATS_TEST_TMPDIR"
    local event
    for event in context-switches sched:sched_switch; do
        # Tracepoints are not open to everybody.
        perf record -q -e "$event" -c 1 -g -o perf.data -- \
            sh -c 'ls -R /usr/share/doc | sort | wc -l; python3 -c "import time; [time.sleep(0.001) for i in range(200)]"' >/dev/null 2>err.txt ||
            [[ $event == sched:* ]] || fail "$(<err.txt)"
        [[ -s perf.data ]] || continue
        same_as_perf 99.5 perf.data
        (($(total <direct) > 200))
        grep -q '^python3;.*clock_nanosleep' direct
        # What only the debugging symbols of the C library know, which are found by its build.
        if grep -q '^python3;.*clock_nanosleep@' expected; then grep -q '^python3;.*clock_nanosleep@' direct; fi
        rm perf.data
    done
}

@test "a recording with data addresses is folded to the same stacks: what lies in data has the names that perf gives it" {
    cd "$BATS_TEST_TMPDIR"
    record -d -- python3 -c 'print(sum(i * i for i in range(3000000)))'
    same_as_perf 99.5 perf.data
    # Of a program without frame pointers: a caller is where a register happened to point.
    equal "$(grep -c '\[anon\]' direct)" "$(grep -c '\[anon\]' expected)"
}

@test "a program that was built anew since the recording has no names, whatever part of the recording knows its build" {
    cd "$BATS_TEST_TMPDIR"
    printf '%s\n' 'int FUNCTION(unsigned n) { volatile unsigned x = n; while (n--) x += x * n; return (int)x; }' \
        'int main(void) { return FUNCTION(300000000) == 7; }' >program.c
    local option
    for option in '' --buildid-mmap; do
        gcc -O1 -fno-omit-frame-pointer -DFUNCTION=before -o program program.c
        # shellcheck disable=SC2086 # nothing, or an option; without a copy in the cache that perf keeps
        record -N $option -- ./program
        stackfold perf.data >direct
        grep -q '^program;.*main;before ' direct
        gcc -O1 -fno-omit-frame-pointer -DFUNCTION=since -o program program.c
        same_as_perf 99.5 perf.data
        grep -q '^program;.*\[program\];\[program\] ' direct
    done
}

@test "Python's own map of its functions is read with a recording" {
    cd "$BATS_TEST_TMPDIR"
    # Without frame pointers only a sample in the map's own code, one of a hundred, names a function of it: two seconds.
    record -- "$LOADER_ENV_PYTHON" -X perf -c 'import os
open("pid", "w").write(str(os.getpid()))
def spin(n):
    return n if n == 0 else spin(n - 1)
for i in range(600000): spin(50)'
    same_as_perf 99 perf.data
    rm "/tmp/perf-$(<pid).map"
    grep -q 'py::spin' direct
}

@test "options hold for recordings, and what perf alone can read is said" {
    cd "$BATS_TEST_TMPDIR"
    perf record -q -e cpu-clock -F 2000 -g -o perf.data -- "$LOADER_ENV_PYTHON" -c 'sum(range(9000000))' 2>/dev/null
    perf script --no-inline -F +pid -i perf.data >script.txt 2>/dev/null
    equal "$(stackfold --weight period perf.data | total)" "$(stackfold --weight period script.txt | total)"
    stackfold --tid --no-kernel perf.data >direct
    stackfold --tid --no-kernel script.txt >expected
    same_stacks 99.5
    matches "$(head -n 1 direct)" '^[^;]*-[0-9]+/[0-9]+;'
    run -1 --separate-stderr stackfold --event cycles perf.data
    matches "$stderr" "cpu-clock: left out"
    perf record -q -e cpu-clock -F 999 --call-graph dwarf -o dwarf.data -- true 2>/dev/null
    run -3 --separate-stderr stackfold dwarf.data
    equal "$output" ""
    matches "$stderr" 'dwarf.data: it has samples with a copy of the stack .*: use `perf script --no-inline -i dwarf.data | stackfold`'
    head -c 3000 perf.data >cut.data
    run -3 --separate-stderr stackfold cut.data
    matches "$stderr" "cut.data: it has .* its end"
}

@test "a file that is cut while it is merged is a failure, not a crash" {
    cd "$BATS_TEST_TMPDIR"
    seq -f 'main;frame number %.0f 1' 30000 >large
    mkfifo second
    (status=0 && stackfold large second >out 2>err 3>&- || status=$? && echo "$status" >status) &
    exec 4>second # opens when the first file has been read
    truncate -s 0 large
    echo 'a 1' >&4
    exec 4>&-
    wait
    equal "$(cat status out)" 3
    equal "$(cat err)" "stackfold: a file was cut short by another program while it was read; try again when it is written"
}

@test "--since leaves out what perf script --time does, and says how much; text is cut by perf script" {
    cd "$BATS_TEST_TMPDIR"
    record -- python3 -c 'sum(i * i for i in range(2000000))'
    local all since kept
    all=$(stackfold perf.data | total)
    since=$(perf script -F time -i perf.data 2>/dev/null | tr -d ' :' | sed -n "$((all / 3))p")
    run -0 --separate-stderr stackfold --since "$since" perf.data
    kept=$(total <<<"$output")
    equal "$kept" "$(perf script --no-inline --time "$since," -i perf.data 2>/dev/null | stackfold | total)"
    ((kept < all && kept > all / 2))
    equal "$stderr" "stackfold: left out $((all - kept)) samples from before --since"
    perf script --no-inline -i perf.data >script.txt 2>/dev/null
    run -3 --separate-stderr stackfold --since "$since" script.txt
    matches "$stderr" 'script.txt: --since: it is text; use perf script --time SECONDS, for it'
    run -2 stackfold --since never perf.data
}

@test "a stack of which py-spy could read no frame counts" {
    run -0 --separate-stderr stackfold <(printf '%s\n' ' 5' 'a;b 1' ' 2')
    equal "$output" $'(no frames) 7\na;b 1'
    equal "$stderr" ""
}

@test "a sum above 2^64 is a failure, not a wrong number" {
    run -3 --separate-stderr stackfold <(printf '%s\n' 'a 18446744073709551615' 'b 1')
    equal "$output" ""
    matches "$stderr" "the sum of the weights is above 2\^64 - 1"
}

@test "text that arrives a few bytes at a time is folded as a file is" {
    stackfold "$SCRIPTS/templates.txt" >"$BATS_TEST_TMPDIR/whole"
    dd if="$SCRIPTS/templates.txt" bs=7 status=none | stackfold - >"$BATS_TEST_TMPDIR/pieces"
    cmp "$BATS_TEST_TMPDIR/whole" "$BATS_TEST_TMPDIR/pieces"
}

@test "lines are counted once, wherever the text is cut into pieces" {
    local i
    for ((i = 0; i < 3000; i++)); do
        cat "$SCRIPTS/symbol-newline.txt"
    done >"$BATS_TEST_TMPDIR/many"
    run -0 --separate-stderr stackfold "$BATS_TEST_TMPDIR/many"
    equal "$output" $'app;main 3000\napp;main;two 3000'
    matches "$stderr" "left out: 3000,"
}

@test "stacks and lines larger than any buffer are folded" {
    python3 - >"$BATS_TEST_TMPDIR/large" <<'PYTHON'
frame = "\t          40%04d f%d+0x1 (/bin/app)\n"
for n in (1, 2):
    for repeat in range(2):
        print("app  31 [001]  12.000100:     250000 cycles: ")
        print("".join(frame % (i, i) for i in range(n * 20000)))
print("app  31 [001]  12.000100:     250000 cycles: ")
print("\t          401000 " + "x" * 3_000_000 + "+0x1 (/bin/app)\n")
PYTHON
    stackfold "$BATS_TEST_TMPDIR/large" >"$BATS_TEST_TMPDIR/out"
    equal "$(wc -l <"$BATS_TEST_TMPDIR/out")" 3
    equal "$(awk '{ print gsub(/;/, ""), $NF }' "$BATS_TEST_TMPDIR/out")" $'20000 2\n40000 2\n1 1'
}

@test "lines made to fall into one place of the cache do not make it slow" {
    python3 - >"$BATS_TEST_TMPDIR/hostile" <<'PYTHON'
for i in range(60000):
    print("app  31 [001]  12.000100:     250000 cycles: ")
    print("\t          401000 same___%08d+0x1 (/bin/app)\n\t          401000 same___%08d+0x1 (/bin/app)\n" % (i, i ^ 1))
PYTHON
    run -0 --separate-stderr bash -c 'ulimit -t 5; stackfold "$1" | wc -l' _ "$BATS_TEST_TMPDIR/hostile"
    equal "$output" 60000
}

@test "an input without samples exits 1" {
    run -1 --separate-stderr stackfold /dev/null
    equal "$stderr" "stackfold: no sample in the input"
    equal "$output" ""
}

@test "a file that cannot be read is a failure" {
    run -3 --separate-stderr stackfold "$BATS_TEST_TMPDIR/none"
    equal "$stderr" "stackfold: $BATS_TEST_TMPDIR/none: No such file or directory"
    run -3 --separate-stderr stackfold "$BATS_TEST_TMPDIR"
    equal "$stderr" "stackfold: $BATS_TEST_TMPDIR: read: Is a directory"
}

@test "a full disk is an error" {
    run -3 bash -c "stackfold '$SCRIPTS/templates.txt' >/dev/full"
    matches "$output" "standard output: No space left on device"
}

@test "a weight of another kind is a usage error" {
    run -2 --separate-stderr stackfold --weight bytes
    matches "$stderr" "not samples or period: 'bytes'"
}

@test "a difference is no profile, and is refused" {
    stackdiff <(echo 'a;b 1') <(echo 'a;b 2') >"$BATS_TEST_TMPDIR/diff"
    run -3 --separate-stderr stackfold "$BATS_TEST_TMPDIR/diff"
    equal "$output" ""
    equal "$stderr" "stackfold: $BATS_TEST_TMPDIR/diff: it is a difference, with two weights a line, and no profile: draw it with \`flamegraph --diff\`, or give the files that it was made of"
}

@test "the unit of the files stays, and different ones are refused" {
    run -0 --separate-stderr stackfold <(printf '# tool: x\n# unit: us\na 1\n') - <<<$'# unit: us\r\na 2\nb 1.5'
    equal "$output$stderr" $'# unit: us\na 3\nb 1.5'
    run -0 --separate-stderr stackfold - <<<"$output"
    equal "$output" $'# unit: us\na 3\nb 1.5'
    run -3 --separate-stderr stackfold - <(printf '# unit: ms\na 1\n') <<<$'# unit: us\na 2'
    equal "$output" ""
    matches "$stderr" '^stackfold: the weights of standard input are us, those of /dev/fd/[0-9]+ ms: .*; give files of one unit$'
    # Comments within a file, and perf's samples, which are samples.
    run -3 --separate-stderr stackfold - <<<$'# unit: us\na 2\n# unit: ms\nb 1'
    run -3 --separate-stderr stackfold <(samples f) - <<<$'# unit: us\na 2'
    matches "$stderr" '/dev/fd/[0-9]+ are samples, those of standard input us'
    run -3 --separate-stderr stackfold --weight period - <(samples f) <<<$'# unit: samples\na 2'
    matches "$stderr" 'standard input are samples, those of /dev/fd/[0-9]+ of period'
    run -0 --separate-stderr stackfold <(samples f) - <<<$'# unit: samples\na 2'
    equal "$output$stderr" $'# unit: samples\na 2\napp;main;f 1'
    run -0 --separate-stderr stackfold <(echo 'a 1') - <<<$'# unit: us\na 2'
    equal "$output" 'a 3'
    matches "$stderr" 'the weights of standard input are us, and /dev/fd/[0-9]+ does not say what its are'
    run -0 --separate-stderr stackfold <(samples f) <(echo 'a 1')
    equal "$output$stderr" $'a 1\napp;main;f 1'
}
