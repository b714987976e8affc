"""A scenario, as it is declared: who takes part, what is asked of the network, what happens when, what must hold.

Plain values without behaviour; times are nanoseconds. `parse.py` makes them from YAML, `resolve.py` fixes every choice
that is left to chance, the conductor carries them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from node.impairment.link import LinkSettings
from node.testnet.scenario.topology import ALL, LinkRule, Topology
from node.types import Duration

__all__ = [
    "BACKENDS", "COLLECTED", "INVARIANTS", "RUNNERS", "SEED_MAX", "Comparison", "Direction", "Entry", "Expectation",
    "Invariant", "Load", "Probe", "ProbeKind", "Scenario", "Target",
]  # fmt: skip

RUNNERS = ("docker", "proc", "sim")
BACKENDS = ("auto", "netem", "nft", "wire")
SEED_MAX = 1 << 53
COLLECTED = ("metrics", "history", "logs", "qlog")

INVARIANTS: Mapping[str, str] = {
    "no_duplicate_delivery": "no node delivers a message twice, but for the last second before it was killed",
    "only_published": "nobody delivers what no honest node has published",
    "every_message_everywhere": "every node that lived through it delivers every message",
    "same_membership_view": "at the end every live node has every other live node as a member, and nobody else",
    "no_false_death": "nobody is declared dead who was neither stopped, frozen nor cut off",
    "no_unasked_restart": "no node ends or starts again that was not told to",
    "clean_logs": "no node logs an error",
    "rss_below": "no node ever has more resident memory than this",
}
"""What can be asked of the histories, and what it means; `rss_below` takes a size."""


class ProbeKind(StrEnum):
    """Where a probe looks."""

    PEERS = "peers"
    PROM = "prom"
    STATE = "state"
    HTTP = "http"
    LOG = "log"


class Direction(StrEnum):
    """Which packets of a node a fault on its links hits."""

    BOTH = "both"
    OUT = "out"
    IN = "in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a probe's number has to be. word: at_least, at_most, above, below or equals."""

    word: str
    value: float

    def holds(self, number: float) -> bool:
        """Whether that number is what was asked for; nan never is."""
        match self.word:
            case "at_least":
                return number >= self.value
            case "at_most":
                return number <= self.value
            case "above":
                return number > self.value
            case "below":
                return number < self.value
            case _:
                return number == self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question with its answer.

    subject: an expression (prom), a dotted path in a node's statistics (state), a path (http), a pattern (log), ""
    (peers). target: whom it is asked of; a state is the smallest of their answers, or as aggregate says.
    """

    kind: ProbeKind
    subject: str = ""
    target: str = ALL
    aggregate: str = "min"
    comparison: Comparison

    def __str__(self) -> str:
        words = self.comparison.word.replace("_", " ")
        return f"{self.kind.value} {self.subject}".strip() + f" {words} {self.comparison.value:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom a fault hits: those named, or so many of them by chance. pick: a number. share: of them, at least one."""

    names: tuple[str, ...]
    pick: int | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One fault of the timeline. at: since the steady state was found. duration: 0 for those that have no end."""

    id: str
    kind: str
    at: Duration
    duration: Duration
    parameters: Mapping[str, object] = field(default_factory=dict)
    target: Target | None = None
    peers: tuple[str, ...] = (ALL,)
    direction: Direction = Direction.BOTH

    @property
    def until(self) -> Duration:
        """When it ends."""
        return self.at + self.duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a fault must lead to.

    what: `detect` (the probe holds within that time of the fault's beginning), `recover` (all probes hold within that
    time of its end) or `hold` (all of them hold all the while).
    """

    what: str
    fault: str
    probes: tuple[Probe, ...]
    within: Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """One of INVARIANTS. limit: bytes, for `rss_below`."""

    name: str
    limit: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Messages that are published all the while. rate: per second, by all senders together. size: bytes of each."""

    rate: float
    size: int
    sender: str = ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """See the module. settle: how long steady states and messages may take. limit: for the whole run."""

    name: str
    title: str
    description: str
    seed: int
    topology: Topology
    base: LinkSettings
    rules: tuple[LinkRule, ...]
    backend: str
    runners: tuple[str, ...]
    load: Load
    steady: tuple[Probe, ...]
    timeline: tuple[Entry, ...]
    expectations: tuple[Expectation, ...]
    invariants: tuple[Invariant, ...]
    collect: tuple[str, ...]
    settle: Duration
    limit: Duration

    @property
    def length(self) -> Duration:
        """Time from the first fault's origin to the end of the last one."""
        return max((entry.until for entry in self.timeline), default=0)
