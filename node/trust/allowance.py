"""How many statements each peer may still bring: a bucket that fills with time (a token bucket per peer)."""

from __future__ import annotations

from node.types import SECOND, Instant, NodeId
from node.wire.limits import PEERS_KNOWN_MAX, STATEMENTS_BURST_MAX, STATEMENTS_PER_SECOND_MAX

__all__ = ["Allowance"]

_COST = SECOND // STATEMENTS_PER_SECOND_MAX
_FULL = STATEMENTS_BURST_MAX * _COST


class Allowance:
    """Checking a signature costs this node more than making a wrong one costs a peer.

    Who leaves and comes back finds its bucket as it was. Bounded: the one that was used longest ago is forgotten.
    """

    def __init__(self) -> None:
        self._empty_at: dict[NodeId, Instant] = {}
        """Since when the bucket of a peer would have been filling; a full one is as old as it takes to fill it."""

    def __len__(self) -> int:
        return len(self._empty_at)

    def take(self, peer: NodeId, now: Instant) -> bool:
        """Whether that peer may bring one more statement now; if so it is counted."""
        empty_at = max(self._empty_at.pop(peer, now - _FULL), now - _FULL) + _COST
        if empty_at > now:
            self._empty_at[peer] = empty_at - _COST
            return False
        self._empty_at[peer] = empty_at
        if len(self._empty_at) > PEERS_KNOWN_MAX:
            del self._empty_at[next(iter(self._empty_at))]
        return True
