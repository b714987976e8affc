"""Reliable messages that wait to be sent, and are cut into parts that fit a packet.

Large messages are cut when a packet is built, at the size that fits then, so that a change of the path's MTU between
a first transmission and the next does no harm.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from node.errors import MessageTooLarge, QueueFull, UsageError
from node.transport.deadlines import Deadlines
from node.transport.events import Delivery
from node.transport.flow_control import SendCredit
from node.transport.packet import Message, Priority
from node.transport.ranges import RangeSet
from node.types import Instant
from node.wire.frames import WithdrawFrame, append_whole, part_beginning, part_middle
from node.wire.limits import (
    CHANNELS_MAX,
    MESSAGE_BYTES_MAX,
    REASSEMBLY_MESSAGES_MAX,
    SEND_QUEUE_BYTES_MAX,
    SEND_QUEUE_MESSAGES_MAX,
    STARVATION_BYTES_MAX,
)

__all__ = ["OutgoingMessage", "Part", "SendQueue", "room_for_data"]

_SPLIT_BYTES_MIN = 128
"""A message is not cut to fill less than this much of a packet's end: crumbs cost more than they save."""


@dataclass(slots=True, eq=False)
class OutgoingMessage:
    """A reliable message until it is acknowledged or withdrawn.

    message_id: what the caller knows it by. wire_id: its number on the wire, given with its first transmission, so
        that a message withdrawn before leaves no gap; -1 until then. acked: what the peer has of it, once that is a
        part. beginning: of the frames of all its parts.
    """

    message_id: int
    data: bytes
    deadline: Instant | None
    channel: int | None
    priority: Priority = Priority.OWN
    sequence: int = 0
    wire_id: int = -1
    sent: int = 0
    acked: RangeSet | None = None
    acked_bytes: int = 0
    is_finished: bool = False
    beginning: bytes = b""

    def begin(self, wire_id: int) -> None:
        """Gives the message its number on the wire."""
        self.wire_id = wire_id
        self.beginning = part_beginning(wire_id, len(self.data), self.channel, self.sequence)


@dataclass(slots=True, eq=False)
class Part:
    """Bytes of a message that travel in one packet. cause: why they are sent again, or "" the first time."""

    message: OutgoingMessage
    offset: int
    size: int
    cause: str = ""

    def append_to(self, buffer: bytearray) -> None:
        """Appends the frame that carries this part."""
        message, offset, size = self.message, self.offset, self.size
        data = message.data
        if size == len(data):
            append_whole(buffer, message.beginning, data)
            return
        buffer += message.beginning
        buffer += part_middle(len(data), offset, size)
        buffer += data[offset : offset + size]


class _Lane:
    """The messages of one priority, oldest first; parts that were lost go before anything new.

    passed_over: bytes of more urgent lanes that went first while this one waited.
    """

    __slots__ = ("lost", "passed_over", "unsent")

    def __init__(self) -> None:
        self.lost: deque[Part] = deque()
        self.unsent: deque[OutgoingMessage] = deque()
        self.passed_over = 0

    def has_sendable(self, credit: int, ahead: int) -> bool:
        """Whether a packet could carry something of it. ahead: ordered messages that may wait at the peer."""
        lost, unsent = self.lost, self.unsent
        while unsent and unsent[0].is_finished:
            unsent.popleft()
        while lost and is_known(lost[0]):
            lost.popleft()
        if lost or not unsent:
            return bool(lost)
        first = unsent[0]
        if ahead >= REASSEMBLY_MESSAGES_MAX and first.channel is not None and first.wire_id < 0:
            return False
        return credit > 0 or not first.data


@dataclass(slots=True)
class _Sequences:
    """The messages of one channel. priority: of the last. following: sequence of the next.

    oldest: the first that the peer may not have. early: those after it that the peer has.
    """

    priority: Priority
    following: int = 0
    oldest: int = 0
    early: set[int] = field(default_factory=set)

    def finish(self, sequence: int) -> int:
        """The peer has that one; how many more it has surely delivered."""
        before = self.oldest
        self.early.add(sequence)
        while self.oldest in self.early:
            self.early.remove(self.oldest)
            self.oldest += 1
        return self.oldest - before


class SendQueue:
    """Reliable messages of one connection, a lane for each priority.

    More urgent ones go first, but not for ever: see STARVATION_BYTES_MAX.
    """

    __slots__ = ("_ahead", "_channels", "_deadlines", "_lanes", "_next_wire_id", "bytes_queued", "credit", "messages")

    def __init__(self, credit: SendCredit) -> None:
        self.credit = credit
        self.messages: dict[int, OutgoingMessage] = {}
        self.bytes_queued = 0
        # Made when first used: most connections use one or two.
        self._lanes: dict[Priority, _Lane] = {}
        self._deadlines = Deadlines(self.messages)
        self._channels: dict[int, _Sequences] = {}
        # Ordered messages that have begun, without those that the peer has surely delivered.
        self._ahead = 0
        self._next_wire_id = 0

    def push(self, message_id: int, message: Message) -> None:
        """Accepts a message; MessageTooLarge, QueueFull or UsageError where it cannot be."""
        size = len(message.data)
        if size > MESSAGE_BYTES_MAX:
            raise MessageTooLarge(f"message of {size} bytes: allowed is {MESSAGE_BYTES_MAX} and less")
        if self.bytes_queued + size > SEND_QUEUE_BYTES_MAX or len(self.messages) >= SEND_QUEUE_MESSAGES_MAX:
            raise QueueFull(f"{len(self.messages)} messages of {self.bytes_queued} bytes are waiting for this peer")
        outgoing = OutgoingMessage(message_id, message.data, message.deadline, None, message.priority)
        if message.delivery is Delivery.ORDERED:
            self._assign_sequence(outgoing, message)
        self.messages[message_id] = outgoing
        if message.deadline is not None:
            self._deadlines.add(message.deadline, message_id)
        self.bytes_queued += size
        self._lane(message.priority).unsent.append(outgoing)

    def has_sendable(self) -> bool:
        """Whether a packet could carry reliable data now, as far as credit goes."""
        if not self.messages:
            return False
        credit = self.credit.limit - self.credit.used
        for lane in self._lanes.values():
            if (lane.unsent or lane.lost) and lane.has_sendable(credit, self._ahead):
                return True
        return False

    def next_part(self, space: int) -> Part | None:
        """The part to put into `space` bytes of a packet, or None where nothing may or can be sent there."""
        if not self.messages:
            return None
        credit = self.credit.limit - self.credit.used
        waiting: list[_Lane] = []
        for lane in self._lanes.values():  # no comprehension, which is a call
            if (lane.unsent or lane.lost) and lane.has_sendable(credit, self._ahead):
                waiting.append(lane)  # noqa: PERF401
        if not waiting:
            return None
        lane = waiting[0]
        if len(waiting) > 1:
            lane = next((one for one in waiting if one.passed_over >= STARVATION_BYTES_MAX), lane)
        part = self._next_lost(lane, space) if lane.lost else self._next_new(lane, space)
        if part is not None and len(waiting) > 1:
            for other in waiting:
                other.passed_over += part.size
            lane.passed_over = 0
        return part

    def on_acked(self, part: Part) -> OutgoingMessage | None:
        """Takes note of an acknowledged part; returns its message when that completes it."""
        message = part.message
        if message.is_finished:
            return None
        if part.size == len(message.data):
            self._finish(message)
            return message
        if message.acked is None:
            message.acked = RangeSet()
        if part.size:
            message.acked_bytes += message.acked.add(part.offset, part.offset + part.size - 1)
        if message.acked_bytes < len(message.data):
            return None
        self._finish(message)
        return message

    def on_lost(self, part: Part, cause: str) -> None:
        """Queues a lost part again; what was acknowledged meanwhile is left out when its turn comes."""
        if not part.message.is_finished:
            lost = Part(part.message, part.offset, part.size, cause)
            self._lane(part.message.priority).lost.append(lost)

    def withdraw(self, message_id: int, now: Instant) -> None:
        """Its deadline has come; nothing where its fate is known, or where it is ordered: the gap would stop others."""
        message = self.messages.get(message_id)
        if message is not None and message.channel is None:
            self._deadlines.add(now, message_id)

    def next_deadline(self) -> Instant | None:
        """When the next message expires; None where none does."""
        return self._deadlines.earliest()

    def expire(self, now: Instant) -> list[tuple[OutgoingMessage, WithdrawFrame | None]]:
        """Withdraws what is past its deadline; the frame tells a peer that may have seen parts of it."""
        expired: list[tuple[OutgoingMessage, WithdrawFrame | None]] = []
        while (message_id := self._deadlines.take_due(now)) is not None:
            message = self.messages[message_id]
            frame = WithdrawFrame(message.wire_id, message.sent) if message.wire_id >= 0 else None
            self._finish(message)
            expired.append((message, frame))
        return expired

    def _assign_sequence(self, outgoing: OutgoingMessage, message: Message) -> None:
        if message.deadline is not None:
            raise UsageError("an ORDERED message cannot have a deadline: the gap would stop its channel")
        if message.channel not in self._channels and len(self._channels) >= CHANNELS_MAX:
            raise UsageError(f"channel {message.channel}: allowed are {CHANNELS_MAX} channels per connection")
        outgoing.channel = message.channel
        sequences = self._channels.setdefault(message.channel, _Sequences(message.priority))
        if sequences.priority > message.priority:
            self._hurry(message.channel, message.priority)
        outgoing.sequence, sequences.priority = sequences.following, message.priority
        sequences.following += 1

    def _hurry(self, channel: int, priority: Priority) -> None:
        """What a message has to wait for at the peer is as urgent as that message."""
        urgent = self._lane(priority)
        for lane in self._lanes.values():
            if lane is not urgent:
                urgent.lost += (part for part in lane.lost if part.message.channel == channel)
                lane.lost = deque(part for part in lane.lost if part.message.channel != channel)
                urgent.unsent += (message for message in lane.unsent if message.channel == channel)
                lane.unsent = deque(message for message in lane.unsent if message.channel != channel)
        for message in self.messages.values():
            if message.channel == channel:
                message.priority = priority

    def _finish(self, message: OutgoingMessage) -> None:
        message.is_finished = True
        if message.channel is not None:
            self._ahead -= self._channels[message.channel].finish(message.sequence)
        self.bytes_queued -= len(message.data)
        del self.messages[message.message_id]

    def _lane(self, priority: Priority) -> _Lane:
        lane = self._lanes.get(priority)
        if lane is None:
            self._lanes[priority] = lane = _Lane()
            # The most urgent first.
            self._lanes = dict(sorted(self._lanes.items()))
        return lane

    def _next_new(self, lane: _Lane, space: int) -> Part | None:
        message = lane.unsent[0]
        if message.wire_id < 0:
            message.begin(self._next_wire_id)
            self._next_wire_id += 1
            self._ahead += message.channel is not None
        rest = len(message.data) - message.sent
        room = room_for_data(message, space)
        credit = self.credit
        size = credit.limit - credit.used
        if room < rest or size < rest:
            size = min(rest, size, room)
            if size <= 0 or room < min(rest, _SPLIT_BYTES_MIN):
                return None
        else:
            size = rest
        part = Part(message, message.sent, size)
        message.sent += size
        credit.used += size
        if message.sent == len(message.data):
            lane.unsent.popleft()
        return part

    def _next_lost(self, lane: _Lane, space: int) -> Part | None:
        part = lane.lost[0]
        size = min(part.size, room_for_data(part.message, space))
        if size < 0 or (size == 0 and part.size):
            return None
        if size == part.size:
            return lane.lost.popleft()
        # The path's MTU shrank, or the packet is half full: the rest stays first in line.
        lane.lost[0] = Part(part.message, part.offset + size, part.size - size, part.cause)
        return Part(part.message, part.offset, size, part.cause)


def is_known(part: Part) -> bool:
    """Whether the peer has all of the part, or nobody wants it any more."""
    message = part.message
    if message.is_finished:
        return True
    if not part.size or message.acked is None:
        return False
    return message.acked.covers(part.offset, part.offset + part.size - 1)


def room_for_data(message: OutgoingMessage, space: int) -> int:
    """Bytes of this message that fit into `space` bytes beside their frame's own fields."""
    # An offset never needs more than the total does; for totals below 64 the one byte more is never missed.
    return space - len(message.beginning) - (2 if len(message.data) < 0x4000 else 4) - (2 if space < 0x4000 else 4)
