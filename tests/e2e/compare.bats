#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make compare on two real runs, with the loader's rate limit and without; and on run folders that are made up.
load ../lib/common

setup_file() {
    export FILES=100 RESULTS=$BATS_FILE_TMPDIR/results
    MIN_REQUEST_INTERVAL=1 "$ROOT/scripts/profile-wall" 2>"$BATS_FILE_TMPDIR/log" >"$BATS_FILE_TMPDIR/base" 3>&-
    MIN_REQUEST_INTERVAL=0 "$ROOT/scripts/profile-wall" 2>>"$BATS_FILE_TMPDIR/log" >"$BATS_FILE_TMPDIR/cand" 3>&-
}

setup() {
    base=$(<"$BATS_FILE_TMPDIR/base")
    cand=$(<"$BATS_FILE_TMPDIR/cand")
}

sum_of() { awk '!/^#/ { n += $NF } END { print n }' "$1"; }

# made NAME TARGET CPU_S WALL_S RUN_DELAY_S [RSS_KIB]: a run folder with one stack.
made() {
    local dir=$RESULTS/$1
    mkdir -p "$dir/raw"
    jq -n --arg t "$2" --argjson c "$3" --argjson w "$4" '{target: $t, state: "done", cpu_s: $c, wall_s: $w, chunks: 10, documents: 1, off_cpu: 0}' >"$dir/run.json"
    printf '#\nt_s\tpid\tcomm\tpeak_rss_kib\trun_delay_s\n1\ttotal\ttotal\t%s\t%s\n' "${6:-102400}" "$5" >"$dir/samples.tsv"
    printf 'main (a.py:1);work (a.py:2) 1000000\n' >"$dir/profile.folded"
    printf '# share_of: wall_s\nstage\tshare_pct\twall_s\nchunk\t100.0\t%s\n' "$4" >"$dir/stages.tsv"
}

# also NAME JQ: what its run.json says beside that.
also() {
    jq "$2" "$RESULTS/$1/run.json" >"$BATS_TEST_TMPDIR/j"
    mv "$BATS_TEST_TMPDIR/j" "$RESULTS/$1/run.json"
}

compare() { BASE=$1 CAND=$2 "$ROOT/scripts/compare"; }

@test "without the rate limit it is the rate limit that has vanished, and the sums are those of the runs" {
    run --separate-stderr compare "$base" "$cand"
    ((status <= 1)) || fail "status"
    local out=$output f
    for f in summary.md compare.tsv stages.tsv diff.svg vanished.svg diff.folded; do [[ -s $out/$f ]] || fail "no $f"; done
    # Every microsecond of both runs is in the difference.
    equal "$(awk '!/^#/ { n += $(NF - 1) } END { print n }' "$out/diff.folded")" "$(sum_of "$base/profile.folded")" baseline
    equal "$(awk '!/^#/ { n += $NF } END { print n }' "$out/diff.folded")" "$(sum_of "$cand/profile.folded")" candidate
    # Of what vanished or shrank, most is the sleep in _apply_rate_limit.
    awk '!/^#/ { d = $(NF - 1) - $NF; if (d > 0 && /_apply_rate_limit/ && /\[sleep/) limit += d; if (d > 0) all += d }
        END { exit !(limit > 10e6 && limit > all / 2) }' "$out/diff.folded" || fail "the rate limit is not what vanished"
    run -1 grep -E '_apply_rate_limit.*\[sleep [^]]*\] [0-9]+ [1-9]' "$out/diff.folded"
    run -0 grep -c '_apply_rate_limit' "$out/vanished.svg"
    run -0 python3 -c 'import sys, xml.dom.minidom as m; [m.parse(f) for f in sys.argv[1:]]' "$out/diff.svg" "$out/vanished.svg"
    # The stages differ by as much as the runs, and the sum says so.
    awk -F '\t' '/^#/ || $1 == "stage" { next } $1 == "sum" { s = $4; next } { n += $4 } END { exit !(s - n < 0.1 && n - s < 0.1 && s < -10) }' "$out/stages.tsv" ||
        fail "$(<"$out/stages.tsv")"
    awk -F '\t' '$1 == "embed" { exit !($4 < -10) }' "$out/stages.tsv"
}

@test "more CPU or memory than the threshold allows is worse: 1" {
    made a profile-wall 10 20 0.1
    made b profile-wall 12 20 0.1
    run -1 --separate-stderr compare a b
    matches "$stderr" 'Worse: cpu_s of the candidate more than 10 %'
    THRESHOLD=25 run -0 --separate-stderr compare a b
    made c profile-wall 10 20 0.1 204800
    run -1 --separate-stderr compare a c
    matches "$stderr" 'Worse: peak_rss_mib'
    run -0 --separate-stderr compare c a
}

@test "a longer wall time is worse on a quiet machine, and nothing on a busy one" {
    made a profile-wall 10 20 0.1
    made slow profile-wall 10 30 0.1
    made busy profile-wall 10 30 8
    run -1 --separate-stderr compare a slow
    matches "$stderr" 'Worse: wall_s'
    run -0 --separate-stderr compare a busy
    matches "$stderr" 'The machine was busy \(the candidate waited 8 s for a CPU and had one for 10 s\): wall times and chunks/s are worthless'
    made dark profile-wall 10 30 n/a
    run -0 --separate-stderr compare a dark
    matches "$stderr" 'How busy the machine was is n/a'
}

@test "runs of different targets, one run twice, and runs that are not there are refused: 2" {
    made a profile-wall 10 20 0.1
    made p profile-pyspy 10 20 0.1
    run -2 --separate-stderr compare a p
    matches "$stderr" '\[compare-different\] profile-wall and profile-pyspy cannot be compared'
    run -2 --separate-stderr compare a a
    run -2 --separate-stderr compare nowhere a
    run -2 --separate-stderr compare '' a
    matches "$stderr" 'BASE: no baseline'
}

@test "a run that failed, did not end or has no counts is not judged, whichever of the two: 3, and the differences are shown" {
    local change
    made a profile-wall 10 20 0.1
    also a '.exit_status = 0'
    for change in '.exit_status = 139|failed .exit status 139' '.exit_status = 3 | .state = "failed"|failed .exit status 3' \
        '.state = "interrupted"|did not end .interrupted' '.state = "stopped" | .stopped = "SIGINT" | .exit_status = 130|was stopped before its end .SIGINT.' '.chunks = "n/a"|does not say what it did .1 documents, n/a chunks' \
        '.chunks = 0|does not say what it did .1 documents, 0 chunks' '.documents = "n/a"|does not say'; do
        made b profile-wall 5 10 0.1
        also b "${change%|*}"
        run -3 --separate-stderr compare a b
        matches "$stderr" "Not judged: the candidate ${change##*|}"
        [[ -s $output/diff.svg && -s $output/compare.tsv ]]
        run ! grep -i 'not worse' <<<"$stderr"
        run -3 --separate-stderr compare b a
        matches "$stderr" "compare-unfit.*the baseline ${change##*|}"
    done
    # A loader that exits 1 for one blank chunk is no failed run.
    made b profile-wall 10 20 0.1
    also b '.exit_status = 0 | .loader_exit_status = 1'
    run -0 --separate-stderr compare a b
}

@test "runs with other options that change what is counted are refused: 2; another workspace is noted" {
    local key
    made a profile-pyspy 10 20 0.1
    made b profile-pyspy 10 20 0.1
    for key in idle native gil; do
        also a ".$key = 0"
        also b ".$key = 1"
        run -2 --separate-stderr compare a b
        matches "$stderr" "compare-different. ${key^^}=0 and ${key^^}=1 cannot be compared"
        also b ".$key = 0"
    done
    also a '.workspace_sha256 = "1e10"'
    also b '.workspace_sha256 = "1e11"'
    run -0 --separate-stderr compare a b
    matches "$stderr" 'compare-workspace'
}

@test "samples taken at two rates are compared as times" {
    made r100 profile-pyspy 10 20 0.1
    made r200 profile-pyspy 10 20 0.1
    printf 'main (a.py:1) 100\n' >"$RESULTS/r100/profile.folded"
    printf 'main (a.py:1) 150\nmain (a.py:7) 50\n' >"$RESULTS/r200/profile.folded"
    local r
    for r in r100:0.01 r200:0.005; do
        also "${r%:*}" ".sample_interval_s = ${r#*:}"
    done
    run -0 --separate-stderr compare r100 r200
    equal "$(grep -v '^#' "$output/diff.folded")" 'main (a.py) 1000000 1000000'
}
