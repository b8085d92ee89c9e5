#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
load ../lib/common

STACKS=$FIXTURES/stacks

# The picture without its style sheet and script, which change for other reasons.
drawing() {
    sed '/^<style>$/,/<\/style>/d; /^<script>/,/<\/script>/d' <<<"$1"
}

# drawn NAME OPTION… FILE: draws a file and compares with the golden picture of that name.
drawn() {
    local name=$1
    shift
    run -0 --separate-stderr flamegraph "$@"
    equal "$stderr" ""
    well_formed "$output"
    golden "flamegraph/$name.svg" "$(drawing "$output")"
}

# well_formed SVG: it is XML, has one script and no elements or attributes but those that flamegraph writes.
well_formed() {
    python3 - <(printf '%s\n' "$1") <<'PY'
import sys
import xml.etree.ElementTree as etree
from collections import Counter

NS = "{http://www.w3.org/2000/svg}"
root = etree.parse(sys.argv[1]).getroot()
elements = Counter(e.tag.removeprefix(NS) for e in root.iter())
assert set(elements) <= {"svg", "title", "style", "rect", "text", "g", "metadata", "script"}, elements
assert elements["script"] <= 1 and elements["style"] == 1, elements
allowed = {"class", "x", "y", "width", "height", "rx", "transform", "viewBox", "data-unit", "data-scale", "data-other"}
attributes = {name for e in root.iter() for name in e.attrib}
assert attributes <= allowed, attributes - allowed
text = "".join(root.itertext())
assert not [c for c in text if (c < " " and c != "\n") or "\x7f" <= c < "\xa0" or c in "\u202e\u2066\ufeff"]
PY
}

@test "a small picture by package" { drawn python --title Example --subtitle 'one & two' "$STACKS/python.folded"; }
@test "a small picture by name" { drawn hash --colors hash "$STACKS/python.folded"; }
@test "an icicle" { drawn icicle --icicle --width 700 "$STACKS/python.folded"; }
@test "waiting is in another family of colours than running" { drawn waits "$STACKS/waits.folded"; }
@test "waiting by name" { drawn waits-hash --colors hash "$STACKS/waits.folded"; }
@test "brackets mean nothing with --no-wait" { drawn no-wait --no-wait "$STACKS/waits.folded"; }
@test "hostile names are text" { drawn hostile --title '</title><script>alert(0)</script>' --unit '"><script>' "$STACKS/hostile.folded"; }

@test "a picture by stage" {
    printf '%s\t%s\n' app/embed embed app/chunk chunk '^state (' state >"$BATS_TEST_TMPDIR/map"
    drawn stages --stages "$BATS_TEST_TMPDIR/map" "$STACKS/waits.folded"
}

@test "a frame is blue when most of its weight waits" {
    run -0 --separate-stderr flamegraph <<<$'a (x.py:1);[lock] 51\na (x.py:1);[running] 49'
    matches "$output" 'class="w4"><title>a '
    run -0 --separate-stderr flamegraph <<<$'a (x.py:1);[lock] 49\na (x.py:1);[running] 51'
    matches "$output" 'class="r4"><title>a '
}

@test "every frame lies within its caller, none over another, and no weight is lost" {
    local folded=$BATS_TEST_TMPDIR/folded
    # Names of which one begins with another, stacks that end within others, in no order.
    awk 'BEGIN { srand(7); for (i = 0; i < 3000; i++) { s = "f"; n = 1 + int(rand() * 12)
        for (j = 0; j < n; j++) s = s ";" substr("abc (x)", 1, 1 + int(rand() * 7)) (rand() < 0.5 ? "" : int(rand() * 3))
        print s, 1 + int(rand() * 9) } }' >"$folded"
    flamegraph --minwidth 0 "$folded" >"$folded.svg"
    run -0 python3 - "$folded" "$folded.svg" <<'PY'
import sys
import xml.etree.ElementTree as etree
from collections import Counter

SVG = "{http://www.w3.org/2000/svg}"
own: Counter[tuple[str, ...]] = Counter()
total: Counter[tuple[str, ...]] = Counter()
for line in open(sys.argv[1]):
    stack, weight = line.rsplit(" ", 1)
    path = ("all", *stack.rstrip(" ").split(";"))
    own[path] += int(weight)
    for i in range(len(path)):
        total[path[: i + 1]] += int(weight)

root = etree.parse(sys.argv[2]).getroot()
names, data = (root.find(f"{SVG}metadata[@class='{c}']").text for c in ("fg-n", "fg-d"))
names = names.split("\n")
drawn = {}
above = []
for row in data.splitlines():
    numbers, end, here = list(map(int, row.split())), 0, []
    for name, gap, weight, self in zip(*[iter(numbers)] * 4):
        start, end = end + gap, end + gap + weight
        callers = [path for path, a, b in above if a <= start and end <= b]
        assert len(callers) == 1 or not above, (names[name], start, callers)
        path = (*(callers[0] if above else ()), names[name])
        assert path not in drawn, path
        drawn[path] = (weight, self)
        here.append((path, start, end))
    above = here
assert drawn == {path: (weight, own[path]) for path, weight in total.items()}
assert len(list(root.find(f"{SVG}g[@class='f']").iter(f"{SVG}rect"))) == len(drawn)
print(len(drawn))
PY
    ((output > 5000))
}

@test "frames too narrow to see are left out, which is said, and --minwidth 0 draws them" {
    { echo 'main;big 1000000'; seq -f 'main;small%.0f 1' 500; } >"$BATS_TEST_TMPDIR/folded"
    run -0 --separate-stderr flamegraph "$BATS_TEST_TMPDIR/folded"
    run ! grep -q small <<<"$output"
    run -0 --separate-stderr flamegraph "$BATS_TEST_TMPDIR/folded"
    matches "$output" 'Not drawn: 500 frames narrower than 0.1 px or deeper than 1000; 0.05 % of the weight ends in them'
    run -0 --separate-stderr flamegraph --minwidth 0 "$BATS_TEST_TMPDIR/folded"
    equal "$(grep -o '<rect x=' <<<"$output" | wc -l)" 503
    run ! grep -q 'Not drawn' <<<"$output"
}

@test "rows that nobody could see, a single deep stack, do not make the picture high" {
    { echo 'main;run;work 5000'; printf 'main;run'; printf ';f%d' {1..200}; echo ' 2'; } >"$BATS_TEST_TMPDIR/folded"
    run -0 --separate-stderr flamegraph "$BATS_TEST_TMPDIR/folded"
    equal "$(grep -c 'class="r"' <<<"$output")" 4
    matches "$output" 'Not drawn: 199 frames narrower than 0.1 px or deeper than 4, where all is narrower than 1 px; 0.04 % of the weight'
    # Two weights of 5002 are 0.5 px of 1180; six of 5006 are more than one.
    sed 's/ 2$/ 6/' "$BATS_TEST_TMPDIR/folded" >"$BATS_TEST_TMPDIR/wider"
    run -0 --separate-stderr flamegraph "$BATS_TEST_TMPDIR/wider"
    equal "$(grep -c 'class="r"' <<<"$output")" 203
    run -0 --separate-stderr flamegraph --minwidth 0 "$BATS_TEST_TMPDIR/folded"
    equal "$(grep -c 'class="r"' <<<"$output")" 203
}

@test "a stack of 200,000 frames is drawn to --depth, in no time" {
    yes 'f;g' | head -n 100000 | tr '\n' ';' >"$BATS_TEST_TMPDIR/folded"
    echo 'x 1' >>"$BATS_TEST_TMPDIR/folded"
    run -0 --separate-stderr timeout 10 flamegraph "$BATS_TEST_TMPDIR/folded"
    equal "$(grep -c 'class="r"' <<<"$output")" 1000
    matches "$output" 'Not drawn: 199,002 frames'
    run -0 --separate-stderr flamegraph --depth 5 "$BATS_TEST_TMPDIR/folded"
    equal "$(grep -c 'class="r"' <<<"$output")" 5
}

@test "times are shown as times, other units as they are" {
    run -0 --separate-stderr flamegraph "$STACKS/waits.folded"
    matches "$output" '9.20 s in 6 stacks'
    run -0 --separate-stderr flamegraph --unit bytes <<<'a 1234567'
    matches "$output" '1,234,567 bytes in 1 stack<'
    run -0 --separate-stderr flamegraph --unit ns <<<'a 1500'
    matches "$output" '1.50 us in 1 stack<'
}

@test "an empty input makes a picture that says so, and exits 1" {
    run -1 --separate-stderr flamegraph --title Nothing </dev/null
    well_formed "$output"
    matches "$output" '>Nothing to draw: the input holds no stack with a weight.<'
    equal "$stderr" "flamegraph: Nothing to draw: the input holds no stack with a weight."
    run -1 --separate-stderr flamegraph <<<'no stack'
    matches "$output" 'the input holds lines, but no stack'
    matches "$stderr" "1 of 1 lines left out"
}

@test "lines that are no stacks are said, in the picture too" {
    run -0 --separate-stderr flamegraph <<<$'a;b 3\nnonsense\na;c'
    matches "$output" '3 samples in 1 stack\. 2 lines of the input were no stacks'
    matches "$stderr" "2 of 3 lines left out, .* line 2: 'nonsense'"
}

@test "the unit is the file's own, also of a difference, --unit has the last word, and different ones are refused" {
    printf '# unit: us\na;b 1500000\n' >"$BATS_TEST_TMPDIR/us"
    printf '# unit: ms\na;b 1\n' >"$BATS_TEST_TMPDIR/ms"
    run -0 --separate-stderr flamegraph "$BATS_TEST_TMPDIR/us"
    matches "$output" 'data-unit="us"'
    run -0 --separate-stderr flamegraph --unit bytes "$BATS_TEST_TMPDIR/us"
    matches "$output" 'data-unit="bytes"'
    run -0 --separate-stderr bash -c 'stackdiff "$1" "$1" | flamegraph --diff' - "$BATS_TEST_TMPDIR/us"
    matches "$output" 'data-unit="us"'
    run -3 --separate-stderr flamegraph --unit us "$BATS_TEST_TMPDIR/us" "$BATS_TEST_TMPDIR/ms"
    matches "$stderr" '^flamegraph: the weights of [^ ]*/us are us, those of [^ ]*/ms ms: .*; give files of one unit$'
    equal "$output" ""
    run -0 --separate-stderr flamegraph "$BATS_TEST_TMPDIR/us" - <<<'a 1'
    matches "$stderr" 'the weights of [^ ]*/us are us, and standard input does not say what its are'
    matches "$output" 'data-unit="samples"'
}

@test "a difference shows what grew and shrank, and which run the widths are" {
    stackdiff "$STACKS/before.folded" "$STACKS/after.folded" >"$BATS_TEST_TMPDIR/diff"
    drawn diff --diff "$BATS_TEST_TMPDIR/diff"
    matches "$output" 'Widths: candidate'
    drawn diff-baseline --diff --widths baseline "$BATS_TEST_TMPDIR/diff"
    matches "$output" 'Widths: baseline'
}

@test "a difference of shares has both totals alike, and the small stacks" {
    stackdiff -n <(printf '%s\n' 'a;b 2999' 'a;c 1') <(printf '%s\n' 'a;b 9' 'a;d 1') >"$BATS_TEST_TMPDIR/diff"
    drawn diff-normalized --diff --minwidth 0 "$BATS_TEST_TMPDIR/diff"
    matches "$output" '10 samples, 100 %; baseline 10 samples'
    drawn diff-normalized-vanished --diff --vanished --minwidth 0 "$BATS_TEST_TMPDIR/diff"
    matches "$output" '0.003333 samples'
}

@test "vanished stacks are in a picture of their own" {
    stackdiff "$STACKS/before.folded" "$STACKS/after.folded" >"$BATS_TEST_TMPDIR/diff"
    drawn diff-vanished --diff --vanished "$BATS_TEST_TMPDIR/diff"
    run -1 --separate-stderr flamegraph --diff --vanished <<<'a 1 2'
    matches "$output" 'No stack vanished'
}

@test "a difference of which one side is empty says which, and what to do" {
    stackdiff <(echo 'a;b 3') /dev/null >"$BATS_TEST_TMPDIR/gone"
    stackdiff /dev/null <(echo 'a;b 3') >"$BATS_TEST_TMPDIR/new"
    run -1 --separate-stderr flamegraph --diff "$BATS_TEST_TMPDIR/gone"
    equal "$stderr" "flamegraph: Nothing to draw: the candidate has no stack with a weight, and its weights are the widths. See why it took no samples, or draw the baseline with --widths baseline."
    matches "$output" 'the candidate has no stack with a weight'
    for widths in '--widths baseline' --vanished; do
        # shellcheck disable=SC2086 # options are words
        run -0 --separate-stderr flamegraph --diff $widths "$BATS_TEST_TMPDIR/gone"
        equal "$stderr" "flamegraph: the candidate has no stack with a weight: all is drawn as vanished; see why it took no samples"
        # shellcheck disable=SC2086 # options are words
        run -1 --separate-stderr flamegraph --diff $widths "$BATS_TEST_TMPDIR/new"
        equal "$stderr" "flamegraph: Nothing to draw: the baseline has no stack with a weight, and its weights are the widths. See why it took no samples, or draw the candidate, without --widths and --vanished."
    done
    run -0 --separate-stderr flamegraph --diff "$BATS_TEST_TMPDIR/new"
    equal "$stderr" "flamegraph: the baseline has no stack with a weight: all is drawn as new; see why it took no samples"
    run -1 --separate-stderr flamegraph --diff /dev/null
    equal "$stderr" "flamegraph: Nothing to draw: the input holds no stack with a weight."
}

@test "a difference without --diff is refused, and no difference with it left out" {
    stackdiff "$STACKS/before.folded" "$STACKS/after.folded" >"$BATS_TEST_TMPDIR/diff"
    run -3 --separate-stderr flamegraph "$BATS_TEST_TMPDIR/diff"
    matches "$stderr" 'is a difference, .*: draw it with `flamegraph --diff`'
    run -1 --separate-stderr flamegraph --diff <<<$'main 3'
    matches "$stderr" '1 of 1 lines left out, which have no two weights'
}

@test "options that do not go together are usage errors" {
    local options
    for options in '--vanished' '--widths baseline' '--diff --widths candidate --vanished' '--diff --stages x' '--colors stages' \
        '--colors rainbow' '--width 10' '--minwidth -1' '--depth 1' '--diff --widths both'; do
        # shellcheck disable=SC2086 # options are words
        run -2 --separate-stderr flamegraph $options <<<'a 1'
        matches "$stderr" "Try 'flamegraph --help'"
    done
}
