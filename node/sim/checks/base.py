"""What every checker is made of, and the situation that all of them judge by: who lives, who is paused, what is cut.

Checkers read records of the history, never the nodes, unless they are `Sampling`: then they also look at the running
network once per second and at its end. A violation names the invariant, the node, the subject and the virtual time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from node.sim.history import Record, node_name
from node.types import SECOND, Duration, Instant, to_seconds

__all__ = ["FOREVER", "Check", "Life", "Report", "Situation", "Violation"]

FOREVER: Instant = 1 << 62


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise. subject: the message, the peer or the table that it is about."""

    invariant: str
    at: Instant
    node: int
    subject: str
    text: str

    def __str__(self) -> str:
        about = f", {self.subject}" if self.subject else ""
        return f"{self.invariant} at {to_seconds(self.at):.3f} s, {node_name(self.node)}{about}: {self.text}"


Report = Callable[[Violation], None]


@dataclass(slots=True)
class Life:
    """One life of a node, as the history tells. ended_at: FOREVER while it lasts."""

    number: int
    since: Instant
    is_honest: bool
    ended_at: Instant = FOREVER
    has_left: bool = False

    @property
    def is_over(self) -> bool:
        return self.ended_at != FOREVER


@dataclass
class Situation:
    """Who lives and what is broken, at the instant of the last record.

    lives: the latest life of each node that was ever started. ever_hostile: those of which any life did not follow the
    protocol. reachable_since: end of the last cut, pause or start
    that kept a node from being reached. cuts: instants at which each cut that was ever made began and ended.
    """

    now: Instant = 0
    lives: dict[int, Life] = field(default_factory=dict)
    ever_hostile: dict[int, None] = field(default_factory=dict)
    reachable_since: dict[int, Instant] = field(default_factory=dict)
    paused_until: dict[int, Instant] = field(default_factory=dict)
    cuts: list[tuple[Instant, Instant]] = field(default_factory=list)

    def observe(self, record: Record) -> None:
        """Takes one record in; before every checker does."""
        self.now = record.at
        match record.kind:
            case "started":
                is_honest = record.facts.get("is_honest", True) is True
                self.lives[record.node] = Life(record.node, record.at, is_honest)
                if not is_honest:
                    self.ever_hostile[record.node] = None
                self.reachable_since[record.node] = record.at
            case "turned":
                self.lives[record.node].is_honest = False
                self.ever_hostile[record.node] = None
            case "stopped" | "crashed":
                life = self.lives[record.node]
                life.ended_at = record.at
                life.has_left = record.kind == "stopped"
            case "paused":
                seconds = record.facts["seconds"]
                assert isinstance(seconds, int | float)
                until = record.at + round(seconds * SECOND)
                self.paused_until[record.node] = max(self.paused_until.get(record.node, 0), until)
                self.reachable_since[record.node] = self.paused_until[record.node]
            case "cut":
                self.cuts.append((record.at, FOREVER))
            case "healed":
                self._heal(record)
            case _:
                pass

    def is_alive(self, node: int) -> bool:
        """Whether a process of it runs, paused or not."""
        life = self.lives.get(node)
        return life is not None and not life.is_over

    def is_honest(self, node: int) -> bool:
        """Whether its latest life follows the protocol."""
        life = self.lives.get(node)
        return life is not None and life.is_honest

    def honest_living(self) -> list[int]:
        """The honest nodes that run now, in order."""
        return sorted(number for number, life in self.lives.items() if life.is_honest and not life.is_over)

    @property
    def has_one_honest(self) -> bool:
        """Whether one honest node runs among hostile ones."""
        living = [life.is_honest for life in self.lives.values() if not life.is_over]
        return sum(living) == 1 and len(living) > 1

    @property
    def is_cut(self) -> bool:
        """Whether some nodes cannot reach some others now."""
        return any(end == FOREVER for _, end in self.cuts)

    def was_cut(self, since: Instant, until: Instant) -> bool:
        """Whether some cut lasted at some instant between these two."""
        return any(begin <= until and end >= since for begin, end in self.cuts)

    def undisturbed_since(self, node: int) -> Instant:
        """Since when that node lives, runs and can be reached; FOREVER if it does not now."""
        if not self.is_alive(node) or self.is_cut or self.paused_until.get(node, 0) > self.now:
            return FOREVER
        return max([self.reachable_since[node], *(end for _, end in self.cuts)])

    def _heal(self, record: Record) -> None:
        which = record.facts.get("cut")
        for index, (begin, end) in enumerate(self.cuts):
            if end == FOREVER and which in (None, index):
                self.cuts[index] = (begin, record.at)


class Check:
    """One invariant. Subclasses override `observe`, `tick` or `finish`, and call `fail`."""

    name = ""
    """What people call the invariant; words with hyphens."""

    def __init__(self, situation: Situation, report: Report) -> None:
        self.situation = situation
        self._report = report

    def observe(self, record: Record) -> None:
        """One happening, after the situation has taken it in."""

    def tick(self, now: Instant) -> None:
        """Once per second of virtual time."""

    def finish(self, now: Instant) -> None:
        """The run is over; what was promised by now must hold."""

    def fail(self, node: int, subject: str, text: str, at: Instant | None = None) -> None:
        """Reports a broken promise."""
        self._report(Violation(self.name, self.situation.now if at is None else at, node, subject, text))


def seconds_of(duration: Duration) -> str:
    """A duration as people read it."""
    return f"{to_seconds(duration):.3f} s"
