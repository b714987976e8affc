"""Makes `report.html` of a stored run: one file that a browser shows offline, with everything in it.

The charts are panels of the boards, asked of the samples that the run kept; faults are shaded in all of them. What a
damaged file keeps from being shown is said in its place. Output depends on the folder alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from node.testnet.boards import BOARDS
from node.testnet.boards.spec import Shape
from node.testnet.metrics.promql import Query as PromQL
from node.testnet.metrics.rules import recorded
from node.testnet.report.charts import Band, heat_map
from node.testnet.report.panels import View, names_by_peer
from node.testnet.report.stored import StoredRun
from node.testnet.report.style import STYLE

__all__ = ["LOSS", "Page", "render_report"]

SHOWN = ("overview", "chaos")

WIDTH = 1100
"""Of a chart, in CSS pixels where the window is wide enough."""

BEFORE = 5.0
"""Seconds before the timeline that are shown."""


class Page(NamedTuple):
    """HTML. empty: titles of the charts without data."""

    text: str
    empty: list[str]


def render_report(run: StoredRun) -> Page:
    """The page."""
    charts, empty = _charts(run)
    outcome = run.outcome
    verdict = str(outcome["verdict"])
    parts = [
        f"<header><h1>{escape(str(outcome['title']))}</h1>",
        f'<p class="verdict {escape(verdict)}">{escape(verdict)}</p>',
        f"<p>{escape(str(outcome['reason']))}</p></header>",
        _facts(run),
        _section(run, "What happened", ("timeline.jsonl",), _steps(run)),
        _section(run, "What it led to", (), _expectations(outcome)),
        _section(run, "Invariants", ("facts.json", "history.jsonl"), _invariants(run)),
        _section(run, "Over time", ("metrics.openmetrics", "timeline.jsonl"), charts),
        _section(run, "Links, asked and measured", ("links.csv",), _links(run)),
        _section(run, "Retransmissions, link by link", ("metrics.openmetrics", "facts.json"), _matrix(run)),
        _section(run, "The scenario", ("scenario.resolved.yaml",), f"<pre>{escape(run.scenario)}</pre>"),
        _section(run, "Again", (), _again(run)),
    ]
    title = escape(f"{outcome['scenario']}: {verdict}")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    top = f'<!DOCTYPE html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>\n'
    return Page(f"{top}<body>{''.join(parts)}</body></html>\n", empty)


LOSS = {
    "facts.json": "neither the invariants nor the matrix of retransmissions are shown",
    "history.jsonl": "what is shown of the invariants cannot be judged again",
    "links.csv": "not every measurement of a link is shown",
    "metrics.openmetrics": "charts and the matrix show only what is left of it",
    "scenario.resolved.yaml": "the scenario is not shown, or not whole",
    "timeline.jsonl": "not every fault is listed and shaded in the charts",
}
"""What a page lacks whose run has such a file damaged."""


def _section(run: StoredRun, title: str, files: Sequence[str], content: str) -> str:
    """A section. files: what its content is made of; what is wrong with them stands above it."""
    damaged = [f"{name} {run.damage[name]}; {LOSS[name]}." for name in files if name in run.damage]
    notes = "".join(f'<p class="missing">{escape(note)}</p>' for note in damaged)
    return f"<section><h2>{escape(title)}</h2>{notes}{content}</section>"


# --- charts -------------------------------------------------------------------------------------------------------


def _charts(run: StoredRun) -> tuple[str, list[str]]:
    """The overview and the timeline of faults, and what is empty; a panel that stands on both is drawn once."""
    span = _span(run)
    bands = [Band(_called(step), step["started"], _end_of(step, span)) for step in run.steps if _began(step)]
    view = View(run.recording, span, bands, recorded(), width=WIDTH)
    chosen = [board for board in BOARDS if board.uid in SHOWN]
    panels = {panel.title: panel for board in chosen for panel in board.panels if panel.shape is not Shape.STAT}
    return "".join(view.figure(panel) for panel in panels.values()), view.empty


def _matrix(run: StoredRun) -> str:
    nodes, span = list(run.facts["nodes"]), _span(run)
    names = names_by_peer(run.recording)
    cells: dict[tuple[str, str], float] = {}
    whole = f"{max(1, round(span[1] - span[0]))}s"
    metric = "positron_link_{}_packets_total"
    text = f"increase({metric.format('retransmitted')}[{whole}]) / increase({metric.format('sent')}[{whole}])"
    for labels, value in PromQL(text).at(run.recording, span[1]).items():
        found = dict(labels)
        peer = names.get(found.get("peer", ""), found.get("peer", ""))
        if found.get("node") in nodes and peer in nodes and math.isfinite(value):
            cells[found["node"], peer] = value
    if not cells:
        return "<p>No link counted its retransmissions.</p>"
    return (
        heat_map(nodes, nodes, cells, "percentunit") + "<p>Rows send, columns receive; share of all packets sent.</p>"
    )


# --- tables -------------------------------------------------------------------------------------------------------


def _facts(run: StoredRun) -> str:
    outcome, environment = run.outcome, run.environment
    recovered = outcome["recovered_after"]
    rows = [
        ("Scenario", f"{outcome['scenario']}, seed {outcome['seed']}"),
        ("Nodes", str(len(run.facts["nodes"]) or "unknown")),
        ("Runner", f"{outcome['runner']}, backend {outcome['backend']} ({environment['backend_reason']})"),
        ("Messages", f"{outcome['published']} published, {outcome['delivered']} delivered"),
        ("Steady again", "no" if recovered is None else f"{recovered:.1f} s after the last fault was healed"),
        ("Version", f"{environment['version']} on Python {environment['python']}, {environment['system']}"),
    ]
    if outcome["digest"]:
        rows.append(("Digest", outcome["digest"]))
    return (
        '<dl class="facts">'
        + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows)
        + "</dl>"
    )


def _steps(run: StoredRun) -> str:
    if not run.steps:
        return "" if "timeline.jsonl" in run.damage else "<p>Nothing was broken.</p>"
    rows = [
        (
            step["step"],
            step["kind"],
            ", ".join(step["targets"][:8]) + (" …" if len(step["targets"]) > 8 else ""),
            f"{step['planned_start']:.1f} s",
            _time(step["started"]),
            f"{step['planned_end']:.1f} s",
            _time(step["ended"]),
        )
        for step in run.steps
    ]
    return _table(("Fault", "Kind", "Whom", "Planned from", "Began", "Planned until", "Ended"), rows)


def _expectations(outcome: dict[str, Any]) -> str:
    rows = [
        (one["fault"], one["what"], _mark(one["holds"]), _time(one["took"]), one["text"])
        for one in outcome["expectations"]
    ]
    rows += [
        ("", f"steady {when}", _mark(one["holds"]), "", f"{one['probe']}: {one['found']}")
        for when in ("before", "after")
        for one in outcome[f"steady_{when}"]
    ]
    return _table(("Fault", "Expected", "Held", "Took", "Found"), rows) if rows else "<p>Nothing was expected.</p>"


def _invariants(run: StoredRun) -> str:
    broken = {one["invariant"]: one for one in run.outcome["violations"]}
    rows = []
    for name in run.facts["invariants"]:
        one = broken.get(name)
        said = "" if one is None else f"{one['count']} times: {'; '.join(one['examples'])}"
        rows.append((name.replace("_", " "), _mark(one is None), said))
    return _table(("Invariant", "Held", "Violations"), rows)


def _links(run: StoredRun) -> str:
    if not run.links:
        return "" if "links.csv" in run.damage else "<p>No link was measured.</p>"
    wrong = [link for link in run.links if link["applied"] != "True"]
    shown = wrong or sorted(run.links, key=lambda link: -float(link["loss_asked"]))[:40]
    rows = [
        (
            link["fault"] or "before",
            f"{link['from']} > {link['to']}",
            f"{float(link['loss_asked']):.2%}",
            f"{float(link['loss']):.2%}",
            f"{float(link['delay_asked']) * 1000:.1f} ms",
            f"{float(link['delay']) * 1000:.1f} ms" if link["delay"] else "-",
            _mark(link["applied"] == "True"),
        )
        for link in shown
    ]
    summary = f"<p>{len(run.links)} measurements, {len(wrong)} of them not as asked.</p>"
    return summary + _table(("Fault", "Link", "Loss asked", "Loss", "Delay asked", "Delay", "Applied"), rows)


def _again(run: StoredRun) -> str:
    name = escape(run.path.name)
    return f"<pre>testnet chaos replay {name}\npython -m node.testnet.checker {name}</pre>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _mark(holds: bool) -> str:
    return "yes" if holds else "NO"


def _time(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _called(step: dict[str, Any]) -> str:
    return f"{step['step']}: {step['kind']}"


def _began(step: dict[str, Any]) -> bool:
    return step["started"] is not None


def _end_of(step: dict[str, Any], span: tuple[float, float]) -> float:
    return float(span[1] if step["ended"] is None else step["ended"])


def _span(run: StoredRun) -> tuple[float, float]:
    times = [time for series in run.recording for time in (series.times[0], series.times[-1])]
    start = max(-BEFORE, min(times, default=0.0))
    return start, max(times, default=start + 1.0)
