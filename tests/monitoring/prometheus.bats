#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The files for Prometheus: valid, and each alert fires when it should and not when it should not.
load ../lib/common
: "${LOADER_ENV_PYTHON:?the Python of the loader environment, which has PyYAML; scripts/test sets it}"

DOCS=$ROOT/docs/monitoring/prometheus
TESTS=$FIXTURES/prometheus/rules.test.yml

@test "promtool takes the configuration, with its rules" {
    cp -r "$DOCS" "$BATS_TEST_TMPDIR/prometheus"
    cd "$BATS_TEST_TMPDIR/prometheus" || return
    mkdir -p targets
    echo '[{"targets": ["127.0.0.1:9464"], "labels": {"run": "demo"}}]' >targets/demo.json
    run -0 promtool check config prometheus.yml
    matches "$output" 'SUCCESS: prometheus.yml is valid'
    matches "$output" '[1-9][0-9]* rules found'
    run -1 grep -iE 'warning|error:' <<<"$output"
}

@test "every alert fires when it should, and not when it should not" {
    run -0 promtool test rules "$TESTS"
    matches "$output" SUCCESS
}

@test "every alert is tested firing and not firing, on series that the exporter can have" {
    run -0 "$LOADER_ENV_PYTHON" - "$DOCS/alerts.yml" "$TESTS" "$ROOT/helpers/loader_exporter/mmapdb.c" <<'PY'
import re, sys, yaml
alerts, tests = (yaml.safe_load(open(file)) for file in sys.argv[1:3])
names = [rule["alert"] for group in alerts["groups"] for rule in group["rules"]]
looks = [look for test in tests["tests"] for look in test.get("alert_rule_test", [])]
for name in names:
    firing = [bool(look.get("exp_alerts")) for look in looks if look["alertname"] == name]
    if set(firing) != {True, False}:
        print(f"{name}: firing in {firing.count(True)} and not firing in {firing.count(False)} looks")
known = set(re.findall(r'\[DB_\w+\] = "([a-z]+)"', open(sys.argv[3]).read()))
used = set(re.findall(r'reason="(\w+)"', open(sys.argv[2]).read()))
if not used or used - known:
    print(f"reasons {sorted(used)}, and those of the exporter are {sorted(known)}")
print(f"{len(names)} alerts")
PY
    matches "$output" '^[6-9] alerts$'
}

@test "a rule that is changed fails its test" {
    local change copy=$BATS_TEST_TMPDIR/copy
    mkdir -p "$copy/docs/monitoring" "$copy/tests/fixtures"
    cp -r "$FIXTURES/prometheus" "$copy/tests/fixtures"
    for change in 's/> 0.05/> 0.5/' 's/ == 1$/ == 0/' 's/> 1000/> 100/' 's/, 3600/, 36/' 's/up{job="qdrant_loader"} == 0/up == 0/' \
        's/exit_code\[15m\]) > 0/exit_code[15m]) >= 0/' 's/_seconds\[15m\]) < 900/_seconds[15m]) < 9000/' 's/hooks{state="missing"}/hooks/' 's/bad_files_total\[10m\])) > 0/bad_files_total[10m])) > 1000/' 's/limit_ratio > 0.5/limit_ratio > 0.1/' 's/start_timestamp_seconds > 600/start_timestamp_seconds > 0/'; do
        rm -rf "$copy/docs/monitoring/prometheus"
        cp -r "$DOCS" "$copy/docs/monitoring/prometheus"
        sed -i "$change" "$copy/docs/monitoring/prometheus/alerts.yml"
        run ! cmp -s "$DOCS/alerts.yml" "$copy/docs/monitoring/prometheus/alerts.yml"
        run -1 promtool test rules "$copy/tests/fixtures/prometheus/rules.test.yml"
        matches "$output" FAILED
    done
}
