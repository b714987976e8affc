"""Every live honest node delivers every message exactly once, and nothing else is ever delivered.

Judged from the records `published`, `delivered`, `forged` and `equivocated`. A message is owed to each
honest node that lived without a break from its publication to the end of its retention, or of the run. It is not owed
at all if its author died before anybody could have it, unless somebody who still lives has it: then everybody must.
What was cut off for longer than messages are retained is not owed either.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.sim.checks.base import Check, Report, Situation
from node.sim.history import Record, node_name
from node.types import SECOND, Duration, Instant

__all__ = ["RETENTION", "DeliveredInTime", "DeliveredOnce", "EverybodyDelivers", "NothingForged"]

RETENTION: Duration = 600 * SECOND
"""How long nodes keep messages for those that were cut off (`GossipSettings.retention`)."""

SPREADING: Duration = 1 * SECOND
"""How long an author must live after publishing for its message to be owed: time for one copy to leave it."""

JOINING: Duration = 2 * SECOND
"""A node that was started so shortly before a publication may not have been reachable yet."""

CALM: Duration = 10 * SECOND
"""Time without a start, a pause or a cut after which nothing excuses a late delivery."""

AGE_MAX: Duration = RETENTION + 2 * 60 * SECOND
"""A message older than this, by its own date, is a replay; wrong clocks are wrong by a minute at most."""

GRACE: Duration = 10 * SECOND
"""A message published so shortly before the end of a run is not missed yet, unless the scenario says otherwise."""

CUT_MARGIN: Duration = 10 * SECOND
"""A cut that ends so shortly before retention does leaves too little time for repair."""


@dataclass(slots=True)
class _Message:
    """reached: bit n is set once node n delivered it, in whatever life. origin: -1 if a hostile node made it."""

    origin: int
    published_at: Instant
    reached: int = 0


class DeliveredOnce(Check):
    """No node delivers a message twice, in one life or in two, and no author gets its own."""

    name = "delivered-once"

    def __init__(self, situation: Situation, report: Report) -> None:
        super().__init__(situation, report)
        self._reached: dict[str, int] = {}

    def observe(self, record: Record) -> None:
        if record.kind not in ("delivered", "published"):
            return
        message, bit = str(record.facts["message"]), 1 << record.node
        reached = self._reached.get(message, 0)
        if record.kind == "delivered" and reached & bit and self.situation.is_honest(record.node):
            self.fail(record.node, f"message {message}", "delivered again")
        self._reached[message] = reached | bit


class DeliveredInTime(Check):
    """Nodes that have lived and been reachable for a while deliver each message within a bound. within: that bound."""

    name = "delivered-in-time"

    def __init__(self, situation: Situation, report: Report) -> None:
        super().__init__(situation, report)
        self.within: Duration = 2 * SECOND
        self._young: dict[str, _Message] = {}

    def observe(self, record: Record) -> None:
        if record.kind == "published":
            self._young[str(record.facts["message"])] = _Message(record.node, record.at, 1 << record.node)
        elif record.kind == "delivered":
            message = self._young.get(str(record.facts["message"]))
            if message is not None and record.at <= message.published_at + self.within:
                message.reached |= 1 << record.node

    def tick(self, now: Instant) -> None:
        for identifier, message in list(self._young.items()):
            if message.published_at + self.within > now:
                return
            del self._young[identifier]
            self._judge(identifier, message)

    def _judge(self, identifier: str, message: _Message) -> None:
        situation = self.situation
        calm_since = message.published_at - CALM
        if situation.undisturbed_since(message.origin) > calm_since or not situation.is_honest(message.origin):
            return
        for node in situation.honest_living():
            if not message.reached >> node & 1 and situation.undisturbed_since(node) <= calm_since:
                text = f"not delivered {self.within / SECOND:.1f} s after its publication"
                self.fail(node, f"message {identifier}", text, message.published_at + self.within)


class NothingForged(Check):
    """What is delivered was published by the author that it names, not long ago, and is the only one of its number."""

    name = "nothing-forged"

    def __init__(self, situation: Situation, report: Report) -> None:
        super().__init__(situation, report)
        self._authors: dict[str, int] = {}
        self._twin_of: dict[str, str] = {}
        self._delivered_twins: dict[tuple[int, str], bool] = {}

    def observe(self, record: Record) -> None:
        match record.kind:
            case "published":
                self._authors[str(record.facts["message"])] = record.node
            case "equivocated":
                first, second = str(record.facts["first"]), str(record.facts["second"])
                self._twin_of[first], self._twin_of[second] = second, first
            case "delivered" if self.situation.is_honest(record.node):
                self._on_delivered(record)

    def _on_delivered(self, record: Record) -> None:
        message, origin = str(record.facts["message"]), record.facts["origin"]
        author = self._authors.get(message)
        if author is None and not (isinstance(origin, int) and not self.situation.is_honest(origin)):
            self.fail(record.node, f"message {message}", f"delivered as {_named(origin)}'s, who never published it")
        elif author is not None and author != origin:
            self.fail(record.node, f"message {message}", f"{node_name(author)}'s, delivered as {_named(origin)}'s")
        age = record.facts.get("age", 0)
        if isinstance(age, int) and age > AGE_MAX:
            self.fail(record.node, f"message {message}", f"delivered {age / SECOND:.0f} s after its own date")
        twin = self._twin_of.get(message)
        if twin is not None:
            if (record.node, twin) in self._delivered_twins:
                self.fail(record.node, f"message {message}", f"delivered beside its twin {twin}")
            self._delivered_twins[(record.node, message)] = True


class EverybodyDelivers(Check):
    """Every message is delivered by every honest node that lived all the time. within: seconds after publication.

    grace: what is younger at the end of the run is not judged.
    """

    name = "everybody-delivers"

    def __init__(self, situation: Situation, report: Report, *, grace: Duration = GRACE) -> None:
        super().__init__(situation, report)
        self._messages: dict[str, _Message] = {}
        self._grace = grace

    def observe(self, record: Record) -> None:
        if record.kind == "published":
            self._messages[str(record.facts["message"])] = _Message(record.node, record.at, 1 << record.node)
        elif record.kind == "delivered":
            message = self._messages.get(str(record.facts["message"]))
            if message is not None:
                message.reached |= 1 << record.node

    def tick(self, now: Instant) -> None:
        # Judged as soon as retention is over, so that a long run forgets its messages.
        for identifier, message in list(self._messages.items()):
            if message.published_at + RETENTION + self._grace > now:
                return
            self._judge(identifier, message, message.published_at + RETENTION)
            del self._messages[identifier]

    def finish(self, now: Instant) -> None:
        for identifier, message in self._messages.items():
            if message.published_at + self._grace <= now:
                self._judge(identifier, message, now)

    def _judge(self, identifier: str, message: _Message, until: Instant) -> None:
        if not self._is_owed(message, until):
            return
        for node in self.situation.honest_living():
            life = self.situation.lives[node]
            if life.since + JOINING <= message.published_at and not message.reached >> node & 1:
                age = (self.situation.now - message.published_at) / SECOND
                text = f"not delivered {age:.1f} s after {node_name(message.origin)} published it"
                self.fail(node, f"message {identifier}", text)

    def _is_owed(self, message: _Message, until: Instant) -> bool:
        situation = self.situation
        author = situation.lives[message.origin]
        if not author.is_honest:
            return False
        for begin, end in situation.cuts:
            if begin <= message.published_at + SPREADING and end > message.published_at + RETENTION - CUT_MARGIN:
                return False
            if end + self._grace > until and begin <= until:
                return False
        if author.since + JOINING <= message.published_at and author.ended_at - message.published_at >= SPREADING:
            return True
        keepers = (node for node in situation.honest_living() if message.reached >> node & 1 and node != message.origin)
        return any(situation.lives[node].since + JOINING <= message.published_at for node in keepers)


def _named(origin: object) -> str:
    return node_name(origin) if isinstance(origin, int) else f"stranger {origin}"
