"""Which of two connections with one peer stays, decided alike at both ends without a further message."""

from __future__ import annotations

from dataclasses import dataclass

from node.types import Duration, Instant, NodeId
from node.wire.limits import HANDSHAKE_TIMEOUT

__all__ = ["DUPLICATE_WINDOW", "Claim", "is_newer_kept"]

DUPLICATE_WINDOW: Duration = HANDSHAKE_TIMEOUT
"""Two connections of one peer that come this close to each other were dialled at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What decides about a connection.

    dial_number: given by the initiator, larger for each later dial of its process.
    peer_static: X25519 key of the peer's process.
    """

    is_initiator: bool
    dial_number: int
    peer_static: bytes
    established_at: Instant


def is_newer_kept(own_id: NodeId, peer_id: NodeId, *, old: Claim, new: Claim) -> bool:
    """Whether the connection that has just been established stays, rather than the one in use."""
    if old.peer_static != new.peer_static or new.established_at - old.established_at >= DUPLICATE_WINDOW:
        # The peer was started again, or dials again because it has lost the old connection.
        return True
    if old.is_initiator == new.is_initiator:
        return new.dial_number > old.dial_number
    # Both ends dialled at once: the dial of the smaller key stays.
    return new.is_initiator == (own_id < peer_id)
