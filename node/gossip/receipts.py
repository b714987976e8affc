"""How far the broadcasts have come that the application follows: who acknowledged a copy, who is known to have it.

Knows nothing of frames and members; the gossip service tells it what peers show, and reports what has changed. Bounded:
the broadcast followed longest is given up first.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from node.gossip.actions import Followed
from node.types import SECOND, Duration, Instant, NodeId
from node.wire.limits import RECEIPTS_MAX

__all__ = ["Receipt", "Receipts"]


VISIT_INTERVAL: Duration = 1 * SECOND
"""Time between two visits of a node that has not shown that it has what is followed: links that nobody needs end."""


@dataclass(slots=True)
class Receipt:
    """One broadcast.

    audience: whom it was sent to; who came later has no claim to it. visit_at: when those of them that are not linked
    are to be visited, None for never. acked: peers that acknowledged a copy of this node. holders: peers known to have
    accepted it.
    """

    audience: tuple[NodeId, ...]
    visit_at: Instant | None
    acked: dict[NodeId, None] = field(default_factory=dict)
    holders: dict[NodeId, None] = field(default_factory=dict)

    def report(self, message_id: bytes, visits: tuple[NodeId, ...]) -> Followed:
        """How far it has come. Who has it need not have acknowledged a copy of this node: it came from others."""
        return Followed(
            message_id=message_id,
            acked=len(self.acked.keys() | self.holders.keys()),
            holders=tuple(peer for peer in self.audience if peer in self.holders),
            others=tuple(peer for peer in self.audience if peer not in self.holders),
            visits=visits,
        )

    def visits(self, linked: Container[NodeId], now: Instant) -> tuple[NodeId, ...]:
        """Whom to visit now, since nobody who is not linked can be asked."""
        if self.visit_at is None or now < self.visit_at:
            return ()
        self.visit_at = now + VISIT_INTERVAL
        return tuple(peer for peer in self.audience if peer not in self.holders and peer not in linked)


class Receipts:
    """The broadcasts that are followed."""

    def __init__(self) -> None:
        self._receipts: dict[bytes, Receipt] = {}

    def __len__(self) -> int:
        return len(self._receipts)

    def get(self, message_id: bytes) -> Receipt | None:
        """The receipt of that broadcast, if it is followed."""
        return self._receipts.get(message_id)

    def followed(self) -> list[bytes]:
        """What is followed, longest first."""
        return list(self._receipts)

    def follow(self, message_id: bytes, audience: Sequence[NodeId], visit_at: Instant | None) -> None:
        """Begins to follow a broadcast; as in `Receipt`."""
        self._receipts[message_id] = Receipt(tuple(audience), visit_at)
        if len(self._receipts) > RECEIPTS_MAX:
            del self._receipts[next(iter(self._receipts))]

    def forget(self, message_id: bytes) -> None:
        """Follows a broadcast no more."""
        self._receipts.pop(message_id, None)

    def acked(self, peer: NodeId, message_id: bytes) -> bool:
        """That peer acknowledged a copy; whether that is news."""
        receipt = self._receipts.get(message_id)
        if receipt is None or peer in receipt.acked:
            return False
        receipt.acked[peer] = None
        return True

    def holds(self, peer: NodeId, message_id: bytes) -> bool:
        """That peer has shown that it has it; whether that is news."""
        receipt = self._receipts.get(message_id)
        if receipt is None or peer in receipt.holders:
            return False
        receipt.holders[peer] = None
        return True
