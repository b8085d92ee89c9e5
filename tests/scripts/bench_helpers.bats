#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make bench-helpers: its table, in a tree of its own whose benchmarks are made up.
load ../lib/common

setup() {
    tree=$BATS_TEST_TMPDIR/tree
    mkdir -p "$tree/tests/bench" "$BATS_TEST_TMPDIR/bin"
    cp -r "$ROOT/scripts" "$tree"
    printf '#!/bin/sh\n' | tee "$BATS_TEST_TMPDIR/bin/cargo" >"$BATS_TEST_TMPDIR/bin/chromium"
    chmod +x "$BATS_TEST_TMPDIR/bin/"*
    PATH=$BATS_TEST_TMPDIR/bin:$PATH
    benchmark one 'one_size\t0.5\tratio\t<= 1\tok' 'one_gone\t3\ts\t<= 4\tok'
    benchmark two 'two_time\t9\ts\t<= 4\tshort'
}

# benchmark NAME ROW…
benchmark() {
    {
        printf 'if __name__ == "__main__":\n'
        printf '    print("%s")\n' "${@:2}"
    } >"$tree/tests/bench/$1.py"
}

bench() { env -u RESULTS -u ONLY -u SUITE "$@" "$tree/scripts/bench-helpers"; }

figures() { cut -f 1,2 "$tree/results/bench/helpers.tsv" | sort | tr '\t\n' '= '; }

@test "a figure without a bar is in the table, and is not judged" {
    local told='import sys; sys.path.insert(0, sys.argv[1]); import bench; bench.told("one_told", 257.31, "us")'
    run -0 python3 -B -c "$told" "$ROOT/tests/bench"
    equal "$output" $'one_told\t257.3\tus\t-\t-'
    benchmark one "${output//$'\t'/\\t}" 'one_size\t0.5\tratio\t<= 1\tok'
    run -0 --separate-stderr bench ONLY=one
    equal "$(figures)" 'figure=value one_size=0.5 one_told=257.3 '
    # What a scrape costs in use is told by the figures that its page names.
    local name names
    names=$(sed -nE 's/^\| `((exporter|http)_[a-z0-9_]+)` \|.*/\1/p' "$ROOT/docs/monitoring/README.md")
    equal "$(wc -w <<<"$names")" 7
    for name in $names; do
        sed 's/{HZ}/10/' "$ROOT/tests/bench/loader_exporter.py" | grep -qE "f?\"$name\"[,:]" || fail "$name is not measured"
    done
}

@test "ONLY replaces that helper's rows and keeps the others, whose shortness it does not judge" {
    run -1 --separate-stderr bench
    matches "$stderr" 'short of the bar: two_time'
    equal "$(figures)" 'figure=value one_gone=3 one_size=0.5 two_time=9 '
    benchmark one 'one_size\t0.7\tratio\t<= 1\tok'
    run -0 --separate-stderr bench ONLY=one
    equal "$(figures)" 'figure=value one_size=0.7 two_time=9 '
    run -1 --separate-stderr bench ONLY=two
    equal "$(figures)" 'figure=value one_size=0.7 two_time=9 '
    run -2 --separate-stderr bench ONLY=none
    equal "$(figures)" 'figure=value one_size=0.7 two_time=9 '
    # All of them: what no benchmark measures any more is gone.
    rm "$tree/tests/bench/two.py"
    run -0 --separate-stderr bench
    equal "$(figures)" 'figure=value one_size=0.7 '
    equal "$(ls "$tree/results/bench")" helpers.tsv
}
