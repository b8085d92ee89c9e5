#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
load ../lib/common

setup() {
    MAP=$BATS_TEST_TMPDIR/map
    printf '%s\t%s\n' 'parse (' parse 'store/' store >"$MAP"
}

# stage_of STACK: the only stage that has a weight.
stage_of() {
    stackstages --stages "$MAP" <<<"$1 7" | awk -F '\t' '$2 == 7 { print $1 }'
}

# is STAGE STACK
is() {
    equal "$(stage_of "$2")" "$1" "stage of '$2'"
}

@test "every stack that was recorded of the loader is of its stage" {
    local stage stack n=0
    MAP=$ROOT/scripts/stages.map
    while IFS=$'\t' read -r stage stack; do
        [[ $stage != \#* ]] || continue
        is "$stage" "$stack"
        n=$((n + 1))
    done <"$FIXTURES/stacks/loader-stages.tsv"
    ((n > 30))
}

@test "the innermost frame that matches decides" {
    is store 'parse (a.py:1);save (store/b.py:2)'
    is parse 'save (store/b.py:2);parse (a.py:1)'
    is parse 'save (store/b.py:2);parse (a.py:1);strip (c.py:3)'
}

@test "the first line that matches a frame is its stage" {
    is parse 'parse (store/a.py:1)'
    printf '%s\t%s\n' 'store/' store 'parse (' parse >"$MAP"
    is store 'parse (store/a.py:1)'
}

@test "a pattern may hold stars, and be bound to the frame's start and end" {
    printf '%s\t%s\n' '^run (*.py' start 'tail$' end '^whole$' all 'a*b*c' stars '^$' empty '^*x$' last >"$MAP"
    is start 'run (main.py:3)'
    is other 'rerun (main.py:3)'
    is end 'the tail'
    is other 'tail end'
    is all whole
    is other wholes
    is stars '1a2b3c4'
    is other 'cba'
    is other 'ab'
    is last 'ends in x'
    is empty 'x;'
}

@test "a frame of the stage - says nothing" {
    printf '%s\t%s\n' '^<module> (' - 'import' startup 'store/' store >"$MAP"
    is startup 'import;<module> (store/a.py:1)'
    is other '<module> (store/a.py:1)'
}

@test "what waits belongs to the stage that it waits in, and to waiting where there is none" {
    printf '%s\t%s\n' '^select (' waiting 'store/' store >"$MAP"
    is store 'save (store/a.py:1);select (selectors.py:9)'
    is waiting 'main (a.py:1);select (selectors.py:9)'
    is other 'select (selectors.py:9);main (a.py:1)'
    is waiting 'main (a.py:1);[sleep 0.5s]'
    is store 'save (store/a.py:1);[sleep 0.5s]'
    is other 'main (a.py:1);[running]'
    is other '[gc];[running]'
    is waiting 'select (selectors.py:9);epoll_wait (libc.so.6)'
    is other 'main (a.py:1);[libc.so.6]'
    is other 'main (a.py:1);[unknown]'
}

@test "shares add to 100.0, whatever the weights" {
    run -0 --separate-stderr stackstages --stages "$MAP" <<<$'parse (a:1) 1\nsave (store/b:1) 1\nx 1'
    equal "$output" "$(printf '%s\t%s\t%s\n' stage samples share_pct parse 1 33.4 store 1 33.3 waiting 0 0.0 other 1 33.3)"
    run -0 --separate-stderr stackstages --stages "$MAP" <<<$'parse (a:1) 1\nx 9999999'
    equal "$(awk -F '\t' 'NR > 1 { s += $3 } END { printf "%.1f", s }' <<<"$output")" 100.0
}

@test "--by-wait splits what ran from what waited, and --total sums up" {
    run -0 --separate-stderr stackstages --stages "$MAP" --by-wait --total --unit us \
        <<<$'parse (a:1);[running] 30\nparse (a:1);[gil] 10\nparse (a:1) 5\ny;[sleep(1s)] 55'
    equal "$output" "$(printf '%s\t%s\t%s\t%s\t%s\n' stage us share_pct running_us waiting_us parse 45 45.0 35 10 \
        store 0 0.0 0 0 waiting 55 55.0 0 55 other 0 0.0 0 0 total 100 100.0 35 65)"
    run -0 --separate-stderr stackstages --stages "$MAP" --by-wait --no-wait <<<$'parse (a:1);[gil] 10'
    matches "$output" $'parse\t10\t100.0\t10\t0'
}

@test "the map may name the stages in their order, also those without a pattern" {
    printf '# stages: fetch store parse\n' | cat - "$MAP" >"$MAP.2"
    run -0 --separate-stderr stackstages --stages "$MAP.2" <<<'parse (a:1) 1'
    equal "$(cut -f1 <<<"$output" | tr '\n' ' ')" "stage fetch store parse waiting other "
}

@test "the unit is the file's own, and --unit has the last word" {
    run -0 --separate-stderr stackstages --stages "$MAP" <<<$'# tool: x\n# unit: ms\nparse (a:1) 2.5'
    equal "${lines[0]}" $'stage\tms\tshare_pct'
    equal "${lines[1]}" $'parse\t2.5\t100.0'
    run -0 --separate-stderr stackstages --stages "$MAP" --unit us <<<$'# unit: ms\nparse (a:1) 2'
    equal "${lines[0]}" $'stage\tus\tshare_pct'
}

@test "several files count together, and lines that are no stacks are said" {
    printf 'parse (a:1) 1\nnonsense\n' >"$BATS_TEST_TMPDIR/a"
    printf 'parse (a:1) 2\n' >"$BATS_TEST_TMPDIR/b"
    run -0 --separate-stderr stackstages --stages "$MAP" "$BATS_TEST_TMPDIR/a" - "$BATS_TEST_TMPDIR/b" <<<'parse (c:1) 4'
    equal "${lines[1]}" $'parse\t7\t100.0'
    equal "$stderr" "stackstages: 1 of 4 lines left out, which have no weight at their end; the first is line 2: 'nonsense'"
}

@test "an input without weight exits 1" {
    run -1 --separate-stderr stackstages --stages "$MAP" </dev/null
    equal "$output" ""
    matches "$stderr" 'no stack with a weight'
    run -1 --separate-stderr stackstages --stages "$MAP" <<<$'a;b 0'
}

@test "a map with a wrong line is refused with its number" {
    printf '# comment\n\nparse parse\n' >"$MAP"
    run -3 --separate-stderr stackstages --stages "$MAP" <<<'a 1'
    equal "$stderr" "stackstages: $MAP:3: not 'pattern<TAB>stage': 'parse parse'"
    printf 'parse\ttwo words\n' >"$MAP"
    run -3 --separate-stderr stackstages --stages "$MAP" <<<'a 1'
    matches "$stderr" "$MAP:1: a stage is 1 to 24 letters"
    seq -f $'p\ts%.0f' 40 >"$MAP"
    run -3 --separate-stderr stackstages --stages "$MAP" <<<'a 1'
    matches "$stderr" "more than 30 stages"
    run -3 --separate-stderr stackstages --stages /nonexistent <<<'a 1'
    equal "$stderr" "stackstages: /nonexistent: No such file or directory"
    run -2 --separate-stderr stackstages <<<'a 1'
}

@test "a difference is no profile, and is refused" {
    stackdiff <(echo 'a;b 1') <(echo 'a;b 2') >"$BATS_TEST_TMPDIR/diff"
    run -3 --separate-stderr stackstages --stages "$MAP" "$BATS_TEST_TMPDIR/diff"
    equal "$output" ""
    equal "$stderr" "stackstages: $BATS_TEST_TMPDIR/diff: it is a difference, with two weights a line, and no profile: draw it with \`flamegraph --diff\`, or give the files that it was made of"
}


@test "files of different units are not summed" {
    run -3 --separate-stderr stackstages --stages "$MAP" - <(printf '# unit: ms\na 2\n') <<<$'# unit: us\na 2'
    matches "$stderr" 'the weights of standard input are us, those of /dev/fd/[0-9]+ ms'
}
