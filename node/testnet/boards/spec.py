"""What a board is made of: queries, panels and boards as plain values, and the checks that hold for each of them.

Knows nothing of Grafana's JSON (`grafana/generate.py` writes it) nor of which panels exist. The values are read by
every face of the same figures: boards, the report of a run, tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["COLUMNS", "PANELS_MAX", "Board", "Panel", "Query", "Shape", "Threshold"]

COLUMNS = 24
"""Width of a board in Grafana's grid."""

PANELS_MAX = 12
"""More than this on one board and nobody finds the one that matters."""


class Shape(StrEnum):
    """How a panel draws its queries.

    STAT: the latest value of each. TIME_SERIES: each over time. MATRIX: the latest values by node and peer, coloured.
    STATES: values over time as coloured stretches. HEATMAP: the buckets of a histogram over time.
    """

    STAT = "stat"
    TIME_SERIES = "timeseries"
    MATRIX = "table"
    STATES = "state-timeline"
    HEATMAP = "heatmap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One PromQL expression.

    legend: name of its lines, with {{label}} for a label of the series. is_reference: drawn dashed, as what was
    configured or expected and not what was measured.
    """

    expression: str
    legend: str
    is_reference: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """From `value` on, in the unit of the panel, a figure is drawn in `colour`."""

    value: float
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    number: its id in links to it; never reused, never changed. unit: a unit of Grafana (`s`, `percentunit`, `short`).
    description: what is shown, and what it looks like when all is well. width, height: in the grid of the board.
    words: what values mean, where they are codes. leads_to: uid of the board behind each line or cell.
    """

    number: int
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    shape: Shape = Shape.TIME_SERIES
    width: int = 12
    height: int = 8
    decimals: int | None = None
    most: float | None = None
    thresholds: tuple[Threshold, ...] = ()
    words: tuple[tuple[int, str, str], ...] = ()
    leads_to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board.

    uid: its address, never changed; the file is named for it. panels: in reading order. variables: choices at the top,
    `node` and `peer`. is_single: whether exactly one of each is chosen.
    """

    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    variables: tuple[str, ...] = ("node",)
    is_single: bool = False
