# SPDX-License-Identifier: MIT
"""Reads a cProfile file: what can be trusted in it, a top table, collapsed stacks, and a SnakeViz page.

    cprofile.py check    PROFILE             invariants, as `key value` lines; exit 1 when one is broken
    cprofile.py trust    PROFILE             one sentence: which columns hold
    cprofile.py top      PROFILE [N]         the N most called functions, and the N with the largest own time
    cprofile.py collapse PROFILE STAGES_MAP  collapsed stacks, weight in microseconds of own time
    cprofile.py page     PROFILE NAME        SnakeViz's page with everything inside, for any browser

cProfile keeps, for each function and each of its callers, calls and times; it keeps no stacks. On CPython 3.12 and 3.13
it records the calls of all threads into one call stack (python/cpython#138229): a return takes off whatever call is on
top, of any thread, and its time with it. Own and cumulative times and callers are then wrong; calls stay right. Where one
thread runs, with asyncio too, all of it is right. Format: the standard library's pstats.
"""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from functools import cache
from html import escape
from pathlib import Path
from pstats import Stats

Func = tuple[str, int, str]
# Per caller: calls without recursion, calls, own seconds, cumulative seconds.
Edge = tuple[int, int, float, float]
Profile = dict[Func, tuple[int, int, float, float, dict[Func, Edge]]]
# Of a function: the share of its calls that are made for each stage.
Shares = dict[str, float]


def cut_at(stage: str) -> Func:
    """Stands for callers that are not followed. Those of a stage have a line in stages.map; brackets would mean waiting."""
    return "~", 0, f"(not followed: {stage})" if stage else "(not followed)"


def load(path: str) -> Profile:
    try:
        return Stats(path).stats  # type: ignore[attr-defined]
    except (OSError, ValueError, EOFError, TypeError) as e:
        sys.exit(f"cprofile: {path}: {e}")


@cache
def name(func: Func) -> str:
    """`function (module/file.py:line)`, as the samplers write frames; a built-in has no file."""
    file, line, function = func
    if file in ("~", ""):
        return function.replace(";", ":")
    short = re.sub(r"^.*(?:site-packages|lib/python3\.\d+)/", "", file)
    return f"{function} ({short}:{line})".replace(";", ":")


def check(path: str) -> int:
    stats = load(path)
    impossible = [f for f, (_, _, own, cum, _) in stats.items() if own > cum + 1e-6]
    odd_calls = odd_call_counts(stats)
    own = sum(s[2] for s in stats.values())
    print(f"functions\t{len(stats)}")
    print(f"calls\t{sum(s[1] for s in stats.values())}")
    print(f"own_s\t{own:.3f}")
    print("threads_started\t{}\nthreads_not_ended\t{}".format(*threads(stats)))
    print(f"own_above_cumulative\t{len(impossible)}")
    print(f"odd_call_counts\t{odd_calls}")
    print(f"largest_cumulative_s\t{max((s[3] for s in stats.values()), default=0):.3f}")
    for f in sorted(impossible, key=lambda f: stats[f][2] - stats[f][3], reverse=True)[:3]:
        print(f"example\t{name(f)}: own {stats[f][2]:.3f} s > cumulative {stats[f][3]:.3f} s")
    return 1 if impossible or odd_calls else 0


def odd_call_counts(stats: Profile) -> int:
    """How many functions have counts that cannot be: the outermost calls are one at least, and not more than all."""
    return sum(not 0 < primitive <= calls for primitive, calls, *_ in stats.values())


def threads(stats: Profile) -> tuple[int, int]:
    """Threads started while it was profiled, and how many of them had not ended when it was switched off."""
    started = sum(s[1] for f, s in stats.items() if "_thread.start_new_thread" in f[2] or "_thread.start_joinable_thread" in f[2])
    ended = sum(s[1] for f, s in stats.items() if f[2] == "_bootstrap" and f[0].endswith("threading.py"))
    return started, max(0, started - ended)


def trust(path: str) -> str:
    """Which columns hold in this profile."""
    stats = load(path)
    started, still = threads(stats)
    odd = odd_call_counts(stats)
    counts = f". {odd} functions have counts that cannot be (3/1: which calls are recursive is mixed up too)" if odd else ""
    if not started:
        return "No thread was started: calls, own and cumulative times hold. A coroutine counts a call each time it is resumed" + counts
    return (
        f"{started} threads were started, and cProfile puts the calls of all threads into one stack: own times, cumulative times, callers "
        "and shares CANNOT be trusted. Calls hold, except for a few that had not returned when the profile ended, which count for other "
        f"functions ({still} threads had not ended). A coroutine counts a call each time it is resumed{counts}"
    )


def top(path: str, n: int) -> None:
    """The most called functions, and those with the largest own time; above each column whether it holds."""
    stats = load(path)
    holds = "unsound" if threads(stats)[0] else "holds"
    for column, title in ((1, "most called"), (2, "largest own time" + (" (unsound)" if holds == "unsound" else ""))):
        print(f"{'calls':>10} {'own s':>9} {'cum. s':>9}  {title}\n{'holds':>10} {holds:>9} {holds:>9}")
        for func, s in sorted(stats.items(), key=lambda kv: -kv[1][column])[:n]:
            print(f"{s[1]:10d} {s[2]:9.3f} {s[3]:9.3f}  {name(func)}")


def deciding(stats: Profile, stages_map: str) -> dict[Func, str]:
    """The functions whose frames decide for a stage, with it (docs/formats/stages-map.md)."""
    lines: list[tuple[re.Pattern[str], str]] = []
    for line in Path(stages_map).read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern, *_, stage = line.split("\t")
        inner = pattern.removeprefix("^").removesuffix("$")
        text = ".*".join(map(re.escape, inner.split("*")))
        lines.append((re.compile("^" * pattern.startswith("^") + text + "$" * pattern.endswith("$")), stage.strip()))
    first = {f: next((stage for regex, stage in lines if regex.search(name(f))), "-") for f in stats}
    return {f: stage for f, stage in first.items() if stage not in ("-", "waiting")}


def stage_shares(stats: Profile, decides: dict[Func, str]) -> dict[Func, Shares]:
    """For which stages each function is called: its own, else those of its callers by their shares of the calls.

    Calls go in circles, so this is found in rounds, from the functions that decide to those that they call. The rounds only
    add: what is still under way after them is of no stage.
    """
    callers: dict[Func, list[tuple[Func, float]]] = {}
    callees: dict[Func, list[Func]] = defaultdict(list)
    for f in stats:
        if f in decides:
            continue
        edges = {c: e[1] for c, e in stats[f][4].items() if c != f and c in stats}
        calls = sum(edges.values())
        callers[f] = [(c, n / calls) for c, n in edges.items() if n]
        for c in edges:
            callees[c].append(f)
    shares: dict[Func, Shares] = {f: {stage: 1.0} for f, stage in decides.items()}
    order = list(decides)
    seen = set(order)
    for f in order:
        order += (new := [g for g in dict.fromkeys(callees[f]) if g not in seen])
        seen.update(new)
    # Those whose callers have changed.
    stirred = set(order)
    for _ in range(50):
        for f in order[len(decides) :]:
            if f not in stirred:
                continue
            stirred.remove(f)
            found: Shares = defaultdict(float)
            for caller, share in callers[f]:
                for stage, part in shares.get(caller, {}).items():
                    found[stage] += share * part
            if sum(found.values()) - sum(shares.get(f, {}).values()) > 1e-3:
                stirred.update(callees[f])
            shares[f] = found
    return shares


def collapse(path: str, stages_map: str) -> None:
    """Own time of each function, spread over its chains of callers by their shares of the calls.

    The sum of the weights is the sum of the own times. A chain ends at a root or at a function that it holds already. What
    at one caller would be less than 0.01 % of the whole is not followed: it is kept under `(not followed)`, with as much of
    the chain as is above that bound, or under `(not followed: STAGE)` where what was left out decides for a stage. Without
    it the chains of a large program are millions, of which a picture shows none.
    """
    stats = load(path)
    weights: dict[tuple[Func, ...], float] = defaultdict(float)
    least = 1e-4 * sum(s[2] for s in stats.values())
    decides = deciding(stats, stages_map)
    shares = stage_shares(stats, decides)

    def leave(rest: Shares, caller: Func, weight: float) -> None:
        """To the weights by stage that are not followed; no stage is an empty one."""
        of = shares.get(caller, {})
        for stage, share in of.items():
            rest[stage] += weight * share
        rest[""] += weight * max(0.0, 1 - sum(of.values()))

    def cut(chain: tuple[Func, ...], rest: Shares) -> None:
        # The innermost that decides does so for all of it.
        inner = next((decides[f] for f in reversed(chain) if f in decides), "")
        if inner:
            rest = {inner: sum(rest.values())}
        for stage, weight in rest.items():
            if weight >= least:
                weights[(cut_at("" if inner else stage), *chain)] += weight
            else:
                weights[(cut_at(stage), chain[-1])] += weight

    for func, (_, _, own, _, callers) in stats.items():
        known = sum(e[2] for e in callers.values())
        work: list[tuple[tuple[Func, ...], float]] = []
        # Own time by caller is measured; what no caller accounts for is of a root.
        rest: Shares = defaultdict(float)
        for caller, edge in callers.items():
            weight = edge[2] * (own / known if known > own else 1.0)
            if weight >= least:
                work.append(((caller, func), weight))
            else:
                leave(rest, caller, weight)
        cut((func,), rest)
        if own > known or not callers:
            weights[(func,)] += own - min(known, own)
        while work:
            chain, weight = work.pop()
            head = chain[0]
            callers_of_head = {c: e for c, e in stats.get(head, (0, 0, 0.0, 0.0, {}))[4].items() if c not in chain}
            calls = sum(e[1] for e in callers_of_head.values())
            if calls == 0 or len(chain) > 60:
                weights[chain] += weight
                continue
            rest = defaultdict(float)
            for caller, edge in callers_of_head.items():
                part = weight * edge[1] / calls
                if part >= least:
                    work.append(((caller, *chain), part))
                else:
                    leave(rest, caller, part)
            cut(chain, rest)
    # Rounded so that the sum stays: what rounding took from one stack goes to the next.
    carry = 0.0
    for chain, seconds in sorted(weights.items()):
        exact = seconds * 1e6 + carry
        whole = max(0, round(exact))
        carry = exact - whole
        if whole:
            print(";".join(name(f) for f in chain), whole)


def widest(stats: Stats) -> Func:
    """The program's own function (not the interpreter's or the standard library's) with the longest cumulative time."""

    def own(f: Func) -> bool:
        return os.path.isabs(f[0]) and ("-packages/" in f[0] or not re.search(r"/lib/python3\.\d+/", f[0]))

    times: dict[Func, float] = {f: v[3] for f, v in stats.stats.items()}  # type: ignore[attr-defined]
    return max(filter(own, times), key=lambda f: times[f], default=max(times, key=lambda f: times[f]))


def page(path: str, title: str) -> None:
    """SnakeViz's own page for this profile, its scripts and styles put inside."""
    import snakeviz
    from snakeviz.stats import json_stats, table_rows
    from tornado.escape import json_encode
    from tornado.template import Loader

    root = Path(snakeviz.__file__).parent
    stats = Stats(path)
    html = (
        Loader(str(root / "templates"))
        .load("viz.html")
        .generate(
            profile_name=title,
            table_rows=table_rows(stats),
            callees=json_stats(stats),
            json_encode=json_encode,
            static_url=lambda p: f"/static/{p}",
            reverse_url=lambda *_: "#",
        )
        .decode()
    )

    # SnakeViz begins with what nothing calls. Where the threads' calls are mixed that is any function, or none.
    first = "{}:{}({})".format(*widest(stats))
    html, roots = re.subn(r"sv_find_root\(profile_data\)", lambda _: json_encode(first), html)
    # In such a graph the number of call chains explodes with their length: ten deep, a browser works for minutes.
    html, depths = re.subn(r'(<option value="5") >(.*?<option value="10") selected>', r"\1 selected>\2>", html, flags=re.DOTALL)

    def inline(match: re.Match[str]) -> str:
        file = root / "static" / re.sub(r"\?.*$", "", match["path"])
        if not file.is_file():
            return ""
        text = file.read_text(encoding="utf-8", errors="replace")
        if file.suffix == ".css":
            return f"<style>{text}</style>"
        return "<script>" + text.replace("</script", "<\\/script") + "</script>"

    # The page draws in a worker, which asks a CDN, then the server, for two libraries: it is given them instead.
    libs = "\n".join((root / "static" / "vendor" / f).read_text(encoding="utf-8") for f in ("immutable.min.js", "lodash.min.js"))
    libs = libs.replace("</script", "<\\/script")
    html, fetches = re.subn(r"// Try loading JS from CDN.*?(?=var depth = 0;)", "", html, flags=re.DOTALL)
    html, workers = re.subn(r'(<script id="hierarchy-worker"[^>]*>)', lambda m: m[1] + libs, html)
    if (fetches, workers, roots, depths) != (1, 1, 1, 1):
        sys.exit("cprofile: this SnakeViz's page is not the one that is known: it cannot be made to stand alone")
    html = re.sub(r"<link[^>]*href=[\"']/static/(?P<path>[^\"']+)[\"'][^>]*>", inline, html)
    html = re.sub(r"<script[^>]*src=[\"']/static/(?P<path>[^\"']+)[\"'][^>]*>\s*</script>", inline, html)
    # What the page draws are cumulative times.
    banner = f'<p id="trust" style="margin:0;padding:8px 16px;background:#ffe9a8;color:#222;font:14px sans-serif">{escape(trust(path))}.</p>'
    html, bodies = re.subn(r"<body[^>]*>", lambda m: m[0] + banner, html, count=1)
    if bodies != 1:
        sys.exit("cprofile: this SnakeViz's page has no place for what cannot be trusted")
    sys.stdout.write(html)


def main(argv: list[str]) -> int:
    match argv:
        case ["check", path]:
            return check(path)
        case ["trust", path]:
            print(trust(path))
        case ["top", path]:
            top(path, 10)
        case ["top", path, n]:
            top(path, int(n))
        case ["collapse", path, stages_map]:
            collapse(path, stages_map)
        case ["page", path, title]:
            page(path, title)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
