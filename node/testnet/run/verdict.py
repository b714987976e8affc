"""How a run ends: the verdict, and all that it rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from node.testnet.checker import Violation
from node.testnet.run.probes import Answer
from node.testnet.run.verification import LinkFinding
from node.testnet.scenario.scenario import Expectation

__all__ = ["ExpectationResult", "Outcome", "Step", "Verdict"]


class Verdict(StrEnum):
    """In one word.

    PASSED: everything held. FAILED: an expectation or an invariant did not. DEVIATED: they held, but the network did
    not become steady again. NOT_APPLIED: a link or a fault did not take effect, so nothing was shown. NOT_RUN: the
    network was not steady to begin with, or did not start. ABORTED: somebody, or the time limit, ended the run.
    UNSUPPORTED: this machine or runner cannot do what the scenario asks for.
    """

    PASSED = "passed"
    FAILED = "failed"
    DEVIATED = "deviated"
    NOT_APPLIED = "not-applied"
    NOT_RUN = "not-run"
    ABORTED = "aborted"
    UNSUPPORTED = "unsupported"

    @property
    def status(self) -> int:
        """Exit status of a command that ran it."""
        return _STATUS[self]


_STATUS = {
    Verdict.PASSED: 0,
    Verdict.FAILED: 1,
    Verdict.DEVIATED: 1,
    Verdict.NOT_APPLIED: 3,
    Verdict.NOT_RUN: 4,
    Verdict.ABORTED: 1,
    Verdict.UNSUPPORTED: 127,
}


@dataclass(slots=True, kw_only=True)
class Step:
    """One part of the schedule as it was carried out. Times are seconds since the origin; None: not yet."""

    step: str
    kind: str
    targets: tuple[str, ...]
    planned_start: float
    planned_end: float
    started: float | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """What became of one expectation. took: seconds until it held, None if it never did."""

    expectation: Expectation
    holds: bool
    took: float | None
    text: str


@dataclass(slots=True, kw_only=True)
class Outcome:
    """See the module. reason: why it is that verdict, in one line. origin: when the timeline began, by the runner."""

    verdict: Verdict = Verdict.NOT_RUN
    reason: str = ""
    origin: float = 0.0
    end: float = 0.0
    steps: list[Step] = field(default_factory=list)
    links: list[tuple[str, LinkFinding]] = field(default_factory=list)
    steady_before: list[Answer] = field(default_factory=list)
    steady_after: list[Answer] = field(default_factory=list)
    recovered_after: float | None = None
    expectations: list[ExpectationResult] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    published: int = 0
    delivered: int = 0
    digest: str = ""
