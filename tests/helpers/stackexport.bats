#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
load ../lib/common

setup() {
    cd "$BATS_TEST_TMPDIR"
    cat >stacks.folded <<'STACKS'
# mode: wall
process 1:"x";main (app.py:3);chunk (app.py:7) 41
process 1:"x";main (app.py:3);chunk (app.py:8);f(int) 4
process 1:"x";main (app.py:4);chunk (lib/app.py:8) 2
STACKS
}

# valid FILE: the structure that speedscope relies on.
valid() {
    jq -e '(.shared.frames | length) as $n | .profiles[0] |
        .type == "sampled" and .startValue == 0 and (.samples | length) == (.weights | length) and
        (.weights | add) == .endValue and all(.samples[][]; . >= 0 and . < $n) and all(.samples[]; length > 0)' "$1"
}

pprof() {
    go tool pprof "$@" 2>/dev/null
}

@test "a speedscope profile holds each stack with its weight, the outermost frame first" {
    run -0 --separate-stderr stackexport --name 'wall "1"' stacks.folded
    equal "$stderr" ""
    valid - <<<"$output" >/dev/null
    equal "$(jq -c '.shared.frames as $f | .profiles[0] | [(.samples | map(map($f[.].name))), .weights, .unit, .name]' <<<"$output")" \
        '[[["process 1:\"x\"","main","chunk"],["process 1:\"x\"","main","chunk","f(int)"],["process 1:\"x\"","main","chunk"]],[41,4,2],"none","wall \"1\""]'
    equal "$(jq -c '.shared.frames[1:4], .shared.frames[6]' <<<"$output")" \
        '[{"name":"main","file":"app.py","line":3},{"name":"chunk","file":"app.py","line":7},{"name":"chunk","file":"app.py","line":8}]
{"name":"chunk","file":"lib/app.py","line":8}'
    equal "$(jq -r '."$schema"' <<<"$output")" https://www.speedscope.app/file-format-schema.json
}

@test "with a rate samples are times" {
    run -0 stackexport --rate 100 stacks.folded
    valid - <<<"$output" >/dev/null
    equal "$(jq -c '.profiles[0] | [.unit, .endValue, .weights]' <<<"$output")" '["nanoseconds",470000000,[410000000,40000000,20000000]]'
}

@test "a unit that speedscope knows is passed on" {
    run -0 stackexport --unit bytes stacks.folded
    equal "$(jq -c '.profiles[0] | [.unit, .endValue]' <<<"$output")" '["bytes",47]'
}

@test "go tool pprof reads the pprof profile: functions, lines, samples and times" {
    stackexport --format pprof --rate 100 --type wall stacks.folded >wall.pb.gz
    gzip -t wall.pb.gz
    run -0 pprof -top wall.pb.gz
    matches "$output" 'Type: wall'
    matches "$output" 'Showing nodes accounting for 470ms, 100% of 470ms total'
    matches "$output" '430ms 91.49% 91.49%      470ms   100%  chunk'
    run -0 pprof -top -sample_index=samples wall.pb.gz
    matches "$output" '43 91.49% 91.49%         47   100%  chunk'
    run -0 pprof -raw wall.pb.gz
    matches "$output" 'PeriodType: wall nanoseconds
Period: 10000000
Samples:
samples/count wall/nanoseconds
         41  410000000: 3 2 1 
          4   40000000: 5 4 2 1 
          2   20000000: 7 6 1 
Locations'
    matches "$output" '4: 0x0 M=1 chunk app.py:8(:0)? s=0' # newer versions tell columns
    run -0 pprof -top -lines wall.pb.gz
    matches "$output" '410ms 87.23% 87.23%      410ms 87.23%  chunk app.py:7'
}

@test "a pprof profile without a rate has samples, or the unit it is told" {
    stackexport --format pprof stacks.folded >samples.pb.gz
    run -0 pprof -top samples.pb.gz
    matches "$output" 'Type: samples'
    matches "$output" 'accounting for 47, 100% of 47 total'
    stackexport --format pprof --unit nanoseconds stacks.folded >ns.pb.gz
    run -0 pprof -raw ns.pb.gz
    matches "$output" 'cpu/nanoseconds
         41: 3 2 1'
}

@test "any bytes in frames give valid JSON and valid UTF-8" {
    printf 'a"\\;<script>\x01\t;\xff\xe9;;(x:1) (y:2) 3\n:1);(:1);b (:1);é (ü.py:9) 4\n12345);x (a:1234567890) 5\n' >hostile.folded
    stackexport hostile.folded >hostile.json
    valid hostile.json
    equal "$(jq -c '[.shared.frames[] | [.name, .file, .line]]' hostile.json)" \
        '[["a\"\\",null,null],["<script>\u0001\t",null,null],["��",null,null],["",null,null],["(x:1)","y",2],[":1)",null,null],["(:1)",null,null],["b (:1)",null,null],["é","ü.py",9],["12345)",null,null],["x (a:1234567890)",null,null]]'
    stackexport --format pprof hostile.folded >hostile.pb.gz
    run -0 pprof -raw hostile.pb.gz
    matches "$output" ' 3: 5 4 3 2 1 '
    run -0 stackexport - <<<'12345) 1'
    equal "$(jq -r '.shared.frames[0].name' <<<"$output")" '12345)'
    zcat hostile.pb.gz | python3 -c 'import sys; sys.exit("\ufffd\ufffd".encode() not in sys.stdin.buffer.read())'
}

@test "collapsed output merges and sorts" {
    run -0 stackexport --format collapsed - stacks.folded <<<'a;b 1'
    equal "$output" 'a;b 1
process 1:"x";main (app.py:3);chunk (app.py:7) 41
process 1:"x";main (app.py:3);chunk (app.py:8);f(int) 4
process 1:"x";main (app.py:4);chunk (lib/app.py:8) 2'
}

@test "lines that are no stacks are left out, which is said" {
    run -0 --separate-stderr stackexport --format collapsed - <<<$'a;b 1\nwhat\n'
    equal "$output" "a;b 1"
    equal "$stderr" "stackexport: 1 of 3 lines left out, which have no weight at their end; the first is line 2: 'what'"
}

@test "weights may have decimals: speedscope has them, pprof's whole numbers add up to the rounded sum" {
    printf '%s\n' 'a 0.4' 'b 0.4' 'c 0.4' 'd 1.05' >decimals.folded
    run -0 --separate-stderr stackexport decimals.folded
    equal "$stderr" ""
    valid - <<<"$output" >/dev/null
    equal "$(jq -c '.profiles[0] | [.weights, .endValue]' <<<"$output")" '[[0.4,0.4,0.4,1.05],2.25]'
    run -0 stackexport --rate 7 decimals.folded
    equal "$(jq -c '.profiles[0] | [.weights, .endValue]' <<<"$output")" '[[57142857,57142857,57142858,150000000],321428572]'
    run -0 stackexport --format collapsed decimals.folded decimals.folded
    equal "$output" $'a 0.8\nb 0.8\nc 0.8\nd 2.1'
    stackexport --format pprof decimals.folded >decimals.pb.gz
    run -0 pprof -raw decimals.pb.gz
    matches "$output" '          0: 1 
          1: 2 
          0: 3 
          1: 4 '
}

@test "an input without stacks exits 1" {
    run -1 --separate-stderr stackexport /dev/null
    equal "$output" ""
    equal "$stderr" "stackexport: no stack in the input"
}

@test "weights beyond the format are a failure, not wrong numbers" {
    run -3 --separate-stderr stackexport --format pprof - <<<'a 9223372036854775808'
    equal "$output" ""
    run -3 --separate-stderr stackexport --rate 1 - <<<'a 18446744073709551615'
    equal "$stderr" "stackexport: the weights are too large for the format"
}

@test "options that make no sense are usage errors" {
    run -2 --separate-stderr stackexport --format svg stacks.folded
    run -2 --separate-stderr stackexport --rate 100 --unit bytes stacks.folded
    equal "$stderr" $'stackexport: --rate: is of samples, not of bytes\nTry \'stackexport --help\'.'
    run -2 --separate-stderr stackexport --rate 0 stacks.folded
}

@test "a binary profile is not written to a terminal" {
    run -0 script -qec 'stackexport --format pprof stacks.folded; echo "status $?"' /dev/null
    matches "$output" 'redirect it to a file'
    matches "$output" 'status 2'
}

@test "a difference is no profile, and is refused" {
    stackdiff <(echo 'a;b 1') <(echo 'a;b 2') >"$BATS_TEST_TMPDIR/diff"
    run -3 --separate-stderr stackexport "$BATS_TEST_TMPDIR/diff"
    equal "$output" ""
    equal "$stderr" "stackexport: $BATS_TEST_TMPDIR/diff: it is a difference, with two weights a line, and no profile: draw it with \`flamegraph --diff\`, or give the files that it was made of"
}


@test "the unit is the file's own, by the formats' word; --unit has the last one, and --rate is of samples" {
    printf '# unit: us\na;b 1500\n' >us.folded
    run -0 --separate-stderr stackexport us.folded
    equal "$(jq -c '.profiles[0] | [.unit, .endValue]' <<<"$output")" '["microseconds",1500]'
    run -0 stackexport --unit bytes us.folded
    equal "$(jq -r '.profiles[0].unit' <<<"$output")" bytes
    stackexport --format pprof us.folded >us.pb.gz
    run -0 pprof -raw us.pb.gz
    matches "$output" 'cpu/microseconds
       1500: 2 1'
    run -0 stackexport --format collapsed us.folded us.folded
    equal "$output" $'# unit: us\na;b 3000'
    for unit in '' '--unit samples'; do
        # shellcheck disable=SC2086 # options are words
        run -3 --separate-stderr stackexport --rate 100 $unit us.folded
        equal "$output" ""
        equal "$stderr" "stackexport: us.folded: its weights are us already, and --rate is of samples: leave it out"
    done
    run -0 --separate-stderr stackexport --rate 100 - <<<$'# unit: samples\na 2'
    equal "$(jq -c '.profiles[0] | [.unit, .endValue]' <<<"$output")" '["nanoseconds",20000000]'
    run -3 --separate-stderr stackexport us.folded - <<<$'# unit: ms\na 2'
    matches "$stderr" 'the weights of us.folded are us, those of standard input ms'
}
