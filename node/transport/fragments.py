"""Reliable messages that wait to be sent, and are cut into parts that fit a packet.

Large messages are cut when a packet is built, at the size that fits then, so that a change of the path's MTU between
a first transmission and the next does no harm.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from node.errors import Code, MessageTooLarge, ProtocolViolation, UsageError
from node.transport.channels import OutgoingChannel
from node.transport.deadlines import Deadlines
from node.transport.events import Delivery
from node.transport.flow_control import SendCredit
from node.transport.packet import Message, Priority
from node.transport.ranges import RangeSet
from node.transport.room import check_room
from node.types import Instant
from node.wire.frames import MaxDataFrame, WithdrawFrame, append_whole, part_beginning, part_middle
from node.wire.limits import (
    CHANNELS_MAX,
    MESSAGE_BYTES_MAX,
    REASSEMBLY_BYTES_MAX,
    REASSEMBLY_MESSAGES_MAX,
    SEND_QUEUE_BYTES_MAX,
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
    channel: OutgoingChannel | None
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
        number = None if self.channel is None else self.channel.number
        self.beginning = part_beginning(wire_id, len(self.data), number, self.sequence)


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
        """Whether a packet could carry something of it. ahead: ordered messages that may wait at the peer.

        Messages that wait for their channel step aside, so that they hold up nobody else.
        """
        lost, unsent = self.lost, self.unsent
        while lost and is_known(lost[0]):
            lost.popleft()
        if lost:
            return True
        while unsent:
            first = unsent[0]
            channel = first.channel
            if channel is not None and channel.must_wait(first, ahead):
                channel.held[first.sequence] = first
            elif not first.is_finished:
                return credit > 0 or not first.data
            unsent.popleft()
        return False


class SendQueue:
    """Reliable messages of one connection, a lane for each priority.

    More urgent ones go first, but not for ever: see STARVATION_BYTES_MAX.
    """

    __slots__ = (
        "_ahead",
        "_channel_limit",
        "_channels",
        "_deadlines",
        "_lanes",
        "_next_wire_id",
        "_withdrawn",
        "_withdrawn_bytes",
        "bytes_queued",
        "credit",
        "messages",
    )

    def __init__(self) -> None:
        self.credit = SendCredit()
        self.messages: dict[int, OutgoingMessage] = {}
        self.bytes_queued = 0
        # Made when first used: most connections use one or two.
        self._lanes: dict[Priority, _Lane] = {}
        self._deadlines = Deadlines(self.messages)
        self._channels: dict[int, OutgoingChannel] = {}
        self._channel_limit = 0
        # Ordered messages that have begun, without those that the peer has surely delivered.
        self._ahead = 0
        self._next_wire_id = 0
        # Sizes of messages that the peer holds in part until it has their WITHDRAW, by wire id; made when first used.
        self._withdrawn: dict[int, int] | None = None
        self._withdrawn_bytes = 0

    def push(self, message_id: int, message: Message) -> None:
        """Accepts a message; MessageTooLarge, QueueFull or UsageError where it cannot be."""
        size = len(message.data)
        if size > MESSAGE_BYTES_MAX:
            raise MessageTooLarge(f"message of {size} bytes: allowed is {MESSAGE_BYTES_MAX} and less")
        check_room(message, len(self.messages), self.bytes_queued, SEND_QUEUE_BYTES_MAX)
        outgoing = OutgoingMessage(message_id, message.data, message.deadline, None, message.priority)
        if message.delivery is Delivery.ORDERED:
            self._assign_sequence(outgoing, message)
        self.messages[message_id] = outgoing
        if message.deadline is not None:
            self._deadlines.add(message.deadline, message_id)
        self.bytes_queued += size
        self._lane(message.priority).unsent.append(outgoing)

    def open_credit(self, limit: int) -> None:
        """What the peer allows from the beginning: for the connection, and for each channel."""
        self._channel_limit = limit
        for credit in (self.credit, *(channel.credit for channel in self._channels.values())):
            credit.raise_limit(limit)

    def raise_limit(self, frame: MaxDataFrame) -> bool:
        """Takes more credit, and returns whether all had been used up.

        ProtocolViolation where it is for a channel that was never used: the peer gives it for what has arrived.
        """
        if frame.channel is None:
            return self.credit.raise_limit(frame.limit)
        channel = self._channels.get(frame.channel)
        if channel is None:
            raise ProtocolViolation(Code.PROTOCOL_VIOLATION, f"credit for channel {frame.channel}, which is not used")
        was_used_up = channel.credit.raise_limit(frame.limit)
        self._resume(channel)
        return was_used_up

    def has_sendable(self) -> bool:
        """Whether a packet could carry reliable data now, as far as credit goes."""
        if not self.messages:
            return False
        credit = self.credit.limit - self.credit.used
        if self._withdrawn and not self._has_room_at_peer():
            credit = 0
        for lane in self._lanes.values():
            if (lane.unsent or lane.lost) and lane.has_sendable(credit, self._ahead):
                return True
        return False

    def next_part(self, space: int) -> Part | None:
        """The part to put into `space` bytes of a packet, or None where nothing may or can be sent there."""
        if not self.messages:
            return None
        credit = self.credit.limit - self.credit.used
        if self._withdrawn and not self._has_room_at_peer():
            credit = 0
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
            frame = None
            if message.wire_id >= 0:
                frame = WithdrawFrame(message.wire_id, message.sent)
                self._remember(message)
            self._finish(message)
            expired.append((message, frame))
        return expired

    def on_withdrawal_acked(self, wire_id: int) -> None:
        """The peer has given up what it had of that message."""
        if self._withdrawn is not None:
            self._withdrawn_bytes -= self._withdrawn.pop(wire_id, 0)

    def _remember(self, message: OutgoingMessage) -> None:
        if self._withdrawn is None:
            self._withdrawn = {}
        self._withdrawn[message.wire_id] = len(message.data)
        self._withdrawn_bytes += len(message.data)

    def _has_room_at_peer(self) -> bool:
        """Whether the peer could hold in part all that waits here, beside what it may not know to be withdrawn."""
        assert self._withdrawn is not None
        return (
            len(self._withdrawn) + len(self.messages) <= REASSEMBLY_MESSAGES_MAX
            and self._withdrawn_bytes + self.bytes_queued <= REASSEMBLY_BYTES_MAX
        )

    def _assign_sequence(self, outgoing: OutgoingMessage, message: Message) -> None:
        if message.deadline is not None:
            raise UsageError("an ORDERED message cannot have a deadline: the gap would stop its channel")
        channel = self._channels.get(message.channel)
        if channel is None:
            if len(self._channels) >= CHANNELS_MAX:
                raise UsageError(f"channel {message.channel}: allowed are {CHANNELS_MAX} channels per connection")
            channel = OutgoingChannel(message.channel, message.priority, self._channel_limit)
            self._channels[message.channel] = channel
        channel.check_room(len(message.data))
        if channel.priority > message.priority:
            self._hurry(channel, message.priority)
        outgoing.channel, outgoing.sequence = channel, channel.following
        channel.priority = message.priority
        channel.following += 1
        channel.bytes_unsent += len(message.data)

    def _hurry(self, channel: OutgoingChannel, priority: Priority) -> None:
        """What a message has to wait for at the peer is as urgent as that message."""
        urgent = self._lane(priority)
        for lane in self._lanes.values():
            if lane is not urgent:
                urgent.lost += (part for part in lane.lost if part.message.channel is channel)
                lane.lost = deque(part for part in lane.lost if part.message.channel is not channel)
                urgent.unsent += (message for message in lane.unsent if message.channel is channel)
                lane.unsent = deque(message for message in lane.unsent if message.channel is not channel)
        for message in self.messages.values():
            if message.channel is channel:
                message.priority = priority

    def _finish(self, message: OutgoingMessage) -> None:
        message.is_finished = True
        if message.channel is not None:
            self._deliver(message.channel, message)
        self.bytes_queued -= len(message.data)
        del self.messages[message.message_id]

    def _deliver(self, channel: OutgoingChannel, message: OutgoingMessage) -> None:
        """The peer has an ordered message, and perhaps delivers it and some that waited for it."""
        was_full = self._ahead >= REASSEMBLY_MESSAGES_MAX
        self._ahead -= channel.finish(message)
        if was_full:
            for other in self._channels.values():
                self._resume(other)

    def _resume(self, channel: OutgoingChannel) -> None:
        """The message whose turn it is goes on, if it stepped aside: before all others, which came later."""
        message = channel.held.pop(channel.turn, None)
        if message is not None:
            self._lane(message.priority).unsent.appendleft(message)

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
        channel = message.channel
        rest = len(message.data) - message.sent
        room = room_for_data(message, space)
        credit = self.credit
        size = credit.limit - credit.used
        if channel is not None:
            size = min(size, channel.credit.limit - channel.credit.used)
        if room < rest or size < rest:
            size = min(rest, size, room)
            if size <= 0 or room < min(rest, _SPLIT_BYTES_MIN):
                return None
        else:
            size = rest
        part = Part(message, message.sent, size)
        message.sent += size
        credit.used += size
        if channel is not None:
            channel.credit.used += size
            channel.bytes_unsent -= size
        if message.sent == len(message.data):
            lane.unsent.popleft()
            if channel is not None:
                channel.turn += 1
                self._resume(channel)
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
