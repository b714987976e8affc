"""Draws panels of the boards from a recording, as HTML and SVG: for the report, the live page and the pictures.

Knows nothing of runs or servers. A panel that has nothing to show says why.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from node.testnet.boards.spec import Panel, Query, Shape
from node.testnet.metrics.exposition import Labels
from node.testnet.metrics.promql import BadQuery
from node.testnet.metrics.promql import Query as PromQL
from node.testnet.metrics.recording import Recording
from node.testnet.report.charts import Band, Line, chart, formatted, heat_map, states

__all__ = ["DRAWN", "View", "framed", "legend_of", "names_by_peer", "natural"]

POINTS_MAX = 300
LINES_MAX = 24
"""More lines in one chart are a texture; the highest are shown."""

COLUMN_WIDTH, PADDING = 40, 10
"""Of a board, in units of a drawing."""

RATE_INTERVAL = "5s"
DRAWN = (Shape.STAT, Shape.TIME_SERIES, Shape.MATRIX, Shape.STATES)
"""Shapes that are drawn here."""


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at. span: seconds on the clock of the recording. bands: faults. rules: recorded, by name.

    choices: values of the variables `node` and `peer`, as patterns; all where they are left out. width: of a chart that
    stands alone; 0 for charts that stand on their board. empty: titles of the panels drawn so far that had no data.
    """

    recording: Recording
    span: tuple[float, float]
    bands: Sequence[Band] = ()
    rules: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    width: int = 0
    empty: list[str] = field(default_factory=list)

    def figure(self, panel: Panel) -> str:
        """The panel with its title and what it looks like when all is well; "" for a shape that is not drawn here."""
        if panel.shape not in DRAWN:
            return ""
        return framed(panel, self.drawing(panel), f'class="{panel.shape.name.lower()}"')

    def drawing(self, panel: Panel) -> str:
        """What the panel shows, without title and words. panel: of a shape that is drawn here."""
        match panel.shape:
            case Shape.STAT:
                return self._stat(panel)
            case Shape.MATRIX:
                return self._matrix(panel)
            case Shape.STATES:
                return self._states(panel)
            case _:
                return self._chart(panel)

    def _stat(self, panel: Panel) -> str:
        parts, is_empty = [], True
        for query in panel.queries:
            found = list(self.at(query, self.span[1]).values())
            text = formatted(found[0], panel.unit) if found else "No data"
            parts.append(f"<li><b>{escape(text)}</b> {escape(query.legend)}</li>")
            is_empty = is_empty and not found
        return self._nothing(panel) if is_empty else f"<ul>{''.join(parts)}</ul>"

    def _chart(self, panel: Panel) -> str:
        lines = [line for query in panel.queries for line in self.lines(query)]
        if not any(math.isfinite(value) for line in lines if not line.is_reference for _, value in line.points):
            return self._nothing(panel)
        lines.sort(key=lambda line: -max((value for _, value in line.points if math.isfinite(value)), default=0.0))
        lines = sorted(lines[:LINES_MAX], key=lambda line: (line.is_reference, natural(line.name)))
        legend = "".join(
            f'<li class="{"reference" if line.is_reference else f"c{index % 10}"}">{escape(line.name)}</li>'
            for index, line in enumerate(lines)
        )
        return f'{chart(lines, self.bands, self.span, panel.unit, self._width(panel))}<ul class="legend">{legend}</ul>'

    def _matrix(self, panel: Panel) -> str:
        cells = {}
        for labels, value in self.at(panel.queries[0], self.span[1]).items():
            found = dict(labels)
            cells[found.get("node", ""), found.get("peer_name", "")] = value
        if not cells:
            return self._nothing(panel)
        names = sorted({name for pair in cells for name in pair}, key=natural)
        words = {code: colour for code, _, colour in panel.words}

        def colour(value: float) -> str:
            passed = [threshold.colour for threshold in panel.thresholds if value >= threshold.value]
            return words.get(int(value), "grey") if words else passed[-1] if passed else "green"

        return heat_map(names, names, cells, panel.unit, colour, not words)

    def _states(self, panel: Panel) -> str:
        words = {value: (text, colour) for value, text, colour in panel.words}
        lines = [line for query in panel.queries for line in self.lines(query)]
        if not lines:
            return self._nothing(panel)
        return states(
            sorted(lines, key=lambda line: natural(line.name))[:LINES_MAX],
            words,
            self.span,
            self.step(),
            self._width(panel),
        )

    def _width(self, panel: Panel) -> int:
        return self.width or COLUMN_WIDTH * panel.width - 2 * PADDING

    def _nothing(self, panel: Panel) -> str:
        self.empty.append(panel.title)
        return f'<p class="nothing">No data: {escape(self.why_nothing(panel))}</p>'

    def why_nothing(self, panel: Panel) -> str:
        """Why such a panel has nothing to show: what it is made of that is not there, and what its description says."""
        said = next((one[1] for one in re.finditer(r"'No data':? (?:means that )?(.*?)\.( |$)", panel.description)), "")
        said = f" ({said})" if said else ""
        for query in panel.queries:
            try:
                names = PromQL(self._filled(query.expression)).metrics()
            except BadQuery as error:
                return f"this cannot be computed here: {error}"
            absent = [name for name in names if not self.recording.named(name)]
            if absent:
                return f"there is no sample of {absent[0]}{said}"
        return f"what is shown here has no value at this time{said}"

    def lines(self, query: Query) -> list[Line]:
        """What the query found over the whole span, one line for each set of labels."""
        found: dict[Labels, list[tuple[float, float]]] = {}
        start, end = self.span
        step = self.step()
        for number in range(int((end - start) / step) + 1):
            time = start + number * step
            for labels, value in self.at(query, time).items():
                found.setdefault(labels, []).append((time, value))
        return [Line(legend_of(query, labels), points, query.is_reference) for labels, points in found.items()]

    def at(self, query: Query, time: float) -> Mapping[Labels, float]:
        """What the query is at that time; nothing where it cannot be answered."""
        try:
            return PromQL(self._filled(query.expression)).at(self.recording, time)
        except BadQuery:
            # A panel may ask more of a server than can be answered here; the others are still worth showing.
            return {}

    def step(self) -> float:
        """Seconds between two points of a line."""
        return max(1.0, (self.span[1] - self.span[0]) / POINTS_MAX)

    def _filled(self, expression: str) -> str:
        """The expression with the variables of a board filled in, and recorded rules by what they are."""
        for name, rule in self.rules.items():
            expression = re.sub(rf"{re.escape(name)}(\{{[^}}]*\}})?", lambda _, rule=rule: f"({rule})", expression)  # type: ignore[misc]
        whole = f"{max(1, round(self.span[1] - self.span[0]))}s"
        for name, value in (("$__rate_interval", RATE_INTERVAL), ("$__range", whole)):
            expression = expression.replace(name, value)
        for name in ("node", "peer"):
            expression = expression.replace(f"${name}", self.choices.get(name, ".+"))
        return expression


def framed(panel: Panel, drawing: str, attributes: str) -> str:
    """A drawing with the panel's title and what it looks like when all is well. attributes: of the figure, as HTML."""
    about = f"<details><summary>What normal looks like</summary><p>{escape(panel.description)}</p></details>"
    return f"<figure {attributes}><figcaption>{escape(panel.title)}</figcaption>{drawing}{about}</figure>"


def names_by_peer(recording: Recording) -> dict[str, str]:
    """Names of nodes by the label `peer` that links have for them."""
    infos = [dict(series.labels) for series in recording.named("positron_node_info")]
    return {labels["peer"]: labels["node"] for labels in infos}


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts node-2 before node-10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def legend_of(query: Query, labels: Labels) -> str:
    """The name of the line with those labels."""
    values = dict(labels)
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: values.get(found[1], ""), query.legend).strip()
