"""Answers the questions of a scenario: about peers, metrics, statistics, HTTP and logs.

Asks a runner and a recording, at one instant. What cannot be answered does not hold, and says why.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from node.testnet.metrics.promql import BadQuery, Query
from node.testnet.metrics.recording import Recording
from node.testnet.runners.base import Runner
from node.testnet.scenario.scenario import Probe, ProbeKind
from node.testnet.scenario.topology import Topology

__all__ = ["Answer", "Prober"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe found. value: nan if nothing could be found. text: for people."""

    probe: Probe
    value: float
    holds: bool
    text: str


class Prober:
    """Asks the probes of one run. down: names of nodes that are meant not to run, which are not asked."""

    def __init__(self, runner: Runner, recording: Recording, topology: Topology) -> None:
        self._runner = runner
        self._recording = recording
        self._topology = topology
        self.down: dict[str, None] = {}

    def ask(self, probes: Sequence[Probe]) -> list[Answer]:
        """One answer for each probe, all of the same moment."""
        stats = (
            self._runner.stats() if any(probe.kind in (ProbeKind.PEERS, ProbeKind.STATE) for probe in probes) else {}
        )
        return [self._answer(probe, stats) for probe in probes]

    def _answer(self, probe: Probe, stats: Mapping[str, dict[str, Any] | None]) -> Answer:
        nodes = [node for node in self._topology.members(probe.target) if node not in self.down]
        if probe.kind is ProbeKind.PROM:
            return self._ask_prom(probe)
        if probe.kind is ProbeKind.LOG:
            pattern = re.compile(probe.subject)
            logs = self._runner.logs()
            values = [float(sum(1 for line in logs.get(node, ()) if pattern.search(line))) for node in nodes]
        elif probe.kind is ProbeKind.HTTP:
            values = [float(self._runner.status(node, probe.subject)) for node in nodes]
        else:
            path = "members.alive" if probe.kind is ProbeKind.PEERS else probe.subject
            values = [_looked_up(stats.get(node), path) for node in nodes]
        return _judged(probe, values, nodes)

    def _ask_prom(self, probe: Probe) -> Answer:
        try:
            values = Query(probe.subject).at(self._recording, self._runner.now())
        except BadQuery as error:
            return Answer(probe, math.nan, holds=False, text=str(error))
        if not values:
            return Answer(probe, math.nan, holds=False, text="no data")
        wrong = [value for value in values.values() if not probe.comparison.holds(value)]
        shown = wrong[0] if wrong else next(iter(values.values()))
        return Answer(probe, shown, holds=not wrong, text=f"{shown:.6g}")


def _judged(probe: Probe, values: Sequence[float], nodes: Sequence[str]) -> Answer:
    silent = [node for node, value in zip(nodes, values, strict=True) if math.isnan(value)]
    if silent or not values:
        return Answer(probe, math.nan, holds=False, text=f"no answer from {', '.join(silent) or 'anybody'}")
    match probe.aggregate:
        case "max":
            value = max(values)
        case "sum":
            value = sum(values)
        case "mean":
            value = sum(values) / len(values)
        case _:
            value = min(values)
    return Answer(probe, value, holds=probe.comparison.holds(value), text=f"{value:.6g}")


def _looked_up(stats: dict[str, Any] | None, path: str) -> float:
    found: Any = stats
    for step in path.split("."):
        if not isinstance(found, Mapping) or step not in found:
            return math.nan
        found = found[step]
    return float(found) if isinstance(found, int | float) else math.nan
