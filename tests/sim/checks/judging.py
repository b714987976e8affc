"""Feeds a checker with a history written by hand."""

from __future__ import annotations

from typing import Any

from node.sim.checks.base import Check, Situation, Violation
from node.sim.history import NETWORK, Record
from node.types import SECOND, from_seconds


class Judge:
    """One checker, a situation, and what was found. Times are seconds."""

    def __init__(self, kind: type[Check], **options: Any) -> None:
        self.situation = Situation()
        self.found: list[Violation] = []
        self.check = kind(self.situation, self.found.append, **options)
        self._ticked = 0

    def start(self, *nodes: int, at: float = 0.0, is_honest: bool = True) -> None:
        for node in nodes:
            self.say(at, node, "started", is_honest=is_honest)

    def say(self, at: float, node: int, kind: str, **facts: Any) -> None:
        self.pass_time(at)
        record = Record(from_seconds(at), node, kind, facts)
        self.situation.observe(record)
        self.check.observe(record)

    def cut(self, at: float, until: float) -> None:
        self.say(at, NETWORK, "cut")
        self.say(until, NETWORK, "healed")

    def pass_time(self, until: float) -> None:
        while (self._ticked + 1) * SECOND <= from_seconds(until):
            self._ticked += 1
            self.situation.now = self._ticked * SECOND
            self.check.tick(self.situation.now)

    def finish(self, at: float) -> list[str]:
        """The invariant, node and subject of each violation."""
        self.pass_time(at)
        self.situation.now = from_seconds(at)
        self.check.finish(self.situation.now)
        return [f"{one.node}: {one.subject}" for one in self.found]
