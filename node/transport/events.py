"""What the transport tells its driver: one class per happening, frozen but for the two that come with every message.

Those are not modified either; to make a frozen object takes several times as long.

UDP endpoint and TCP endpoint speak the same events, so that whatever stands above handles both alike.
`connection` is the connection's handle: an integer unique within its endpoint and never reused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from node.errors import Code
from node.types import Address, NodeId

__all__ = [
    "AddressChanged",
    "Closed",
    "Connected",
    "Delivery",
    "Event",
    "MessageAcknowledged",
    "MessageFailed",
    "MessageReceived",
]


class Delivery(IntEnum):
    """How a message travels.

    UNRELIABLE: one datagram, never fragmented, never sent again.
    RELIABLE: delivered once, in no particular order, withdrawn at its deadline.
    ORDERED: delivered once, in the order of sending within its channel.
    """

    UNRELIABLE = 0
    RELIABLE = 1
    ORDERED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The handshake is complete and the peer has proved its identity; precedes every other event but Closed."""

    connection: int
    peer_id: NodeId
    address: Address
    is_initiator: bool


@dataclass(slots=True, kw_only=True)
class MessageReceived:
    """A whole message arrived; each reliable message arrives exactly once per connection.

    channel: of an ordered message over UDP; None for others, and over TCP, where there is one order for all.
    """

    connection: int
    peer_id: NodeId
    data: bytes
    delivery: Delivery
    channel: int | None = None


@dataclass(slots=True, kw_only=True)
class MessageAcknowledged:
    """The peer has received the whole message."""

    connection: int
    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFailed:
    """The message will not be sent any more: its deadline passed (`expired`) or its connection ended."""

    connection: int
    message_id: int
    expired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChanged:
    """The peer has another address, and has shown that it is there."""

    connection: int
    peer_id: NodeId
    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The connection is gone; the last event that names it. peer_id is None when it never became established.

    hint: what an unauthenticated answer claimed (`network_mismatch`, `version_mismatch`), or "".
    """

    connection: int
    peer_id: NodeId | None
    address: Address
    code: Code
    reason: str
    by_peer: bool
    is_initiator: bool
    hint: str = ""


Event: TypeAlias = Connected | AddressChanged | MessageReceived | MessageAcknowledged | MessageFailed | Closed
