"""How far the broadcasts have come that the application follows: who acknowledged a copy, who is known to have it.

Knows nothing of frames; the gossip service tells it what peers show, and reports what has changed. Bounded: the
broadcast followed longest is given up first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from node.types import NodeId
from node.wire.limits import RECEIPTS_MAX

__all__ = ["Receipt", "Receipts"]


@dataclass(slots=True)
class Receipt:
    """One broadcast. acked: peers that acknowledged a copy of this node. holders: peers known to have accepted it."""

    acked: dict[NodeId, None] = field(default_factory=dict)
    holders: dict[NodeId, None] = field(default_factory=dict)


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

    def follow(self, message_id: bytes) -> None:
        """Begins to follow a broadcast."""
        self._receipts[message_id] = Receipt()
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
