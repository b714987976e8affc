"""Messages put together again from parts that arrive in any order, each delivered once and in its turn.

What may arrive is bounded: by the credit of the connection, by the number and size of messages that have begun, and by
the pool that all connections share.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.errors import Code, ProtocolViolation
from node.transport.channels import IncomingChannel
from node.transport.flow_control import ReceiveCredit
from node.transport.pool import ReassemblyPool
from node.transport.ranges import RangeSet
from node.types import Duration, Instant
from node.wire.frames import MaxDataFrame, MessageFrame, WithdrawFrame
from node.wire.limits import (
    CHANNELS_MAX,
    MESSAGE_BYTES_MAX,
    MESSAGE_ID_RANGES_MAX,
    REASSEMBLY_BYTES_MAX,
    REASSEMBLY_MESSAGES_MAX,
)

__all__ = ["Reassembly"]


@dataclass(slots=True)
class _Partial:
    total: int
    number: int | None
    channel: IncomingChannel | None
    sequence: int
    received: RangeSet
    received_bytes: int
    buffer: bytearray


class Reassembly:
    """Incoming reliable messages: each is returned once, however often and in whatever pieces it arrives.

    A peer that goes beyond a limit, or contradicts itself, breaks the protocol (ProtocolViolation). What has arrived in
    part, and what is ordered and came early, takes memory from the pool; NoRoom changes nothing.
    bytes_taken: of the pool.
    """

    __slots__ = (
        "_channel_window",
        "_channels",
        "_early",
        "_finished",
        "_partials",
        "_pool",
        "_touched",
        "bytes_announced",
        "bytes_taken",
        "credit",
    )

    def __init__(self, credit: ReceiveCredit, pool: ReassemblyPool) -> None:
        """credit: of the connection; each channel begins with as much."""
        self.credit = credit
        self._channel_window = credit.window
        self._pool = pool
        self.bytes_taken = 0
        self._partials: dict[int, _Partial] = {}
        self._finished = RangeSet()
        self._channels: dict[int, IncomingChannel] = {}
        # Channels in which something has come since credit was granted; most connections use none.
        self._touched: dict[int, IncomingChannel] | None = None
        self._early = 0
        self.bytes_announced = 0

    def receive(self, frame: MessageFrame) -> list[bytes]:
        """The messages that this frame completes, in the order in which they are to be delivered."""
        partial = self._partials.get(frame.message_id)
        if partial is None:
            if frame.message_id <= self._finished.largest and frame.message_id in self._finished:
                return []
            channel = None if frame.channel is None else self._place(frame.channel, frame.sequence)
            if len(frame.data) == frame.total:
                return self._receive_whole(frame, channel)
            partial = self._begin(frame, channel)
        elif (partial.total, partial.number, partial.sequence) != (frame.total, frame.channel, frame.sequence):
            raise ProtocolViolation(Code.PROTOCOL_VIOLATION, f"message {frame.message_id} contradicts its earlier part")
        else:
            channel = partial.channel
        start, end = frame.offset, frame.offset + len(frame.data)
        new = partial.received.add(start, end - 1)
        if new:
            if channel is None:
                self.credit.on_received(new)
            else:
                self._count(new, channel)
            partial.received_bytes += new
            partial.buffer[start:end] = frame.data
        if partial.received_bytes < partial.total:
            return []
        self._forget(frame.message_id)
        if channel is None or partial.sequence == channel.next_sequence:
            self._give(partial.total)
        return self._complete(frame.message_id, channel, partial.sequence, bytes(partial.buffer))

    def withdraw(self, frame: WithdrawFrame) -> None:
        """The peer gives a message up: what arrived of it is dropped and its credit returned.

        ProtocolViolation for an ordered one, whose gap would stop its channel, and for one of other bytes than it says.
        """
        if frame.message_id in self._finished:
            return
        partial = self._partials.get(frame.message_id)
        received = partial.received_bytes if partial is not None else 0
        if partial is not None and partial.channel is not None:
            raise ProtocolViolation(Code.PROTOCOL_VIOLATION, f"ordered message {frame.message_id} withdrawn")
        if not received <= frame.sent <= MESSAGE_BYTES_MAX:
            raise ProtocolViolation(Code.PROTOCOL_VIOLATION, f"withdrawn after {frame.sent} bytes, {received} received")
        self.credit.on_received(frame.sent - received)
        self.credit.on_released(frame.sent)
        if partial is not None:
            self._forget(frame.message_id)
            self._give(partial.total)
        self._mark_finished(frame.message_id)

    def _place(self, number: int, sequence: int) -> IncomingChannel:
        """The channel of a message of which nothing is known, and whose place in it must therefore be free."""
        channel = self._channels.get(number)
        if channel is None:
            if len(self._channels) >= CHANNELS_MAX:
                raise ProtocolViolation(Code.PROTOCOL_VIOLATION, f"more than {CHANNELS_MAX} channels")
            channel = self._channels[number] = IncomingChannel(number, self._channel_window)
        if sequence < channel.next_sequence or sequence in channel.early or sequence in channel.announced:
            raise ProtocolViolation(Code.PROTOCOL_VIOLATION, f"sequence {sequence} of channel {number} comes twice")
        return channel

    def _receive_whole(self, frame: MessageFrame, channel: IncomingChannel | None) -> list[bytes]:
        size = frame.total
        if channel is None:
            self.credit.on_received(size)
        else:
            if frame.sequence != channel.next_sequence:
                self._take(size)
            self._count(size, channel)
        return self._complete(frame.message_id, channel, frame.sequence, frame.data)

    def _count(self, size: int, channel: IncomingChannel) -> None:
        """New bytes of an ordered message use up credit twice: that of the connection, and that of the channel."""
        self.credit.on_received(size)
        channel.credit.on_received(size)
        if self._touched is None:
            self._touched = {}
        self._touched[channel.number] = channel

    def _begin(self, frame: MessageFrame, channel: IncomingChannel | None) -> _Partial:
        if len(self._partials) >= REASSEMBLY_MESSAGES_MAX or self.bytes_announced + frame.total > REASSEMBLY_BYTES_MAX:
            raise ProtocolViolation(
                Code.REASSEMBLY_LIMIT, f"{len(self._partials)} messages of {self.bytes_announced} bytes are open"
            )
        self._take(frame.total)
        partial = _Partial(frame.total, frame.channel, channel, frame.sequence, RangeSet(), 0, bytearray(frame.total))
        self._partials[frame.message_id] = partial
        self.bytes_announced += frame.total
        if channel is not None:
            channel.announced[frame.sequence] = frame.total
        return partial

    def next_limits(self, now: Instant, smoothed_rtt: Duration | None) -> list[MaxDataFrame]:
        """Credit to announce, where it is time: of the connection, and of channels in which something has come."""
        frames: list[MaxDataFrame] = []
        limit = self.credit.next_limit(self.bytes_taken, now, smoothed_rtt)
        if limit is not None:
            frames.append(MaxDataFrame(limit))
        if self._touched:
            for number, channel in self._touched.items():
                limit = channel.credit.next_limit(channel.bytes_waited_for, now, smoothed_rtt)
                if limit is not None:
                    frames.append(MaxDataFrame(limit, number))
            self._touched.clear()
        return frames

    def release(self) -> None:
        """The connection is over: gives everything back."""
        self._give(self.bytes_taken)

    def _take(self, size: int) -> None:
        self._pool.take(size)
        self.bytes_taken += size

    def _give(self, size: int) -> None:
        self._pool.give(size)
        self.bytes_taken -= size

    def _forget(self, message_id: int) -> None:
        partial = self._partials.pop(message_id)
        self.bytes_announced -= partial.total
        if partial.channel is not None:
            del partial.channel.announced[partial.sequence]

    def _mark_finished(self, message_id: int) -> None:
        finished = self._finished
        is_next = message_id == finished.largest + 1
        finished.add(message_id, message_id)
        if not is_next and len(finished) > MESSAGE_ID_RANGES_MAX:
            raise ProtocolViolation(Code.PROTOCOL_VIOLATION, f"{len(self._finished)} gaps in the message ids")

    def _complete(self, message_id: int, channel: IncomingChannel | None, sequence: int, data: bytes) -> list[bytes]:
        self._mark_finished(message_id)
        if channel is None:
            self.credit.on_released(len(data))
            return [data]
        return self._deliver_in_order(channel, sequence, data)

    def _deliver_in_order(self, channel: IncomingChannel, sequence: int, data: bytes) -> list[bytes]:
        if self._early >= REASSEMBLY_MESSAGES_MAX:
            raise ProtocolViolation(Code.PROTOCOL_VIOLATION, f"{self._early} messages wait for earlier ones")
        if sequence > channel.next_sequence:
            channel.early[sequence] = data
            self._early += 1
            return []
        ready = [data]
        channel.next_sequence += 1
        while channel.next_sequence in channel.early:
            ready.append(channel.early.pop(channel.next_sequence))
            channel.next_sequence += 1
            self._early -= 1
            self._give(len(ready[-1]))
        released = sum(map(len, ready))
        self.credit.on_released(released)
        channel.credit.on_released(released)
        return ready
