#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What pysample says of running programs: chains, edges, views, files, errors. Its accuracy: pysample_truth.bats.
load ../lib/common
load ../lib/python

PROGRAMS=$FIXTURES/pysample

setup() {
    DIR=$(mktemp -d)
    STARTED=()
    # Before a command: without the rights that root has and the owner of a process does not need.
    PLAIN=()
    ((EUID)) || PLAIN=(setpriv --bounding-set=-all --inh-caps=-all --)
}

teardown() {
    local pid child
    for pid in "${STARTED[@]}"; do
        while read -rd ' ' child; do
            kill -9 "$child" 2>/dev/null || :
        done 2>/dev/null <"/proc/$pid/task/$pid/children" || :
        kill -9 "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
    rm -rf "$DIR"
}

# start COMMAND…: in the background, its process id in PID.
start() {
    "$@" >"$DIR/program.out" 2>&1 3>&- &
    PID=$!
    STARTED+=("$PID")
}

# program TEXT [ARG…]: starts a Python program; it writes "$1" (READY) when it has come to rest.
program() {
    printf '%s\n' "$1" >"$DIR/program.py"
    shift
    start "$PYTHON" "$DIR/program.py" "$DIR/ready" "$@"
    until_true 20 test -e "$DIR/ready"
}

# value KEY: of the summary.
value() {
    awk -F'\t' -v k="$1" '$1 == k { print $2 }' "$DIR/summary"
}

zoo() {
    rm -f "$DIR/truth"
    start "$PYTHON" "$PROGRAMS/zoo.py" "$DIR/truth" "$@"
    until_true 30 test -e "$DIR/truth"
    until_true 20 seen_as_expected
    kill -9 "$PID"
}

# The truth is written some moments before the last task comes to rest.
seen_as_expected() {
    pysample --json "$PID" >"$DIR/seen" || return 1
    python3 "$PROGRAMS/check_zoo.py" "$DIR/truth" "$DIR/seen" >"$DIR/differences" || {
        cat "$DIR/differences" >&2
        return 1
    }
}

@test "every await construct is seen with its chain, its leaf and its edges, at rest" { each_python zoo rest; }
@test "every await construct is seen so while a task keeps the loop busy" { each_python zoo spin; }
@test "the same with tasks and futures in pure Python" { each_python zoo rest pytask; }
@test "the same with tasks in pure Python, while a task keeps the loop busy" { each_python zoo spin pytask; }

uvloop_zoo() {
    local PYTHON=${UVLOOP_PYTHON:-$PYTHON}
    "$PYTHON" -c 'import uvloop' || fail "no uvloop for $PYTHON: install scripts/env/test.txt, or set UVLOOP_PYTHON"
    zoo "$1" uvloop
}

@test "the same on uvloop" {
    PYTHON=$(find_python 12)
    uvloop_zoo rest
    uvloop_zoo spin
}

# on_uvloop HOW: the wall view of a program whose uvloop is run so, without asyncio's runner, in WALL: names alone.
on_uvloop() {
    rm -f "$DIR/ready"
    program '
import asyncio, sys, time, uvloop
async def works():
    while True:
        end = time.monotonic() + 0.02
        while time.monotonic() < end: pass
        await asyncio.sleep(0.02)
def called(loop):
    loop.call_later(0.01, called, loop)
    time.sleep(0.002)
async def main():
    called(asyncio.get_running_loop())
    asyncio.get_running_loop().call_later(0.2, lambda: open(sys.argv[1], "w").close())
    await asyncio.gather(works(), asyncio.sleep(3600))
def until_complete(loop): loop.run_until_complete(main())
def forever(loop):
    task = loop.create_task(main())
    loop.run_forever()
globals()[sys.argv[2]](uvloop.new_event_loop())' "$1"
    run -0 --separate-stderr pysample --rate 200 --duration 1s --wall "$DIR/wall" --threads "$DIR/threads" --summary "$DIR/summary" "$PID"
    # Where the loop begins is not known before it was seen at rest, or in a task.
    WALL=$(sed -E '/^#/d; s/ \([^;]*:[0-9]+\)//g' "$DIR/wall" | awk '$NF > 20000 { sub(/ [0-9]+$/, ""); print }' | sort -u)
    equal "$(value loop)" uvloop
    run -1 grep -F '[greenlet]' "$DIR/wall" "$DIR/threads"
    run -0 pysample --json "$PID"
    ROOTS=$(jq -r '[.tasks[] | select(.root) | .frames[0]] | join(" ")' <<<"$output")
    kill -9 "$PID"
}

@test "a uvloop that no runner of asyncio runs is told, and the task that it runs until done is the root" {
    local PYTHON
    PYTHON=$(find_python 12)
    PYTHON=${UVLOOP_PYTHON:-$PYTHON}
    "$PYTHON" -c 'import uvloop' || fail "no uvloop for $PYTHON: install scripts/env/test.txt, or set UVLOOP_PYTHON"
    on_uvloop until_complete
    equal "$(cut -d ';' -f 1-4 <<<"$WALL" | sort -u)" $'<module>;until_complete;main;sleep\n<module>;until_complete;main;works'
    matches "$WALL" ';main;works;\[running\]'
    equal "$ROOTS" "main (program.py:14)"
    # Nothing says that anyone waits for one of these tasks: the wall is the thread.
    on_uvloop forever
    matches "$WALL" '(^|'$'\n'')<module>;forever;\[io: epoll_wait\]'
    matches "$WALL" '(^|'$'\n'')<module>;forever;works;\[running\]'
    equal "$ROOTS" ""
}

# with_greenlets: PYTHON to one that has greenlet and SQLAlchemy.
with_greenlets() {
    PYTHON=$(find_python 12)
    PYTHON=${LOADER_ENV_PYTHON:-$PYTHON}
    "$PYTHON" -c 'import greenlet, sqlalchemy' || fail "no SQLAlchemy for $PYTHON: set LOADER_ENV_PYTHON to the loader's"
}

# in_greenlet MODE: samples greenlets.py; the wall view, without lines of the text and weights, in WALL, one line a stack.
in_greenlet() {
    rm -f "$DIR/ready"
    start "$PYTHON" "$PROGRAMS/greenlets.py" "$DIR/ready" "$1"
    if [[ $1 == callback ]]; then
        until_true 20 pysample --pstree "$PID"
        run -0 pysample --rate 200 --duration 2500ms --wall "$DIR/whole" --threads "$DIR/threads" "$PID"
    fi
    until_true 20 test -e "$DIR/ready"
    run -0 --separate-stderr pysample --duration 500ms --wall "$DIR/wall" --tasks "$DIR/tasks" --threads "$DIR/${2:-threads}" \
        --summary "$DIR/summary" "$PID"
    kill -9 "$PID"
    WALL=$(stacks "$DIR/wall")
    equal "$(value torn)" 0
}

# stacks FILE: function names alone, without the state that ends them.
stacks() {
    sed -E '/^#/d; s/ \([^;]*:[0-9]+\)//g; s/;\[(running|runnable|gil)\] [0-9]+$//; s/ [0-9]+$//' "$1" | sort -u
}

RUNNER='<module>;run;Runner.run;BaseEventLoop.run_until_complete'
LOOP='BaseEventLoop.run_forever;BaseEventLoop._run_once;Handle._run'

@test "a greenlet that computes hangs beneath the chain of the task that runs it" {
    with_greenlets
    in_greenlet task
    # sum() and range() are C: the stacks are whole in one line.
    equal "$WALL" "$RUNNER;main;session;greenlet_spawn;[greenlet];computes;spin"
    equal "$(stacks "$DIR/tasks")" "main;session;greenlet_spawn;[greenlet];computes;spin"
    equal "$(stacks "$DIR/threads")" "$RUNNER;$LOOP;main;session;greenlet_spawn;[greenlet];computes;spin"
}

@test "the same beneath an async generator" {
    with_greenlets
    in_greenlet agen
    equal "$WALL" "$RUNNER;main;reads;rows;session;greenlet_spawn;[greenlet];computes;spin"
}

@test "a greenlet of no task hangs beneath its loop, and is a root where the loop was not seen before" {
    with_greenlets
    in_greenlet callback alone
    matches "$(stacks "$DIR/threads")" "(^|"$'\n'")${RUNNER//./\\.};BaseEventLoop.run_forever;\\[greenlet\\];computes;spin"
    # Of the wall it is no part: that is where the root task is.
    run -1 grep spin "$DIR/whole"
    run -0 grep -c ';main (.*;sleep (.*;\[sleep 3600s\] ' "$DIR/whole"
    equal "$(stacks "$DIR/alone")" "[greenlet];computes;spin"
}

@test "a task whose greenlet is suspended shows what it awaits" {
    with_greenlets
    in_greenlet suspended
    equal "$WALL" "$RUNNER;main;greenlet_spawn;sleep;[sleep 3600s]"
}

eager() {
    rm -f "$DIR/ready"
    program '
import asyncio, sys
async def inner(): await asyncio.sleep(3600)
async def main():
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    task = asyncio.create_task(inner(), name="eager")
    asyncio.get_running_loop().call_later(0.05, lambda: open(sys.argv[1], "w").close())
    await task
asyncio.run(main())'
    run -0 --separate-stderr pysample --json "$PID"
    equal "$(jq -r '.tasks[] | select(.name == "eager") | "\(.state) \(.background) \(.frames | length) \(.waits_for)"' <<<"$output")" \
        "waiting false 2 [sleep 3600s]"
    kill -9 "$PID"
}

@test "an eager task that has come to wait is seen like any other" { each_python eager; }

loops() {
    rm -f "$DIR/ready"
    program '
import asyncio, sys, threading
async def waits(name):
    asyncio.current_task().set_name(name)
    await asyncio.sleep(3600)
threads = [threading.Thread(target=lambda n=n: asyncio.run(waits(f"loop{n}")), daemon=True) for n in range(3)]
for t in threads: t.start()
async def main():
    await asyncio.sleep(0.2)
    open(sys.argv[1], "w").close()
    await waits("loop3")
asyncio.run(main())'
    until_true 10 rests "loop0 loop1 loop2 loop3"
    kill -9 "$PID"
}

# rests NAMES: all these tasks are roots that sleep.
rests() {
    [[ $(pysample --json "$PID" | jq -r '[.tasks[] | select(.root and .waits_for == "[sleep 3600s]") | .name] | sort | join(" ")') == "$1" ]]
}

@test "event loops in several threads are seen, each with its root" { each_python loops; }

subinterpreter() {
    rm -f "$DIR/ready"
    program '
import sys, threading
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
code = """
import asyncio
async def within():
    asyncio.current_task().set_name("within")
    await asyncio.sleep(3600)
asyncio.run(within())
"""
ident = interpreters.create()
threading.Thread(target=interpreters.run_string, args=(ident, code), daemon=True).start()
import asyncio
async def main():
    asyncio.current_task().set_name("outside")
    await asyncio.sleep(0.2)
    open(sys.argv[1], "w").close()
    await asyncio.sleep(3600)
asyncio.run(main())'
    until_true 20 rests "outside within"
    kill -9 "$PID"
}

@test "tasks in a subinterpreter are seen" { each_python subinterpreter; }

@test "a coroutine of Cython is shown as opaque, and the frames around it stay right" {
    PYTHON=$(find_python 12)
    PYTHON=${UVLOOP_PYTHON:-$PYTHON}
    "$PYTHON" -c 'import Cython' || fail "no Cython for $PYTHON: install scripts/env/test.txt, or set UVLOOP_PYTHON"
    printf 'async def opaque(awaitable):\n    await awaitable\n' >"$DIR/compiled.pyx"
    (cd "$DIR" && "$PYTHON" -m cython -3 compiled.pyx && cc -shared -fPIC -O1 \
        "-I$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')" -o compiled.so compiled.c)
    program '
import asyncio, sys
sys.path.insert(0, sys.argv[1].rsplit("/", 1)[0])
import compiled
async def inner(): await asyncio.sleep(3600)
async def outer(): await compiled.opaque(inner())
async def main():
    asyncio.get_running_loop().call_later(0.05, lambda: open(sys.argv[1], "w").close())
    await outer()
asyncio.run(main())'
    run -0 --separate-stderr pysample --json "$PID"
    matches "$(jq -r '.tasks[0].frames | join(";")' <<<"$output")" '^main \(program.py:9\);outer \(program.py:6\);\[opaque: .*coroutine[a-z_]*\]$'
    equal "$(jq -r '.tasks[0].state' <<<"$output")" waiting
}

@test "a task group of anyio leads to its tasks" {
    PYTHON=$(find_python 12)
    PYTHON=${LOADER_ENV_PYTHON:-$PYTHON}
    "$PYTHON" -c 'import anyio' || fail "no anyio for $PYTHON: set LOADER_ENV_PYTHON to the loader's"
    program '
import anyio, asyncio, sys
async def waits(): await anyio.sleep(3600)
async def main():
    asyncio.get_running_loop().call_later(0.3, lambda: open(sys.argv[1], "w").close())
    async with anyio.create_task_group() as group:
        group.start_soon(waits, name="one")
        group.start_soon(waits, name="two")
anyio.run(main)'
    run -0 --separate-stderr pysample --json "$PID"
    equal "$(jq -r '.tasks as $all | .tasks[] | select(.waits_for == "[taskgroup]") | [.awaits[] as $i | $all[] | select(.id == $i) | .name] | sort | join(" ")' <<<"$output")" "one two"
    equal "$(jq -r '[.tasks[] | select(.background)] | length' <<<"$output")" 0
}

@test "tasks that nothing awaits are apart under [background], and not in the wall view" {
    PYTHON=$(find_python 12)
    program '
import asyncio, sys
async def forgotten(): await asyncio.sleep(3600)
async def main():
    task = asyncio.create_task(forgotten())
    asyncio.get_running_loop().call_later(0.05, lambda: open(sys.argv[1], "w").close())
    await asyncio.sleep(3600)
asyncio.run(main())'
    run -0 --separate-stderr pysample --duration 500ms --output-dir "$DIR" "$PID"
    run -0 grep -c '^\[background\];forgotten (program.py:3);sleep ' "$DIR/tasks.folded"
    run -1 grep -q forgotten "$DIR/wall.folded"
}

@test "the wall view is one stack from the module through the runner to the leaf" {
    PYTHON=$(find_python 12)
    program '
import asyncio, sys
async def numbers():
    await asyncio.sleep(3600)
    yield 1
async def main():
    asyncio.get_running_loop().call_later(0.05, lambda: open(sys.argv[1], "w").close())
    async for _ in numbers(): pass
asyncio.run(main())'
    run -0 --separate-stderr pysample --duration 300ms "$PID"
    weight=$(awk '/^# elapsed_s: / { printf "%d\n", $3 * 1e6 }' <<<"$output")
    ((weight >= 300000))
    run -0 grep -v '^#' <<<"$output"
    ((${output##* } >= weight - 1 && ${output##* } <= weight + 1)) || fail "$output: not $weight"
    matches "$output" '^<module> \(program.py:9\);run \(asyncio/runners.py:[0-9]+\);Runner.run \(asyncio/runners.py:[0-9]+\);BaseEventLoop.run_until_complete \(asyncio/base_events.py:[0-9]+\);main \(program.py:8\);numbers \(program.py:4\);sleep \(asyncio/tasks.py:[0-9]+\);\[sleep 3600s\] [0-9]+$'
}

@test "work in a thread continues the stack of the task that waits for it" {
    PYTHON=$(find_python 12)
    program '
import asyncio, sys, time
def works():
    open(sys.argv[1], "w").close()
    time.sleep(3600)
async def main(): await asyncio.to_thread(works)
asyncio.run(main())'
    run -0 --separate-stderr pysample --duration 300ms "$PID"
    run -0 grep -v '^#' <<<"$output"
    matches "$output" ';main \(program.py:6\);to_thread \(asyncio/threads.py:[0-9]+\);works \(program.py:5\);\[blocked: clock_nanosleep\] [0-9]+$'
}

# walls: the names of the wall view's stacks, without weights.
walls() { sed -E '/^#/d; s/ \([^;]*:[0-9]+\)//g; s/ [0-9]+$//' "$DIR/wall" | sort; }

loop_in_thread() {
    rm -f "$DIR/ready"
    program '
import asyncio, sys
async def inner():
    asyncio.get_running_loop().call_later(0.1, lambda: open(sys.argv[1], "w").close())
    await asyncio.sleep(3600)
def works(): asyncio.run(inner())
async def main(): await asyncio.to_thread(works)
asyncio.run(main())'
    run -0 --separate-stderr pysample --duration 500ms --wall "$DIR/wall" --tasks "$DIR/tasks" "$PID"
    equal "$(walls)" "$RUNNER;main;to_thread;works;${RUNNER#*;};inner;sleep;[sleep 3600s]"
    equal "$(stacks "$DIR/tasks")" "inner;sleep;[sleep 3600s]"$'\n'"main;to_thread;works;${RUNNER#*;};[task]"
    kill -9 "$PID"
}

@test "a loop that runs in a thread that a task waits for continues that task's stack" { each_python loop_in_thread; }

gather_root() {
    rm -f "$DIR/ready"
    program '
import asyncio, sys
async def one(): await asyncio.sleep(3600)
async def two(): await asyncio.sleep(1800)
async def done(): pass
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.call_later(0.1, lambda: open(sys.argv[1], "w").close())
loop.run_until_complete(asyncio.gather(one(), asyncio.gather(two(), done())))'
    run -0 --separate-stderr pysample --duration 500ms --wall "$DIR/wall" --tasks "$DIR/tasks" "$PID"
    equal "$(walls)" $'<module>;BaseEventLoop.run_until_complete;one;sleep;[sleep 3600s]\n<module>;BaseEventLoop.run_until_complete;two;sleep;[sleep 1800s]'
    # Half of the time each.
    run -0 awk '/^#/ { next } { w[++n] = $NF; sum += $NF }
        END { half = sum / 2; for (i = 1; i <= n; i++) if (w[i] < 0.96 * half || w[i] > 1.04 * half) exit 1; exit !(n == 2 && sum >= 500000 && sum <= 1e6 * elapsed + 2) }' \
        elapsed="$(sed -n 's/^# elapsed_s: //p' "$DIR/wall")" "$DIR/wall"
    run -1 grep -F '[background]' "$DIR/tasks"
    kill -9 "$PID"
}

@test "a gather that is run until it is done is followed into its tasks" { each_python gather_root; }

@test "a wall of hundreds of tasks, each awaiting the next, ends in [truncated]" {
    PYTHON=$(find_python 12)
    program '
import asyncio, sys
async def next_of(n):
    if n: await asyncio.create_task(next_of(n - 1))
    open(sys.argv[1], "w").close()
    await asyncio.sleep(3600)
async def main(): await next_of(300)
asyncio.run(main())'
    run -0 --separate-stderr pysample --duration 200ms "$PID"
    run -0 grep -v '^#' <<<"$output"
    matches "$output" ';main \(program.py:7\);(next_of \(program.py:4\);){201}\[truncated\] [0-9]+$'
}

@test "of a stack of thousands of frames the innermost are shown" {
    PYTHON=$(find_python 12)
    program '
import sys, time
sys.setrecursionlimit(10000)
def deep(n):
    if n: return deep(n - 1)
    open(sys.argv[1], "w").close()
    time.sleep(3600)
deep(5000)'
    run -0 --separate-stderr pysample --duration 200ms "$PID"
    run -0 grep -v '^#' <<<"$output"
    matches "$output" '^\[truncated\];deep \(program.py:5\);.*;deep \(program.py:7\);\[blocked: clock_nanosleep\] [0-9]+$'
}

@test "more threads than files may be open are seen with their states" {
    PYTHON=$(find_python 12)
    program '
import sys, threading, time
for _ in range(300): threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
open(sys.argv[1], "w").close()
time.sleep(3600)'
    run -0 --separate-stderr bash -c 'ulimit -n 200; exec pysample --duration 1s --output-dir "$1" --summary "$1/summary" "$2"' sh "$DIR" "$PID"
    equal "$stderr" ""
    (($(value samples) > 5)) || fail "$(<"$DIR/summary")"
    matches "$(value proven_exact)" '^[01]\.'
    # All 301 of them, all the time, and asleep.
    run -0 awk '/^#/ { next } !/;\[blocked: (clock_nanosleep|futex)\] [0-9]+$/ { print; exit 1 } { sum += $NF } END { print sum / s; exit !(sum > 300e6 * s && sum < 302.5e6 * s) }' \
        s="$(value elapsed_s)" "$DIR/threads.folded"
}

# awaits DEPTH FRAMES SPARE: tasks that await tasks so deep, each with that many frames, in WALL.
awaits() {
    rm -f "$DIR/ready"
    program '
import asyncio, sys
sys.setrecursionlimit(100000)
async def c(tasks, frames):
    if frames: return await c(tasks, frames - 1)
    if tasks: return await asyncio.create_task(c(tasks - 1, int(sys.argv[3])))
    open(sys.argv[1], "w").close()
    await asyncio.sleep(3600)
asyncio.run(c(int(sys.argv[2]), int(sys.argv[3])))' "$@"
    run -0 --separate-stderr pysample --duration 500ms --wall "$DIR/wall" "$PID"
    WALL=$(walls | sort -u)
    kill -9 "$PID"
}

@test "of tasks that await tasks all frames are shown, and where some are not it is said" {
    PYTHON=$(find_python 12)
    awaits 12 300
    equal "$(tr ';' '\n' <<<"$WALL" | uniq -c | awk '{ print $1, $2 }' | paste -sd ' ')" \
        '1 <module> 1 run 1 Runner.run 1 BaseEventLoop.run_until_complete 3913 c 1 sleep 1 [sleep'
    awaits 80 300
    matches "$WALL" '^\[truncated\];c;.*;c;sleep;\[sleep 3600s\]$'
    awaits 5000 0
    matches "$WALL" '^<module>;.*;c;c;\[truncated\]$'
}

@test "a packaged module is named as it is imported, however deep its directory" {
    PYTHON=$(find_python 12)
    mkdir -p "$DIR/src/deep/pack/inner"
    touch "$DIR/src/deep/pack/__init__.py" "$DIR/src/deep/pack/inner/__init__.py"
    printf 'import time\ndef wait(): time.sleep(3600)\n' >"$DIR/src/deep/pack/inner/mod.py"
    program '
import sys
sys.path.insert(0, sys.argv[2])
from pack.inner.mod import wait
open(sys.argv[1], "w").close()
wait()' "$DIR/src/deep"
    run -0 --separate-stderr pysample --duration 200ms "$PID"
    matches "$output" ';wait \(pack/inner/mod.py:2\);'
}

@test "a launched command is sampled from its first instruction, and its exit status is returned" {
    run -7 --separate-stderr pysample --rate 1000 --wall "$DIR/wall" --summary "$DIR/summary" -- \
        "$(find_python 12)" -c 'import asyncio, sys; asyncio.run(asyncio.sleep(2)); sys.exit(7)'
    equal "$(value exit_status)" 7
    run -0 grep -q '^\[startup\] ' "$DIR/wall"
    run -0 grep -q 'import.*_find_and_load' "$DIR/wall"
    run -0 awk '/;\[sleep 2s\] / { sum += $NF } END { print sum; exit !(sum >= 1.9e6) }' "$DIR/wall"
    run -0 python3 "$PROGRAMS/check.py" sum "$DIR/summary" "$DIR/wall"
}

@test "a Python that a launched script starts is found below it, and the next one too" {
    local python
    python=$(find_python 12)
    run -5 --separate-stderr pysample --rate 500 --wall "$DIR/wall" -- bash -c \
        "$python -c 'import time; time.sleep(0.3)'; $python -c 'import asyncio; asyncio.run(asyncio.sleep(0.4))'; exit 5"
    run -0 grep -q '^<module> (<string>:1);\[blocked: clock_nanosleep\] ' "$DIR/wall"
    run -0 grep -q ';\[sleep 0.4s\] ' "$DIR/wall"
}

@test "a command that a signal ends gives 128 and its number" {
    run -143 pysample --wall "$DIR/wall" -- "$(find_python 12)" -c 'import os; os.kill(os.getpid(), 15)'
}

@test "a command that does not exist is a failure that names it" {
    run -3 --separate-stderr pysample -- /no/such/command
    equal "$stderr" "pysample: /no/such/command: No such file or directory"
}

@test "the wall view sums to the elapsed time exactly" {
    PYTHON=$(find_python 12)
    start "$PYTHON" "$PROGRAMS/churn.py" 3600
    until_true 10 pysample --pstree "$PID"
    run -0 pysample --rate 1000 --duration 2s --wall "$DIR/wall" --summary "$DIR/summary" "$PID"
    run -0 python3 "$PROGRAMS/check.py" sum "$DIR/summary" "$DIR/wall"
}

@test "SIGINT and SIGTERM end the sampling of a process, and the files are whole" {
    local signal sampler
    PYTHON=$(find_python 12)
    start "$PYTHON" "$PROGRAMS/churn.py" 3600
    until_true 10 pysample --pstree "$PID"
    for signal in INT TERM; do
        pysample --output-dir "$DIR" --summary "$DIR/summary" "$PID" 3>&- &
        sampler=$!
        until_true 10 grep -q '^samples.[1-9]' "$DIR/summary"
        kill -$signal "$sampler"
        wait "$sampler" || fail "pysample: exit status $?"
        equal "$(value complete)" yes
        run -0 python3 "$PROGRAMS/check.py" sum "$DIR/summary" "$DIR/wall.folded"
        rm "$DIR/summary"
    done
    run -0 kill -0 "$PID"
}

@test "an end before the first sample is a failure that says so, and the files are whole" {
    PYTHON=$(find_python 12)
    start "$PYTHON" "$PROGRAMS/churn.py" 3600
    until_true 10 pysample --pstree "$PID"
    # The first sample comes at a random moment of its second.
    for _ in 1 2 3; do
        run --separate-stderr pysample --rate 1 --duration 1ms --summary "$DIR/summary" "$PID"
        ((status == 0)) || break
    done
    equal "$status" 3
    matches "$stderr" "pysample: $PID: no sample: "
    equal "$(value samples)" 0
    equal "$(value complete)" yes
}

@test "the longest time without a sample is stated" {
    local sampler
    PYTHON=$(find_python 12)
    start "$PYTHON" "$PROGRAMS/churn.py" 3600
    until_true 10 pysample --pstree "$PID"
    pysample --output-dir "$DIR" --summary "$DIR/summary" "$PID" 3>&- &
    sampler=$!
    STARTED+=("$sampler")
    until_true 10 grep -q '^samples.[1-9]' "$DIR/summary"
    kill -STOP "$sampler"
    read -rt 1.5 <> <(:) || :
    kill -CONT "$sampler"
    kill -INT "$sampler"
    wait "$sampler"
    run -0 awk -v gap="$(value longest_gap_s)" -v elapsed="$(value elapsed_s)" 'BEGIN { print gap, elapsed; exit !(gap >= 1.4 && gap < elapsed) }'
}

@test "killed with -9, what was written last is readable" {
    local sampler
    PYTHON=$(find_python 12)
    start "$PYTHON" "$PROGRAMS/churn.py" 3600
    until_true 10 pysample --pstree "$PID"
    pysample --rate 1000 --output-dir "$DIR" --summary "$DIR/summary" "$PID" 3>&- &
    sampler=$!
    STARTED+=("$sampler")
    until_true 10 grep -q 'top_' "$DIR/wall.folded"
    kill -9 "$sampler"
    equal "$(value complete)" no
    run -0 python3 "$PROGRAMS/check.py" whole "$DIR/wall.folded"
    run -0 kill -0 "$PID"
}

@test "the target's end ends the sampling, with exit 0" {
    PYTHON=$(find_python 12)
    program '
import sys, time
open(sys.argv[1], "w").close()
time.sleep(1)'
    run -0 --separate-stderr pysample --summary "$DIR/summary" "$PID"
    equal "$(value complete)" yes
    matches "$(value proven_exact)" '^(0\.[0-9]*[1-9][0-9]*|1\.0000)$'
}

@test "a Python that executes another program is at its end, attached to as launched" {
    local program='
import os, sys, time
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
time.sleep(0.3)
os.execvp("sleep", ["sleep", "0.5"])'
    local sampler
    PYTHON=$(find_python 12)
    start "$PYTHON" -c "$program" "$DIR/go"
    until_true 10 pysample --pstree "$PID"
    pysample --wall "$DIR/wall" --summary "$DIR/summary" "$PID" 3>&- &
    sampler=$!
    STARTED+=("$sampler")
    until_true 10 grep -q '^samples.[1-9]' "$DIR/summary"
    touch "$DIR/go"
    wait "$sampler" || fail "exit status $?"
    matches "$(<"$DIR/wall")" $'\n\\[shutdown\\] [0-9]'
    run -1 grep -F '[startup]' "$DIR/wall"
    run -0 pysample --wall "$DIR/wall" -- "$PYTHON" -c "$program" "$DIR/go"
    matches "$(<"$DIR/wall")" $'\n\\[shutdown\\] [0-9]'
}

@test "a process that is no Python is refused with the reason" {
    start sleep 3600
    run -3 --separate-stderr pysample "$PID"
    equal "$stderr" "pysample: $PID: no Python interpreter is mapped in it"
}

# unknown_python: UNKNOWN, a Python of a version that is not known.
unknown_python() {
    UNKNOWN=$(command -v python3)
    if "$UNKNOWN" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 12), (3, 13)))'; then
        # Where the machine's own is known: a program with the two symbols by which an interpreter is told. It reads a line.
        UNKNOWN=$DIR/python3.11
        cc -rdynamic -o "$UNKNOWN" -x c - <<<'
            #include <unistd.h>
            const unsigned long Py_Version = 0x030b07f0;
            char _PyRuntime[65536] = {1};
            int main(void) { char c; return read(0, &c, 1) + _PyRuntime[0] - 1; }'
    fi
}

@test "an unknown version of Python is refused with its number" {
    unknown_python
    mkfifo "$DIR/line"
    start bash -c 'exec "$1" -c "input()" <>"$2"' sh "$UNKNOWN" "$DIR/line"
    until_true 10 grep -q python "/proc/$PID/maps"
    run -3 --separate-stderr pysample "$PID"
    matches "$stderr" "^pysample: $PID: it runs Python 3\.[0-9]+\.[0-9]+; only 3\.12 and 3\.13 are known$"
}

@test "of a command that is refused the end is waited for" {
    local sampler
    unknown_python
    mkfifo "$DIR/line"
    cd "$DIR"
    start pysample --summary summary -- bash -c '"$1" -c "input()" <line; touch ended; exit 4' sh "$UNKNOWN"
    exec 7>line
    until_true 10 grep -q 'goes on without being sampled' program.out
    [[ ! -e ended ]] || fail "it has ended"
    run -0 kill -0 "$PID"
    printf '\n' >&7
    exec 7>&-
    sampler=0
    wait "$PID" || sampler=$?
    [[ -e ended ]] || fail "the command was left behind"
    equal "$sampler" 3
    matches "$(<program.out)" '^pysample: [0-9]+: it runs Python 3\.[0-9]+\.[0-9]+; only '
    equal "$(value exit_status)" 4
}

@test "after its duration, a command goes on" {
    cd "$DIR"
    printf '%s\n' 'import os, time' 'while not os.path.exists("go"): time.sleep(0.01)' 'open("ended", "w").close()' >program.py
    # Not by run, which waits for all who could still write.
    pysample --duration 2s --summary summary -- "$(find_python 12)" program.py >out 2>&1 3>&-
    [[ ! -e ended ]] || fail "its end was waited for"
    equal "$(value exit_status)" n/a
    touch go
    until_true 10 test -e ended
}

# of_python EXPRESSION: its value in PYTHON; `v` is sysconfig.get_config_var.
of_python() {
    "$PYTHON" -c 'import sys, sysconfig; v = sysconfig.get_config_var; print(eval(sys.argv[1]) or "")' "$1"
}

# stripped_python: PYTHON as $DIR/app/python with its library, if it has one, and all symbols gone that can go.
stripped_python() {
    local library
    # As it is mapped: a distribution's Python is a static build whose configuration tells of a library.
    library=$("$PYTHON" -c 'print(next((line.split()[5] for line in open("/proc/self/maps") if "/libpython3" in line), ""))')
    mkdir -p "$DIR/app"
    strip -s -o "$DIR/app/python" "$(of_python sys._base_executable)"
    [[ -z $library ]] || strip -s -o "$DIR/app/${library##*/}" "$library"
    cat >"$DIR/rests.py" <<'PY'
import asyncio, sys
async def inner(): await asyncio.sleep(3600)
async def main():
    asyncio.get_running_loop().call_later(0.05, lambda: open(sys.argv[1], "w").close())
    await inner()
asyncio.run(main())
PY
}

# main_rests [COMMAND…]: pysample, run by that command, sees where the program rests.
main_rests() {
    run -0 --separate-stderr "$@" pysample --json "$PID"
    equal "$(jq -r '.tasks[] | .frames[:2] + [.state, .waits_for] | join(" ")' <<<"$output")" \
        "main (rests.py:5) inner (rests.py:2) waiting [sleep 3600s]"
}

deleted() {
    rm -f "$DIR/ready"
    stripped_python
    start "${PLAIN[@]}" env "PYTHONHOME=$(of_python sys.base_prefix)" "LD_LIBRARY_PATH=$DIR/app" \
        "$DIR/app/python" "$DIR/rests.py" "$DIR/ready"
    until_true 20 test -e "$DIR/ready"
    run -0 grep -q "$DIR/app/" "/proc/$PID/maps"
    rm -r "$DIR/app"
    main_rests
    main_rests "${PLAIN[@]}"
    kill -9 "$PID"
}

@test "a stripped Python that was deleted since is read all the same, and needs no more rights" { each_python deleted; }

# rests_in LIBRARY FLAG…: a program of any name and a fixed address that has this libpython in it rests, and is seen.
rests_in() {
    rm -f "$DIR/ready"
    printf '%s\n' 'extern const unsigned long Py_Version;' 'int Py_BytesMain(int, char **);' \
        'int main(int n, char **args) { return Py_Version ? Py_BytesMain(n, args) : 1; }' >"$DIR/embeds.c"
    cc -fno-pie -no-pie -o "$DIR/embeds" "$DIR/embeds.c" "$@"
    equal "$(od -An -tu2 -j16 -N2 "$DIR/embeds" | tr -d ' ')" 2 "ELF type (2 is ET_EXEC)"
    start "${PLAIN[@]}" env "PYTHONHOME=$(of_python sys.base_prefix)" "LD_LIBRARY_PATH=${1%/*}" "$DIR/embeds" "$DIR/rests.py" "$DIR/ready"
    until_true 20 test -e "$DIR/ready" || fail "$(<"$DIR/program.out")"
    main_rests "${PLAIN[@]}"
    kill -9 "$PID"
    FIXED+=("${1##*/}")
}

fixed() {
    local shared static needs need
    stripped_python
    shared=$(of_python 'v("LIBDIR") + "/" + v("LDLIBRARY")')
    static=$(of_python 'v("LIBPL") + "/" + v("LIBRARY")')
    read -ra needs <<<"$(of_python '" ".join(v(k) for k in ("LIBS", "SYSLIBS", "MODLIBS"))')"
    [[ $shared != *.so || ! -e $shared ]] || rests_in "$shared"
    [[ -e $static ]] || return 0
    for need in "${needs[@]}"; do
        # Debian's asks for archives of its own build, which no package has.
        if [[ $need == *.a && ! -e $need ]]; then
            echo "# ${static##*/} cannot be linked: it needs $need" >&3
            return 0
        fi
    done
    rests_in "$static" -Wl,--export-dynamic "${needs[@]}"
}

@test "a program that is not position-independent and has Python in it, shared or static, is read" {
    FIXED=()
    each_python fixed
    ((${#FIXED[@]})) || fail "no libpython of any Python: install libpython3.12-dev, or set PYTHON312 to a Python that has it"
    echo "# with ${FIXED[*]}" >&3
}

@test "a program whose interpreter is not ready yet is sampled as soon as it is" {
    PYTHON=$(find_python 12)
    printf '%s\n' '#include <time.h>' '#include <stdlib.h>' '#include <fcntl.h>' \
        '__attribute__((constructor)) static void late(void) {' \
        '    (void)creat(getenv("BEFORE"), 0600); nanosleep(&(struct timespec){.tv_sec = 1}, NULL); }' >"$DIR/late.c"
    cc -shared -fPIC -o "$DIR/late.so" "$DIR/late.c"
    echo 'import time; began = time.monotonic(); time.sleep(1.5); print(time.monotonic() - began)' >"$DIR/program.py"
    start env BEFORE="$DIR/before" LD_PRELOAD="$DIR/late.so" "$PYTHON" "$DIR/program.py"
    until_true 10 test -e "$DIR/before"
    run -0 --separate-stderr timeout 20 pysample --wall "$DIR/wall" --summary "$DIR/summary" "$PID"
    # By the program's own clock, and not what it took to get ready.
    run -0 awk -v truth="$(<"$DIR/program.out")" '/<module> \(program.py:1\);\[blocked: clock_nanosleep\] / { w = $NF / 1e6 }
        END { print w, truth; exit !(truth >= 1.5 && w - truth < 0.1 && truth - w < 0.1) }' "$DIR/wall"
    run -0 python3 "$PROGRAMS/check.py" sum "$DIR/summary" "$DIR/wall"
}

@test "a process that is not there is a failure" {
    run -3 --separate-stderr pysample 4194303
    equal "$stderr" "pysample: 4194303: no such process"
}

@test "a thread is no process: the one it belongs to is named" {
    local tid mode
    PYTHON=$(find_python 12)
    program '
import sys, threading, time
thread = threading.Thread(target=time.sleep, args=(3600,), daemon=True)
thread.start()
open(sys.argv[1], "w").write(str(thread.native_id))
time.sleep(3600)'
    until_true 10 test -s "$DIR/ready"
    tid=$(<"$DIR/ready")
    for mode in --pstree --json --duration=1s; do
        run -3 --separate-stderr pysample "$mode" "$tid"
        equal "$stderr" "pysample: $tid: no process, but a thread of $PID: name that instead"
    done
}

@test "without the right to read the process, the message says how to get it" {
    [[ $EUID == 0 ]] || fail "needs root, to start a process that another user may not read"
    PYTHON=$(find_python 12)
    program '
import sys, time
open(sys.argv[1], "w").close()
time.sleep(3600)'
    chmod 755 "$DIR"
    cp "$BIN/pysample" "$DIR/pysample"
    run -3 --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups "$DIR/pysample" "$PID"
    matches "$stderr" "not allowed to read its memory"
    matches "$stderr" "--cap-add SYS_PTRACE|ptrace_scope"
}

# refused SCOPE USER [COMMAND…]: what is said of a refusal where kernel.yama.ptrace_scope is that.
refused() {
    run -3 --separate-stderr unshare --mount bash -c '
        mount -t tmpfs none /proc/sys/kernel && mkdir /proc/sys/kernel/yama && echo "$1" >/proc/sys/kernel/yama/ptrace_scope
        exec setpriv --reuid "$2" --clear-groups --bounding-set=-all --inh-caps=-all -- "${@:3}"' refused "$@"
    matches "${stderr_lines[0]}" "not allowed to read its memory"
    REFUSAL=${stderr_lines[1]}
}

@test "where yama refuses, the message says what its scope takes" {
    [[ $EUID == 0 ]] || fail "needs root, to show another value of kernel.yama.ptrace_scope"
    PYTHON=$(find_python 12)
    program '
import sys, time
open(sys.argv[1], "w").close()
time.sleep(3600)'
    chmod 755 "$DIR"
    cp "$BIN/pysample" "$DIR/pysample"
    refused 1 0 "$DIR/pysample" "$PID"
    matches "$REFUSAL" "scope is 1: launch it with 'pysample -- command', .* sudo sysctl kernel.yama.ptrace_scope=0$"
    refused 2 0 "$DIR/pysample" "$PID"
    matches "$REFUSAL" "scope is 2: only root may; run with sudo, or: sudo sysctl kernel.yama.ptrace_scope=0$"
    refused 3 0 "$DIR/pysample" "$PID"
    matches "$REFUSAL" "scope is 3: nobody may, not even root"
    # Another user's process, which yama has nothing to do with.
    refused 1 65534 "$DIR/pysample" "$PID"
    matches "$REFUSAL" "run as the user that owns the process or with sudo; .*--cap-add SYS_PTRACE$"
}

@test "one's own child needs no privileges" {
    run -0 --separate-stderr "${PLAIN[@]}" pysample --wall "$DIR/wall" \
        --summary "$DIR/summary" -- "$(find_python 12)" -c 'import asyncio; asyncio.run(asyncio.sleep(0.2))'
    run -0 grep -q ';\[sleep 0.2s\] ' "$DIR/wall"
}

@test "a stopped process is shown so, and --stop does not stop it" {
    PYTHON=$(find_python 12)
    program '
import sys
open(sys.argv[1], "w").close()
while True: pass'
    kill -STOP "$PID"
    until_true 10 grep -q '^State:.T' "/proc/$PID/status"
    run -0 --separate-stderr pysample --stop --duration 500ms --wall "$DIR/wall" --summary "$DIR/summary" "$PID"
    equal "$(sed '/^#/d; s/ [0-9]*$//' "$DIR/wall")" '<module> (program.py:4);[stopped]'
    equal "$(value stops)" 0
    equal "$(value proven_exact)" 1.0000
    run -0 grep -q '^State:.T' "/proc/$PID/status"
}

@test "in another PID namespace, threads and their states are found" {
    [[ $EUID == 0 ]] || fail "needs root, to make a PID namespace"
    PYTHON=$(find_python 12)
    printf '%s\n' 'import sys, time' 'open(sys.argv[1], "w").close()' 'time.sleep(3600)' >"$DIR/program.py"
    start unshare --pid --fork "$PYTHON" "$DIR/program.py" "$DIR/ready"
    until_true 20 test -e "$DIR/ready"
    PID=$(cat "/proc/$PID/task/$PID/children")
    PID=${PID%% *}
    STARTED+=("$PID")
    run -0 --separate-stderr pysample --json "$PID"
    equal "$(jq -r '.threads[0] | "\(.tid) \(.state)"' <<<"$output")" "1 [blocked: clock_nanosleep]"
}

# container COMMAND…: by it, a process with mounts, a root and process ids of its own, on whose files an update has been.
container() {
    rm -rf "$DIR/ready" "$DIR/inside" "$DIR/copied"
    mkdir -p "$DIR/root"
    stripped_python
    cp "$BIN/pysample" "$DIR/pysample"
    cat >"$DIR/within" <<'SH'
set -eu
mount -t tmpfs none "$1/root"
cd "$1/root"
mkdir -p app bin dev inner lib lib64 old out proc upper usr work
for dir in bin dev lib lib64 usr; do mount --rbind "/$dir" "$dir"; done
mount --rbind "$2" inner
mount --bind "$1" out
mount -t proc none proc
mount -t overlay -o "lowerdir=$1/app,upperdir=upper,workdir=work" none app || { cp -r out/app/. app && touch out/copied; }
pivot_root . old
umount -l old
PYTHONHOME=/inner LD_LIBRARY_PATH=/app /app/python /out/rests.py /out/ready &
pid=$!
until [[ -e /out/ready ]] && grep -q '^State:.S' "/proc/$pid/status"; do read -rt 0.02 <> <(:) || :; done
rm /app/*
/out/pysample --json "$pid" >/out/inside.new
mv /out/inside.new /out/inside
wait
SH
    start "$@" bash "$DIR/within" "$DIR" "$(of_python sys.base_prefix)"
    until_true 20 test -e "$DIR/inside" || fail "$(<"$DIR/program.out")"
    [[ ! -e $DIR/copied ]] || echo '# no overlay can be mounted here: files were copied in its place' >&3
    for _ in 1 2; do read -rd ' ' PID <"/proc/$PID/task/$PID/children"; done
    STARTED+=("$PID")
}

contained() {
    container "$@"
    run -0 grep -q ' /app/' "/proc/$PID/maps"
    [[ ! -e /app ]] || fail "what is there in the container is here too"
    main_rests
    main_rests "${PLAIN[@]}"
    # From within, ids are others; else it is the same.
    equal "$(jq -c '.threads, .tasks' "$DIR/inside")" "$(jq -c '.threads, .tasks' <<<"$output")"
    kill -9 "$PID"
}

@test "in a container that any user can make Python is read from outside and from within" {
    each_python contained unshare --user --map-root-user --mount --pid --fork
}

@test "in a container made by root Python is read from outside and from within" {
    [[ $EUID == 0 ]] || fail "needs root, to make a mount namespace"
    PLAIN=()
    each_python contained unshare --mount --pid --fork
}

@test "memory with words changed at random neither crashes nor hangs the reader" {
    local sources=()
    for file in "$ROOT"/helpers/pysample/*.c "$ROOT"/helpers/lib/*.c; do
        [[ $file == */main.c ]] || sources+=("$file")
    done
    cc -std=c11 -D_GNU_SOURCE -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all "-I$ROOT/helpers/lib" \
        "-I$ROOT/helpers" -o "$DIR/spoil" "$ROOT/tests/fuzz/pysample_spoil.c" "${sources[@]}" -lm
    PYTHON=$(find_python 12)
    rm -f "$DIR/truth"
    start "$PYTHON" "$PROGRAMS/zoo.py" "$DIR/truth" spin
    until_true 30 test -e "$DIR/truth"
    run -0 timeout 120 "$DIR/spoil" "$PID" 700 "${FUZZ_SEED:-1}"
    matches "$output" '^700 samples, [1-9][0-9]* torn, '
}

# by_valgrind ARGUMENT…: pysample under valgrind: no error in it, and nothing lost.
by_valgrind() {
    run -0 --separate-stderr valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,possible \
        "$DIR/plain/pysample" "$@"
    equal "$stderr" ""
}

@test "valgrind finds no error and no leak, attached and launched" {
    mkdir "$DIR/plain"
    # Not the helper under test, which SAN=1 makes one that valgrind cannot run.
    cc -std=c11 -D_GNU_SOURCE -g -O1 "-I$ROOT/helpers/lib" -o "$DIR/plain/pysample" "$ROOT"/helpers/pysample/*.c "$ROOT"/helpers/lib/*.c -lm
    PYTHON=$(find_python 12)
    start "$PYTHON" "$PROGRAMS/zoo.py" "$DIR/truth" rest
    until_true 30 test -e "$DIR/truth"
    until_true 20 seen_as_expected
    by_valgrind --json "$PID"
    equal "$(jq '.tasks | length' <<<"$output")" "$(jq '.tasks | length' "$DIR/seen")"
    by_valgrind --pstree "$PID"
    by_valgrind --rate 10 --duration 1s --output-dir "$DIR" --summary "$DIR/summary" "$PID"
    (($(value samples) > 0)) || fail "no sample"
    by_valgrind --rate 10 --duration 1s --samples "$DIR/samples" "$PID"
    by_valgrind --rate 10 --stop --wall "$DIR/wall" -- "$PYTHON" -c 'import asyncio; asyncio.run(asyncio.sleep(1))'
    run -0 grep -q ';\[sleep 1s\] ' "$DIR/wall"
}

@test "--pstree prints the tree, with children below those that await them" {
    PYTHON=$(find_python 12)
    rm -f "$DIR/truth"
    start "$PYTHON" "$PROGRAMS/zoo.py" "$DIR/truth" rest
    until_true 30 test -e "$DIR/truth"
    until_true 20 seen_as_expected
    run -0 --separate-stderr pysample --pstree "$PID"
    matches "$output" $'\n\\* shield: waiting\n    with_shield \\(zoo.py:[0-9]+\\)\n    \\[task\\]\n    \\* s1: waiting\n        idle \\(zoo.py:[0-9]+\\)\n        sleep '
}

@test "--top redraws until q, and restores the terminal" {
    PYTHON=$(find_python 12)
    start "$PYTHON" "$PROGRAMS/churn.py" 3600
    until_true 10 pysample --pstree "$PID"
    : >"$DIR/screen"
    # shellcheck disable=SC2094 # what it shows is waited for
    (
        until_true 20 grep -q 'low_' "$DIR/screen"
        printf q
    ) | script -qec "pysample --top $PID" /dev/null >>"$DIR/screen"
    run -0 grep -c 'low_' "$DIR/screen"
    matches "$(tail -c 16 "$DIR/screen")" $'\e\\[\\?25h\e\\[\\?1049l'
}

drawn_twice() { (($(grep -aoF $'\e[H' "$DIR/screen" | wc -l) >= 2)); }

# top ROWS COLUMNS: the last screen of --top in a terminal of that size, in LINES_SHOWN.
top() {
    : >"$DIR/screen"
    # shellcheck disable=SC2094 # what it shows is waited for
    (
        until_true 20 drawn_twice
        printf q
    ) | script -qec "stty rows $1 cols $2; pysample --top $PID" /dev/null >>"$DIR/screen"
    # From where it was last drawn on.
    mapfile -t LINES_SHOWN < <(tr -d '\r' <"$DIR/screen" | awk 'BEGIN { RS = "\033\\[H" } { last = $0 } END { printf "%s", last }' |
        sed -E 's/\x1b\[[0-9?;]*[A-Za-z]//g')
}

@test "--top shows the answer first where rows and columns are short, and every task's innermost frames" {
    PYTHON=$(find_python 12)
    mkdir -p "$DIR/package_of_some_length/core/embedding"
    touch "$DIR/package_of_some_length/__init__.py" "$DIR/package_of_some_length/core/"{__init__,embedding/__init__}.py
    cat >"$DIR/package_of_some_length/core/embedding/embedding_service.py" <<'PY'
import asyncio
async def EmbeddingService_apply_rate_limit(n):
    if n:
        await EmbeddingService_apply_rate_limit(n - 1)
    await asyncio.sleep(3600)
PY
    program '
import asyncio, sys
sys.path.insert(0, sys.argv[1].rsplit("/", 1)[0])
from package_of_some_length.core.embedding.embedding_service import EmbeddingService_apply_rate_limit as limit
async def main():
    asyncio.get_running_loop().call_later(0.05, lambda: open(sys.argv[1], "w").close())
    await asyncio.gather(*(limit(30) for _ in range(int(sys.argv[2]))))
asyncio.run(main())' 2
    top 24 80
    matches "${LINES_SHOWN[1]}" '^100\.0 %  \[sleep 3600s\]  EmbeddingService_apply_rate_limit \(…[a-z_]+\.py:5\)$'
    equal "$(printf '%s\n' "${LINES_SHOWN[@]}" | grep -c '^    \[sleep 3600s\]$')" 2
    equal "$(printf '%s\n' "${LINES_SHOWN[@]}" | grep -cE '^    … [0-9]+ frames$')" 2
    equal "$(printf '%s\n' "${LINES_SHOWN[@]}" | grep -c '^  main (program.py:7)$')" 1
    ((${#LINES_SHOWN[@]} <= 25)) || fail "${#LINES_SHOWN[@]} lines"
    # Where not even that fits, a line a task.
    kill -9 "$PID"
    rm "$DIR/ready"
    start "$PYTHON" "$DIR/program.py" "$DIR/ready" 7
    until_true 20 test -e "$DIR/ready"
    top 24 80
    equal "$(printf '%s\n' "${LINES_SHOWN[@]}" | grep -cE '^  \* Task-[2-8]: \[sleep 3600s\]  EmbeddingService_apply_rate_limit \(…[a-z_]+\.py:5\)$')" 7
}

@test "--top shows stacks that look the same as one row, and says that the process has ended" {
    PYTHON=$(find_python 12)
    program '
import asyncio, sys
async def limit(): await asyncio.sleep(3600)
async def b(): await limit()
async def one(): await b()
async def two(): await b()
async def main():
    asyncio.get_running_loop().call_later(0.05, lambda: open(sys.argv[1], "w").close())
    await asyncio.gather(one(), two())
asyncio.run(main())'
    top 30 120
    matches "${LINES_SHOWN[1]}" '^100\.0 %  \[sleep 3600s\]  limit \(program.py:3\) < b \(program.py:4\)$'
    equal "${LINES_SHOWN[2]}" ""
    start timeout 20 "$BIN/pysample" --top "$PID"
    until_true 10 grep -q 'limit' "$DIR/program.out"
    kill -9 "${STARTED[0]}"
    wait "$PID" || fail "exit status $?"
    equal "$(tail -n 1 "$DIR/program.out")" "${STARTED[0]}: the process has ended"
}

@test "--samples writes each thread's stack once, its time, and its end; --follow samples when the file is written to" {
    local PYTHON
    PYTHON=$(find_python 12)
    : >"$DIR/followed"
    program 'import sys, time
def deep(): return sorted([3, 1], key=inner)
def inner(n): open(sys.argv[1], "w").close(); time.sleep(60)
deep()'
    start pysample --rate 1 --follow "$DIR/followed" --samples "$DIR/samples" "$PID"
    until_true 20 test -s "$DIR/samples"
    for _ in 1 2 3 4 5 6 7 8; do
        echo >>"$DIR/followed"
        read -rt 0.05 <> <(:) || :
    done
    kill -INT "$PID"
    until_true 20 gone "$PID"
    (($(grep -c '^at ' "$DIR/samples") >= 6)) || fail "$(<"$DIR/samples")"
    awk '$1 == "at" { bad += $2 <= last; last = $2 } END { exit bad > 0 }' "$DIR/samples"
    equal "$(grep '^stack' "$DIR/samples")" 'stack 1 0,2 <module> (program.py:4);deep (program.py:2);inner (program.py:3)'
    equal "$(grep -c "^thread ${STARTED[0]} 1$" "$DIR/samples")" 1
    run -2 pysample --samples "$DIR/samples" --wall "$DIR/wall" "${STARTED[0]}"
}

# resting: starts a Python that sleeps.
resting() {
    PYTHON=$(find_python 12)
    program 'import sys, time
open(sys.argv[1], "w").close()
time.sleep(3600)'
}

@test "an output that is a link, a FIFO or a device stays one" {
    local reader
    resting
    cd "$DIR"
    mkdir there
    ln -s there/target link
    mkfifo fifo
    cat fifo >"$PWD/taken" 3>&- &
    reader=$!
    run -0 --separate-stderr timeout 20 pysample --duration 200ms --wall link --tasks fifo --threads - --summary /dev/fd/2 "$PID"
    wait "$reader"
    matches "$output" $'# view: threads\n.*<module> \\(program.py:3\\);\\[blocked: clock_nanosleep\\] '
    matches "$stderr" $'\nsamples\t'
    [[ -L link && -p fifo ]] || fail "$(ls -l)"
    run -0 grep -c '^# view: wall' there/target
    run -0 grep -c '^# complete: yes' taken
    # The same again, onto a file that is there.
    run -0 timeout 20 pysample --duration 200ms --wall link "$PID"
    [[ -L link ]] || fail "$(ls -l)"
    equal "$(ls there)" target
}

@test "the samples go to a FIFO as they are taken, and to standard output" {
    local reader
    resting
    mkfifo "$DIR/fifo"
    cat "$DIR/fifo" >"$DIR/read" 3>&- &
    reader=$!
    run -0 timeout 20 pysample --duration 200ms --samples "$DIR/fifo" "$PID"
    wait "$reader"
    run -0 grep -c '^stack 1 ' "$DIR/read"
    run -0 timeout 20 pysample --duration 200ms --samples - "$PID"
    matches "$output" $'\nstack 1 '
}

@test "a full device and a pipe without a reader are failures, and the command keeps its SIGPIPE" {
    # Root could replace the system's own.
    resting
    cd "$DIR"
    if ((EUID == 0)); then mknod full c 1 7; else ln -s /dev/full full; fi
    ln -s full link
    run -3 --separate-stderr timeout 20 pysample --duration 200ms --wall link "$PID"
    equal "$stderr" "pysample: link: No space left on device"
    [[ -L link && -c full ]] || fail "$(ls -l)"
    mkfifo fifo
    head -n 0 fifo 3>&- &
    run -3 --separate-stderr timeout 20 pysample --duration 500ms --wall fifo "$PID"
    equal "$stderr" "pysample: fifo: Broken pipe"
    # Python ignores it itself.
    run -0 timeout 20 pysample --wall wall -- sh -c "grep SigIgn /proc/self/status >mask; exec '$PYTHON' -c 'import time; time.sleep(0.3)'"
    (((16#$(cut -f 2 mask) >> 12 & 1) == 0)) || fail "$(<mask)"
}

@test "outputs that cannot be written are failures before anything is launched or attached to" {
    local option
    cd "$DIR"
    touch file
    mkdir dir
    for option in wall tasks threads summary samples; do
        run -3 --separate-stderr pysample "--$option" no/file -- touch started
        equal "$stderr" "pysample: no/file: No such file or directory"
        run -3 --separate-stderr pysample "--$option" dir -- touch started
        equal "$stderr" "pysample: dir: Is a directory"
    done
    run -3 --separate-stderr pysample --output-dir file -- touch started
    equal "$stderr" "pysample: file: Not a directory"
    run -3 --separate-stderr pysample --output-dir no/dir -- touch started
    equal "$stderr" "pysample: no/dir: No such file or directory"
    if ((EUID == 0)); then
        chmod 755 "$DIR"
        cp "$BIN/pysample" sampler
        run -3 --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups ./sampler --wall wall -- touch started
        equal "$stderr" "pysample: wall: Permission denied"
    fi
    [[ ! -e started ]] || fail "the command was launched"
}

@test "a directory that was made is not left behind when nothing could be attached to" {
    cd "$DIR"
    run -3 pysample --output-dir out 4194303
    start sleep 3600
    run -3 pysample --output-dir out "$PID"
    run -3 pysample --output-dir out -- /no/such/command
    run -2 pysample --output-dir out --summary out/wall.folded "$PID"
    [[ ! -e out ]] || fail "$(ls out)"
    mkdir out
    run -3 pysample --output-dir out 4194303
    [[ -d out ]] || fail "one that was there is gone"
}

@test "the same file for two outputs is a usage error" {
    cd "$DIR"
    touch file
    ln -s file link
    mkdir dir
    run -2 --separate-stderr pysample --wall file --tasks ./file 1
    equal "${stderr_lines[0]}" "pysample: ./file: the same file for two outputs"
    run -2 pysample --wall new --tasks dir/../new 1
    run -2 pysample --wall file --summary link 1
    run -2 pysample --wall - --threads - 1
    run -2 pysample --output-dir dir --summary dir/tasks.folded 1
    equal "$(find . -type f)" ./file
}

@test "wrong command lines are usage errors" {
    local arguments
    for arguments in "" "1 2" "--rate 0 1" "--rate 10001 1" "--duration x 1" "--pstree -- true" "--json --wall /dev/null 1" "x"; do
        # shellcheck disable=SC2086 # words
        run -2 --separate-stderr pysample $arguments
        equal "$output" "" "$arguments"
    done
}
