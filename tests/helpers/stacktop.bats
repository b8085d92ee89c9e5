#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
load ../lib/common

STACKS=$'main (a.py:9);parse (b.py:3);parse (b.py:3) 6\nmain (a.py:9);emit (b.py:8) 2\nmain (a.py:9) 2'

@test "self is what ends in a function, total counts each stack once" {
    run -0 --separate-stderr stacktop <<<"$STACKS"
    equal "$output" "self   self%  total  total%  function
   6   60.0%      6   60.0%  parse (b.py:3)
   2   20.0%     10  100.0%  main (a.py:9)
   2   20.0%      2   20.0%  emit (b.py:8)"
}

@test "mutual recursion and a function that comes back count once a stack" {
    run -0 --separate-stderr stacktop --tsv <<<$'a;b;a;b;a 3\na;c;a 4\nb;a;c 5'
    equal "$output" "$(printf '%s\t%s\t%s\t%s\t%s\n' '# total: 12' '' '' '' '' self self_pct total total_pct function \
        7 58.33 12 100.00 a 5 41.67 9 75.00 c 0 0.00 8 66.67 b | sed 's/^\(#.*[0-9]\)\t*$/\1/')"
}

@test "--by total orders by total, -n limits the rows, 0 shows all" {
    run -0 --separate-stderr stacktop --by total -n 1 --tsv <<<"$STACKS"
    equal "${#lines[@]}" 3
    equal "${lines[2]}" $'2\t20.00\t10\t100.00\tmain (a.py:9)'
    run -0 --separate-stderr bash -c 'seq -f "f%.0f 1" 50 | stacktop -n 0 | wc -l'
    equal "$output" 51
    run -0 --separate-stderr bash -c 'seq -f "f%.0f 1" 50 | stacktop | wc -l'
    equal "$output" 21
}

@test "--merge-lines makes one function of its lines, also for recursion" {
    run -0 --separate-stderr stacktop --merge-lines --tsv <<<$'f (a.py:3);f (a.py:7) 5\nf (a.py:9) 1\ng (a:b) 1\nh:12 1\n[x] 1'
    equal "${lines[2]}" $'6\t66.67\t6\t66.67\tf (a.py)'
    matches "$output" $'\tg \(a:b\)\n'
    matches "$output" $'\th:12'
}

@test "decimals add up exactly" {
    run -0 --separate-stderr stacktop --tsv <<<$'a 0.1\na 0.2\nb 1\na 0.000001'
    equal "${lines[0]}" '# total: 1.300001'
    equal "${lines[3]}" $'0.300001\t23.08\t0.300001\t23.08\ta'
}

@test "the table is narrower than 80 columns: a path loses its beginning first" {
    run -0 --separate-stderr stacktop <<<"chunk_document (/usr/lib/python3/dist-packages/very/long/package/strategy.py:12) 123456789
$(printf 'x%.0s' {1..200}) 1
$(printf 'é%.0s' {1..200}) 1"
    local line
    for line in "${lines[@]}"; do
        ((${#line} < 80 + 200)) # bytes; characters are counted below
    done
    run -0 --separate-stderr env PYTHONUTF8=1 python3 -c 'import sys; sys.exit(any(len(line) > 80 for line in sys.stdin))' <<<"$output"
    run -0 --separate-stderr stacktop <<<"chunk_document (/usr/lib/python3/dist-packages/very/long/package/strategy.py:12) 1"
    equal "${lines[1]}" "   1  100.0%      1  100.0%  chunk_document (…/long/package/strategy.py:12)"
    run -0 --separate-stderr stacktop --width 200 <<<"chunk_document (/usr/lib/python3/dist-packages/very/long/package/strategy.py:12) 1"
    matches "$output" 'chunk_document \(/usr/lib/python3/dist-packages/very/long/package/strategy.py:12\)'
}

@test "a hostile name stays one line of valid UTF-8" {
    run -0 --separate-stderr stacktop --tsv <<<$'a\tb\x1b[31m\x80\xff\xe2\x80\xae;c 1\nd\te 2'
    run -0 iconv -f UTF-8 -t UTF-8 <<<"$output"
    equal "$(wc -l <<<"$output")" 5
    matches "$output" $'\ta�b�\\[31m���'
    run ! grep -q $'\x1b' <<<"$output"
}

@test "a weight that is no number, or above 64 bits, is said, and never counted as something else" {
    run -0 --separate-stderr stacktop --tsv <<<$'a 1e3\na -1\na 0x10\na 18446744073709551616\na 1.\na .5\na\nb 18446744073709551615'
    equal "${lines[0]}" '# total: 18446744073709551615'
    matches "$stderr" '^stacktop: 7 of 8 lines left out'
    run -3 --separate-stderr stacktop <<<$'b 18446744073709551615\nb 1'
    matches "$stderr" '2\^64'
    run -3 --separate-stderr stacktop <<<$'b 18446744073709551615\nb 0.5'
    matches "$stderr" 'whole numbers'
}

@test "CRLF, blank lines, comments, an unterminated last line and a stack without frames are read" {
    run -0 --separate-stderr stacktop --tsv < <(printf '# unit: us\r\n\r\n  \n#\na b;c d 1\r\n 4\nc d 2')
    equal "$stderr" ""
    equal "$(tail -n +3 <<<"$output")" "$(printf '%s\t%s\t%s\t%s\t%s\n' 4 57.14 4 57.14 '(no frames)' 3 42.86 3 42.86 'c d' \
        0 0.00 1 14.29 'a b')"
}

@test "an input without weight exits 1, a file that is not there 3" {
    run -1 --separate-stderr stacktop </dev/null
    equal "$output" ""
    run -3 --separate-stderr stacktop /nonexistent
    equal "$stderr" "stacktop: /nonexistent: No such file or directory"
    run -2 --separate-stderr stacktop --by size
    run -2 --separate-stderr stacktop -n few
}

@test "a stack of 100,000 frames takes no time" {
    run -0 --separate-stderr timeout 10 bash -c '{ yes "f;g;h" | head -n 100000 | tr "\n" ";"; echo "x 1"; } | stacktop --tsv'
    equal "${lines[2]}" $'1\t100.00\t1\t100.00\tx'
    equal "${#lines[@]}" 6
}

@test "--unit us shows seconds, and no other unit" {
    run -0 --separate-stderr stacktop --unit us <<<$'a;b 1500000\na 250400'
    equal "$output" "self s   self%  total s  total%  function
 1.500   85.7%    1.500   85.7%  b
 0.250   14.3%    1.750  100.0%  a"
    run -2 --separate-stderr stacktop --unit s <<<'a 1'
    matches "$stderr" "^stacktop: --unit: not us: 's'"
}

@test "a difference is no profile, and is refused" {
    stackdiff <(echo 'a;b 1') <(echo 'a;b 2') >"$BATS_TEST_TMPDIR/diff"
    run -3 --separate-stderr stacktop "$BATS_TEST_TMPDIR/diff"
    equal "$output" ""
    equal "$stderr" "stacktop: $BATS_TEST_TMPDIR/diff: it is a difference, with two weights a line, and no profile: draw it with \`flamegraph --diff\`, or give the files that it was made of"
}


@test "files of different units are not summed" {
    run -3 --separate-stderr stacktop - <(printf '# unit: ms\na 2\n') <<<$'# unit: us\na 2'
    matches "$stderr" 'the weights of standard input are us, those of /dev/fd/[0-9]+ ms'
}
