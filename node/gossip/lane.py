"""What is under way to one peer: copies that wait for its budget, ids it is owed, and what it may send itself.

Copies wait in classes, own messages before relayed ones before repairs. What finds no room is told by its id instead,
which costs 16 bytes, and the peer asks for it when it can. A copy or an id that turns out to be known to the peer is
taken out again. Knows nothing of frames and of other peers.
"""

from __future__ import annotations

from enum import IntEnum

from node.gossip.budget import Budget
from node.types import Duration, Instant
from node.wire.limits import (
    BODIES_PER_SECOND,
    BODY_BYTES_PER_SECOND,
    BUDGET_BURST,
    BUDGET_SLACK,
    IDS_PER_SECOND,
    LANE_BYTES_MAX,
    OWED_IDS_MAX,
    PROBATION,
    PROBATION_SHARE,
)

__all__ = ["Lane", "Rank"]

WISHES_PER_SECOND = 8
WISHES_BURST = 32
"""Grafts and prunes of one peer per second, and at once: an honest one says two or three after a change, at most once a
second."""


class Rank(IntEnum):
    """Why a copy is sent; lower goes first."""

    OWN = 0
    RELAY = 1
    REPAIR = 2


class _Allowance:
    """Bodies and bytes per second that a link may carry in one direction, a quarter of it while the link is new."""

    __slots__ = ("_bodies", "_bytes", "_since", "_slack")

    def __init__(self, slack: float, now: Instant) -> None:
        self._since: Instant | None = now
        self._slack = slack
        share = PROBATION_SHARE * slack
        self._bodies = Budget(BODIES_PER_SECOND * share, BODIES_PER_SECOND * BUDGET_BURST * share, now)
        self._bytes = Budget(BODY_BYTES_PER_SECOND * share, BODY_BYTES_PER_SECOND * BUDGET_BURST * share, now)

    def take(self, size: int, now: Instant) -> bool:
        if self._since is not None and now - self._since >= PROBATION:
            self._since = None
            for budget, rate in ((self._bodies, BODIES_PER_SECOND), (self._bytes, BODY_BYTES_PER_SECOND)):
                budget.set_rate(rate * self._slack, rate * BUDGET_BURST * self._slack, now)
        if self._bytes.wait(now) or not self._bodies.take(1, now):
            return False
        self._bytes.take(size, now)
        return True

    def wait(self, now: Instant) -> Duration:
        return max(self._bodies.wait(now), self._bytes.wait(now))


class Lane:
    """One peer. owed: ids to tell it, oldest first. excess: messages beyond its allowance in a row.

    under_way: large copies that it has not acknowledged, as many as its connection takes.
    """

    __slots__ = (
        "_inbound",
        "_inbound_ids",
        "_inbound_wishes",
        "_outbound",
        "_waiting",
        "excess",
        "is_outbound",
        "owed",
        "size",
        "under_way",
    )

    def __init__(self, now: Instant, *, is_outbound: bool) -> None:
        self.is_outbound = is_outbound
        self.owed: dict[bytes, None] = {}
        self.under_way: dict[bytes, None] = {}
        self.size = 0
        self.excess = 0
        self._waiting: tuple[dict[bytes, int], ...] = ({}, {}, {})
        self._outbound = _Allowance(1.0, now)
        self._inbound = _Allowance(BUDGET_SLACK, now)
        self._inbound_ids = Budget(IDS_PER_SECOND, IDS_PER_SECOND * BUDGET_BURST, now)
        self._inbound_wishes = Budget(WISHES_PER_SECOND, WISHES_BURST, now)

    def offer(self, message_id: bytes, size: int, rank: Rank, now: Instant) -> bool:
        """Whether that copy may be sent at once; otherwise it waits here, or only its id does, which is owed then."""
        if not any(self._waiting) and self._outbound.take(size, now):
            self.owed.pop(message_id, None)
            return True
        if self.has_room(size):
            self.owed.pop(message_id, None)
            self._waiting[rank][message_id] = size
            self.size += size
        else:
            self.owe(message_id)
        return False

    def is_sending(self, message_id: bytes) -> bool:
        """Whether a copy of that message waits here, or a large one is under way."""
        return message_id in self.under_way or any(message_id in waiting for waiting in self._waiting)

    def has_room(self, size: int) -> bool:
        """Whether a copy of that size may wait here."""
        return self.size + size <= LANE_BYTES_MAX

    def due(self, now: Instant) -> list[bytes]:
        """The waiting copies that may be sent now, in their order."""
        ready: list[bytes] = []
        for waiting in self._waiting:
            while waiting:
                message_id, size = next(iter(waiting.items()))
                if not self._outbound.take(size, now):
                    return ready
                del waiting[message_id]
                self.size -= size
                ready.append(message_id)
        return ready

    def next_timeout(self, now: Instant) -> Instant | None:
        """When the next waiting copy may be sent; None if none waits."""
        return now + self._outbound.wait(now) if any(self._waiting) else None

    def owe(self, message_id: bytes) -> None:
        """Keeps an id to tell, and forgets the oldest if there are too many: the digest brings it back."""
        self.owed[message_id] = None
        if len(self.owed) > OWED_IDS_MAX:
            del self.owed[next(iter(self.owed))]

    def settle(self, message_id: bytes) -> None:
        """The peer has that message."""
        self.owed.pop(message_id, None)
        if self.size:
            for waiting in self._waiting:
                self.size -= waiting.pop(message_id, 0)

    def admit(self, size: int, now: Instant) -> bool:
        """Whether the peer may send a message of that size now."""
        is_admitted = self._inbound.take(size, now)
        self.excess = 0 if is_admitted else self.excess + 1
        return is_admitted

    def admit_ids(self, count: int, now: Instant) -> bool:
        """Whether the peer may tell or ask for that many ids now; a list of none counts as one."""
        return self._inbound_ids.take(max(1, count), now)

    def admit_wish(self, now: Instant) -> bool:
        """Whether the peer may put this node into its mesh, out of it, or change its wishes now."""
        return self._inbound_wishes.take(1, now)
