#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
load ../lib/common

STACKS=$FIXTURES/stacks

# diff BASELINE CANDIDATE [OPTION]…: the stacks of the difference of two texts, without its header.
diff_of() {
    local a=$1 b=$2
    shift 2
    run -0 --separate-stderr stackdiff "$@" <(printf '%s' "$a") <(printf '%s' "$b")
    output=$(grep -v '^# ' <<<"$output") || :
}

@test "grown, shrunk, vanished and new stacks are joined" {
    run -0 --separate-stderr stackdiff "$STACKS/before.folded" "$STACKS/after.folded"
    golden stackdiff/plain.diff "$output"
}

@test "--normalize scales the baseline to the candidate's total, in millionths, exactly" {
    run -0 --separate-stderr stackdiff --normalize "$STACKS/before.folded" "$STACKS/after.folded"
    golden stackdiff/normalized.diff "$output"
    equal "$(awk '!/^#/ { a += $(NF - 1); b += $NF } END { print a, b }' <<<"$output")" "980 980"
    # What comes out of rounding 3 thirds to 100.
    diff_of $'a 1\nb 1\nc 1\n' $'a 100\n' -n
    equal "$output" $'a 33.333333 100\nb 33.333334 0\nc 33.333333 0'
}

@test "--normalize loses no stack, however small: one that was there stays above 0, and the sum is the same" {
    diff_of $'a 1\nb 1\nc 1\nd 0\n' $'a 1\n' -n
    equal "$output" $'a 0.333333 1\nb 0.333334 0\nc 0.333333 0'
    diff_of $'a 1\nb 1000000000\nc 1\nd 3\n' $'a 1\ne 1\n' -n
    equal "$output" $'a 0.000001 1\nb 1.999997 0\nc 0.000001 0\nd 0.000001 0\ne 0 1'
    # Totals that need no decimals.
    diff_of $'a 1\nb 2\nc 1000000000000\n' $'a 9007199255\n' -n
    equal "$output" $'a 1 9007199255\nb 1 0\nc 9007199253 0'
    diff_of $'a 1\nb 1\n' $'a 18446744073709551615\n' -n
    equal "$output" $'a 9223372036854775808 18446744073709551615\nb 9223372036854775807 0'
    awk 'BEGIN { for (i = 0; i < 100000; i++) print "main;f" i, i ? 1 : "1000000000000" }' >"$BATS_TEST_TMPDIR/many"
    stackdiff -n "$BATS_TEST_TMPDIR/many" <(printf '# unit: us\nmain;g 7\nmain;f5 4\n') >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
    equal "$(awk '!/^#/ { a += int($(NF - 1) * 1e6 + 0.5); b += $NF; if ($(NF - 1) == 0) zero++; n++ } END { print a, b, n, zero }' "$BATS_TEST_TMPDIR/out")" "11000000 11 100001 1"
}

@test "--normalize says both totals in the header, and when there is nothing to scale" {
    run -0 --separate-stderr stackdiff -n <(printf '# unit: us\na 300.5\n') <(printf '# unit: us\na 980\n')
    equal "$output" $'# weights: baseline candidate\n# unit: us\n# normalized: baseline 300.5 scaled to 980\na 980 980'
    run -0 --separate-stderr stackdiff -n /dev/null - <<<'a 1'
    equal "$output" $'# weights: baseline candidate\na 0 1'
    equal "$stderr" "stackdiff: /dev/null has no stack with a weight: there is no share to compare, and nothing was scaled; look at how it was recorded"
    run -0 --separate-stderr stackdiff -n - <(echo 'a 0') <<<$'a 1\nb 2'
    equal "$output" $'# weights: baseline candidate\na 1 0\nb 2 0'
    matches "$stderr" '^stackdiff: /dev/fd/[0-9]+ has no stack with a weight'
}

@test "a stack that a file has several times counts with the sum" {
    diff_of $'a;b 1\nc 4\na;b 2\n' $'a;b 5\na;b 6\n'
    equal "$output" $'a;b 3 11\nc 4 0'
}

@test "the order is that of bytes, whatever the order of the files" {
    local a b order=$'a 1\na (x) 1\na (x);b 1\na;b 1\na;b;c 1\na;bc 1\nab 1\n'
    diff_of "$order" "$(tac <<<"$order")"
    a=$output
    diff_of "$(shuf --random-source=<(yes) <<<"$order")" "$order"
    equal "$output" "$a"
    equal "$output" "$(LC_ALL=C sed 's/ [0-9]*$//; /^$/d' <<<"$order" | LC_ALL=C sort | sed 's/$/ 1 1/')"
    # Both sorted, each with stacks of its own.
    diff_of $'a 1\nc 1\ne 1\n' $'b 1\nc 1\nd 1\nf 1\n'
    equal "$output" $'a 1 0\nb 0 1\nc 1 1\nd 0 1\ne 1 0\nf 0 1'
}

@test "a thousand long stacks that begin alike come sorted" {
    local folded=$BATS_TEST_TMPDIR/folded
    awk 'BEGIN { srand(5); for (i = 0; i < 1000; i++) { s = "root"; n = int(rand() * 40)
        for (j = 0; j < n; j++) s = s ";" (rand() < 0.9 ? "the_usual_function" : "f" int(rand() * 3)); print s, 1 } }' >"$folded"
    run -0 --separate-stderr stackdiff "$folded" /dev/null
    grep -v '^# ' <<<"$output" | sed 's/ [0-9]* 0$//' >"$folded.out"
    LC_ALL=C sort -c "$folded.out"
    equal "$(wc -l <"$folded.out")" "$(sort -u "$folded" | wc -l)"
}

@test "texts that begin alike come sorted, however much they share and whichever comes first" {
    cd "$BATS_TEST_TMPDIR"
    python3 - <<'PYTHON'
import random
rng = random.Random(11)
# Around what the sort looks at in one go, 512 bytes, and with bytes below and above the semicolon.
texts = {b"m;" + rng.choice((b"", b"x" * 510, b"x" * 1022, b"x" * 509)) + bytes(rng.choices(b"\x01 :;a", k=rng.randrange(12))) for _ in range(4000)}
texts |= {b"m;" + b"x" * n + tail for n in (509, 510, 511, 1021, 1022, 1023) for tail in (b"", b"x", b";", b"a", b"a;a")}
texts = {t.rstrip(b" ") for t in texts}
texts |= {t + b"\0" * n for t in (b"m;", b"m;" + b"x" * 507) for n in range(1, 9)}
mixed = sorted(texts)
rng.shuffle(mixed)
# The one in the middle shares least with the others, each time that it and its like are taken off.
worst = []
for i in range(300, 0, -1):
    worst.insert((len(worst) + 1) // 2, b"w;" + b"x" * i + b"y")
for name, stacks in (("mixed", mixed), ("worst", worst)):
    with open(name, "wb") as out:
        out.writelines(s + b" 1\n" for s in stacks)
    with open(f"{name}.bytes", "wb") as out:
        out.writelines(s + b" 1 0\n" for s in sorted(stacks))
    with open(f"{name}.frames", "wb") as out:
        out.writelines(s + b" 1\n" for s in sorted(stacks, key=lambda s: s.split(b";")))
PYTHON
    local name
    for name in mixed worst; do
        stackdiff "$name" /dev/null | sed 1d >out
        cmp out "$name.bytes"
        stackfold "$name" >out
        cmp out "$name.frames"
    done
}

@test "--merge-lines compares functions, whatever line they were at" {
    diff_of $'f (a.py:3);g (b.py:1) 1\nf (a.py:7);g (b.py:2) 2\nh:1;x (1:2 4\n' $'f (a.py:9);g (b.py:9) 5\n' --merge-lines
    equal "$output" $'f (a.py);g (b.py) 3 5\nh:1;x (1:2 4 0'
    diff_of $'f (a.py:3) 1\n' $'f (a.py:4) 1\n'
    equal "$output" $'f (a.py:3) 1 0\nf (a.py:4) 0 1'
}

@test "decimals stay exact, also when they come late" {
    diff_of $'a 18000000\nb 0.1\n' $'a 0.000001\nb 0.2\nb 0.05\n'
    equal "$output" $'a 18000000 0.000001\nb 0.1 0.25'
}

@test "weights up to 64 bits are kept, sums above them refused" {
    diff_of $'a 18446744073709551615\n' $'a 9007199254740993\n'
    equal "$output" 'a 18446744073709551615 9007199254740993'
    run -3 --separate-stderr stackdiff <(printf 'a 18446744073709551615\nb 1\n') /dev/null
    matches "$stderr" '2\^64'
}

@test "bytes of any kind, CRLF and an unterminated last line are read" {
    diff_of $'a\xff\x01b;c d 1\r\n\r\n 7\r\n# x' $'a\xff\x01b;c d 2'
    equal "$output" $'(no frames) 7 0\na\xff\x01b;c d 1 2'
}

@test "the header says what the weights are, and the unit when both have the same" {
    run -0 --separate-stderr stackdiff <(printf '# unit: us\na 1\n') <(printf '# unit: us\na 2\n')
    equal "$output" $'# weights: baseline candidate\n# unit: us\na 1 2'
    run -0 --separate-stderr stackdiff <(printf '# unit: us\na 1\n') <(printf 'a 2\n')
    equal "$output" $'# weights: baseline candidate\na 1 2'
}

@test "lines that are no stacks are said for each file" {
    run -0 --separate-stderr stackdiff <(printf 'a 1\nnonsense\n') - <<<$'b\nc 2'
    equal "$stderr" "stackdiff: 1 of 2 lines left out, which have no weight at their end; the first is line 2: 'nonsense'
stackdiff: 1 of 2 lines left out, which have no weight at their end; the first is line 1: 'b'"
}

@test "two inputs without weight exit 1, one is a difference" {
    run -1 --separate-stderr stackdiff /dev/null /dev/null
    equal "$output" ""
    matches "$stderr" 'neither /dev/null nor /dev/null'
    diff_of '' $'a 2\n'
    equal "$output" 'a 0 2'
}

@test "large inputs take time by their size, whatever they are made of: unsorted, one deep stack each, alike to the end, made to have one hash" {
    cd "$BATS_TEST_TMPDIR"
    # 300,000 stacks in an order that no file has; 200 stacks of 20,000 frames; 10,000 that differ at their end only.
    awk 'BEGIN { for (i = 0; i < 300000; i++) printf "main;f%d;g%d 1\n", i * 7919 % 300007, i }' >unsorted
    awk 'BEGIN { for (i = 0; i < 20000; i++) deep = deep "f;"; for (i = 0; i < 200; i++) print deep "g" i, 1 }' >deep
    awk 'BEGIN { for (i = 0; i < 300; i++) alike = alike "same frame;"; for (i = 0; i < 10000; i++) print alike i * 7919 % 10007, 1 }' >alike
    # The bytes are a constant of the hash: what is multiplied with it is lost where the seed is not with the constant.
    awk 'BEGIN { for (i = 0; i < 50000; i++) printf "\025\174\112\177\271\171\067\236%08x;tail;of;stack 1\n", i }' >hostile
    local file
    for file in unsorted deep alike hostile; do
        tac "$file" >back
        # Of CPU; 0.2 are needed, 0.5 with sanitizers.
        run -0 --separate-stderr bash -c 'ulimit -t 3; exec stackdiff "$1" back >out' - "$file"
        equal "$(awk '!/^#/ { a += $(NF - 1); b += $NF; n++ } END { print n, a, b }' out)" "$(wc -l <"$file") $(wc -l <"$file") $(wc -l <"$file")"
    done
}

@test "large files, pipes, FIFOs and standard input are read alike, and one file may be both" {
    cd "$BATS_TEST_TMPDIR"
    python3 - <<'PYTHON'
import random, re
rng = random.Random(3)
runs = {}
for name in ("one", "two"):
    sums = runs[name] = {}
    with open(name, "w") as out:
        for i in range(30000):
            stack = ";".join(f"{rng.choice('abc') * rng.randrange(1, 9)} (x.py:{rng.randrange(1, 4)})" for _ in range(rng.randrange(1, 7)))
            weight = rng.randrange(1, 1000)
            sums[stack] = sums.get(stack, 0) + weight
            print(stack, weight, file=out, end="" if name == "two" and i == 29999 else "\n")

def write(name, a, b):
    with open(name, "w") as out:
        out.write("# weights: baseline candidate\n")
        out.writelines(f"{s} {a.get(s, 0)} {b.get(s, 0)}\n" for s in sorted(a.keys() | b.keys()))

def merged(sums):
    out = {}
    for stack, weight in sums.items():
        stack = re.sub(r":\d+\)", ")", stack)
        out[stack] = out.get(stack, 0) + weight
    return out

one, two = runs["one"], runs["two"]
write("both", one, two)
write("same", one, one)
write("alone", {}, one)
write("merged", merged(one), merged(two))
PYTHON
    (($(stat -c %s one) > 300000)) # larger than what is read at once
    stackdiff one two >out
    cmp out both
    stackdiff <(cat one) two >out
    cmp out both
    stackdiff one - <two >out
    cmp out both
    { read -r _ && stackdiff - two; } < <(echo "# comment" && cat one) >out
    cmp out both
    cat <(echo "# comment") one >commented
    { read -r _ && stackdiff - two; } <commented >out
    cmp out both
    mkfifo pipe
    cat one >pipe 3>&- &
    stackdiff pipe two >out
    cmp out both
    stackdiff one one >out
    cmp out same
    : >empty
    stackdiff empty one >out
    cmp out alone
    stackdiff --merge-lines one two >out
    cmp out merged
}

@test "a file that is cut while it is read is a failure, not a crash" {
    cd "$BATS_TEST_TMPDIR"
    seq -f 'main;frame number %.0f 1' 30000 >large
    mkfifo second
    (status=0 && stackdiff large second >out 2>err 3>&- || status=$? && echo "$status" >status) &
    exec 4>second # opens when the first file has been read
    truncate -s 0 large
    echo 'main;frame number 7 1' >&4
    exec 4>&-
    wait
    equal "$(cat status)" 3
    equal "$(cat err)" "stackdiff: a file was cut short by another program while it was read; try again when it is written"
}

@test "it takes two files" {
    run -2 --separate-stderr stackdiff a
    run -2 --separate-stderr stackdiff a b c
    run -2 --separate-stderr stackdiff - -
    matches "$stderr" 'only one of the two'
    run -3 --separate-stderr stackdiff /nonexistent /dev/null
    equal "$stderr" "stackdiff: /nonexistent: No such file or directory"
}

@test "a difference is no profile, and is refused" {
    stackdiff <(echo 'a;b 1') <(echo 'a;b 2') >"$BATS_TEST_TMPDIR/diff"
    run -3 --separate-stderr stackdiff /dev/null "$BATS_TEST_TMPDIR/diff"
    equal "$output" ""
    equal "$stderr" "stackdiff: $BATS_TEST_TMPDIR/diff: it is a difference, with two weights a line, and no profile: draw it with \`flamegraph --diff\`, or give the files that it was made of"
}

@test "files of different units are not compared, and one without a unit is said" {
    run -3 --separate-stderr stackdiff <(printf '# unit: us\na 1\n') <(printf '# unit: samples\na 2\n')
    equal "$output" ""
    matches "$stderr" '^stackdiff: the weights of /dev/fd/[0-9]+ are us, those of /dev/fd/[0-9]+ samples: different units do not add up, and cannot be compared; give files of one unit$'
    run -3 --separate-stderr stackdiff <(printf '# unit: us\na 1\n# unit: ms\nb 1\n') /dev/null
    matches "$stderr" 'are us, those of .* ms'
    run -0 --separate-stderr stackdiff - <(printf 'a 2\n') <<<$'# unit: us\na 1'
    equal "$output" $'# weights: baseline candidate\na 1 2'
    matches "$stderr" 'the weights of standard input are us, and /dev/fd/[0-9]+ does not say what its are: .*write `# unit: us` into the file'
    # What has no stack has no weights of another unit.
    run -0 --separate-stderr stackdiff - /dev/null <<<$'# unit: us\na 1'
    equal "$output$stderr" $'# weights: baseline candidate\n# unit: us\na 1 0'
    run -0 --separate-stderr stackdiff <(echo 'a 1') <(echo 'a 2')
    equal "$stderr" ""
}
