"""What the live page shows: the last minutes of a testnet, drawn panel by panel.

Takes one scrape of all nodes after another; owns no clock, socket or thread. Each query is asked once for each scrape,
not for each picture, so that a picture costs the same after an hour as after a minute.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from node.testnet.boards import BOARDS
from node.testnet.boards.spec import Board, Query
from node.testnet.metrics.exposition import Labels
from node.testnet.metrics.recording import Recording
from node.testnet.report.charts import Band, Line
from node.testnet.report.panels import DRAWN, View, legend_of, names_by_peer, natural

__all__ = ["WINDOW", "Live", "board_of"]

WINDOW = 180.0
"""Seconds that are shown, and kept."""

FORGET_INTERVAL = 15.0
UNSEEN_MAX = 60
"""After so many scrapes without a look, what was found for a query is let go, and is found anew at the next look."""

_FAULTS = Query(expression="max by (step, kind) (positron_chaos_active)", legend="{{step}}: {{kind}}")


@dataclass(slots=True)
class _Found:
    """What a query was at each scrape up to the one with number `asked`, and when somebody last wanted to know."""

    asked: int = 0
    wanted: int = 0
    lines: dict[Labels, deque[tuple[float, float]]] = field(default_factory=dict)


@dataclass(slots=True)
class _Memory:
    """The times of scrapes, of which the first has the number `first`, and what queries were then."""

    times: deque[float] = field(default_factory=deque)
    first: int = 0
    found: dict[tuple[Query, tuple[tuple[str, str], ...]], _Found] = field(default_factory=dict)

    @property
    def end(self) -> int:
        return self.first + len(self.times)


@dataclass(frozen=True, slots=True)
class _RollingView(View):
    """A view whose lines are remembered."""

    memory: _Memory = field(default_factory=_Memory)

    def lines(self, query: Query) -> list[Line]:
        memory = self.memory
        found = memory.found.setdefault((query, tuple(sorted(self.choices.items()))), _Found())
        for number in range(max(found.asked, memory.first), memory.end):
            time = memory.times[number - memory.first]
            for labels, value in self.at(query, time).items():
                found.lines.setdefault(labels, deque()).append((time, value))
        found.asked = found.wanted = memory.end
        for labels, points in list(found.lines.items()):
            while points and points[0][0] < self.span[0]:
                points.popleft()
            if not points:
                del found.lines[labels]
        return [Line(legend_of(query, labels), points, query.is_reference) for labels, points in found.lines.items()]

    def step(self) -> float:
        """The longest time between two scrapes: what holds from one to the next is one stretch."""
        return max((later - earlier for earlier, later in pairwise(self.memory.times)), default=1.0)


class Live:
    """See the module. rules: recorded, by name."""

    def __init__(self, rules: Mapping[str, str]) -> None:
        self._rules = rules
        self._recording = Recording()
        self._memory = _Memory()
        self._forgot_at = 0.0

    def take(self, time: float, texts: dict[str, str | None]) -> None:
        """One scrape of all nodes. time: seconds, later than at the scrape before."""
        self._recording.scrape(time, texts)
        memory = self._memory
        memory.times.append(time)
        while memory.times[0] < time - WINDOW:
            memory.times.popleft()
            memory.first += 1
        memory.found = {key: one for key, one in memory.found.items() if memory.end - one.wanted <= UNSEEN_MAX}
        if time - self._forgot_at >= FORGET_INTERVAL:
            self._recording.forget(time - WINDOW)
            self._forgot_at = time

    @property
    def scrapes(self) -> int:
        """How many there were."""
        return self._memory.end

    def nodes(self) -> list[str]:
        """Names of the nodes of the latest scrapes."""
        infos = self._recording.named("positron_node_info")
        return sorted({dict(series.labels)["node"] for series in infos}, key=natural)

    def peers(self) -> dict[str, str]:
        """Names of nodes by the label that links have for them."""
        return names_by_peer(self._recording)

    def up(self) -> tuple[int, int]:
        """How many nodes answered the latest scrape, and how many were asked."""
        if not self._memory.times:
            return 0, 0
        now = self._memory.times[-1]
        values = [series.at(now) for series in self._recording.named("up")]
        return sum(value == 1.0 for value in values), len([value for value in values if value is not None])

    def choices(self, board: Board, asked: Mapping[str, str]) -> dict[str, str]:
        """Values of the board's variables: as asked where there is such a node, else the first or all, as it needs."""
        names = self.peers()
        known = {"node": self.nodes(), "peer": sorted(names, key=lambda peer: natural(names[peer]))}
        chosen = {}
        for name in board.variables:
            if asked.get(name) in known[name]:
                chosen[name] = asked[name]
            elif board.is_single and known[name]:
                others = [one for one in known[name] if name != "peer" or names[one] != chosen.get("node")]
                chosen[name] = (others or known[name])[0]
        return chosen

    def drawings(self, board: Board, choices: Mapping[str, str]) -> dict[int, str]:
        """What each panel of the board shows now, by its number."""
        view = self._view(choices)
        return {panel.number: view.drawing(panel) for panel in board.panels if panel.shape in DRAWN}

    def _view(self, choices: Mapping[str, str]) -> View:
        times = self._memory.times
        span = (times[0], max(times[-1], times[0] + 1.0)) if times else (0.0, 1.0)
        # The pattern stands in a string of PromQL, where a backslash is two.
        patterns = {name: re.escape(value).replace("\\", "\\\\") for name, value in choices.items()}
        plain = _RollingView(self._recording, span, (), self._rules, {}, memory=self._memory)
        bands = [band for line in plain.lines(_FAULTS) for band in _bands(line, plain.step())]
        return _RollingView(self._recording, span, bands, self._rules, patterns, memory=self._memory)


def board_of(uid: str) -> Board | None:
    """The board with that address."""
    return next((board for board in BOARDS if board.uid == uid), None)


def _bands(line: Line, step: float) -> list[Band]:
    """The stretches in which a fault was active."""
    found: list[Band] = []
    for time, _ in line.points:
        if found and time - found[-1].end <= 1.5 * step:
            found[-1] = Band(line.name, found[-1].start, time)
        else:
            found.append(Band(line.name, time, time))
    return found
