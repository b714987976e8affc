"""Messages put together again from parts that arrive in any order, each delivered once and in its turn.

What may arrive is bounded: by the credit of the connection, by the number and size of messages that have begun, and by
the pool that all connections share.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.errors import Code, ProtocolViolation
from node.transport.flow_control import ReceiveCredit
from node.transport.pool import ReassemblyPool
from node.transport.ranges import RangeSet
from node.wire.frames import MessageFrame, WithdrawFrame
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
    channel: int | None
    sequence: int
    received: RangeSet
    received_bytes: int
    buffer: bytearray


@dataclass(slots=True)
class _Channel:
    next_sequence: int
    held: dict[int, bytes]


class Reassembly:
    """Incoming reliable messages: each is returned once, however often and in whatever pieces it arrives.

    A peer that goes beyond a limit, or contradicts itself, breaks the protocol (ProtocolViolation). What has arrived in
    part, and what is ordered and came early, takes memory from the pool; NoRoom changes nothing.
    bytes_taken: of the pool.
    """

    __slots__ = ("_channels", "_finished", "_held", "_partials", "_pool", "bytes_announced", "bytes_taken", "credit")

    def __init__(self, credit: ReceiveCredit, pool: ReassemblyPool) -> None:
        self.credit = credit
        self._pool = pool
        self.bytes_taken = 0
        self._partials: dict[int, _Partial] = {}
        self._finished = RangeSet()
        self._channels: dict[int, _Channel] = {}
        self._held = 0
        self.bytes_announced = 0

    def receive(self, frame: MessageFrame) -> list[bytes]:
        """The messages that this frame completes, in the order in which they are to be delivered."""
        partial = self._partials.get(frame.message_id)
        if partial is None:
            if frame.message_id <= self._finished.largest and frame.message_id in self._finished:
                return []
            if len(frame.data) == frame.total:
                if frame.channel is not None and not self._is_turn(frame):
                    self._take(frame.total)
                self.credit.on_received(frame.total)
                return self._complete(frame.message_id, frame.channel, frame.sequence, frame.data)
            partial = self._begin(frame)
        elif (partial.total, partial.channel, partial.sequence) != (frame.total, frame.channel, frame.sequence):
            raise ProtocolViolation(Code.PROTOCOL_VIOLATION, f"message {frame.message_id} contradicts its earlier part")
        start, end = frame.offset, frame.offset + len(frame.data)
        new = partial.received.add(start, end - 1)
        if new:
            self.credit.on_received(new)
            partial.received_bytes += new
            partial.buffer[start:end] = frame.data
        if partial.received_bytes < partial.total:
            return []
        self._forget(frame.message_id)
        if partial.channel is None or self._is_turn(frame):
            self._give(partial.total)
        return self._complete(frame.message_id, partial.channel, partial.sequence, bytes(partial.buffer))

    def withdraw(self, frame: WithdrawFrame) -> None:
        """The peer gives a message up: what arrived of it is dropped and its credit returned."""
        if frame.message_id in self._finished:
            return
        partial = self._partials.get(frame.message_id)
        received = partial.received_bytes if partial is not None else 0
        if not received <= frame.sent <= MESSAGE_BYTES_MAX:
            raise ProtocolViolation(Code.PROTOCOL_VIOLATION, f"withdrawn after {frame.sent} bytes, {received} received")
        self.credit.on_received(frame.sent - received)
        self.credit.on_released(frame.sent)
        if partial is not None:
            self._forget(frame.message_id)
            self._give(partial.total)
        self._mark_finished(frame.message_id)

    def _is_turn(self, frame: MessageFrame) -> bool:
        """Whether its channel waits for that very message, which therefore takes no memory once it is complete."""
        channel = None if frame.channel is None else self._channels.get(frame.channel)
        return frame.sequence == (0 if channel is None else channel.next_sequence)

    def _begin(self, frame: MessageFrame) -> _Partial:
        if len(self._partials) >= REASSEMBLY_MESSAGES_MAX or self.bytes_announced + frame.total > REASSEMBLY_BYTES_MAX:
            raise ProtocolViolation(
                Code.REASSEMBLY_LIMIT, f"{len(self._partials)} messages of {self.bytes_announced} bytes are open"
            )
        self._take(frame.total)
        partial = _Partial(frame.total, frame.channel, frame.sequence, RangeSet(), 0, bytearray(frame.total))
        self._partials[frame.message_id] = partial
        self.bytes_announced += frame.total
        return partial

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
        self.bytes_announced -= self._partials.pop(message_id).total

    def _mark_finished(self, message_id: int) -> None:
        finished = self._finished
        is_next = message_id == finished.largest + 1
        finished.add(message_id, message_id)
        if not is_next and len(finished) > MESSAGE_ID_RANGES_MAX:
            raise ProtocolViolation(Code.PROTOCOL_VIOLATION, f"{len(self._finished)} gaps in the message ids")

    def _complete(self, message_id: int, channel: int | None, sequence: int, data: bytes) -> list[bytes]:
        self._mark_finished(message_id)
        if channel is None:
            self.credit.on_released(len(data))
            return [data]
        return self._deliver_in_order(channel, sequence, data)

    def _deliver_in_order(self, number: int, sequence: int, data: bytes) -> list[bytes]:
        channel = self._channels.get(number)
        if channel is None:
            if len(self._channels) >= CHANNELS_MAX:
                raise ProtocolViolation(Code.PROTOCOL_VIOLATION, f"more than {CHANNELS_MAX} channels")
            channel = self._channels[number] = _Channel(0, {})
        if sequence < channel.next_sequence or sequence in channel.held or self._held >= REASSEMBLY_MESSAGES_MAX:
            raise ProtocolViolation(Code.PROTOCOL_VIOLATION, f"sequence {sequence} of channel {number}")
        if sequence > channel.next_sequence:
            channel.held[sequence] = data
            self._held += 1
            return []
        ready = [data]
        channel.next_sequence += 1
        while channel.next_sequence in channel.held:
            ready.append(channel.held.pop(channel.next_sequence))
            channel.next_sequence += 1
            self._held -= 1
            self._give(len(ready[-1]))
        for one in ready:
            self.credit.on_released(len(one))
        return ready
