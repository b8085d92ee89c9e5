# SPDX-License-Identifier: MIT
"""stackfold against inferno-collapse-perf, on text that perf made of real programs.

The text is recorded once and kept in the cache folder: compilers, Python and xz under `perf record` until it is
100 MB. On the machine that it was written on, 88 k of its 1.06 M frame lines are different ones. 1 GB is made of it.
Recordings that are read without perf script: frame pointers, of compilers and Python. Merging: two files of 100,000 stacks, shuffled, 53 MB each.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import bench
import peers
import stacks

MB = 1_000_000
PERF = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "--call-graph", "dwarf,8192"]
SCRIPT = ["perf", "script", "--no-inline"]  # with inline resolution it would take an hour
GO = ["cmd/gofmt", "cmd/vet", "cmd/asm", "cmd/nm", "cmd/cover", "cmd/pack"]
CXX = ["regex iostream map", "filesystem future thread", "unordered_map functional algorithm random", "regex sstream set",
       "variant optional tuple array any", "chrono iomanip fstream deque list"]
CXX_BODY = """
struct T%d { int a; std::string b; bool operator<(const T%d &o) const { return b < o.b; } };
int f%d(int n) { std::map<std::string, T%d> m; std::vector<T%d> v; for (int i = 0; i < n; i++) { v.push_back({i, "a"});
m.emplace(std::to_string(i), v.back()); } std::sort(v.begin(), v.end()); return (int)m.size() + v[0].a; }
"""
RUST_BODY = """
#[derive(Debug, Clone, PartialEq, PartialOrd)] struct S%d { a: Vec<Option<String>>, b: std::collections::BTreeMap<String, u32> }
fn f%d(n: u32) -> String { let mut v = Vec::new(); for i in 0..n { let mut b = std::collections::BTreeMap::new();
b.insert(i.to_string(), i); v.push(S%d { a: vec![Some(i.to_string()), None], b }); }
v.sort_by(|x, y| x.partial_cmp(y).unwrap()); v.iter().map(|x| format!("{:?}", x)).collect::<Vec<_>>().join(",") }
"""
PYTHON = """
import ast, json, pathlib, re, sys
for path in sorted(pathlib.Path(ast.__file__).parent.glob("*.py"))[int(sys.argv[1])::6]:
    text = path.read_text(errors="replace")
    ast.unparse(ast.parse(text)), compile(text, "x", "exec")
    json.loads(json.dumps(re.findall(r"(\\w+)\\s*=\\s*(\\w+)", text)))
"""


def commands(work: Path) -> list[list[str]]:
    """The programs that are recorded, one after the other; those that are not installed are left out."""
    out = []
    for i, headers in enumerate(CXX):
        source, rust = work / f"a{i}.cc", work / f"b{i}.rs"
        includes = "".join(f"#include <{h}>\n" for h in (headers + " string map vector algorithm").split())
        source.write_text(includes + "".join(CXX_BODY.replace("%d", str(n)) for n in range(8 + 4 * i)))
        main = "fn main() {" + "".join(f'println!("{{}}", f{n}({n}));' for n in range(6 + i)) + "}\n"
        rust.write_text("".join(RUST_BODY.replace("%d", str(n)) for n in range(6 + i)) + main)
        out.append(["g++", "-std=c++17", f"-O{1 + i % 3}", "-c", "-o", os.devnull, str(source)])
        out.append(["clang++", "-std=c++17", f"-O{1 + i % 3}", "-c", "-o", os.devnull, str(source)])
        out.append([sys.executable, "-c", PYTHON, str(i)])
        out.append(["rustc", "-O", "-o", str(work / "b"), str(rust)])
        out.append(["env", f"GOCACHE={work}/go{i}", "go", "build", "-o", os.devnull, GO[i]])
        if i == 0:
            out.append(["xz", "-3", "-T", "1", "-k", "-c", sys.executable])
    return [command for command in out if shutil.which(command[0]) and (command[0] != "env" or shutil.which("go"))]


def recording() -> Path:
    """The path of the 100 MB, recorded when they are not there yet."""
    recipe = hashlib.sha256(repr((PERF, CXX, CXX_BODY, RUST_BODY, PYTHON, GO)).encode()).hexdigest()[:16]
    folder = peers.cache() / "bench" / f"stackfold-{recipe}"
    file = folder / "100mb.txt"
    if file.exists():
        return file
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work, part = Path(name), Path(name) / "part.txt"
        data = work / "perf.data"
        part.touch()
        while part.stat().st_size < 100 * MB:
            for command in commands(work):
                record = subprocess.run([*PERF, "-o", data, "--", *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                if record.returncode != 0:
                    sys.exit(f"bench: perf record {command[0]}: {record.stderr.decode(errors='replace')[-500:]}")
                with part.open("ab") as out:
                    subprocess.run([*SCRIPT, "-i", data], check=True, stdout=out, stderr=subprocess.DEVNULL)
                print(f"recorded {command[0]}: {part.stat().st_size / MB:.0f} MB", file=sys.stderr)
                if part.stat().st_size >= 100 * MB:
                    break
        part.rename(file)
    return file


def perfdata() -> Path:
    """A recording with frame pointers, of two compilers and Python: its path. About 150,000 samples, 25 MB."""
    file = recording().with_name("fp.data")
    if not file.exists():
        part = file.with_suffix(".part")
        with tempfile.TemporaryDirectory(dir=file.parent) as name:
            chosen = [c for c in commands(Path(name)) if c[0] in ("g++", "clang++", sys.executable)]
            script = " && ".join(shlex.join(c) for c in chosen)
            record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "--call-graph", "fp", "-o", part, "--", "sh", "-c", script]
            subprocess.run(record, check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr)
        part.rename(file)
    return file


def enlarged(small: Path) -> Path:
    """1 GB made of copies: five in nine as they are, the others with their own symbols and process names."""
    file = small.with_name("1gb.txt")
    if file.exists():
        return file
    part = file.with_suffix(".part")
    copies = round(1000 * MB / small.stat().st_size)
    name = re.compile(rb"^(?=\S)|^\t *[0-9a-f]+ (?!\[)")
    with part.open("wb") as out:
        for i in range(copies):
            with small.open("rb") as lines:
                if i < copies * 5 // 9:
                    shutil.copyfileobj(lines, out)
                else:  # line by line: what this process holds would count as its child's peak memory
                    out.writelines(name.sub(b"\\g<0>v%d_" % i, line) for line in lines)
    part.rename(file)
    return file


def peak_rss(argv: list[str | os.PathLike[str]]) -> float:
    """Peak resident memory of one run, in MB."""
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, wait_status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(wait_status)
    if child.returncode != 0:
        sys.exit(f"bench: {argv[0]}: exit status {child.returncode}")
    return usage.ru_maxrss / 1024


def main() -> None:
    text = recording()
    ours: list[str | os.PathLike[str]] = [bench.BIN / "stackfold"]
    peer: list[str | os.PathLike[str]] = [peers.inferno() / "inferno-collapse-perf", "-n", "1"]
    ratio, _, _ = bench.paired(lambda: bench.cpu([*ours, text]), lambda: bench.cpu([*peer, text]))
    bench.row("stackfold_cpu_100mb", ratio, "x inferno-collapse-perf", "<= 0.30")
    large = enlarged(text)
    ratio, _, _ = bench.paired(lambda: bench.cpu([*ours, large]), lambda: bench.cpu([*peer, large]), rounds=3)
    bench.row("stackfold_cpu_1gb", ratio, "x inferno-collapse-perf", "<= 0.30")
    bench.row("stackfold_rss_1gb", peak_rss([*ours, large]) / peak_rss([*peer, large]), "x inferno-collapse-perf", "<= 0.75")
    data = perfdata()
    pipeline = f"{shlex.join([*SCRIPT, '-i', str(data)])} 2>/dev/null | {shlex.join(map(str, peer))} >/dev/null"
    ratio, _, _ = bench.paired(lambda: bench.cpu([*ours, data]), lambda: bench.cpu(["sh", "-c", pipeline]))
    bench.row("stackfold_perfdata_vs_pipeline", ratio, "x perf script | inferno-collapse-perf", "<= 0.5")
    # Without Python stacks: what is compared is reading and folding, as inferno does; that it looks for them is on top.
    with tempfile.NamedTemporaryFile("w") as none:
        none.write("at 1000000000\nstack 1 0 f (a.py:1)\nthread 7 1\nat 1001000000\n")
        none.flush()
        ratio, _, _ = bench.paired(lambda: bench.cpu([bench.BIN / "stackjoin", text, none.name]), lambda: bench.cpu([*peer, text]), rounds=3)
    bench.row("stackjoin_cpu_100mb", ratio, "x inferno-collapse-perf", "<= 1")
    files = [stacks.folder() / "100k.mixed", stacks.folder() / "100k.mixed.changed"]  # no peer has a merge
    diff = peers.inferno() / "inferno-diff-folded"
    ratio, _, _ = bench.paired(lambda: bench.cpu([*ours, *files]), lambda: bench.cpu([diff, *files]))
    bench.row("stackfold_merge_vs_inferno_diff", ratio, "x inferno-diff-folded", "<= 0.6")


if __name__ == "__main__":
    main()
