# SPDX-License-Identifier: MIT
# For tests with a real Prometheus: started in a folder of the test, on a free loopback port, ended by its PID.
# shellcheck shell=bash

PROMETHEUS_PID=

# prometheus_start DIR [ARGUMENT…]: PROMETHEUS is its URL. DIR may hold prometheus.yml and a database in data/.
prometheus_start() {
    local dir=$1 port
    shift
    [[ -e $dir/prometheus.yml ]] || echo 'scrape_configs: []' >"$dir/prometheus.yml"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" --storage.tsdb.retention.time=100y \
        --web.listen-address="127.0.0.1:$port" --log.level=warn "$@" >"$dir/prometheus.log" 2>&1 3>&- &
    PROMETHEUS_PID=$!
    PROMETHEUS=http://127.0.0.1:$port
    until_true 60 curl -sf -o /dev/null "$PROMETHEUS/-/ready"
}

prometheus_end() {
    if [[ -n $PROMETHEUS_PID ]]; then
        kill "$PROMETHEUS_PID" 2>/dev/null || :
        wait "$PROMETHEUS_PID" || :
    fi
    PROMETHEUS_PID=
}

# recorded_start DIR: a Prometheus that holds tests/fixtures/monitoring/ingest.om.gz; BEGIN and END in Unix seconds.
recorded_start() {
    gzip -dc "$FIXTURES/monitoring/ingest.om.gz" >"$1/ingest.om"
    # shellcheck disable=SC2034 # for the tests
    read -r BEGIN END < <(awk '$1 != "#" { t = $NF; if (!n++ || t < low) low = t; if (t > high) high = t } END { printf "%.3f %.3f\n", low, high }' "$1/ingest.om")
    promtool tsdb create-blocks-from openmetrics "$1/ingest.om" "$1/data" >/dev/null
    # Recorded series end without a mark; the usual look back of five minutes would let them go on.
    prometheus_start "$1" --query.lookback-delta=5s
}
