"""What a connection is from its first moment, and the states that it passes through."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from node.types import Address, ConnectionId

__all__ = ["ConnectionState", "Origin"]


class ConnectionState(Enum):
    """Life of a connection; it only ever moves down this list.

    HANDSHAKE: the peer has not proved its identity. ESTABLISHED: messages flow. CLOSING: our CLOSE is under way; it is
    repeated for a peer that still sends. CLOSED: gone.
    """

    HANDSHAKE = auto()
    ESTABLISHED = auto()
    CLOSING = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a connection is from its first moment.

    handle: how the endpoint's callers name it. local_id: what the peer writes into the header.
    """

    handle: int
    local_id: ConnectionId
    address: Address
    is_initiator: bool
