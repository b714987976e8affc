"""What passes through an endpoint's verbs, and what a connection remembers of a packet until its fate is known.

Datagrams are not modified once they are built either, but not frozen: there are two for every packet, and to make a
frozen object takes three times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from node.errors import UsageError
from node.transport.events import Delivery
from node.types import Address, Instant
from node.wire.frames import ConfirmedFrame, MaxDataFrame, WithdrawFrame
from node.wire.varint import VARINT_MAX

if TYPE_CHECKING:
    from node.transport.fragments import Part

__all__ = ["ControlFrame", "Datagram", "Message", "Packet", "Priority", "SentPacket", "Transmit"]

ControlFrame = MaxDataFrame | WithdrawFrame | ConfirmedFrame
"""Frames that are sent again when their packet is lost."""


@dataclass(slots=True)
class Datagram:
    """One UDP payload that arrived, or several of one sender that the kernel has joined (UDP_GRO).

    ecn: the two ECN bits of their IP headers. segment_size: `data` is cut every so many bytes, the last payload may be
    shorter; 0 for a single one.
    """

    address: Address
    data: bytes
    ecn: int = 0
    segment_size: int = 0

    def payloads(self) -> list[bytes]:
        """Each UDP payload by itself."""
        size = self.segment_size
        if not 0 < size < len(self.data):
            return [self.data]
        return [self.data[start : start + size] for start in range(0, len(self.data), size)]


@dataclass(slots=True)
class Transmit:
    """One or several UDP payloads to one address: `data` cut every segment_size bytes, the last may be shorter.

    ecn: the two ECN bits of their IP headers.
    """

    address: Address
    data: bytes
    segment_size: int
    ecn: int = 0

    def payloads(self) -> list[bytes]:
        """Each UDP payload by itself."""
        size = self.segment_size
        return [self.data[start : start + size] for start in range(0, len(self.data), size)]


class Priority(IntEnum):
    """Whose turn it is where several messages wait for one peer; smaller goes first."""

    CONTROL = 0
    OWN = 1
    RELAY = 2
    BULK = 3


@dataclass(frozen=True, slots=True)
class Message:
    """What a caller wants sent.

    deadline: when an unacknowledged reliable message is withdrawn; None for never. Not allowed for ORDERED, where
        a gap would stop the channel.
    channel: of an ORDERED message; ignored otherwise.
    priority: of a reliable message; those of one priority go in the order of sending. Over TCP all do.
    Raises UsageError for what could not be written into a packet later on, where nobody would be told.
    """

    data: bytes
    delivery: Delivery
    deadline: Instant | None = None
    channel: int = 0
    priority: Priority = Priority.OWN

    def __post_init__(self) -> None:
        if not isinstance(self.data, bytes):
            raise UsageError(f"data of type {type(self.data).__name__}: allowed are bytes")
        if not 0 <= self.channel <= VARINT_MAX:
            raise UsageError(f"channel {self.channel}: allowed is 0 to {VARINT_MAX}")


@dataclass(frozen=True, slots=True)
class Packet:
    """What a standalone transport hands to its handlers: one message and how it travelled."""

    payload: bytes
    delivery: Delivery


@dataclass(slots=True, eq=False)
class SentPacket:
    """A packet on its way. size: bytes of UDP payload; ack_largest: the largest number its ACK covered, or -1.

    delivered, delivered_at, first_sent_at, is_app_limited: state of the delivery rate when it was sent.
    is_marked: sent as capable of ECN. is_unhurried: carries unreliable messages alone, so its answer may take long.
    lost_trigger: which rule declared it lost, one of LOSS_TRIGGERS; "" before.
    is_below_rate: sent while the pacing rate was held below the estimated bandwidth, so that its loss is no overflow.
    """

    number: int
    sent_at: Instant
    size: int
    is_ack_eliciting: bool
    ack_largest: int = -1
    delivered: int = 0
    delivered_at: Instant = 0
    first_sent_at: Instant = 0
    is_app_limited: bool = False
    is_below_rate: bool = False
    lost_trigger: str = ""
    is_marked: bool = False
    is_unhurried: bool = False
    parts: Sequence[Part] = ()
    control: Sequence[ControlFrame] = ()
