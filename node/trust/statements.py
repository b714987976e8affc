"""Signed statements of one node about another, and the bounded table of those that count.

    envelope of kind TRUST_UPDATE with payload = packed [subject, score, expiry_ms]
    score: -127 to 127, for -1 to 1

The latest one of an issuer about a subject counts, by the issuer's own (epoch, sequence): order survives reconnects and
relays. One peer can fill no more than its share of the table. Knows nothing of what a statement is worth.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from node.errors import DecodeError
from node.identity.keys import NODE_ID_BYTES
from node.messages.envelope import Envelope
from node.messages.packing import pack, unpack_list
from node.messages.types import MessageType
from node.types import MILLISECOND, Duration, NodeId
from node.wire.limits import (
    CLOCK_AHEAD_MAX,
    STATEMENT_BYTES_MAX,
    STATEMENT_INTERVAL,
    STATEMENT_LIFE,
    STATEMENTS_MAX,
    STATEMENTS_PER_ISSUER_MAX,
)

__all__ = ["Key", "Statement", "StatementTable", "parse_statement", "statement_payload"]

SCORE_MAX = 127
Key: TypeAlias = tuple[NodeId, NodeId]
"""Issuer and subject."""

Member = TypeVar("Member")


@dataclass(frozen=True, slots=True)
class Statement:
    """What one node says about another. score: -1 to 1. expires_at: wall nanoseconds. envelope: as it travels."""

    subject: NodeId
    score: float
    expires_at: Duration
    envelope: Envelope

    @property
    def key(self) -> Key:
        """Who speaks about whom."""
        return self.envelope.origin, self.subject

    @property
    def order(self) -> tuple[int, int]:
        """The later of two statements has the higher one."""
        return self.envelope.epoch, self.envelope.sequence


def statement_payload(subject: NodeId, score: float, expires_at: Duration) -> bytes:
    """What an issuer signs. score: -1 to 1. expires_at: wall nanoseconds."""
    return pack([subject, round(max(-1.0, min(1.0, score)) * SCORE_MAX), expires_at // MILLISECOND])


def parse_statement(envelope: Envelope, wall: Duration) -> Statement:
    """The statement in an envelope that is not yet verified; DecodeError for any other, also for one that is over."""
    if envelope.kind != MessageType.TRUST_UPDATE:
        raise DecodeError("unexpected", f"kind {envelope.kind} as a statement")
    if len(envelope.body) > STATEMENT_BYTES_MAX:
        raise DecodeError("too_large", f"a statement of {len(envelope.body)} bytes")
    match unpack_list(envelope.payload, 3):
        case [bytes(subject), int(score), int(expiry), *_] if (
            len(subject) == NODE_ID_BYTES and -SCORE_MAX <= score <= SCORE_MAX and expiry >= 0
        ):
            pass
        case _:
            raise DecodeError("malformed", "a statement is subject, score and expiry")
    if subject == envelope.origin:
        raise DecodeError("malformed", "a node speaks for itself")
    if envelope.age(wall) < -CLOCK_AHEAD_MAX:
        raise DecodeError("future")
    expires_at = min(expiry * MILLISECOND, envelope.timestamp * MILLISECOND + STATEMENT_LIFE)
    if expires_at <= wall:
        raise DecodeError("stale")
    return Statement(NodeId(subject), score / SCORE_MAX, expires_at, envelope)


@dataclass(slots=True)
class _Entry:
    statement: Statement
    source: NodeId


class StatementTable:
    """The latest statement of each issuer about each subject."""

    def __init__(self) -> None:
        self._entries: dict[Key, _Entry] = {}
        # Kept in order, since sorting a full table for every page would cost more than whoever asks for one pays.
        self._keys: list[Key] = []
        self._by_issuer: dict[NodeId, dict[NodeId, None]] = {}
        self._by_source: dict[NodeId, dict[Key, None]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Statement | None:
        """The statement that counts."""
        entry = self._entries.get(key)
        return entry.statement if entry is not None else None

    def rows(self) -> list[tuple[Statement, NodeId]]:
        """Every statement that counts and the peer that brought it, oldest first."""
        return [(entry.statement, entry.source) for entry in self._entries.values()]

    def issuers(self) -> Iterator[NodeId]:
        """Everybody who said something."""
        return iter(self._by_issuer)

    def said_by(self, issuer: NodeId) -> list[Statement]:
        """What one node says, oldest first."""
        return [self._entries[(issuer, subject)].statement for subject in self._by_issuer.get(issuer, ())]

    def page(self, after: bytes, limit: int) -> list[Statement]:
        """Up to `limit` statements in the order of their keys, those behind `after` (issuer and subject, or empty)."""
        start = bisect_right(self._keys, (NodeId(after[:NODE_ID_BYTES]), NodeId(after[NODE_ID_BYTES:])))
        return [self._entries[key].statement for key in self._keys[start : start + limit]]

    @staticmethod
    def is_too_soon(earlier: Statement, later: Statement) -> bool:
        """Whether an issuer repeats itself faster than once per STATEMENT_INTERVAL, by its own clock."""
        return (later.envelope.timestamp - earlier.envelope.timestamp) * MILLISECOND < STATEMENT_INTERVAL

    def add(self, statement: Statement, source: NodeId) -> None:
        """Takes in a statement whose signature held. source: the peer that brought it."""
        self.remove(statement.key)
        issuer, subject = statement.key
        subjects = self._by_issuer.get(issuer, {})
        if len(subjects) >= STATEMENTS_PER_ISSUER_MAX:
            self.remove((issuer, next(iter(subjects))))
        elif len(self._entries) >= STATEMENTS_MAX:
            loudest = max(self._by_source.values(), key=len)
            self.remove(next(iter(loudest)))
        self._entries[statement.key] = _Entry(statement, source)
        insort(self._keys, statement.key)
        self._by_issuer.setdefault(issuer, {})[subject] = None
        self._by_source.setdefault(source, {})[statement.key] = None

    def expire(self, wall: Duration) -> None:
        """Lets go of what is over."""
        for key, entry in list(self._entries.items()):
            if entry.statement.expires_at <= wall:
                self.remove(key)

    def remove(self, key: Key) -> None:
        """Forgets a statement."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            del self._keys[bisect_left(self._keys, key)]
            _discard(self._by_issuer, key[0], key[1])
            _discard(self._by_source, entry.source, key)


def _discard(index: dict[NodeId, dict[Member, None]], name: NodeId, member: Member) -> None:
    group = index[name]
    del group[member]
    if not group:
        del index[name]
