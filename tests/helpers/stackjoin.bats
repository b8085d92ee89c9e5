#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# stackjoin: native stacks beneath Python stacks, on made inputs for each rule, and on a program whose time is known.
load ../lib/common
load ../lib/python

setup() {
    cd "$BATS_TEST_TMPDIR"
    cat >py <<'EOF'
at 1000000000
stack 1 0 <module> (app.py:9);outer (app.py:4)
thread 7 1
at 1001000000
stack 2 0,2 <module> (app.py:9);outer (app.py:5);key (lib/keys.py:2)
thread 7 2
at 1002000000
EOF
}

teardown() {
    ((${#STARTED[@]} == 0)) || kill "${STARTED[@]}" 2>/dev/null || :
}

# sample MICROSECONDS FRAME…: a sample of thread 7, that long after 1 s, innermost frame first.
sample() {
    printf 'app 7/7 1.%06d000: 10101010 cpu-clock: \n' "$1"
    shift
    printf '\t    1080 %s (/usr/lib/libpython3.12.so.1.0)\n' "$@"
    echo
}

EVAL=_PyEval_EvalFrameDefault

# joined EXPECTED…: the output of the samples on standard input.
joined() {
    cat >perf
    run -0 --separate-stderr stackjoin --summary sum perf py
    equal "$output" "$(printf '%s\n' "$@")"
}

fact() { awk -F '\t' -v k="$1" '$1 == k { print $2 }' sum; }

@test "C frames stand beneath the innermost Python function, without the interpreter and what called it" {
    sample 100 list_sort builtin_sorted "$EVAL" PyEval_EvalCode main _start | joined \
        '<module> (app.py:9);outer (app.py:4);builtin_sorted;list_sort 1'
    equal "$(fact whole)" 1
    equal "$(fact distance_median_us)" 100.0
}

@test "a sample in the interpreter itself is the Python function's own time" {
    sample 100 "$EVAL" PyEval_EvalCode _start | joined '<module> (app.py:9);outer (app.py:4) 1'
}

@test "of two stacks that both fit the nearer one is taken" {
    {
        sample 400 f "$EVAL" _start
        sample 1400 f "$EVAL" g "$EVAL" _start
    } | joined \
        '<module> (app.py:9);outer (app.py:4);f 1' '<module> (app.py:9);outer (app.py:5);key (lib/keys.py:2);f 1'
}

@test "a stack that fits is taken before a nearer one that does not" {
    # Two calls of the interpreter, as only the later stack has them.
    sample 100 f "$EVAL" list_sort "$EVAL" _start | joined '<module> (app.py:9);outer (app.py:5);key (lib/keys.py:2);f 1'
    equal "$(fact distance_max_us)" 900.0
}

@test "calls that have returned are cut off the Python stack" {
    sample 1600 f "$EVAL" _start | joined '<module> (app.py:9);outer (app.py:5);f 1'
    equal "$(fact cut)" 1
}

@test "more calls of the interpreter than any Python stack has is a mismatch, and said" {
    sample 100 f "$EVAL" g "$EVAL" h "$EVAL" _start | joined '<module> (app.py:9);outer (app.py:4);[python frames unknown];f 1'
    equal "$(fact mismatch)" 1
    equal "$(fact mismatch_pct)" 100.00
}

@test "the function that perf names decides, wherever it stands in the Python stack" {
    {
        sample 100 f "$EVAL" 'py::key:/opt/lib/keys.py'
        sample 200 f "$EVAL" 'py::<module>:/opt/app.py'
    } | joined \
        '<module> (app.py:9);f 1' '<module> (app.py:9);outer (app.py:5);key (lib/keys.py:2);f 1'
    equal "$(fact named_by_perf)" 2
    equal "$(fact cut)" 1
}

@test "a function of the same name in another file is another function" {
    sample 1500 f "$EVAL" 'py::key:/opt/other.py' | joined \
        '<module> (app.py:9);outer (app.py:5);[python frames unknown];key (/opt/other.py);f 1'
}

@test "a function that neither neighbour has gets the path to it that another sample has, and is counted as a guess" {
    cat >>py <<'EOF'
stack 3 0 <module> (app.py:9);other (app.py:7);deep (app.py:8)
thread 7 3
at 9000000000
thread 7 1
EOF
    sample 100 f "$EVAL" 'py::deep:/opt/app.py' | joined '<module> (app.py:9);other (app.py:7);deep (app.py:8);f 1'
    equal "$(fact guessed)" 1
}

@test "paths of named functions are shortened to their package" {
    {
        sample 1500 "$EVAL" 'py::new:/x/lib/python3.12/site-packages/pack/mod.py'
        sample 1600 "$EVAL" 'py::get:/x/lib/python3.12/queue.py'
    } | joined \
        '<module> (app.py:9);outer (app.py:5);[python frames unknown];get (queue.py) 1' \
        '<module> (app.py:9);outer (app.py:5);[python frames unknown];new (pack/mod.py) 1'
}

@test "a thread that is in no Python function stands by itself, and so does one that Python does not know" {
    {
        sample 100 gc_collect_main Py_FinalizeEx _start
        sample 200 work start_thread clone3 | sed 's,7/7,7/8,'
    } | joined \
        'app;[no Python frame];_start;Py_FinalizeEx;gc_collect_main 1' 'app;[no Python frame];clone3;start_thread;work 1'
    equal "$(fact outside_python)" 2
}

@test "without a Python sample near enough the native stack stays alone" {
    sample 50000 f "$EVAL" _start | joined 'app;[python stack unknown];_start;_PyEval_EvalFrameDefault;f 1'
    run -0 --separate-stderr stackjoin --max-distance 50ms perf py
    equal "$output" '<module> (app.py:9);outer (app.py:5);f 1'
}

@test "a stack that could not be read is unknown, and none" {
    printf 'thread 7 ?\n' >>py
    sample 2100 f "$EVAL" _start | joined 'app;[python stack unknown];_start;_PyEval_EvalFrameDefault;f 1'
}

@test "a native stack that is cut short is joined, and says so" {
    sample 100 f g | joined '<module> (app.py:9);outer (app.py:4);[native frames missing];g;f 1'
    equal "$(fact native_cut_short)" 1
}

@test "kernel frames are marked, and weights can be periods" {
    {
        printf 'app 7/7 1.000100000: 10101010 cpu-clock: \n\tffffffff81407c30 do_sys_poll ([kernel.kallsyms])\n\t 1 poll (/lib/libc.so.6)\n'
        printf '\t 1 %s (/p)\n\t 1 _start (/p)\n\n' "$EVAL"
    } >perf
    run -0 --separate-stderr stackjoin --weight period perf py
    equal "$output" '<module> (app.py:9);outer (app.py:4);poll;do_sys_poll_[k] 10101010'
}

@test "off-CPU weights are the microseconds until the thread runs again, and the stack is that of the wait" {
    cat >perf <<EOF
app 7/7 1.000100000:          1 context-switches:
	 1 sem_wait (/lib/libc.so.6)
	 1 $EVAL (/p)
	 1 take (/p)
	 1 $EVAL (/p)
	 1 _start (/p)

app 7/7 1.000100500: PERF_RECORD_SWITCH OUT
app 7/7 1.005100900: PERF_RECORD_SWITCH IN
app 7/7 1.006000000:          1 context-switches:
	 1 $EVAL (/p)
	 1 _start (/p)

app 7/7 1.006000500: PERF_RECORD_SWITCH OUT preempt
app 7/7 1.006010000: PERF_RECORD_SWITCH IN
app 7/7 1.007000000:          1 context-switches:
	 1 $EVAL (/p)
	 1 _start (/p)

app 7/8 1.009000000: PERF_RECORD_SWITCH IN
EOF
    run -0 --separate-stderr stackjoin --off-cpu --summary sum perf py
    equal "$output" '<module> (app.py:9);outer (app.py:5) 2000
<module> (app.py:9);outer (app.py:5);[runnable] 10
<module> (app.py:9);outer (app.py:5);key (lib/keys.py:2);sem_wait 5000'
    equal "$(fact samples)" 3
}

@test "no weight is lost, whatever the two files are" {
    local script
    for script in "$FIXTURES"/perf-script/*.txt; do
        run --separate-stderr stackjoin --summary sum "$script" py
        ((status <= 1)) || fail "$script"
        equal "$(awk '{ n += $NF } END { print n + 0 }' <<<"$output")" "$(fact weight)" "$script"
        equal "$(($(fact whole) + $(fact cut) + $(fact guessed) + $(fact mismatch) + $(fact outside_python) + $(fact unknown)))" "$(fact weight)"
    done
}

@test "what perf lost is said, and lines that are not understood are counted" {
    {
        sample 100 f "$EVAL" _start
        echo 'app 7 1.000200000: PERF_RECORD_LOST lost 12'
    } >perf
    printf 'nonsense\nstack 9 0 a\nthread 7 9\n' >>py
    run -0 --separate-stderr stackjoin --summary sum perf py
    matches "$stderr" 'lost 12 samples'
    matches "$stderr" 'py: lines not understood and left out: 3'
    equal "$(fact lost)" 12
}

@test "thirty thousand threads are found as quickly as one" {
    awk 'BEGIN { print "at 1000000000\nstack 1 0 main (a.py:1)"; for (i = 1; i <= 30000; i++) print "thread", i, 1 }' >py
    awk -v frame="$EVAL" 'BEGIN {
        for (n = 0; n < 120000; n++) {
            printf "app 7/%d 1.%09d: 1 context-switches: \n\t 1 f (/l)\n\t 1 %s (/p)\n\t 1 _start (/p)\n\n", n % 30000 + 1, n * 10, frame
            printf "app 7/%d 1.%09d: PERF_RECORD_SWITCH OUT\n", n % 30000 + 1, n * 10 + 5
        }
    }' >perf
    # Of CPU; 0.2 are needed, 1 with sanitizers.
    run -0 --separate-stderr bash -c 'ulimit -t 3; exec stackjoin --off-cpu --summary sum perf py'
    # Each thread waits for 300 us three times, and from its last sample to the end of the recording.
    equal "$output" 'main (a.py:1);f 31500000'
    equal "$(fact samples)" 120000
}

@test "nothing to join is 1, a missing file 3, one file a usage error" {
    : >perf
    run -1 --separate-stderr stackjoin perf py
    matches "$stderr" 'perf: no sample'
    run -3 --separate-stderr stackjoin perf nowhere
    matches "$stderr" 'nowhere: No such file'
    run -2 --separate-stderr stackjoin perf
    run -2 --separate-stderr stackjoin --off-cpu --weight period perf py
}

# ---- a program whose time in C is known -------------------------------------------------------------------------------

# truth RATE: records perf_truth.py; its own figures in `truth`, the joined stacks in `folded`. Once more where perf, too, was
# held up: the program never waits.
truth() {
    local gap
    for _ in 1 2 3; do
        recorded_truth "$1"
        gap=$(awk '/ cpu-clock/ { t = 0; for (i = 1; i <= NF && !t; i++) if ($i ~ /^[0-9]+\.[0-9]+:$/) t = $i + 0; if (last && t - last > gap) gap = t - last; last = t }
            END { print gap + 0 }' perf.txt)
        awk -v gap="$gap" 'BEGIN { exit !(gap > 0.1) }' || break
        echo "# no sample of perf for $gap s" >&3
    done
}

recorded_truth() {
    local priority=()
    if perf record -q -r 1 -e cpu-clock -o probe.data -- true >/dev/null 2>&1; then priority=(-r 1); fi
    "$PYTHON312" "$ROOT/tests/lib/perf_truth.py" 8 >truth 3>&- &
    STARTED=($!)
    local target=$!
    until_true 20 grep -q ready truth
    perf record "${priority[@]}" -k mono -e cpu-clock -F "$1" --call-graph dwarf,8192 --no-buffering -o perf.data -p "$target" >perf.log 2>&1 3>&- &
    STARTED+=($!)
    until_true 20 test -s perf.data
    pysample --rate 20 --follow perf.data --samples samples "$target" 3>&-
    wait "${STARTED[@]}"
    perf script -i perf.data --no-inline --ns -F comm,pid,tid,time,period,event,ip,sym,dso 2>script.log >perf.txt
    rm -f "/tmp/perf-$target.map"
    stackjoin --summary sum perf.txt samples >folded
}

# share_off: the largest difference, in percentage points, between what a function took and its share of the samples; and
# between the samples of its C code beneath it and all of its C code's.
share_off() {
    awk -F '\t' '
        FNR == NR { if (NF == 2) { truth[$1] = $2; all += $2 }; next }
        {
            n = $0
            sub(/.* /, "", n)
            for (f in truth) if (index($0, ";" f " (")) { seen[f] += n; sum += n }
        }
        END {
            for (f in truth) {
                off = 100 * (seen[f] / sum - truth[f] / all)
                printf "%s: truth %.2f %%, seen %.2f %%\n", f, 100 * truth[f] / all, 100 * seen[f] / sum
                if (off < 0) off = -off
                if (off > worst) worst = off
            }
            printf "worst %.2f\n", worst
        }' truth folded
}

# beneath FUNCTION C: which share of all samples in the C function stands beneath the Python function, in per cent.
beneath() {
    awk -v f=";$1 \\\\(" -v c=";$2" 'index($0, c) { n = $NF; all += n; if ($0 ~ f) of += n } END { printf "%.1f\n", 100 * of / all }' folded
}

within() { awk -v v="$1" -v least="$2" 'BEGIN { exit !(v >= least) }' || fail "$3: $1, expected at least $2"; }

@test "with -X perf C is beneath the function that called it, and shares are the truth's within 2 points" {
    PYTHONPERFSUPPORT=1 truth 499
    run -0 share_off
    awk '/^worst/ { exit !($2 <= 2) }' <<<"$output" || fail "shares"
    within "$(fact joined_pct)" 97 joined
    if has_name "$PYTHON312" gc_collect_main; then within "$(beneath a_collects 'gc_collect;gc_collect_main')" 97 'gc beneath a_collects'; fi
    within "$(beneath a_compresses deflate)" 97 'deflate beneath a_compresses'
    within "$(beneath b_asks sqlite3_step)" 97 'SQLite beneath b_asks'
    within "$(fact named_by_perf_pct)" 97 'named by perf'
}

@test "without it, attached to any Python, nearly so" {
    truth 499
    run -0 share_off
    awk '/^worst/ { exit !($2 <= 2) }' <<<"$output" || fail "shares"
    within "$(fact joined_pct)" 97 joined
    equal "$(fact named_by_perf)" 0
    if has_name "$PYTHON312" gc_collect_main; then within "$(beneath a_collects 'gc_collect;gc_collect_main')" 93 'gc beneath a_collects'; fi
    within "$(beneath a_compresses deflate)" 85 'deflate beneath a_compresses'
    within "$(beneath b_asks sqlite3_step)" 85 'SQLite beneath b_asks'
}
