"""Follows what faults must lead to while they happen: detected in time, recovered in time, held all the while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.testnet.run.probes import Answer, Prober
from node.testnet.run.verdict import ExpectationResult
from node.testnet.scenario.resolve import Schedule
from node.testnet.scenario.scenario import Expectation, Scenario
from node.types import to_seconds

__all__ = ["Expectations"]

LATE = 1.0
"""Seconds that a look may come late: a probe that held by then counts as in time."""


NEVER = "was never asked"


@dataclass(slots=True)
class _Watched:
    expectation: Expectation
    start: float
    end: float
    took: float | None = None
    failed: str = ""
    last: str = NEVER


class Expectations:
    """All of one run. origin: of the timeline, on the clock of the runner."""

    def __init__(self, scenario: Scenario, schedule: Schedule, origin: float) -> None:
        self._watched = [_watched(one, schedule, origin) for one in scenario.expectations]
        self.last = max((one.end - origin for one in self._watched), default=0.0)

    def look(self, now: float, prober: Prober) -> None:
        """Asks whatever has to be asked at this time."""
        for one in self._watched:
            if one.failed or one.took is not None or not one.start <= now <= one.end + LATE:
                continue
            answers = prober.ask(one.expectation.probes)
            wrong = [answer for answer in answers if not answer.holds]
            one.last = _said(wrong or answers)
            if one.expectation.what == "hold":
                one.failed = one.last if wrong else ""
            elif not wrong:
                one.took = max(0.0, now - one.start)

    def results(self) -> list[ExpectationResult]:
        """What became of each."""
        return [_result(one) for one in self._watched]


def _watched(one: Expectation, schedule: Schedule, origin: float) -> _Watched:
    faults = [fault for fault in schedule.faults if fault.step == one.fault]
    began = min((to_seconds(fault.at) for fault in faults), default=0.0)
    ended = max((to_seconds(fault.until) for fault in faults), default=0.0)
    within = to_seconds(one.within)
    match one.what:
        case "detect":
            return _Watched(one, origin + began, origin + began + within)
        case "recover":
            return _Watched(one, origin + ended, origin + ended + within)
        case _:
            return _Watched(one, origin + began + within, origin + ended)


def _result(one: _Watched) -> ExpectationResult:
    expectation = one.expectation
    within = f"within {to_seconds(expectation.within):g} s"
    if expectation.what == "hold":
        wrong = one.failed or (NEVER if one.last == NEVER else "")
        return ExpectationResult(expectation, not wrong, None, f"{expectation.fault} hold: {wrong or 'held'}")
    holds = one.took is not None
    found = f"after {one.took:.1f} s" if one.took is not None else f"not {within}: {one.last}"
    return ExpectationResult(expectation, holds, one.took, f"{expectation.fault} {expectation.what}: {found}")


def _said(answers: Sequence[Answer]) -> str:
    return "; ".join(f"{answer.probe}: {answer.text}" for answer in answers)
