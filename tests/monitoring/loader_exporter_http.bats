#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# loader_exporter among bad clients; TLS and basic auth.
load ../lib/common
load ../lib/exporter

# bcrypt, cost 5, of "secret".
HASH='$2y$05$sa4rXEDWdecOEWwrDJ09ru8qCE7WCuF9ujKAbUw7W1lksFhVMvMuG'

setup() {
    PY=${LOADER_ENV_PYTHON:?"the loader environment's Python"}
    DIR=$BATS_TEST_TMPDIR/multiproc
    WEB=$BATS_TEST_TMPDIR/web.yml
    mkdir -m 0700 "$DIR"
    "$PY" "$ROOT/tests/lib/multiproc.py" raw "$DIR/counter_1.db" good
}

teardown() {
    stop_all
}

# crowd KIND COUNT SECONDS: bad clients; every honest page comes within 1 s.
crowd() {
    run -0 "$PY" "$ROOT/tests/lib/slow_clients.py" "$PORT" "$@"
    printf '# %s: %s\n' "$*" "$output" >&3
    scrape
}

dropped() {
    value "loader_exporter_http_dropped_connections_total{reason=\"$1\"}"
}

code_of() {
    curl -sS --max-time 10 -o /dev/null -w '%{http_code}' "$@" || :
}

@test "200 clients that send a byte a second: every honest page within 1 s, all of them gone at the deadline" {
    start --multiproc-dir "$DIR" --web.deadline 2
    crowd trickle 200 8
    matches "$output" 'dropped 200/200'
    equal "$(dropped deadline)" 200.0
}

@test "200 clients that send nothing are gone at the deadline" {
    start --multiproc-dir "$DIR" --web.deadline 1
    crowd silent 200 6
    matches "$output" 'dropped 200/200'
}

@test "more bad clients than connections: the oldest make room" {
    start --multiproc-dir "$DIR" --web.max-connections 64
    crowd trickle 200 4
    matches "$(dropped crowd)" '^1[3-9][0-9]\.0$'
    crowd many 100 3
}

@test "clients that dawdle after a first request make room too" {
    start --multiproc-dir "$DIR" --web.max-connections 64
    crowd second 100 4
    matches "$(dropped crowd)" '^[3-9][0-9]\.0$'
}

@test "clients that dawdle over a second request are gone at its deadline, and one that waits between requests is not" {
    start --multiproc-dir "$DIR" --web.deadline 1
    "$PY" - "$PORT" "$BATS_TEST_TMPDIR/go" >"$BATS_TEST_TMPDIR/kept" 2>&1 3>&- <<'X' &
import http.client, os, select, sys
good = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
for _ in range(2):
    good.request("GET", "/metrics")
    assert good.getresponse().read()
    here = good.sock.getsockname()
    # Longer than the deadline; the end of the connection would be there to read.
    while not os.path.exists(sys.argv[2]):
        assert not select.select([good.sock], [], [], 0.1)[0], "closed"
assert good.sock.getsockname() == here
print("kept")
X
    STARTED+=("$!")
    crowd second 10 8
    matches "$output" 'dropped 10/10'
    equal "$(dropped deadline)" 10.0
    touch "$BATS_TEST_TMPDIR/go"
    until_true 10 gone "${STARTED[-1]}"
    equal "$(<"$BATS_TEST_TMPDIR/kept")" kept
}

@test "a client that keeps its connection is kept before those that never asked" {
    start --multiproc-dir "$DIR" --web.max-connections 32
    run -0 "$PY" - "$PORT" <<'X'
import http.client, socket, sys
port = int(sys.argv[1])
good = http.client.HTTPConnection("127.0.0.1", port)
for _ in range(3):
    good.request("GET", "/metrics")
    assert good.getresponse().read()
    here = good.sock.getsockname()
    bad = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
good.request("GET", "/metrics")
assert good.getresponse().read() and good.sock.getsockname() == here
print("kept")
X
    equal "$output" kept
}

@test "a client that asks for page after page without a pause keeps its connection" {
    start --multiproc-dir "$DIR"
    run -0 timeout 30 "$PY" - "$PORT" <<'X'
import socket, sys, time
good = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
text, end, ask = b"", time.monotonic() + 5, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
good.sendall(ask)
while time.monotonic() < end:
    # The next request is there before the answer to the last one was read.
    good.sendall(ask)
    while (head := text.find(b"\r\n\r\n")) < 0 or len(text) < (
        whole := head + 4 + int(text[:head].lower().split(b"content-length:")[1].split()[0])
    ):
        part = good.recv(1 << 16)
        assert part, "dropped"
        text += part
    text = text[whole:]
print("kept")
X
    equal "$output" kept
    scrape
    equal "$(dropped deadline)" 0.0
}

@test "clients that do not read their answers are dropped, and memory stays small" {
    "$PY" "$ROOT/tests/lib/multiproc.py" raw "$DIR/counter_1.db" 10000-series
    start --multiproc-dir "$DIR" --web.deadline 2 --web.max-requests 10
    crowd reader 20 4
    matches "$output" 'dropped 20/20'
    [[ -n ${SAN-} ]] || awk -v v="$(value loader_exporter_resident_memory_bytes)" 'BEGIN { if (v > 48 * 1048576) { print v; exit 1 } }'
}

@test "requests that are too large are refused, and it goes on" {
    start --multiproc-dir "$DIR"
    local big
    big=$(head -c 60000 /dev/zero | tr '\0' a)
    matches "$(code_of -H "X-Big: $big" "http://$ADDR/metrics")" '^(4..|000)$'
    matches "$(code_of "http://$ADDR/$big")" '^(4..|000)$'
    shows good_total 7.0
}

@test "basic auth lets in who is in the file, on every path" {
    printf '# users\nbasic_auth_users:\n  alice: %s\n  "bob b": '"'%s'"' # quoted\n' "$HASH" "$HASH" >"$WEB"
    start --multiproc-dir "$DIR" --web.config.file "$WEB"
    equal "$(code_of "http://$ADDR/metrics")" 401
    equal "$(code_of "http://$ADDR/-/healthy")" 401
    equal "$(curl -sSI "http://$ADDR/" | tr -d '\r' | sed -n 's/^WWW-Authenticate: //p')" Basic
    equal "$(code_of -u alice:secret "http://$ADDR/metrics")" 200
    equal "$(code_of -u 'bob b:secret' "http://$ADDR/metrics")" 200
    equal "$(code_of -u alice:Secret "http://$ADDR/metrics")" 401
    equal "$(code_of -u carol:secret "http://$ADDR/metrics")" 401
    scrape -u alice:secret
    equal "$(value good_total)" 7.0
    run -1 grep -E 'alice|bob|\$2y' "$PAGE" "$LOG"
}

@test "TLS without users on an open address, and a file with nothing in it, are told" {
    local open=': everybody who reaches this address can read the metrics' clear=': passwords cross the network in clear'
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
        -keyout "$BATS_TEST_TMPDIR/key.pem" -out "$BATS_TEST_TMPDIR/cert.pem" 2>/dev/null
    printf 'tls_server_config:\n    cert_file: cert.pem\n    key_file: key.pem\n' >"$WEB"
    LISTEN=0.0.0.0:0 start --multiproc-dir "$DIR" --web.config.file "$WEB"
    grep -q "$open" "$LOG"
    run -1 grep "$clear" "$LOG"
    stop
    # Only this machine reaches it.
    start --multiproc-dir "$DIR" --web.config.file "$WEB"
    run -1 grep "$open" "$LOG"
    stop
    printf 'tls_server_config:\n    cert_file: cert.pem\n    key_file: key.pem\nbasic_auth_users:\n  alice: %s\n' "$HASH" >"$WEB"
    LISTEN=0.0.0.0:0 start --multiproc-dir "$DIR" --web.config.file "$WEB"
    run -1 grep -E "$open|$clear|neither" "$LOG"
    stop
    printf '# basic_auth_users:\nhttp_server_config:\n  http2: false\n' >"$WEB"
    start --multiproc-dir "$DIR" --web.config.file "$WEB"
    equal "$(head -n 1 "$LOG")" "loader_exporter: $WEB: neither TLS nor users in it: it is served as without this file"
}

@test "users without TLS on an open address are told once, with what to do, and not on loopback by whatever name" {
    local address
    printf 'basic_auth_users:\n  alice: %s\n' "$HASH" >"$WEB"
    LISTEN=0.0.0.0:0 start --multiproc-dir "$DIR" --web.config.file "$WEB" --web.listen-address '[::]:0' --web.listen-address 127.0.0.1:0
    equal "$(grep -vc serving "$LOG")" 1 'messages'
    matches "$(grep -v serving "$LOG")" "^loader_exporter: $(uname -n):$PORT: passwords cross the network in clear: give --web\.config\.file a tls_server_config too, or put a reverse proxy in front \(docs/monitoring/reverse-proxy\.md\)\$"
    stop
    for address in 127.0.0.1:0 127.9.9.9:0 localhost:0 '[::1]:0' '[0:0:0:0:0:0:0:1]:0' '[::ffff:127.0.0.1]:0'; do
        LISTEN=$address start --multiproc-dir "$DIR" --web.config.file "$WEB"
        equal "$(grep -vc serving "$LOG" || :)" 0 "$address: $(<"$LOG")"
        stop
        # Nor without users.
        LISTEN=$address start --multiproc-dir "$DIR"
        equal "$(grep -vc serving "$LOG" || :)" 0 "$address: $(<"$LOG")"
        stop
    done
}

@test "who guesses passwords is slowed down, and the known user is not" {
    printf 'basic_auth_users:\n  alice: %s\n' "$HASH" >"$WEB"
    start --multiproc-dir "$DIR" --web.config.file "$WEB"
    equal "$(code_of -u alice:secret "http://$ADDR/metrics")" 200
    local i codes=''
    for i in 1 2 3 4 5 6 7 8 9; do codes+=$(code_of -u "alice:$i" "http://$ADDR/metrics"),; done
    matches "$codes" '401.*429'
    equal "$(code_of -u alice:secret "http://$ADDR/metrics")" 200
}

@test "TLS serves, 1.2 and 1.3 or as the file says" {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=IP:127.0.0.1 -keyout "$BATS_TEST_TMPDIR/key.pem" -out "$BATS_TEST_TMPDIR/cert.pem" 2>/dev/null
    printf 'tls_server_config:\n    cert_file: cert.pem\n    key_file: key.pem\nbasic_auth_users:\n  alice: %s\n' "$HASH" >"$WEB"
    start --multiproc-dir "$DIR" --web.config.file "$WEB" --file-sd "$BATS_TEST_TMPDIR/sd.json"
    local tls=(--cacert "$BATS_TEST_TMPDIR/cert.pem" -u alice:secret)
    equal "$(jq -r .url "$READY")" "https://$ADDR/metrics"
    equal "$(jq -r '.[0].labels.__scheme__' "$BATS_TEST_TMPDIR/sd.json")" https
    equal "$(code_of "${tls[@]}" "https://$ADDR/metrics")" 200
    equal "$(code_of "${tls[@]}" --tls-max 1.2 "https://$ADDR/metrics")" 200
    equal "$(curl -sS "${tls[@]}" "https://$ADDR/metrics" | grep '^good')" 'good_total 7.0'
    equal "$(code_of "http://$ADDR/metrics" 2>/dev/null)" 000
    stop
    printf 'tls_server_config:\n    cert_file: cert.pem\n    key_file: key.pem\n    min_version: TLS13\n' >"$WEB"
    start --multiproc-dir "$DIR" --web.config.file "$WEB" --web.deadline 1
    equal "$(code_of "${tls[@]}" "https://$ADDR/metrics")" 200
    equal "$(code_of "${tls[@]}" --tls-max 1.2 "https://$ADDR/metrics" 2>/dev/null)" 000
    # Clients that begin no handshake are dropped like all others.
    "$PY" - "$PORT" <<'X'
import socket, sys
s = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(50)]
for c in s:
    c.settimeout(5)
    assert c.recv(1) == b""
X
    equal "$(code_of "${tls[@]}" "https://$ADDR/metrics")" 200
}

@test "what the web configuration file cannot have is an error with its line" {
    local text message
    while IFS=$'\t' read -r text message; do
        printf '%b' "$text" >"$WEB"
        run -2 --separate-stderr loader_exporter --multiproc-dir "$DIR" --web.listen-address 127.0.0.1:0 --web.config.file "$WEB"
        equal "$stderr" "loader_exporter: $WEB${message//HASH/$HASH}" "$text"
    done <<'X'
tls_server_config:\n  cert_file: a\n	: cert_file and key_file go together
tls_server_config:\n  cert_file: a\n  client_ca_file: b\n	:3: client_ca_file: is not done here; a reverse proxy does it: docs/monitoring/reverse-proxy.md
tls_server_config:\n  client_auth_type: RequireAndVerifyClientCert\n	:2: client_auth_type: is not done here; a reverse proxy does it: docs/monitoring/reverse-proxy.md
tls_server_config:\n  min_version: TLS10\n	:2: min_version: not TLS12 or TLS13
http_server_config:\n  headers: x\n	:2: headers: is not done here; a reverse proxy does it: docs/monitoring/reverse-proxy.md
basic_auth_users:\n  a: plain\n	:2: a: its password is no bcrypt hash; make one with `htpasswd -nBC 10 "" | tr -d ':'`
basic_auth_users:\n  a: $2y$15$sa4rXEDWdecOEWwrDJ09ru8qCE7WCuF9ujKAbUw7W1lksFhVMvMuG\n	:2: a: a bcrypt cost above 14 takes seconds for each password; 10 is usual
basic_auth_users:\n  a: $2y$05$sa4rXEDWdecOEWwrDJ09ru8qCE7WCuF9ujKAbUw7W1lksFhVMvMuG\n  a: $2y$05$sa4rXEDWdecOEWwrDJ09ru8qCE7WCuF9ujKAbUw7W1lksFhVMvMuG\n	:3: a: given twice
users:\n  a: b\n	:1: users: not tls_server_config, basic_auth_users or http_server_config
basic_auth_users: {a: b}\n	:1: unquoted: quote what begins so; only `key: value` is read of YAML
basic_auth_users:\n\ta: b\n	:2: tab: YAML is indented with blanks
basic_auth_users:\n  a: "b\n	:2: quote: does not end
basic_auth_users:\n  - a\n	:2: -: a list, where `key: value` should be
tls_server_config:\n  min_version: TLS12\n    cert_file: a\n	:3: cert_file: indented otherwise than the line before
  a: b\n	:1: a: indented otherwise than the line before
basic_auth_users:\n  just text\n	:2: just text: not `key: value`
X
    run -3 --separate-stderr loader_exporter --multiproc-dir "$DIR" --web.config.file /nonexistent
    equal "$stderr" 'loader_exporter: /nonexistent: No such file or directory'
    printf 'tls_server_config:\n  cert_file: a\n  key_file: a\n' >"$WEB"
    printf 'no pem\n' >"$BATS_TEST_TMPDIR/a"
    run -3 --separate-stderr loader_exporter --multiproc-dir "$DIR" --web.listen-address 127.0.0.1:0 --web.config.file "$WEB"
    equal "$stderr" 'loader_exporter: cannot serve TLS: are cert_file and key_file PEM files that belong together?'
}
