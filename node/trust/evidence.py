"""What this node has seen of others by itself: credit and penalties that fade, and bans.

Only provable things count. Whoever sent something wrong over an authenticated connection pays for it, never the author
that it named; a proof against an author counts wherever it came from, and voids its credit, which anybody can earn who
waits. Every weight fades with TRUST_HALF_LIFE. Knows nothing of what others say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from node.errors import DecodeError
from node.identity.keys import NODE_ID_BYTES
from node.messages.packing import Value
from node.types import Duration, Instant, NodeId
from node.wire.limits import BAN_TIME, CREDIT_INTERVAL, EVIDENCE_RECORDS_MAX, TRUST_HALF_LIFE

__all__ = ["BAN_THRESHOLD", "PENALTIES", "Evidence", "Record", "kind_of"]

PENALTIES: Mapping[str, float] = MappingProxyType(
    {
        "equivocation": 1.0,
        "impersonation": 0.25,
        "protocol_violation": 0.25,
        "bad_signature": 0.1,
        "malformed": 0.1,
        "unexpected": 0.05,
        "flood": 0.05,
        "broken_promise": 0.02,
    }
)
"""What each kind of evidence weighs.

equivocation: it signed two messages with one number, proved to everybody. impersonation: it signed in another's name.
protocol_violation: it broke a rule of the transport. bad_signature: it passed on what its author did not sign.
malformed: it sent what does not decode. unexpected: it sent what has no place there. flood: it sent more than its share
for long. broken_promise: it announced what it did not send, again and again; a bad network causes that too, so it
weighs little, and bans nobody by itself.
"""

PENALTY_MAX: Mapping[str, float] = MappingProxyType({"broken_promise": 0.5})
"""Penalties up to which a kind adds to them: what could be bad luck makes a node doubtful, and no worse."""

_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "wrong_key": "impersonation",
        "unsigned": "bad_signature",
        "wrong_network": "bad_signature",
        "wrong_origin": "unexpected",
        "too_many_hops": "unexpected",
        "rate_limited": "flood",
    }
)

CREDIT = 0.01
"""What a first delivery adds, of what is still missing to 1: trusted after about 100 of them."""

WEIGHT_MAX = 2.0
"""Penalties that one record holds at most, so that every one is forgiven in the end."""

BAN_THRESHOLD = -0.8
"""Score from which this node wants no connection: without credit after 8 bad signatures in a row; after any proof."""

_PROOF = "equivocation"
"""The one kind that is proved to everybody."""

_DROPPED = EVIDENCE_RECORDS_MAX // 16
"""Records that go at once where there are too many: who goes is found by a look at all of them."""


def kind_of(reason: str) -> str:
    """The kind of evidence that a refusal for that reason is; a kind is its own reason."""
    return reason if reason in PENALTIES else _KINDS.get(reason, "malformed")


@dataclass(slots=True)
class Record:
    """One node. good, bad: what was weighed, as of updated_at. banned_until: None when it is not banned."""

    good: float = 0.0
    bad: float = 0.0
    updated_at: Instant = 0
    credited_at: Instant | None = None
    first_deliveries: int = 0
    penalties: dict[str, int] = field(default_factory=dict)
    banned_until: Instant | None = None

    def fade(self, now: Instant) -> None:
        """Brings the weights to that instant."""
        factor = _faded(now - self.updated_at)
        self.good *= factor
        self.bad *= factor
        self.updated_at = now

    def balance(self, now: Instant) -> tuple[float, float]:
        """What speaks for and against it at that instant."""
        factor = _faded(now - self.updated_at)
        return self.good * factor, self.bad * factor

    def score(self, now: Instant) -> float:
        """-1 to 1."""
        good, bad = self.balance(now)
        return max(-1.0, min(1.0, good - bad))


class Evidence:
    """The records of all nodes of which this one has seen something that counts. linked: those it has to do with now,
    whose records stay whatever crowd there is.
    """

    def __init__(self, linked: Mapping[NodeId, object] = MappingProxyType({})) -> None:
        self._records: dict[NodeId, Record] = {}
        self._linked = linked

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[tuple[NodeId, Record]]:
        return iter(self._records.items())

    def get(self, node_id: NodeId) -> Record | None:
        """What was seen of that node."""
        return self._records.get(node_id)

    def score(self, node_id: NodeId, now: Instant) -> float:
        """-1 to 1; 0 for a stranger."""
        record = self._records.get(node_id)
        return record.score(now) if record is not None else 0.0

    def credit(self, node_id: NodeId, now: Instant) -> bool:
        """It was the first to bring a message of somebody else; whether that counted."""
        record = self._of(node_id, now)
        record.first_deliveries += 1
        if record.credited_at is not None and now - record.credited_at < CREDIT_INTERVAL:
            return False
        record.credited_at = now
        record.fade(now)
        record.good += CREDIT * (1.0 - record.good)
        return True

    def penalise(self, node_id: NodeId, kind: str, now: Instant) -> bool:
        """It did something of that kind; whether it is banned for that now, and was not before."""
        record = self._of(node_id, now)
        record.fade(now)
        if kind == _PROOF:
            record.good = 0.0
        most = max(record.bad, PENALTY_MAX.get(kind, WEIGHT_MAX))
        record.bad = min(most, record.bad + PENALTIES[kind])
        record.penalties[kind] = record.penalties.get(kind, 0) + 1
        if record.score(now) > BAN_THRESHOLD + 1e-9 or kind in PENALTY_MAX:
            return False
        was_banned = self.is_banned(node_id, now)
        record.banned_until = now + BAN_TIME
        return not was_banned

    def is_banned(self, node_id: NodeId, now: Instant) -> bool:
        """Whether this node wants no connection with that one."""
        record = self._records.get(node_id)
        return record is not None and record.banned_until is not None and now < record.banned_until

    def expire(self, now: Instant) -> None:
        """Lets go of what has faded to nothing."""
        for node_id, record in list(self._records.items()):
            if record.banned_until is not None and record.banned_until <= now:
                record.banned_until = None
            if record.banned_until is None and sum(record.balance(now)) < CREDIT / 10:
                del self._records[node_id]

    def snapshot(self, wall_offset: Duration) -> list[Value]:
        """Everything as plain data; instants become wall time."""
        return [
            [
                node_id,
                record.good,
                record.bad,
                record.updated_at + wall_offset,
                record.first_deliveries,
                dict(record.penalties),
                None if record.banned_until is None else record.banned_until + wall_offset,
            ]
            for node_id, record in self._records.items()
        ]

    def restore(self, row: Value, now: Instant, wall_offset: Duration) -> None:
        """One row of `snapshot` of an earlier life; DecodeError for anything else, and nothing changed then."""
        match row:
            case [bytes(key), float(good), float(bad), int(at), int(deliveries), dict(penalties), until, *_] if (
                len(key) == NODE_ID_BYTES and 0 <= good <= 1 and 0 <= bad <= WEIGHT_MAX and deliveries >= 0
            ):
                counts = {kind: count for kind, count in penalties.items() if kind in PENALTIES and type(count) is int}
                record = Record(good, bad, min(at - wall_offset, now), None, deliveries, counts)
                if isinstance(until, int):
                    # The wall clock may have been wrong when it was written: nothing lasts longer than a whole ban.
                    record.banned_until = min(until - wall_offset, now + BAN_TIME)
                self._records[NodeId(key)] = record
                self._make_room(now)
            case _:
                raise DecodeError("malformed", "a row of evidence of another shape")

    def _of(self, node_id: NodeId, now: Instant) -> Record:
        record = self._records.get(node_id)
        if record is None:
            record = self._records[node_id] = Record(updated_at=now)
            self._make_room(now)
        return record

    def _make_room(self, now: Instant) -> None:
        """Lets those go that say least, of the banned ones only where they have more than their half: anybody can make
        keys and have them banned.
        """
        if len(self._records) <= EVIDENCE_RECORDS_MAX:
            return
        *others, _ = self._records
        banned = [node_id for node_id in others if self._records[node_id].banned_until is not None]
        crowd = (
            banned
            if len(banned) > EVIDENCE_RECORDS_MAX // 2
            else [node_id for node_id in others if self._records[node_id].banned_until is None]
        )
        crowd.sort(key=lambda node_id: (node_id in self._linked, sum(self._records[node_id].balance(now))))
        for node_id in crowd[:_DROPPED]:
            del self._records[node_id]


def _faded(elapsed: Duration) -> float:
    return float(0.5 ** (max(0, elapsed) / TRUST_HALF_LIFE))
