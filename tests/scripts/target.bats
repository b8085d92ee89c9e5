#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# How the targets end the loader they launched.
load ../lib/common

# ends CODE: the status of a Python program, which writes `ready`, after loader_end INT 6.
ends() {
    PROGRAM="import signal, sys
$1
open(sys.argv[1], 'w').close()
while True: signal.pause()" READY=$BATS_TEST_TMPDIR/ready run bash -c '. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/target.sh"
        set -m
        python3 -c "$PROGRAM" "$READY" 2>/dev/null &
        PROCRUN=$!
        set +m
        until [[ -e $READY ]]; do pause 0.02; done
        loader_end INT 6
        wait "$PROCRUN"'
}

@test "a loader that swallows the first SIGINT is asked again, and ends by itself" {
    ends 'asked = []
def interrupted(*_):
    asked.append(1)
    if len(asked) == 2: sys.exit(7)
signal.signal(signal.SIGINT, interrupted)'
    equal "$status" 7
}

@test "a loader that swallows every SIGINT is killed at the deadline" {
    ends 'signal.signal(signal.SIGINT, lambda *_: None)'
    equal "$status" 137
}

@test "a loader that ends by the first SIGINT is not waited for" {
    local began=$SECONDS
    ends 'signal.signal(signal.SIGINT, lambda *_: sys.exit(5))'
    equal "$status" 5
    ((SECONDS - began < 3))
}

@test "an attach that has to wait for a loader says so, and one that finds it at once does not" {
    find_below() {
        run --separate-stderr bash -c '. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/target.sh"
            pidfind() { [[ $* == *--wait* || -n $THERE ]] && echo "7 8 loader ingest"; }
            target_find $$; echo "$LOADER_PID $LOADER_START $LOADER_WORDS"' demo
        equal "$status $output" '0 7 8 loader ingest'
    }
    THERE=1 find_below
    equal "$stderr" ''
    THERE='' find_below
    matches "$stderr" '^demo: no loader at or below PID=[0-9]+ yet: looking for one for 10 s$'
}
