# SPDX-License-Identifier: MIT
"""stackfold against inferno-collapse-perf, on text that perf made of real programs.

The text is recorded once and kept in the cache folder: compilers, Python and xz under `perf record` until it is
100 MB. The 1 GB is made of it: nine copies, five as they are and four with other symbols and process names.
"""

from __future__ import annotations

import hashlib
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import bench
import peers

MB = 1_000_000
PERF = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "--call-graph", "dwarf,8192"]
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
    """The programs that are recorded, one after the other."""
    out = []
    for i, headers in enumerate(CXX):
        source = work / f"a{i}.cc"
        includes = "".join(f"#include <{h}>\n" for h in (headers + " string map vector algorithm").split())
        source.write_text(includes + "".join(CXX_BODY.replace("%d", str(n)) for n in range(20 + 5 * i)))
        out.append(["g++", "-std=c++17", f"-O{i % 3}", "-c", "-o", os.devnull, str(source)])
        out.append([sys.executable, "-c", PYTHON, str(i)])
        rust = work / f"b{i}.rs"
        rust.write_text("".join(RUST_BODY.replace("%d", str(n)) for n in range(6 + i))
                        + "fn main() {" + "".join(f"println!(\"{{}}\", f{n}({n}));" for n in range(6 + i)) + "}\n")
        if shutil.which("rustc"):
            out.append(["rustc", "-O", "-o", str(work / "b"), str(rust)])
        if i == 0:
            out.append(["xz", "-3", "-T", "1", "-k", "-c", str(Path(shutil.which("perf") or sys.executable))])
    return out


def recording() -> Path:
    """The path of s100.txt, recorded when it is not there yet."""
    recipe = hashlib.sha256(repr((PERF, CXX, CXX_BODY, RUST_BODY, PYTHON)).encode()).hexdigest()[:16]
    folder = peers.cache() / "bench" / f"stackfold-{recipe}"
    file = folder / "s100.txt"
    if file.exists():
        return file
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work, part = Path(name), Path(name) / "part.txt"
        data = work / "perf.data"
        part.touch()
        while part.stat().st_size < 100 * MB:
            for command in commands(work):
                print(f"recording {command[0]}", file=sys.stderr)
                subprocess.run([*PERF, "-o", data, "--", *command], check=True, stdout=subprocess.DEVNULL)
                with part.open("ab") as out:
                    subprocess.run(["perf", "script", "--no-inline", "-i", data], check=True, stdout=out)
                print(part.stat().st_size, file=sys.stderr)
                if part.stat().st_size >= 100 * MB:
                    break
        part.rename(file)
    return file

if __name__ == "__main__":
    print(recording())
