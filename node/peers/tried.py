"""Which nodes this one met are remembered: the table `tried` of an address book in two tables.

Only nodes that proved their key over a connection get in, at the host that the connection was with, whatever host they
claim. Bucket and host are tied by a secret: one group of addresses shares TRIED_REACH of TRIED_BUCKETS buckets and one
host has one of them, so that an attacker with few groups holds few places, however many keys it makes. In a full bucket
a newcomer must wait until the oldest entry there was tested: whoever answers stays.

Knows nothing of connections: the caller dials whom `admit` names and tells who was heard of when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from node.peers.buckets import Buckets
from node.peers.groups import group_of, keyed
from node.types import SECOND, Duration, Instant, NodeId
from node.wire.limits import TRIED_BUCKETS, TRIED_PER_BUCKET, TRIED_REACH

__all__ = ["Tried"]

TEST_TIME: Duration = 15 * SECOND
"""Time that an old entry has to answer before a newcomer takes its place: some repetitions of a handshake."""


@dataclass(frozen=True, slots=True)
class _Contest:
    old: NodeId
    newcomer: NodeId
    since: Instant


class Tried(Buckets[None]):
    """The remembered nodes. secret: up to 64 bytes. heard_at: last sign of life of a node, None if there was none."""

    def __init__(self, secret: bytes, heard_at: Callable[[NodeId], Instant | None]) -> None:
        super().__init__()
        self._secret = secret
        self._heard_at = heard_at
        self._contests: dict[int, _Contest] = {}

    def admit(self, node_id: NodeId, host: str, now: Instant) -> NodeId | None:
        """Remembers a node that was met at that host, if there is room; else whom to test, None if nobody is."""
        if node_id in self:
            return None
        number = self._choose(host)
        bucket = self.bucket(number)
        if len(bucket) < TRIED_PER_BUCKET:
            self.put(node_id, number, None)
            return None
        if number in self._contests:
            return None
        old = min(bucket, key=lambda known: self._heard_at(known) or 0)
        self._contests[number] = _Contest(old, node_id, now)
        return old

    def settle(self, now: Instant) -> None:
        """Decides the tests whose time is over."""
        for number, contest in list(self._contests.items()):
            if now - contest.since < TEST_TIME:
                continue
            del self._contests[number]
            heard_at = self._heard_at(contest.old)
            if heard_at is None or heard_at < contest.since:
                self.remove(contest.old)
                if contest.newcomer not in self:
                    self.put(contest.newcomer, number, None)

    def _choose(self, host: str) -> int:
        group = group_of(host)
        turn = keyed(self._secret, b"host", host.encode()) % TRIED_REACH
        return (keyed(self._secret, b"group", group) + turn) % TRIED_BUCKETS
