"""Which of two connections with one peer stays, decided alike at both ends without a further message.

The ends cannot measure alike how far apart the two came: who dialled one has it first. So the end that dials the later
one decides by its own clock, and where it decides against, it does not send the CONFIRM without which the other end
has no second connection to decide about. Where it sends one, the other end, which dialled the earlier one and has it
for longer, decides for the later one as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from node.types import Duration, Instant, NodeId
from node.wire.limits import HANDSHAKE_TIMEOUT

__all__ = ["CROSSING_TIME", "DUPLICATE_WINDOW", "Choice", "Claim", "choose"]

CROSSING_TIME: Duration = HANDSHAKE_TIMEOUT
"""An end that has had a connection for so long has not dialled before it had it."""

DUPLICATE_WINDOW: Duration = 3 * CROSSING_TIME
"""Two connections of one peer that come this close to each other may have been dialled at the same time: each CONFIRM
may be late by CROSSING_TIME, and a third keeps what is told from what is withheld."""


class Choice(Enum):
    """IS_WITHHELD: it goes, and must not be confirmed, for the other end might prefer it."""

    STAYS = auto()
    GOES = auto()
    IS_WITHHELD = auto()


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


def choose(own_id: NodeId, peer_id: NodeId, *, old: Claim | None, new: Claim | None) -> Choice:
    """What becomes of a connection that has just been established, beside the one in use."""
    assert old is not None
    assert new is not None
    age = new.established_at - old.established_at
    if old.peer_static != new.peer_static or age >= DUPLICATE_WINDOW:
        # The peer was started again, or dials again because it has lost the old connection.
        return Choice.STAYS
    if old.is_initiator == new.is_initiator:
        stays = new.dial_number > old.dial_number
    else:
        # Both ends dialled at once: the dial of the smaller key stays.
        stays = new.is_initiator == (own_id < peer_id)
    if stays:
        return Choice.STAYS
    return Choice.IS_WITHHELD if new.is_initiator and age >= CROSSING_TIME else Choice.GOES
