#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The run folder: its names, its manifest, and what may not be written into it.
load ../lib/common

setup() {
    export RESULTS=$BATS_TEST_TMPDIR/results
}

# with_run CODE: runs it in a script that has a run folder.
with_run() {
    bash -c '. "$ROOT/scripts/lib/common.sh"; . "$ROOT/scripts/lib/run.sh"; options_load; run_new demo; '"$1" demo
}

@test "two runs in one second get two folders, and latest is the newest that has something to show" {
    run -0 with_run 'first=$RUN; run_latest; run_new demo; second=$RUN; [[ $(basename "$(readlink -f "$RESULTS/latest")") == "${first##*/}" ]]; run_latest; [[ $first != "$second" ]]; basename "$second"'
    equal "$(basename "$(readlink -f "$RESULTS/latest")")" "$output"
    equal "$(find "$RESULTS" -maxdepth 1 -mindepth 1 -type d | wc -l)" 2
}

@test "a run that ends before its time says so in its manifest" {
    local code
    for code in 'die 3 some-id "some reason"' 'false' 'printf "%s" "$NO_SUCH_NAME"'; do
        rm -rf "$RESULTS"
        run with_run "$code"
        ((status)) || fail "it did not end: $code"
        equal "$(jq -c '[.state, .exit_status, (.ended | type)]' "$RESULTS"/*-demo/run.json)" "[\"failed\",$status,\"string\"]" "$code"
        [[ ! -e $RESULTS/latest ]] || fail 'latest moved'
    done
    rm -rf "$RESULTS"
    run -130 with_run 'STOPPED=INT; exit 130'
    equal "$(jq -c '[.state, .stopped, .exit_status]' "$RESULTS"/*-demo/run.json)" '["stopped","SIGINT",130]'
    # One that has come to its end is left as it is.
    rm -rf "$RESULTS"
    run -0 with_run 'run_set state "done" exit_status 0'
    equal "$(jq -c '[.state, .ended]' "$RESULTS"/*-demo/run.json)" '["done",null]'
}

@test "twenty runs at once get twenty folders with a readable manifest each" {
    local i
    for ((i = 0; i < 20; i++)); do with_run : 3>&- & done
    wait
    equal "$(find "$RESULTS" -maxdepth 1 -mindepth 1 -type d | wc -l)" 20
    equal "$(cat "$RESULTS"/*-demo*/run.json | jq -s 'map(.target) | unique | join(",")' -r)" demo
}

@test "numbers stay numbers in run.json, and what is not known is n/a" {
    run -0 with_run 'run_set a 1.5 b n/a c "two words" d 0010x; jq -c "[.a, .b, .c, .d]" "$RUN/run.json"'
    equal "$output" '[1.5,"n/a","two words","0010x"]'
}

@test "a commit, a version and a hash stay text in run.json, of digits alone too" {
    run -0 with_run 'run_set harness 0012345 loader_version 1.10 workspace_sha256 0123456789012345; jq -c "[.harness, .loader_version, .workspace_sha256]" "$RUN/run.json"'
    equal "$output" '["0012345","1.10","0123456789012345"]'
}

@test "an unwritable results folder is exit 3 with the next step" {
    : >"$BATS_TEST_TMPDIR/file"
    RESULTS=$BATS_TEST_TMPDIR/file/results run -3 with_run :
    matches "$output" 'cannot write to .*Set RESULTS'
}

@test "a full disk is exit 3, and says so" {
    # A file system of its own, so that it can be full.
    run -0 own_mounts bash -c '
        mkdir "$BATS_TEST_TMPDIR/full" && mount -t tmpfs -o size=64k,nr_inodes=64 tmpfs "$BATS_TEST_TMPDIR/full"
        head -c 1M /dev/zero >"$BATS_TEST_TMPDIR/full/fill" 2>/dev/null
        RESULTS=$BATS_TEST_TMPDIR/full bash -c "
            . \"$ROOT/scripts/lib/common.sh\"; . \"$ROOT/scripts/lib/run.sh\"; options_load; run_new demo" demo
        echo "status $?"'
    matches "$output" 'cannot write .*disk full .*make room, then make report RUN=.*-demo'
    matches "$output" 'status 3'
}

@test "secrets of the environment, of .env and of URLs are not in the manifest" {
    printf 'LLM_API_KEY=sk-from-dotenv\n' >"$BATS_TEST_TMPDIR/.env"
    printf 'llm:\n  api_key: "sk-from-yaml"\n' >"$BATS_TEST_TMPDIR/config.yaml"
    export MY_TOKEN='t0ken/+*[x]'
    run -0 with_run 'secrets_collect "$BATS_TEST_TMPDIR/.env" "$BATS_TEST_TMPDIR/config.yaml"
        run_set command "x --api-key sk-in-argv t0ken/+*[x] sk-from-dotenv sk-from-yaml http://u:pw@h/ A_PASSWORD=hunter22"
        cat "$RUN/run.json"'
    matches "$output" 'redacted'
    run -1 grep -rE 'sk-|t0ken|u:pw|hunter22' "$RESULTS"
}

@test "secrets are found in every form that .env and YAML have" {
    cat >"$BATS_TEST_TMPDIR/.env" <<'X'
LLM_API_KEY=sk-1-comment  # production
export QDRANT_API_KEY=sk-2-export
DB_PASS=sk-3-pass
DB_PWD="sk-4 with blanks"
SENTRY_DSN='sk-5-dsn'
   SPACED_KEY = "sk-6-\"quoted\""
HASH_TOKEN=sk-7#no-comment
X
    cat >"$BATS_TEST_TMPDIR/config.yaml" <<'X'
llm: {provider: x, api_key: "sk-8-flow", other: y}
one: {api_key: sk-9-plain, b: c}
list:
  - api_key: sk-10-item
  - api-key: sk-11-hyphen  # with a comment
api.key: sk-12-dot
pem_key: |
    sk-13-first
    sk-13-second
tokens:
- sk-14-list
- 'sk-15-quoted'
secrets:
  openai: sk-16-nested
"password": "/sk-17/base64+=="
key_file: /etc/passwd
token: ${FROM_ENVIRONMENT}
last: plain-words
X
    run -0 with_run 'secrets_collect "$BATS_TEST_TMPDIR/.env" "$BATS_TEST_TMPDIR/config.yaml"
        printf "%s\n" "key is sk-1-comment." sk-2-export sk-3-pass "sk-4 with blanks" sk-5-dsn "sk-6-\"quoted\"" "sk-7#no-comment" "<sk-8-flow>" sk-9-plain sk-10-item \
            sk-11-hyphen sk-12-dot sk-13-first sk-13-second sk-14-list sk-15-quoted sk-16-nested /sk-17/base64+== >"$BATS_TEST_TMPDIR/said"
        redact_stream <"$BATS_TEST_TMPDIR/said"
        printf "%s\n" /etc/passwd plain-words "\${FROM_ENVIRONMENT}" provider "$PWD" | redact_stream'
    equal "$(grep -c sk- <<<"$output")" 0
    equal "$(grep -c redacted <<<"$output")" 18
    equal "$(tail -n 5 <<<"$output")" "/etc/passwd
plain-words
\${FROM_ENVIRONMENT}
provider
$PWD"
}

@test "numbers of tokens are no secrets, and a secret number is one only as a whole" {
    printf 'embedding:\n  max_tokens_per_request: 300000\n  tokenizer: cl100k_base\nauth:\n  password: 654321\n' >"$BATS_TEST_TMPDIR/config.yaml"
    run -0 with_run 'secrets_collect "$BATS_TEST_TMPDIR/config.yaml"
        printf "%s\n" "a;b 300000" "a;b 1300000" "a;b 1654321" "pin 654321" "cl100k_base" | redact_stream; redact_text "0.654321"'
    equal "$output" 'a;b 300000
a;b 1300000
a;b 1654321
pin [redacted]
cl100k_base
0.654321'
}

@test "secrets are taken out of a stream, special characters and all" {
    export MY_TOKEN='t0ken/+*[x].$^' OTHER_SECRET='back\slash|pipe#'
    run -0 with_run 'secrets_collect; printf "%s\n" "a t0ken/+*[x].\$^ b" "c back\\slash|pipe# d" "plain t0ken" | redact_stream'
    equal "$output" "a [redacted] b
c [redacted] d
plain t0ken"
}

@test "a secret is hidden as JSON, URLs and base64 have it, a short password as a whole word, and a header of a command line" {
    cat >"$BATS_TEST_TMPDIR/.env" <<'X'
GITHUB_PAT=ghp_A1b2C3d4
SESSION_COOKIE=monster-of-cookies
SLACK_WEBHOOK=https://hooks.example/T1/xyzzy
DB_PASSWORD=abc12
USE_PASSWORD=true
COMPAT=ordinary-mode
X
    export MY_API_TOKEN='pa"ss/w d1'
    run -0 with_run 'secrets_collect "$BATS_TEST_TMPDIR/.env"
        printf "%s\n" "{\"k\": \"pa\\\"ss/w d1\"}" "?k=pa%22ss/w%20d1" "?k=pa%22ss%2Fw+d1" "$(printf %s "$MY_API_TOKEN" | base64)" "Basic dXNlcjpwYXNz" \
            "ghp_A1b2C3d4 monster-of-cookies https://hooks.example/T1/xyzzy" "p=abc12 abc12, abc123" "true ordinary-mode Basic authentication" | redact_stream
        redact_words curl --header "X-Auth: qqqq1111" -H "Accept: text/plain" abc12 abc123'
    equal "$output" '{"k": "[redacted]"}
?k=[redacted]
?k=[redacted]
[redacted]==
Basic [redacted]
[redacted] [redacted] [redacted]
p=[redacted] [redacted], abc123
true ordinary-mode Basic authentication
curl --header X-Auth:\ [redacted] -H Accept:\ text/plain [redacted] abc123'
}

@test "a personal access token and an X- header are hidden wherever a command line has them" {
    run -0 with_run 'redact_words x GITHUB_PAT=g1 --pat g2 --gh-pat=g3 --path p --pattern=q PATH=/x "--header=X-Api-Key: g4" \
        "--header=Authorization: Basic g5" sh -c "env GH_PAT=g6 curl -H \"X-Auth: g7\" -H X-Api-Key:\\ g8 h"'
    equal "$output" 'x GITHUB_PAT=[redacted] --pat [redacted] --gh-pat=[redacted] --path p --pattern=q PATH=/x --header=X-Api-Key:\ [redacted] --header=Authorization:\ Basic\ [redacted] sh -c env\ GH_PAT=[redacted]\ curl\ -H\ \"X-Auth:\ [redacted]\"\ -H\ X-Api-Key:\\\ [redacted]\ h'
    run -0 with_run "printf '%s\n' \"{'x-api-key': 'g9', 'accept': '*/*'}\" 'X-Request-Id: 12' | redact_stream"
    equal "$output" "{'x-api-key': '[redacted]', 'accept': '*/*'}
X-Request-Id: 12"
}

@test "a secret with blanks is hidden whole, however it is quoted" {
    local given said
    while IFS=$'\t' read -r given said; do
        GIVEN=$given run -0 with_run 'redact_text "$GIVEN"'
        equal "$output" "$said" "$given"
    done <<'X'
x --api-key correct\ horse\ battery --force	x --api-key [redacted] --force
x --api-key 'correct horse battery' --force	x --api-key [redacted] --force
x --api-key "correct \" horse" --force	x --api-key [redacted] --force
x --api-key 'it'\''s a horse' --force	x --api-key [redacted] --force
x --api-key $'it\'s a\nhorse' --force	x --api-key [redacted] --force
x --api-key=correct\ horse --force	x --api-key=[redacted] --force
x '--api-key=correct horse' --force	x '--api-key=[redacted]' --force
x "API_KEY=correct horse" --force	x "API_KEY=[redacted]" --force
OPENAI_API_KEY=first\ second third	OPENAI_API_KEY=[redacted] third
x --api-key 'unclosed --force	x --api-key [redacted] --force
x --api-key [redacted] --force	x --api-key [redacted] --force
X
}

@test "the user part of a URL is hidden whole, and so are the credentials of a header" {
    local given said
    while IFS=$'\t' read -r given said; do
        GIVEN=$given run -0 with_run 'redact_text "$GIVEN"'
        equal "$output" "$said" "$given"
        GIVEN=$given run -0 with_run 'redact_stream <<<"$GIVEN"'
        equal "$output" "$said" "$given, as a stream"
    done <<'X'
http://user:p@ss@host/	http://[redacted]@host/
http://user:pa/ss@host/x	http://[redacted]@host/x
http://user:/pass@host/	http://[redacted]@host/
http://user:12pa/ss@host/	http://[redacted]@host/
postgres://u:p w@h/	postgres://[redacted]@h/
x postgres://u:p\ w@h/ y	x postgres://[redacted]@h/ y
https://t0ken@host/	https://[redacted]@host/
Authorization: Bearer abc.def-1	Authorization: Bearer [redacted]
-H Authorization:\ Bearer\ abc --x	-H Authorization:\ Bearer\ [redacted] --x
-H 'authorization: Basic dXNlcjpwYXNz' --x	-H 'authorization: Basic [redacted]' --x
sent Bearer eyJhbGciOi1.x_y, got 401	sent Bearer [redacted], got 401
X
}

@test "plain text is not taken for secrets" {
    local given
    while IFS= read -r given; do
        GIVEN=$given run -0 with_run 'redact_text "$GIVEN"'
        equal "$output" "$given"
        GIVEN=$given run -0 with_run 'redact_stream <<<"$GIVEN"'
        equal "$output" "$given" "$given, as a stream"
    done <<'X'
http://localhost:6333/collections/a@b
http://localhost:6333: refused, mail me@example.org
http://localhost:6333, http://localhost:6334 and me@example.org
http://localhost:6333 and me@example.org
http://[::1]:6333/a@b
https://example.org/@user/post
https://example.org: it says 'mail me@example.org'
python -m x ingest --workspace /a\ b --force
a turn-key solution
the Bearer token is missing
Bearer authentication
X
}

@test "a command line is quoted, and each of its words is hidden whole" {
    export MY_TOKEN="it's a \$ecret"
    run -0 with_run 'secrets_collect; redact_words x --api-key "correct horse battery" --Token=$'"'a b\\nc'"' "DB_PASSWORD=a b" "http://u:p@s/s w@h/?q" \
        --url=pg://u:12/34@h pg://u:12x/34@h -H "Authorization: Bearer abc" "say $MY_TOKEN" "two words" ""'
    equal "$output" "x --api-key [redacted] --Token=[redacted] DB_PASSWORD=[redacted] http://[redacted]@h/\\?q --url=pg://u:12/34@h pg://[redacted]@h -H Authorization:\\ Bearer\\ [redacted] say\\ [redacted] two\\ words ''"
    # Once more, as the manifest does.
    run -0 with_run 'said=$(redact_words x --api-key "correct horse battery" "two words" --force); run_set command "$said"; run_get command'
    equal "$output" 'x --api-key [redacted] two\ words --force'
}

@test "the manifest of a loader that runs already hides a secret with blanks whole" {
    local pid
    bash -c 'sleep 60; :' x --api-key 'correct horse battery' --force 3>&- &
    pid=$!
    run -0 with_run '. "$ROOT/scripts/lib/target.sh"; LOADER_PID='"$pid"'; LOADER_WORDS="x --api-key '"'correct horse battery'"'"; target_attach; run_get command'
    pkill -P "$pid" || :
    wait "$pid" || :
    matches "$output" ' x --api-key \[redacted\] --force$'
}

@test "the weight of a stack is no secret, though it equals one" {
    export DB_PASSWORD=123456 MY_TOKEN=t0ken-value
    run -0 with_run 'secrets_collect; printf "%s\n" "a;b 123456" "a;c 7" "a;login 123456 t0ken-value 123456" "123456" "t0ken-value;http://u:p@h/ 1.5" "no weight" "" | redact_stacks'
    equal "$output" 'a;b 123456
a;c 7
a;login [redacted] [redacted] 123456
[redacted]
[redacted];http://[redacted]@h/ 1.5
no weight'
}

@test "a temporary folder whose script was killed is removed by the next one, and no other is" {
    export TMPDIR=$BATS_TEST_TMPDIR
    tmp() { bash -c '. "$ROOT/scripts/lib/common.sh"; make_tmp; echo "$TMP"; '"$1" tmp; }
    local dead ns live=$BASHPID start
    run -137 tmp 'kill -9 $$'
    dead=$output
    [[ -d $dead ]] || fail "not left behind"
    ns=${dead%-*-*}
    start=$(bash -c '. "$ROOT/scripts/lib/common.sh"; process_start "$1"' tmp "$live")
    # Of a process that runs, of another that had its pid, of another pid namespace, no folder of a script.
    mkdir "$ns-$live-$start.alive" "$ns-$live-1.before" "$TMPDIR/qlp-1-${dead#"$ns-"}" "$ns-x-y.z" "$BATS_TEST_TMPDIR/kept"
    ln -s "$BATS_TEST_TMPDIR/kept" "$dead.link"
    run -0 tmp :
    [[ ! -e $output ]] || fail 'its own stays'
    [[ ! -e $dead && ! -e $ns-$live-1.before ]] || fail "not removed: $(ls "$TMPDIR")"
    [[ -d $ns-$live-$start.alive && -d $TMPDIR/qlp-1-${dead#"$ns-"} && -d $ns-x-y.z && -L $dead.link && -d $BATS_TEST_TMPDIR/kept ]] ||
        fail "removed: $(ls "$TMPDIR")"
}

@test "a note stands once in the run that it is of, and is no error where it cannot be written" {
    run -0 --separate-stderr with_run 'note some-id "some words"; note some-id "some words"; note other-id "some words"; cat "$RUN/raw/notes.md"'
    equal "$output" $'* **some-id** some words\n* **other-id** some words'
    equal "$stderr" $'demo: [some-id] some words\ndemo: [some-id] some words\ndemo: [other-id] some words'
    run -0 --separate-stderr with_run 'rm "$RUN/raw/notes.md"; mkdir "$RUN/raw/notes.md"; note some-id "some words"'
    equal "$stderr" 'demo: [some-id] some words'
}

# a_run NAME JQ: a folder of a profile with one note of its own.
a_run() {
    mkdir -p "$RESULTS/$1/raw" "$RESULTS/$1/log"
    jq -n "$2" >"$RESULTS/$1/run.json"
    printf 'main (app.py:3);chunk (text/chunk.py:7) 30\n' >"$RESULTS/$1/profile.folded"
    printf '* **own** of the run\n' >"$RESULTS/$1/raw/notes.md"
}

@test "a command that only reads a run leaves no note in it, and a report made twice has its notes once" {
    local start
    start=$(bash -c '. "$ROOT/scripts/lib/common.sh"; process_start "$1"' x "$$")
    a_run goes-on "{target: \"profile-wall\", state: \"running\", script_pid: $$, script_start: $start}"
    RUN=goes-on run -3 "$ROOT/scripts/report"
    matches "$output" 'run-goes-on'
    equal "$(<"$RESULTS/goes-on/raw/notes.md")" '* **own** of the run'

    a_run good '{target: "profile-pyspy", state: "done"}'
    RUN=good FORMAT=x run -2 "$ROOT/scripts/export"
    BASE=good CAND=good run -2 "$ROOT/scripts/compare"
    matches "$output" 'compare-different'
    equal "$(<"$RESULTS/good/raw/notes.md")" '* **own** of the run'

    # No stack was sampled.
    a_run failed '{target: "profile-pyspy", state: "failed"}'
    rm "$RESULTS/failed/profile.folded"
    RUN=failed run -3 "$ROOT/scripts/report"
    equal "$(grep -c no-samples "$RESULTS/failed/raw/notes.md")" 1
    RUN=failed run -3 "$ROOT/scripts/report"
    equal "$(grep -c no-samples "$RESULTS/failed/raw/notes.md")" 1
    equal "$(sort "$RESULTS/failed/raw/notes.md" | uniq -d)" ''
    equal "$(head -n 1 "$RESULTS/failed/raw/notes.md")" '* **own** of the run'
}

@test "few samples are said to be few, but not context switches, of which all are there" {
    local samples
    for samples in 1 49; do
        a_run "few-$samples" "{target: \"profile-pyspy\", state: \"done\", samples: $samples}"
        RUN=few-$samples run "$ROOT/scripts/report"
        matches "$(<"$RESULTS/few-$samples/summary.md")" "few-samples.* samples taken: $samples, so that each is $(((1000 + samples / 2) / samples / 10))\.[0-9] % of"
    done
    a_run enough '{target: "profile-pyspy", state: "done", samples: 50}'
    a_run unknown '{target: "profile-pyspy", state: "done", samples: "n/a"}'
    a_run switches '{target: "profile-perf", state: "done", samples: 5, off_cpu: 1}'
    for samples in enough unknown switches; do
        RUN=$samples run "$ROOT/scripts/report"
        matches "$(<"$RESULTS/$samples/summary.md")" 'own.* of the run'
        run ! grep -q few-samples "$RESULTS/$samples/summary.md"
    done
}

@test "a time in which nobody looked is said, if it is long, and longer than the rate explains" {
    local name gap rate
    while read -r name gap rate; do
        a_run "gap-$name" "{target: \"profile-wall\", state: \"done\", samples: 200, rate_asked_hz: $rate}"
        printf 'longest_gap_s\t%s\n' "$gap" >"$RESULTS/gap-$name/raw/pysample.tsv"
        RUN=gap-$name run "$ROOT/scripts/report"
        matches "$(<"$RESULTS/gap-$name/summary.md")" 'own.* of the run'
    done <<<$'long 2.06 100\nshort 0.4 100\nslow-rate 2.06 2\nunknown n/a 100'
    matches "$(<"$RESULTS/gap-long/summary.md")" 'long-gap.* for 2\.1 s no sample could be taken'
    run -0 grep -l long-gap "$RESULTS"/gap-*/summary.md
    equal "$output" "$RESULTS/gap-long/summary.md"
}

@test "a run that is not there is named by the option that asked for it" {
    a_run good '{target: "profile-pyspy", state: "done"}'
    BASE=nope CAND=good run -2 "$ROOT/scripts/compare"
    matches "$output" "no-run. BASE: no run folder 'nope'"
    BASE=good CAND=nope run -2 "$ROOT/scripts/compare"
    matches "$output" "no-run. CAND: no run folder 'nope'"
    RUN=nope run -2 "$ROOT/scripts/report"
    matches "$output" "no-run. RUN: no run folder 'nope'"
}

@test "a manifest that is empty or damaged is exit 3 and named" {
    local text
    a_run bad '{}'
    for text in '' '{"target": "profile-py' '[]'; do
        printf '%s' "$text" >"$RESULTS/bad/run.json"
        RUN=bad run -3 "$ROOT/scripts/report"
        equal "${lines[-1]}" "report: [manifest-unreadable] RUN: $RESULTS/bad/run.json cannot be read, is empty or damaged: nothing says what was run. Name another run: ls $RESULTS"
        RUN=bad run -3 "$ROOT/scripts/export"
        matches "$output" 'manifest-unreadable'
        BASE=bad CAND=bad run -3 "$ROOT/scripts/compare"
        matches "$output" 'manifest-unreadable. BASE: '
    done
}

@test "a report is made of a folder that lacks log/ and raw/, and refused where it cannot be written" {
    a_run part '{target: "profile-pyspy", state: "done"}'
    rm -r "$RESULTS/part/log" "$RESULTS/part/raw"
    # There is nothing to draw over time.
    RUN=part run -3 "$ROOT/scripts/report"
    matches "$output" 'no timeline.svg: there is no samples.tsv'
    [[ -s $RESULTS/part/profile.svg ]] || fail 'no picture'
    [[ ! $output =~ 'line '[0-9]+: ]] || fail 'a word of bash'
    [[ -s $RESULTS/part/summary.md ]] || fail 'no summary'
    run -3 own_mounts bash -c '
        mount --bind "$RESULTS/part" "$RESULTS/part" && mount -o remount,bind,ro "$RESULTS/part"
        RUN=part "$ROOT/scripts/report"'
    matches "${lines[-1]}" 'report: \[results-unwritable\] cannot write to .*/part\. Copy the folder '
}

@test "a manifest without the right to write it says so, and a full disk is not blamed" {
    run -3 own_mounts bash -c '
        mkdir "$BATS_TEST_TMPDIR/ro" && mount --bind "$BATS_TEST_TMPDIR/ro" "$BATS_TEST_TMPDIR/ro" && mount -o remount,bind,ro "$BATS_TEST_TMPDIR/ro"
        bash -c ". \"$ROOT/scripts/lib/common.sh\"; . \"$ROOT/scripts/lib/run.sh\"; RUN=$BATS_TEST_TMPDIR/ro; run_set a b" demo'
    equal "$output" "demo: cannot write $BATS_TEST_TMPDIR/ro/run.json: no right to write to its folder"
}
