# SPDX-License-Identifier: MIT
"""A picture of a dashboard's panel, about as Grafana would draw it, to look at; and how much of it is data."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

Json = dict[str, Any]


def human(value: float, unit: str) -> str:
    if math.isnan(value):
        return "n/a"
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "dateTimeAsIso":
        return datetime.fromtimestamp(value / 1000, timezone.utc).isoformat(" ", "seconds")[:19]
    suffix = {"s": "s", "bytes": "B", "Bps": "B/s"}.get(unit, "")
    for bound, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= bound and unit != "s":
            return f"{value / bound:.3g} {prefix}{suffix}"
    return f"{value:.3g} {suffix}".strip()


def pixels(figure: Any, axes: Any) -> int:
    """How many pixels are otherwise without what the data has put on the axes: curves, areas, cells, words."""
    figure.canvas.draw()
    drawn = np.array(figure.canvas.buffer_rgba())
    for artist in (*axes.lines, *axes.collections, *axes.images, *axes.texts, *axes.tables):
        artist.set_visible(False)
    figure.set_layout_engine("none")
    figure.canvas.draw()
    return int((drawn != np.array(figure.canvas.buffer_rgba())).any(axis=2).sum())


def draw(panel: Json, answers: list[list[Json]], variables: dict[str, str], file: Path) -> int:
    """Writes the picture; how many of its pixels are data."""
    unit, kind = panel["fieldConfig"]["defaults"]["unit"], panel["type"]
    figure, axes = plt.subplots(figsize=(panel["gridPos"]["w"] / 2, max(2.0, panel["gridPos"]["h"] / 2.2)), layout="constrained")
    axes.set_title(re.sub(r"\$(\w+)", lambda m: variables[m[1]], panel["title"]), fontsize=9, loc="left")
    series = [
        (re.sub(r"\{\{(\w+)\}\}", lambda m: one["metric"].get(m[1], ""), target["legendFormat"]).strip(), one["values"])
        for target, answer in zip(panel["targets"], answers, strict=True)
        for one in answer
    ]
    if kind in ("stat", "table"):
        axes.axis("off")
    if kind == "stat":
        texts = {k: v["text"] for m in panel["fieldConfig"]["defaults"].get("mappings", []) for k, v in m["options"].items()}
        now = series[0][1][-1][1] if series else "NaN"
        axes.text(0.5, 0.5, texts.get(now) or human(float(now), unit), ha="center", va="center", fontsize=16)
    elif kind == "table":
        names = list(panel["transformations"][1]["options"]["renameByName"].values())
        units = {
            o["matcher"]["options"]: o["properties"][0]["value"]
            for o in panel["fieldConfig"]["overrides"]
            if o["properties"][0]["id"] == "unit"
        }
        keys = sorted({tuple(sorted(one["metric"].items())) for answer in answers for one in answer})
        cells = {
            (tuple(sorted(one["metric"].items())), i): one["values"][0][1] for i, answer in enumerate(answers) for one in answer
        }
        rows = [
            [dict(k).get("run", "")]
            + [human(float(cells[k, i]), units[n]) if (k, i) in cells else "" for i, n in enumerate(names)]
            for k in keys
        ]
        table = axes.table([["Run", *names], *rows], loc="upper center", cellLoc="left")
        table.auto_set_font_size(False)
        table.set_fontsize(7)
        table.auto_set_column_width(range(len(names) + 1))
    elif kind == "heatmap":
        series.sort(key=lambda s: float(s[0]))
        times = [t for t, _ in max((v for _, v in series), key=len)]
        counts = [[float(dict(map(tuple, v)).get(t, 0)) for t in times] for _, v in series]
        bands = [
            [max(0.0, a - b) for a, b in zip(row, below, strict=True)]
            for row, below in zip(counts, [[0.0] * len(times), *counts[:-1]], strict=True)
        ]
        axes.imshow(
            bands,
            aspect="auto",
            origin="lower",
            cmap="Oranges",
            extent=(times[0], times[-1], -0.5, len(series) - 0.5),
            interpolation="nearest",
        )
        axes.set_yticks(range(len(series)), [f"{s[0]} s" for s in series], fontsize=6)
    elif kind == "state-timeline":
        for i, (_, values) in enumerate(series):
            axes.scatter(
                [t for t, _ in values],
                [i] * len(values),
                c=["green" if float(v) else "grey" for _, v in values],
                marker="s",
                s=120,
            )
        axes.set_yticks(range(len(series)), [s[0] for s in series], fontsize=7)
        axes.set_ylim(-0.6, len(series) - 0.4)
    else:
        total: dict[float, float] = {}
        for name, values in sorted(series):
            # A point of nothing where there was none for a while, so that no line is drawn there.
            step = min((b[0] - a[0] for a, b in zip(values, values[1:], strict=False)), default=1)
            gaps = [[a[0] + step, "NaN"] for a, b in zip(values, values[1:], strict=False) if b[0] - a[0] > 1.5 * step]
            values = sorted([*values, *gaps], key=lambda v: v[0])
            times, numbers = [float(t) for t, _ in values], [float(v) for _, v in values]
            if panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal":
                floor = [total.get(t, 0) for t in times]
                numbers = [n + f for n, f in zip(numbers, floor, strict=True)]
                total.update(zip(times, numbers, strict=True))
                axes.fill_between(times, floor, numbers, alpha=0.3)
            line = axes.plot(times, numbers, label=f"{name} (now {human(float(values[-1][1]), unit)})", lw=1.2)[0]
            # Grafana has a dot where no line can be: a value between two gaps, unless points are never to be shown.
            if panel["fieldConfig"]["defaults"]["custom"]["showPoints"] != "never":
                near = np.array([math.nan, *numbers, math.nan])
                lone = np.isnan(near[:-2]) & np.isnan(near[2:])
                axes.scatter(np.array(times)[lone], np.array(numbers)[lone], color=line.get_color(), s=25)
        # Beneath the data, as Grafana has it.
        figure.legend(fontsize=6, loc="outside lower left", ncols=max(1, panel["gridPos"]["w"] // 4), frameon=False)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: human(v, unit)))
    if kind not in ("stat", "table"):
        axes.xaxis.set_major_formatter(FuncFormatter(lambda t, _: datetime.fromtimestamp(t, timezone.utc).strftime("%H:%M:%S")))
        axes.tick_params(labelsize=7)
    figure.savefig(file, dpi=100)
    data = pixels(figure, axes)
    plt.close(figure)
    return data
