# SPDX-License-Identifier: MIT
"""Checks dashboards without a Grafana.

usage: grafana_check.py lint FILE…                           house rules: exit 1 and a line for each that is broken
       grafana_check.py rules FILE…                          every expression as a recording rule, for promtool
       grafana_check.py metrics FILE…                        the names of the metrics that they ask for
       grafana_check.py query URL START END FILE…            every expression in a Prometheus: exit 1 when one is empty
       grafana_check.py draw URL START END DIR FILE…         the same, and a picture of every panel: exit 1 when one is blank

START and END are Unix seconds. Variables take the values that Prometheus has for them, all of them where Grafana would.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

# What the schema's decoder lets through, though Grafana knows no others.
ALLOWED: dict[str, set[Any]] = {
    "graphTooltip": {0, 1, 2},
    "displayMode": {"list", "table", "hidden"},
    "placement": {"bottom", "right"},
    "graphMode": {"none", "line", "area"},
    "colorMode": {"none", "value", "background", "background_solid"},
    "drawStyle": {"line", "bars", "points"},
    "showPoints": {"auto", "never", "always"},
    "refresh": {0, 1, 2, "5s"},
    "format": {"time_series", "table", "heatmap"},
    "type": {"row", "stat", "timeseries", "heatmap", "table", "state-timeline", "prometheus", "query", "datasource", "dashboards", "value",
             "color-text", "auto"},
}  # fmt: skip
UNITS = {"s", "bytes", "Bps", "short", "percentunit", "dateTimeAsIso"}
COUNTER = re.compile(r"\b\w+(?:_total|_bucket|_sum|_count)\b")
# A picture with less is blank: a stat that says "0" has more than 80.
DATA_PIXELS = 30
METRIC = re.compile(r"\b(?:qdrant|loader_exporter)_\w+\b")


def panels_of(board: Json) -> Iterator[Json]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def expressions(board: Json) -> Iterator[tuple[str, str]]:
    """(where, expression) of all targets and annotations."""
    for panel in panels_of(board):
        for target in panel.get("targets", []):
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def values_of(value: Any, key: str) -> Iterator[Any]:
    """All plain values under this key, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key and not isinstance(inner, dict | list):
                yield inner
            else:
                yield from values_of(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from values_of(inner, key)


def bare_counters(expression: str) -> list[str]:
    """Counters that stand outside of rate(), increase() and last_over_time()."""
    inside = re.sub(r"\b(?:rate|increase|last_over_time)\([^()]*\)", "", expression)
    return COUNTER.findall(inside)


def lint(name: str, board: Json) -> Iterator[str]:
    if board.get("editable") is not False:
        yield "can be edited where it is provisioned"
    if board.get("id") is not None or not re.fullmatch(r"[a-z0-9-]{1,40}", board.get("uid", "")):
        yield "has a database id, or no stable uid"
    for key, allowed in ALLOWED.items():
        for value in values_of(board, key):
            if value not in allowed:
                yield f"{key}: {value!r} is none of Grafana's values"
    for uid in values_of(board, "uid"):
        if uid not in ("${datasource}", board["uid"]):
            yield f"fixed data source {uid}"
    variables = [v["name"] for v in board["templating"]["list"]]
    for needed in ("datasource", "job", "instance"):
        if needed not in variables:
            yield f"no variable {needed}"
    panels = list(panels_of(board))
    ids = [panel["id"] for panel in panels]
    if len(set(ids)) != len(ids):
        yield "ids are not unique"
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        title, place = panel.get("title") or "a panel without a title", panel["gridPos"]
        for cell in (
            (x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])
        ):
            if cell[0] >= 24:
                yield f"{title}: wider than the page"
                break
            if (other := taken.setdefault(cell, title)) is not title:
                yield f"{title}: lies over {other}"
                break
        if panel["type"] != "row":
            yield from lint_panel(title, panel)
    for where, expression in expressions(board):
        if expression.count("{") != expression.count('job="$job"'):
            yield f'{where}: a selector without job="$job"'
        for used in re.findall(r"\$(\w+)", expression):
            if not used.startswith("__") and used not in variables:
                yield f"{where}: no variable ${used}"


def lint_panel(title: str, panel: Json) -> Iterator[str]:
    if not panel.get("title") or not panel.get("description"):
        yield f"{title}: no title or no description"
    if panel["fieldConfig"]["defaults"].get("unit") not in UNITS:
        yield f"{title}: no unit"
    if panel.get("datasource", {}).get("uid") != "${datasource}":
        yield f"{title}: not the chosen data source"
    if not panel.get("targets"):
        yield f"{title}: nothing to show"
    for target in panel.get("targets", []):
        expression = target["expr"]
        if target.get("datasource", {}).get("uid") != "${datasource}":
            yield f"{title}: a target that is not the chosen data source's"
        for span in re.findall(r"\[([^\]]*)\]", expression):
            if span not in ("$__rate_interval", "$__range"):
                yield f"{title}: a fixed range [{span}]"
        # The number so far is what a stat or a table of runs is for.
        if panel["type"] not in ("stat", "table") and (bare := bare_counters(expression)):
            yield f"{title}: counter outside of a rate: {', '.join(bare)}"


class Prometheus:
    def __init__(self, url: str, start: float, end: float) -> None:
        self.url, self.start, self.end = url, start, end
        # As Grafana: a range of at least four scrapes. The recorded data has one every two seconds.
        self.step = max(1.0, (end - start) / 200)
        self.rate_interval = max(self.step + 2, 8)
        # The last step is at the end: what an exporter serves after a loader's end may be there for a second only.
        self.first = end - (end - start) // self.step * self.step

    def get(self, path: str, **query: Any) -> Any:
        with urllib.request.urlopen(
            f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query, doseq=True)}", timeout=20
        ) as answer:
            return json.load(answer)["data"]

    def variables(self, board: Json) -> dict[str, str]:
        """name → value; those of several values as a regular expression."""
        chosen: dict[str, str] = {}
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
                assert match, variable["definition"]
                found = self.get(
                    f"label/{match[2]}/values", **{"match[]": self.fill(match[1], chosen), "start": self.start, "end": self.end}
                )
                if not found:
                    sys.exit(f"{board['title']}: the variable {variable['name']} has no values")
                chosen[variable["name"]] = "|".join(map(re.escape, found)) if variable["multi"] else (
                    wanted if (wanted := variable["current"]["value"]) in found else found[0])  # fmt: skip
        return chosen

    def fill(self, expression: str, chosen: dict[str, str]) -> str:
        known = {**chosen, "__rate_interval": f"{self.rate_interval:.0f}s", "__range": f"{self.end - self.start:.0f}s"}
        return re.sub(r"\$(\w+)", lambda m: known[m[1]].replace("\\", "\\\\"), expression)

    def ask(self, expression: str, instant: bool) -> list[Json]:
        """Series with their `values` (time, text)."""
        if instant:
            result = self.get("query", query=expression, time=self.end)["result"]
            return [{"metric": one["metric"], "values": [one["value"]]} for one in result]
        return self.get("query_range", query=expression, start=self.first, end=self.end, step=self.step)["result"]  # type: ignore[no-any-return]


def query(server: Prometheus, boards: dict[str, Json], pictures: Path | None) -> int:
    """The number of expressions without a number, and of pictures without data."""
    empty = asked = drawn = blank = 0
    for file, board in boards.items():
        chosen = server.variables(board)
        for panel in panels_of(board):
            answers = []
            for target in panel.get("targets", []):
                answer = server.ask(server.fill(target["expr"], chosen), target.get("instant", False))
                answers.append(answer)
                asked += 1
                if not any(value not in ("NaN", "+Inf", "-Inf") for one in answer for _, value in one["values"]):
                    empty += 1
                    print(
                        f"{file}: {panel['title']} {target['refId']}: empty: {server.fill(target['expr'], chosen)}",
                        file=sys.stderr,
                    )
            if pictures and panel["type"] != "row":
                from grafana_draw import draw

                data = draw(panel, answers, chosen, pictures / f"{Path(file).stem}-{panel['id']:02d}.png")
                drawn += 1
                if data < DATA_PIXELS:
                    blank += 1
                    print(f"{file}: {panel['title']}: blank: {data} pixels of data", file=sys.stderr)
        for annotation in board["annotations"]["list"]:
            asked += 1
            if not server.ask(server.fill(annotation["expr"], chosen), False):
                empty += 1
                print(f"{file}: {annotation['name']}: no annotation", file=sys.stderr)
    print(f"{asked} expressions, {empty} empty" + (f"; {drawn} panels drawn, {blank} blank" if pictures else ""))
    return empty + blank


def main() -> None:
    what, arguments = sys.argv[1], sys.argv[2:]
    rest = arguments[{"query": 3, "draw": 4}.get(what, 0) :]
    boards = {file: json.loads(Path(file).read_text(encoding="utf-8")) for file in rest}
    if what == "lint":
        found = [f"{file}: {text}" for file, board in boards.items() for text in lint(file, board)]
        print(
            "\n".join(found) or f"{len(boards)} dashboards, {sum(len(list(panels_of(b))) for b in boards.values())} panels",
            end="\n",
        )
        sys.exit(bool(found))
    elif what == "rules":
        print("groups:\n- name: dashboards\n  rules:")
        for n, (where, expression) in enumerate(e for board in boards.values() for e in expressions(board)):
            filled = re.sub(r"\$__\w+", "1m", expression)
            print(f"  # {where}\n  - record: panel:{n}\n    expr: {json.dumps(filled)}")
    elif what == "metrics":
        print(
            "\n".join(
                sorted(
                    {
                        m
                        for board in boards.values()
                        for _, e in expressions(board)
                        for m in METRIC.findall(re.sub(r'"[^"]*"', "", e))
                    }
                )
            )
        )
    elif what in ("query", "draw"):
        server = Prometheus(arguments[0], float(arguments[1]), float(arguments[2]))
        sys.exit(bool(query(server, boards, Path(arguments[3]) if what == "draw" else None)))
    else:
        sys.exit(2)


if __name__ == "__main__":
    main()
