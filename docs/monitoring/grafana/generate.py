#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the dashboards of this folder: pipeline.json, process.json and runs.json are what Grafana takes.

usage: generate.py [DIR]      (default: beside this file)

Panels are edited here, so that all of them have the same matchers, units, legends and places; a test holds the files
against this program. No library is needed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Json = dict[str, Any]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# What every expression of a loader asks for: {$S} in the expressions below.
SELECT = 'job="$job", instance=~"$instance"'


def at(expression: str) -> str:
    return expression.replace("$S", SELECT)


def target(expression: str, legend: str = "", instant: bool = False, table: bool = False, heat: bool = False) -> Json:
    return {
        "datasource": SOURCE,
        "expr": at(expression),
        "legendFormat": legend or "__auto",
        "instant": instant,
        "range": not instant,
        "format": "table" if table else "heatmap" if heat else "time_series",
    }


def panel(
    kind: str, title: str, text: str, unit: str, targets: list[Json], options: Json, custom: Json | None = None, **more: Any
) -> Json:
    """One panel; its place is given by `lay_out`. `more`: width, height, and fields of `defaults`."""
    size = {"w": more.pop("width", 12), "h": more.pop("height", 8)}
    fields = {"overrides": more.pop("overrides", [])}
    outer = {key: more.pop(key) for key in ("transformations",) if key in more}
    return {
        "type": kind,
        "title": title,
        "description": text,
        "datasource": SOURCE,
        "targets": [{"refId": chr(ord("A") + i), **t} for i, t in enumerate(targets)],
        "options": options,
        "fieldConfig": {"defaults": {"unit": unit, **({"custom": custom} if custom else {}), **more}, **fields},
        "gridPos": {"x": 0, "y": 0, **size},
        **outer,
    }


def lines(title: str, text: str, unit: str, *targets: Json, stack: bool = False, **more: Any) -> Json:
    """A time series, from zero, with the values now and at most under it."""
    custom = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 20 if stack else 5,
        # A value that has no neighbour makes no line: a run's end is served for two scrapes, and a day's view asks once in minutes.
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
    }
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, text, unit, list(targets), options, custom, **{"min": 0, **more})


def stat(title: str, text: str, unit: str, expression: str, red: float | None = None, **more: Any) -> Json:
    """One number; red above the bound `red`."""
    steps: list[Json] = [{"color": "green" if red is not None else "blue", "value": None}]
    if red is not None:
        steps.append({"color": "red", "value": red})
    options = {
        "graphMode": "area",
        "colorMode": "value",
        "justifyMode": "auto",
        "textMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
        "orientation": "auto",
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
    }
    defaults = {"thresholds": {"mode": "absolute", "steps": steps}, "width": 4, "height": 4, **more}
    return panel("stat", title, text, unit, [target(expression)], options, **defaults)


def heat_map(title: str, text: str, expression: str) -> Json:
    options = {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "fill": "dark-orange", "exponent": 0.5, "reverse": False},
        "cellGap": 1,
        "filterValues": {"le": 1e-9},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "yAxis": {"axisPlacement": "left", "unit": "s", "reverse": False},
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
    }
    return panel("heatmap", title, text, "s", [target(expression, "{{le}}", heat=True)], options)


def row(title: str) -> Json:
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}}


def lay_out(panels: list[Json]) -> list[Json]:
    """Left to right, and down when the line is full. Ids are the order."""
    x = y = height = 0
    for i, one in enumerate(panels, 1):
        one["id"] = i
        place = one["gridPos"]
        if x + place["w"] > 24:
            x, y, height = 0, y + height, 0
        place["x"], place["y"] = x, y
        x, height = x + place["w"], max(height, place["h"])
    return panels


def variable(name: str, label: str, query: str, text: str, multi: bool = False, current: str | None = None) -> Json:
    chosen = "$__all" if multi else current
    return {
        "type": "query",
        "name": name,
        "label": label,
        "description": text,
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": multi,
        "includeAll": multi,
        **({"current": {"selected": True, "text": "All" if multi else current, "value": chosen}} if chosen else {}),
    }


def annotation(name: str, color: str, expression: str, text: str) -> Json:
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": color,
        "expr": at(expression),
        "titleFormat": name,
        "textFormat": text,
        "step": "5s",
        "useValueForTime": True,
    }


def dashboard(uid: str, title: str, text: str, panels: list[Json], variables: list[Json], span: str = "now-30m") -> Json:
    return {
        "uid": uid,
        "title": title,
        "description": text,
        "tags": ["qdrant-loader"],
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": 41,
        "timezone": "browser",
        "time": {"from": span, "to": "now"},
        "refresh": "5s",
        "links": [
            {
                "type": "dashboards", "title": "QDrant Loader", "tags": ["qdrant-loader"], "asDropdown": False, "includeVars": True,
                "keepTime": True, "targetBlank": False, "icon": "dashboard", "tooltip": "", "url": "",
            }
        ],
        "templating": {
            "list": [
                {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1},
                variable("job", "Job", "label_values(loader_exporter_build_info, job)", "Job of the scrape configuration", current="qdrant_loader"),
                variable("instance", "Exporter", 'label_values(loader_exporter_build_info{job="$job"}, instance)', "Address of the exporter", multi=True),
                *variables,
            ]
        },
        "annotations": {
            "list": [
                annotation("Run begins", "blue", "qdrant_loader_run_start_timestamp_seconds{$S} * 1000", "{{instance}} {{loader}} {{run}}"),
                annotation("Run ends", "orange", "qdrant_loader_run_end_timestamp_seconds{$S} * 1000", "{{instance}} {{loader}} {{run}}"),
            ]
        },
        "panels": lay_out(panels),
    }  # fmt: skip


# ---- what the pipeline does --------------------------------------------------------------------------------------

RATE = "[$__rate_interval]"
# A stage that never failed has no series of errors; it fails 0 times a second.
CALLS = f"sum by (stage) (rate(qdrant_loader_stage_calls_total{{$S}}{RATE}))"
ERRORS = f"(sum by (stage) (rate(qdrant_loader_stage_errors_total{{$S}}{RATE})) or 0 * {CALLS})"


def quantile(q: float, metric: str, by: str = "", more: str = "") -> str:
    return f"histogram_quantile({q}, sum by ({by}le) (rate({metric}_bucket{{$S{more}}}{RATE})))"


STAGE_SECONDS = "qdrant_loader_stage_duration_seconds"
STATE = [
    {
        "type": "value",
        "options": {"1": {"text": "running", "color": "green", "index": 0}, "0": {"text": "ended", "color": "text", "index": 1}},
    }
]


def pipeline() -> Json:
    chosen = ', stage="$stage"'
    panels = [
        row("Now"),
        stat("State", "Whether the loader runs.", "short", "max(qdrant_loader_up{$S})", mappings=STATE),
        stat("Run time", "Of the run that is under way, or of the one that ended.", "s",
             "max(qdrant_loader_run_duration_seconds{$S} or time() - qdrant_loader_run_start_timestamp_seconds{$S})"),
        stat("Chunks upserted", "Points that Qdrant has taken.", "short", 'sum(qdrant_loader_chunks_total{$S, state="upserted"})'),
        stat("Chunks per second", "Points that Qdrant takes.", "short", f'sum(rate(qdrant_loader_chunks_total{{$S, state="upserted"}}{RATE}))', decimals=1),
        stat("Failing calls", "Part of the calls of all stages that fail.", "percentunit", f"sum({ERRORS}) / (sum({CALLS}) > 0)", red=0.05),
        stat("Rate-limit share", "Part of the wall time in which an embedding request waits for min_request_interval and no stage has "
             "anything else to do. Above a half that setting is what the run takes its time for.", "percentunit",
             f"sum(rate(qdrant_loader_rate_limit_idle_seconds_total{{$S}}{RATE}))", red=0.5),

        row("Throughput"),
        lines("Chunks per second", "By what happened to them. Failed ones are lost to this run.", "short",
              target(f"sum by (state) (rate(qdrant_loader_chunks_total{{$S}}{RATE}))", "{{state}}")),
        lines("Documents per second", "By what happened to them. A document has succeeded when its batch of up to 256 has ended.", "short",
              target(f"sum by (state) (rate(qdrant_loader_documents_total{{$S}}{RATE}))", "{{state}}")),
        lines("Text per second", "Text that each stage puts out, as UTF-8.", "Bps",
              target(f"sum by (stage) (rate(qdrant_loader_stage_bytes_total{{$S}}{RATE}))", "{{stage}}")),
        lines("HTTP bodies per second", "Bytes of requests and answers.", "Bps",
              target(f"sum by (stage) (rate(qdrant_loader_request_bytes_total{{$S}}{RATE}))", "{{stage}} sent"),
              target(f"sum by (stage) (rate(qdrant_loader_response_bytes_total{{$S}}{RATE}))", "{{stage}} received")),

        row("Stages: rate, errors, duration"),
        lines("Calls per second", "A call of fetch is a document, of chunk a document, of embed and upsert a batch, of state a write.", "short",
              target(CALLS, "{{stage}}"), width=8),
        lines("Errors per second", "By type of exception.", "short",
              target(f"sum by (stage, type) (rate(qdrant_loader_stage_errors_total{{$S}}{RATE})) or 0 * {CALLS}", "{{stage}} {{type}}"), width=8),
        lines("Failing calls", "Part of the calls of each stage that fail.", "percentunit", target(f"{ERRORS} / ({CALLS} > 0)", "{{stage}}"), width=8, max=1),
        lines("95 % of the calls are shorter", "95th percentile of the duration of calls, waiting included.", "s",
              target(quantile(0.95, STAGE_SECONDS, "stage, "), "{{stage}}"), width=8),
        lines("Duration of calls: $stage", "Percentiles, waiting included.", "s",
              *[target(quantile(q, STAGE_SECONDS, "", chosen), f"{q * 100:g} %") for q in (0.5, 0.95, 0.99)], width=8),
        lines("Calls under way", "A stage whose line is flat at its number of workers is the one the others wait for.", "short",
              target("sum by (stage) (qdrant_loader_stage_in_flight{$S})", "{{stage}}"), width=8),
        {**heat_map("Durations: $stage", "How many calls a second took how long.", f"sum by (le) (rate({STAGE_SECONDS}_bucket{{$S{chosen}}}{RATE}))"),
         "gridPos": {"x": 0, "y": 0, "w": 12, "h": 9}},
        lines("Time in each stage", "Seconds of calls per second: how many calls are in a stage on average.", "short",
              target(f"sum by (stage) (rate({STAGE_SECONDS}_sum{{$S}}{RATE}))", "{{stage}}"), stack=True, height=9),

        row("HTTP requests"),
        lines("Requests per second", "On the wire, retries included, by status or type of exception.", "short",
              target(f"sum by (stage, status) (rate(qdrant_loader_requests_total{{$S}}{RATE}))", "{{stage}} {{status}}"), width=8),
        lines("95 % of the requests are shorter", "95th percentile of the duration of requests.", "s",
              target(quantile(0.95, "qdrant_loader_request_duration_seconds", "stage, "), "{{stage}}"), width=8),
        lines("Requests under way", "Requests that wait for their answer.", "short",
              target("sum by (stage) (qdrant_loader_requests_in_flight{$S})", "{{stage}}"), width=8),

        row("Backlog and rate limit"),
        lines("Chunks between the stages", "Chunked and not embedded, embedded and not upserted. They are held in memory.", "short",
              target("sum by (between) (qdrant_loader_backlog_chunks{$S})", "{{between}}"), stack=True),
        lines("Documents whose chunking has not begun", "All of the batch, and those that wait for a chunk thread.", "short",
              target("sum by (waiting_for) (qdrant_loader_backlog_documents{$S})", "{{waiting_for}}")),
        lines("Part of the time that is rate limit", "Of wall time with nothing else to do; and of the time of embedding requests and their waits.",
              "percentunit",
              target(f"sum(rate(qdrant_loader_rate_limit_idle_seconds_total{{$S}}{RATE}))", "of wall time"),
              target(f"sum(rate(qdrant_loader_rate_limit_wait_seconds_total{{$S}}{RATE})) / (sum(rate(qdrant_loader_rate_limit_wait_seconds_total{{$S}}{RATE}))"
                     f' + sum(rate(qdrant_loader_request_duration_seconds_sum{{$S, stage="embed"}}{RATE})) > 0)', "of embedding"), max=1),
        lines("Embedding requests that wait", "For min_request_interval, and for an answer.", "short",
              target("sum(qdrant_loader_rate_limit_waiting{$S})", "rate limit"),
              target('sum(qdrant_loader_requests_in_flight{$S, stage="embed"})', "answer")),
        lines("The loader's own queue gauges", "qdrant_chunk_queue_size and qdrant_embed_queue_size, which the loader defines and the shim sets.", "short",
              target("sum(qdrant_chunk_queue_size{$S})", "chunk queue"), target("sum(qdrant_embed_queue_size{$S})", "embed queue"), height=6),
        lines("What is known", "Sources that can be read, and methods of the loader that are not counted.", "short",
              target("min by (source) (loader_exporter_source_up{$S})", "source {{source}}"),
              target('max(qdrant_loader_shim_hooks{$S, state="missing"})', "hooks missing"),
              target(f"sum(rate(qdrant_loader_shim_errors_total{{$S}}{RATE})) or 0 * max(qdrant_loader_shim_hooks{{$S}})", "errors in the shim per second"), height=6),
    ]  # fmt: skip
    stage = variable(
        "stage",
        "Stage",
        f"label_values(qdrant_loader_stage_calls_total{{{SELECT}}}, stage)",
        "For the panels of one stage",
        current="embed",
    )
    return dashboard(
        "qdrant-loader-pipeline",
        "QDrant Loader: pipeline",
        "Throughput, rate-errors-duration per stage, backlog and rate limit.",
        panels,
        [stage],
    )


# ---- what the process uses ---------------------------------------------------------------------------------------

P = "qdrant_loader_process_"


def process() -> Json:
    cpu = f"sum(rate({P}cpu_seconds_total{{$S}}{RATE}))"
    panels = [
        row("Utilisation"),
        stat("CPU", "Cores in use.", "short", cpu, decimals=2),
        stat("CPU of its limit", "Cores in use of those it may use: quota and affinity.", "percentunit", f"{cpu} / sum({P}cpu_limit_cores{{$S}})", red=0.9),
        stat("Memory", "Resident memory.", "bytes", f"sum({P}resident_memory_bytes{{$S}})"),
        stat("Memory of its limit", "Resident memory of what it may use.", "percentunit",
             f"sum({P}resident_memory_bytes{{$S}}) / sum({P}memory_limit_bytes{{$S}})", red=0.9),
        stat("Open files of their limit", "Open file descriptors of the first process's limit.", "percentunit",
             f"sum({P}open_fds{{$S}}) / sum({P}max_fds{{$S}})", red=0.8),
        stat("Threads", "Of all processes of the tree.", "short", f"sum({P}threads{{$S}})"),

        row("CPU"),
        lines("CPU", "Cores in use, and the limit.", "short",
              target(f"sum by (mode) (rate({P}cpu_seconds_total{{$S}}{RATE}))", "{{mode}}"),
              target(f"sum({P}cpu_limit_cores{{$S}})", "limit"), width=8),
        lines("Waiting for a CPU", "Threads that could run and wait for a core: seconds per second. Saturation of the CPU.", "short",
              target(f"sum(rate({P}run_queue_delay_seconds_total{{$S}}{RATE}))", "run-queue delay"), width=8),
        lines("Context switches per second", "Voluntary: it waits for something. Involuntary: its time was over.", "short",
              target(f"sum by (kind) (rate({P}context_switches_total{{$S}}{RATE}))", "{{kind}}"), width=8),

        row("Memory"),
        lines("Memory", "RSS, and PSS and USS where they are read. The limit is in the stat above, and too far off to draw.", "bytes",
              target(f"sum({P}resident_memory_bytes{{$S}})", "RSS"),
              target(f"sum({P}resident_memory_peak_bytes{{$S}})", "RSS at most"),
              target(f"sum({P}pss_bytes{{$S}})", "PSS"), target(f"sum({P}uss_bytes{{$S}})", "USS"), width=8),
        lines("What the resident memory is", "Heap and stacks; pages of files; shared.", "bytes",
              target(f"sum({P}resident_anon_memory_bytes{{$S}})", "anonymous"),
              target(f"sum({P}resident_file_memory_bytes{{$S}})", "files"),
              target(f"sum({P}resident_shmem_memory_bytes{{$S}})", "shared"), stack=True, width=8),
        lines("Page faults per second", "Major ones had to read from storage. Saturation of memory, with swap.", "short",
              target(f"sum by (kind) (rate({P}page_faults_total{{$S}}{RATE}))", "{{kind}}"), width=8),

        row("Storage, threads, files"),
        lines("Storage per second", "Bytes that went to and came from storage, not the page cache.", "Bps",
              target(f"sum(rate({P}io_read_bytes_total{{$S}}{RATE}))", "read"),
              target(f"sum(rate({P}io_write_bytes_total{{$S}}{RATE}))", "written"), width=8),
        lines("Read and write calls per second", "Bytes, cached or not.", "Bps",
              target(f"sum(rate({P}io_read_call_bytes_total{{$S}}{RATE}))", "read"),
              target(f"sum(rate({P}io_write_call_bytes_total{{$S}}{RATE}))", "written"), width=8),
        lines("Swap", "Memory that was swapped out.", "bytes", target(f"sum({P}swap_bytes{{$S}})", "swap"), width=8),
        lines("Threads by state", "disk: it waits for storage, and nothing ends it.", "short",
              target(f"sum by (state) ({P}threads_by_state{{$S}})", "{{state}}"), stack=True, width=8),
        lines("Open files", "File descriptors of all processes.", "short", target(f"sum({P}open_fds{{$S}})", "open"), width=8),
        lines("Processes", "Of the tree. Short-lived children are git, lscpu and uname.", "short", target(f"sum({P}processes{{$S}})", "processes"), width=8),

        row("The exporter itself"),
        lines("Reading all sources", "For one page of metrics.", "s", target("max by (instance) (loader_exporter_read_duration_seconds{$S})", "{{instance}}"), width=8),
        lines("CPU of the exporter", "Cores in use.", "short",
              target(f"sum by (instance) (rate(loader_exporter_cpu_seconds_total{{$S}}{RATE}))", "{{instance}}"), width=8),
        lines("Metrics files", "Read, and those that could not be.", "short",
              target("sum by (state) (loader_exporter_multiprocess_files{$S})", "{{state}}"), width=8),
    ]  # fmt: skip
    return dashboard(
        "qdrant-loader-process",
        "QDrant Loader: process",
        "Utilisation, saturation and errors of what the process tree uses.",
        panels,
        [],
    )


# ---- which runs there were ---------------------------------------------------------------------------------------

RUN = "instance, loader, run"


def runs() -> Json:
    def last(metric: str, more: str = "") -> str:
        return f"max by ({RUN}) (last_over_time({metric}{{$S{more}}}[$__range]))"

    columns = [
        ("Begin", "dateTimeAsIso", f"{last('qdrant_loader_run_start_timestamp_seconds')} * 1000"),
        ("End", "dateTimeAsIso", f"{last('qdrant_loader_run_end_timestamp_seconds')} * 1000"),
        ("Duration", "s", last("qdrant_loader_run_duration_seconds")),
        ("Exit status", "short", last("qdrant_loader_run_exit_code")),
        ("Documents", "short", f"sum by ({RUN}) (last_over_time(qdrant_loader_documents_total{{$S, state=\"succeeded\"}}[$__range]))"),
        ("Chunks", "short", f"sum by ({RUN}) (last_over_time(qdrant_loader_chunks_total{{$S, state=\"upserted\"}}[$__range]))"),
        ("Chunks failed", "short", f"sum by ({RUN}) (last_over_time(qdrant_loader_chunks_total{{$S, state=~\".*_failed\"}}[$__range]))"),
        ("CPU", "s", f"sum by ({RUN}) (last_over_time({P}cpu_seconds_total{{$S}}[$__range]))"),
        ("RSS at most", "bytes", last(f"{P}resident_memory_peak_bytes")),
    ]  # fmt: skip
    table = panel(
        "table", "Runs", "The runs of the chosen time, with their last values.", "short",
        [target(expression, instant=True, table=True) for _, _, expression in columns],
        {"showHeader": True, "cellHeight": "sm", "frameIndex": 0, "sortBy": [{"displayName": "Begin", "desc": True}]},
        {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False},
        width=24, height=10,
        transformations=[
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {
                "excludeByName": {"Time": True}, "includeByName": {}, "indexByName": {},
                "renameByName": {f"Value #{chr(ord('A') + i)}": name for i, (name, _, _) in enumerate(columns)}}},
        ],
        overrides=[
            *[{"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]} for name, unit, _ in columns],
            {"matcher": {"id": "byName", "options": "Exit status"}, "properties": [
                {"id": "thresholds", "value": {"mode": "absolute", "steps": [{"color": "green", "value": None}, {"color": "red", "value": 1}]}},
                {"id": "custom.cellOptions", "value": {"type": "color-text"}}]},
        ],
    )  # fmt: skip
    timeline = panel(
        "state-timeline", "When loaders ran", "Green: it runs. Grey: it has ended and its last values are still served.", "short",
        [target(f"max by ({RUN}) (qdrant_loader_up{{$S}})", "{{instance}} {{loader}} {{run}}")],
        {"showValue": "auto", "rowHeight": 0.8, "mergeValues": True, "alignValue": "left", "tooltip": {"mode": "single", "sort": "none"},
         "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []}},
        {"fillOpacity": 70, "lineWidth": 0}, width=24, height=6, mappings=STATE,
    )  # fmt: skip
    ended = f"count(last_over_time(qdrant_loader_run_exit_code{{$S}}[$__range])"
    none = "or 0 * count(last_over_time(loader_exporter_build_info{$S}[$__range]))"
    panels = [
        row("Runs of the chosen time"),
        stat("Runs ended", "Runs whose end was seen.", "short", f"{ended}) {none}", width=6),
        stat("Runs failed", "Exit status other than 0. One chunk that fails of thousands makes it 1.", "short", f"{ended} > 0) {none}", red=1, width=6),
        stat("Last success", "How long ago a run last ended with exit status 0.", "s",
             "time() - max(last_over_time(qdrant_loader_run_last_success_timestamp_seconds{$S}[$__range]))", width=6),
        stat("Longest run", "Wall time.", "s", "max(last_over_time(qdrant_loader_run_duration_seconds{$S}[$__range]))", width=6),
        timeline,
        table,
        row("Runs against each other"),
        lines("Chunks per second", "Over the whole run, for runs that have ended.", "short",
              target(f'sum by ({RUN}) (last_over_time(qdrant_loader_chunks_total{{$S, state="upserted"}}{RATE}))'
                     f" / on ({RUN}) max by ({RUN}) (last_over_time(qdrant_loader_run_duration_seconds{{$S}}{RATE}))", "{{instance}} {{loader}} {{run}}")),
        lines("Chunks so far", "Chunks upserted since the run began: how straight the line is.", "short",
              target(f'sum by ({RUN}) (last_over_time(qdrant_loader_chunks_total{{$S, state="upserted"}}{RATE}))', "{{instance}} {{loader}} {{run}}")),
    ]  # fmt: skip
    return dashboard(
        "qdrant-loader-runs",
        "QDrant Loader: runs",
        "Which ingests there were, how they ended, and how they compare.",
        panels,
        [],
        "now-24h",
    )


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, make in {"pipeline": pipeline, "process": process, "runs": runs}.items():
        (folder / f"{name}.json").write_text(json.dumps(make(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
