#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The examples for Compose and Kubernetes cannot be run here; what they refer to is there, they agree with each other, and
# the Kubernetes API's own schemas take them.
load ../lib/common
: "${LOADER_ENV_PYTHON:?the Python of the loader environment, which has PyYAML; scripts/test sets it}"
: "${UVLOOP_PYTHON:?the Python of the test environment, which has the schemas of Kubernetes; scripts/test sets it}"

teardown() {
    local pid
    # What a test that failed has left.
    for pid in ${loader-} ${waiting-}; do kill -TERM "$pid" 2>/dev/null || :; done
}

# yaml: the Python program on standard input, in docs/monitoring, with load(FILE) for YAML.
yaml() {
    {
        printf '%s\n' 'import json, os, re, yaml' 'load = lambda file: yaml.safe_load(open(file))'
        cat
    } >"$BATS_TEST_TMPDIR/program.py"
    (cd "$ROOT/docs/monitoring" && "$LOADER_ENV_PYTHON" "$BATS_TEST_TMPDIR/program.py")
}

@test "every file that compose.yaml mounts is there, and its services listen on loopback only" {
    run -0 yaml <<'PY'
compose = load("compose.yaml")
named = set(compose["volumes"])
for name, service in compose["services"].items():
    assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), service["image"]
    assert service["network_mode"] == "host"
    for mount in service["volumes"]:
        source = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", mount).split(":")[0]
        assert source in named or os.path.isdir(source), mount
        assert source in named or mount.endswith(":ro"), mount
prometheus, grafana = compose["services"]["prometheus"], compose["services"]["grafana"]
assert "--web.listen-address=127.0.0.1:9090" in prometheus["command"]
assert grafana["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
config = next(c.split("=", 1)[1] for c in prometheus["command"] if c.startswith("--config.file"))
assert os.path.isfile(config.replace("/etc/prometheus", "prometheus")), config
print("ok")
PY
    equal "$output" ok
}

@test "Grafana is provisioned with the dashboards of this folder and with Prometheus at its scrape interval" {
    run -0 yaml <<'PY'
source, = load("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
scrape = load("prometheus/prometheus.yml")["global"]["scrape_interval"]
assert source["type"] == "prometheus" and source["jsonData"]["timeInterval"] == scrape
provider, = load("grafana/provisioning/dashboards/qdrant-loader.yaml")["providers"]
mounted = dict(m.split(":")[1::-1] for m in load("compose.yaml")["services"]["grafana"]["volumes"])
folder = mounted[provider["options"]["path"]]
boards = [file for file in os.listdir(folder) if file.endswith(".json")]
assert len(boards) == 3 and provider["allowUiUpdates"] is False
# The links between the dashboards go by a tag that all of them have.
for file in boards:
    board = json.load(open(f"{folder}/{file}"))
    assert set(board["links"][0]["tags"]) <= set(board["tags"])
print("ok")
PY
    equal "$output" ok
}

@test "the Kubernetes Job: a native sidecar that sees the loader, outlives it, and has no capability" {
    run -0 yaml <<'PY'
job = load("kubernetes/job.yaml")
pod = job["spec"]["template"]["spec"]
assert pod["shareProcessNamespace"] is True and pod["restartPolicy"] == "Never"
volumes = {v["name"]: v for v in pod["volumes"]}
containers = {c["name"]: c for c in pod["initContainers"] + pod["containers"]}
for container in containers.values():
    assert "ALL" in container["securityContext"]["capabilities"]["drop"]
    assert "add" not in container["securityContext"]["capabilities"]
    assert {m["name"] for m in container.get("volumeMounts", [])} <= set(volumes)
exporter, loader = containers["exporter"], containers["loader"]
assert exporter["restartPolicy"] == "Always" and exporter in pod["initContainers"]
# Two scrapes fit between the loader's end and the exporter's, and the pod's grace is longer.
monitor = load("kubernetes/podmonitor.yaml")
endpoint, = monitor["spec"]["podMetricsEndpoints"]
pause = exporter["lifecycle"]["preStop"]["sleep"]["seconds"]
assert 2 * int(endpoint["interval"].rstrip("s")) < pause < pod["terminationGracePeriodSeconds"]
# Prometheus finds the port by its name and the pod by its label; rules and dashboards find the job by its name.
assert endpoint["port"] in [p["name"] for p in exporter["ports"]]
assert monitor["spec"]["selector"]["matchLabels"].items() <= job["spec"]["template"]["metadata"]["labels"].items()
name = load("prometheus/prometheus.yml")["scrape_configs"][0]["job_name"]
assert {"targetLabel": "job", "replacement": name} in endpoint["relabelings"]
# Loader and exporter mean the same folder, in memory.
environment = {e["name"]: e["value"] for e in loader["env"]}
assert f"--multiproc-dir={environment['PROMETHEUS_MULTIPROC_DIR']}" in exporter["command"]
assert environment["PROMETHEUS_MULTIPROC_DIR"] in loader["command"][-1]
for option in ("--pid-file", "--run-result"):
    file = next(c.split("=")[1] for c in exporter["command"] if c.startswith(option))
    assert file in loader["command"][-1], file
assert volumes["metrics"]["emptyDir"]["medium"] == "Memory" and volumes["metrics"]["emptyDir"]["sizeLimit"]
# One user for both; what profiles is the only one with a capability.
assert pod["securityContext"]["runAsUser"] > 0 and not any("runAsUser" in c["securityContext"] for c in containers.values())
patch, = load("kubernetes/profile-patch.yaml")["spec"]["template"]["spec"]["containers"]
assert patch["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["SYS_PTRACE"]}
assert {m["name"] for m in patch["volumeMounts"]} <= set(volumes)
print("ok")
PY
    equal "$output" ok
}

@test "the container with the profilers stays as long as the loader, by what procrun writes, and no longer" {
    local wait result=$BATS_TEST_TMPDIR/result.tsv
    run -0 yaml <<'PY'
patch, = load("kubernetes/profile-patch.yaml")["spec"]["template"]["spec"]["containers"]
assert patch["command"][:2] == ["sh", "-c"]
print(patch["command"][2])
PY
    [[ $output == */metrics/* ]]
    wait=${output//\/metrics/$BATS_TEST_TMPDIR}
    mkfifo "$BATS_TEST_TMPDIR/end"
    procrun --result "$result" -- cat "$BATS_TEST_TMPDIR/end" 3>&- &
    loader=$!
    until_true 10 grep -qs '^# pid:' "$result"
    # While the loader runs it does not end; a look takes less than a second.
    run -124 timeout 2 sh -c "$wait"
    sh -c "$wait" 3>&- &
    waiting=$!
    : >"$BATS_TEST_TMPDIR/end"
    wait "$loader"
    until_true 10 gone "$waiting"
    wait "$waiting"
    # One that could not be started has ended too, and so has one that was killed.
    run -127 procrun --result "$result" -- "$BATS_TEST_TMPDIR/no-such-loader"
    run -0 timeout 5 sh -c "$wait"
    run -137 procrun --result "$result" -- sh -c 'kill -9 $$'
    run -0 timeout 5 sh -c "$wait"
}

@test "the Job, as it is and with the profilers' patch, is what the Kubernetes API takes, field by field" {
    run -0 "$UVLOOP_PYTHON" - "$ROOT/docs/monitoring/kubernetes" <<'PY'
import sys, yaml
import kubernetes_validate as api

folder = sys.argv[1]
load = lambda file: yaml.safe_load(open(f"{folder}/{file}"))
job, patched = load("job.yaml"), load("job.yaml")
# As the API merges lists of containers: by name.
containers = patched["spec"]["template"]["spec"]["containers"]
for more in load("profile-patch.yaml")["spec"]["template"]["spec"]["containers"]:
    containers[:] = [c for c in containers if c["name"] != more["name"]] + [more]
for document in (job, patched):
    # The first that knows native sidecars as stable, and the newest that is known here.
    for version in ("1.30", api.latest_version()):
        api.validate(document, version, strict=True)
job["spec"]["template"]["spec"]["initContainers"][0]["restartPolice"] = "Always"
try:
    api.validate(job, "1.30", strict=True)
except api.ValidationError as error:
    print("refused:", error.message)
PY
    matches "$output" "^refused: .*restartPolice"
}

@test "the image has what the Job takes from it: sources that are there, all that the helpers link to, and the paths" {
    local docker=$ROOT/docs/monitoring/kubernetes/Dockerfile copy=$BATS_TEST_TMPDIR/context source to library path
    declare -A package=([libmicrohttpd.so.12]=libmicrohttpd12 [libz.so.1]=zlib1g [libcrypt.so.1]=libcrypt1)
    mkdir "$copy"
    while read -r source to; do cp -r "$ROOT/$source" "$copy/$to"; done < <(sed -n 's/^COPY \([^-].*\)/\1/p' "$docker")
    run -0 make -n -C "$copy" helpers
    matches "$output" 'build/bin/loader_exporter'
    # Of the last stage.
    run -0 sed -n '0,/^FROM .* AS tools/d; /^FROM/,$p' "$docker"
    while read -r library; do
        [[ $output == *" ${package[$library]:-$library} "* ]] || fail "$library is not in the image"
    done < <(readelf -d "$BIN/loader_exporter" "$BIN/procrun" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^lib(c|m|asan|ubsan)\.so' | sort -u)
    while read -r path; do
        [[ $output == *" ${path}"* || ($path == */bin/* && -x $BIN/${path##*/} && $output == *" ${path%/*}"*) ]] || fail "$path is not in the image"
    done < <(grep -ohE '/opt/qdrant-loader-profiling/[a-z_/]+' "$ROOT/docs/monitoring/kubernetes/job.yaml" | sort -u)
    # The images of the manifests are those that it names.
    while read -r path; do
        grep -qF -- "-t $path " "$docker" || fail "no recipe for $path"
    done < <(grep -ohE 'REGISTRY/qdrant-loader-profiling.*' "$ROOT"/docs/monitoring/kubernetes/*.yaml | sort -u)
}

@test "the exporter's options in the Job are ones that it has" {
    run -0 yaml <<'PY'
pod = load("kubernetes/job.yaml")["spec"]["template"]["spec"]
exporter, = [c for c in pod["initContainers"] if c["name"] == "exporter"]
print(*exporter["command"][1:])
PY
    local arguments=() help option
    read -ra arguments <<<"$output"
    ((${#arguments[@]} >= 4))
    help=$(loader_exporter --help)
    for option in "${arguments[@]}"; do
        grep -qE -- "^ +${option%%=*} " <<<"$help" || fail "loader_exporter has no ${option%%=*}"
    done
    help=$(procrun --help)
    mapfile -t arguments < <(grep -oP '(?<=procrun ).*' "$ROOT/docs/monitoring/kubernetes/job.yaml" | grep -oP -- '--[a-z]+(-[a-z]+)*')
    equal "${arguments[*]}" '--pid-file --result'
    for option in "${arguments[@]}"; do
        grep -qE -- "^ +$option " <<<"$help" || fail "procrun has no $option"
    done
}
