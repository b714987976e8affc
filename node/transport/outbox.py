"""Everything that one connection wants to say, and the order in which it gets into packets.

Acknowledgement first, then control frames, then unreliable messages, then what was lost, then what is new.
"""

from __future__ import annotations

from node.errors import Code, MessageTooLarge, ProtocolViolation
from node.transport.ack import AckTracker
from node.transport.events import Delivery
from node.transport.fragments import OutgoingMessage, Part, SendQueue, room_for_data
from node.transport.packet import ControlFrame, Message, SentPacket
from node.transport.repeats import Repeats
from node.types import Instant
from node.wire.frames import (
    CloseFrame,
    ConfirmedFrame,
    DatagramFrame,
    MaxDataFrame,
    WithdrawFrame,
    append_ack,
    append_close,
    append_confirmed,
    append_datagram,
    append_max_data,
    append_ping,
    append_withdraw,
)
from node.wire.limits import CONTROL_QUEUE_MAX, DATAGRAM_QUEUE_MAX
from node.wire.varint import varint_size

__all__ = ["Outbox"]

_CONTROL_BYTES_MAX = 17
"""Largest control frame: a type and two varints."""

_PART_BYTES_MAX = 192
"""Where there is more room than this, no part is left out because it would be too short."""

_LONE_ACKS_MAX = 16
"""Packets with nothing but acknowledgements of several ranges, after which one asks to be acknowledged itself."""


class Outbox:
    """What waits to be sent. datagrams_dropped counts unreliable messages that will never leave.

    datagrams: unreliable messages that wait, to be read only.
    repeats: small parts that go again where there is room, while the path loses; parts_repeated: how many did.
    possible_payload: what packet_payload may become once the path is better known; unreliable messages wait for it.
    is_drained: whether the last packet surely took all that there was, acknowledgements aside.
    """

    __slots__ = (
        "_control",
        "_limits",
        "_lone_acks",
        "acks",
        "datagrams",
        "datagrams_dropped",
        "is_drained",
        "packet_payload",
        "parts_repeated",
        "possible_payload",
        "queue",
        "repeats",
    )

    def __init__(self, acks: AckTracker, packet_payload: int) -> None:
        """packet_payload: bytes of frames that fit in one packet."""
        self.acks = acks
        self.packet_payload = packet_payload
        self.possible_payload = packet_payload
        self.queue = SendQueue()
        # The newest limit of each channel, and by None of the connection; made when first used, as is `repeats`.
        self._limits: dict[int | None, int] | None = None
        self.datagrams_dropped = 0
        self.is_drained = False
        self.parts_repeated = 0
        # Most paths lose nothing.
        self.repeats: Repeats | None = None
        self._lone_acks = 0
        # Lists: an empty deque weighs ten times as much, and there are two per connection.
        self._control: list[ControlFrame] = []
        self.datagrams: list[bytes] = []

    def push(self, message_id: int, message: Message) -> None:
        """Accepts a message of any class; raises what `SendQueue.push` raises, and MessageTooLarge."""
        if message.delivery is not Delivery.UNRELIABLE:
            self.queue.push(message_id, message)
            return
        allowed = self.possible_payload - 1 - varint_size(self.possible_payload)
        if len(message.data) > allowed:
            raise MessageTooLarge(f"unreliable message of {len(message.data)} bytes: one datagram carries {allowed}")
        self.datagrams.append(message.data)
        if len(self.datagrams) > DATAGRAM_QUEUE_MAX:
            # Of messages that nobody will miss, the newest is worth the most.
            self.datagrams.pop(0)
            self.datagrams_dropped += 1

    def push_control(self, frame: ControlFrame) -> None:
        """Queues a control frame; a limit that is already waiting is replaced by the newer one."""
        if isinstance(frame, MaxDataFrame):
            if self._limits is None:
                self._limits = {}
            self._limits[frame.channel] = frame.limit
            for index, waiting in enumerate(self._control):
                if isinstance(waiting, MaxDataFrame) and waiting.channel == frame.channel:
                    self._control[index] = frame
                    return
        elif len(self._control) >= CONTROL_QUEUE_MAX:
            raise ProtocolViolation(Code.PROTOCOL_VIOLATION, f"{len(self._control)} control frames unacknowledged")
        self._control.append(frame)

    def watch(self, *, is_lossy: bool) -> None:
        """The path loses, or has lost nothing for so long that it counts as one that does not."""
        if is_lossy is not (self.repeats is not None):
            self.repeats = Repeats() if is_lossy else None

    def has_eliciting(self) -> bool:
        """Whether there is anything to send beside acknowledgements."""
        has_more = self._control or self.datagrams or (self.repeats is not None and self.repeats.overdue)
        return bool(has_more) or self.queue.has_sendable()

    def is_held_back(self) -> bool:
        """Whether an unreliable message waits for larger packets."""
        return bool(self.datagrams) and 1 + varint_size(len(self.datagrams[0])) + len(self.datagrams[0]) > (
            self.packet_payload
        )

    def fill(self, packet: SentPacket, now: Instant, may_elicit: bool) -> bytearray:
        """The frames of one packet, at most packet_payload bytes; writes into `packet` what they carry.

        may_elicit: whether anything but an acknowledgement may be sent now (window and pacing allow it).
        """
        buffer = bytearray()
        self.is_drained = False
        ack = None if self.acks.ack_at is None else self.acks.take_frame(now, self.packet_payload)
        if ack is not None:
            append_ack(buffer, ack)
            packet.ack_largest = ack.ranges[0][1]
        if may_elicit:
            if self._control:
                self._fill_control(buffer, packet)
            if self.datagrams:
                self._fill_datagrams(buffer, packet)
            self._fill_parts(buffer, packet)
            if self.repeats is not None:
                self._repeat(self.repeats, buffer, packet, now)
            elif not self._control and not self.datagrams:
                self.is_drained = self.packet_payload - len(buffer) > _PART_BYTES_MAX
        if packet.is_ack_eliciting:
            self._lone_acks = 0
        elif ack is not None and len(ack.ranges) > 1:
            self._ask_for_answer(buffer, packet)
        return buffer

    def fill_probe(self, buffer: bytearray, packet: SentPacket, oldest: SentPacket | None) -> None:
        """Makes a packet that nobody would answer soon a probe: the oldest unacknowledged data again, else a PING."""
        if oldest is not None:
            for part in oldest.parts:
                room = room_for_data(part.message, self.packet_payload - len(buffer))
                if not part.message.is_finished and room >= min(1, part.size):
                    self._append_part(buffer, packet, Part(part.message, part.offset, min(part.size, room), "probe"))
            for frame in oldest.control:
                if len(buffer) + _CONTROL_BYTES_MAX <= self.packet_payload and self._is_wanted(frame):
                    self._append_control(buffer, packet, frame)
        # An unreliable message may fill the packet: it is answered all the same, only later.
        if (packet.is_unhurried or not packet.is_ack_eliciting) and len(buffer) < self.packet_payload:
            append_ping(buffer)
            packet.is_ack_eliciting, packet.is_unhurried = True, False

    def close_packet(self, packet: SentPacket, now: Instant, frame: CloseFrame) -> bytearray:
        """The frames of the last packet."""
        buffer = self.fill(packet, now, may_elicit=False)
        if len(buffer) + 20 + len(frame.reason.encode()) > self.packet_payload:
            buffer.clear()
        append_close(buffer, frame)
        return buffer

    def on_packet_acked(self, packet: SentPacket) -> list[OutgoingMessage]:
        """Takes note of what a packet carried; returns the messages that are thereby complete at the peer."""
        if packet.ack_largest >= 0:
            self.acks.on_ack_acknowledged(packet.ack_largest)
        if packet.control:
            for frame in packet.control:
                if isinstance(frame, WithdrawFrame):
                    self.queue.on_withdrawal_acked(frame.message_id)
        complete: list[OutgoingMessage] = []
        for part in packet.parts:
            message = self.queue.on_acked(part)
            if message is not None:
                complete.append(message)
        return complete

    def on_packet_lost(self, packet: SentPacket, cause: str) -> None:
        """Queues again what a lost packet carried, as far as it is still wanted."""
        for part in packet.parts:
            self.queue.on_lost(part, cause)
        for frame in packet.control:
            if self._is_wanted(frame):
                self.push_control(frame)

    def _is_wanted(self, frame: ControlFrame) -> bool:
        """Whether no newer limit says more: of those that are lost only the newest is sent again."""
        if not isinstance(frame, MaxDataFrame):
            return True
        assert self._limits is not None
        return frame.limit >= self._limits[frame.channel]

    def _fill_control(self, buffer: bytearray, packet: SentPacket) -> None:
        count = 0
        for frame in self._control:
            if len(buffer) + _CONTROL_BYTES_MAX > self.packet_payload:
                break
            self._append_control(buffer, packet, frame)
            count += 1
        del self._control[:count]

    def _fill_datagrams(self, buffer: bytearray, packet: SentPacket) -> None:
        while self.datagrams:
            size = 1 + varint_size(len(self.datagrams[0])) + len(self.datagrams[0])
            if self.packet_payload < size <= self.possible_payload:
                # Until the path has carried a probe of that size, or has not.
                break
            if size > self.packet_payload:
                # It was queued before the peer had said what it takes, or before the path had shown it.
                self.datagrams.pop(0)
                self.datagrams_dropped += 1
                continue
            if len(buffer) + size > self.packet_payload:
                break
            append_datagram(buffer, DatagramFrame(self.datagrams.pop(0)))
            packet.is_unhurried = not packet.control
            packet.is_ack_eliciting = True

    def _fill_parts(self, buffer: bytearray, packet: SentPacket) -> None:
        while len(buffer) < self.packet_payload:
            part = self.queue.next_part(self.packet_payload - len(buffer))
            if part is None:
                break
            self._append_part(buffer, packet, part)

    def _repeat(self, repeats: Repeats, buffer: bytearray, packet: SentPacket, now: Instant) -> None:
        """Fills what room is left with small parts that went before; only what is overdue has a packet of its own."""
        new = packet.parts
        if (new or repeats.overdue) and not self.queue.has_sendable():
            for part in repeats.take():
                is_in = any(one.message is part.message and one.offset == part.offset for one in packet.parts)
                if not is_in and part.size <= room_for_data(part.message, self.packet_payload - len(buffer)):
                    self._append_part(buffer, packet, part)
                    self.parts_repeated += 1
        repeats.on_sent(new, now)

    def _ask_for_answer(self, buffer: bytearray, packet: SentPacket) -> None:
        """Keeps the ranges of a side that only receives from being repeated for ever (RFC 9000 §13.2.4)."""
        self._lone_acks += 1
        if self._lone_acks >= _LONE_ACKS_MAX and len(buffer) < self.packet_payload:
            self._lone_acks = 0
            append_ping(buffer)
            packet.is_ack_eliciting = True

    def _append_part(self, buffer: bytearray, packet: SentPacket, part: Part) -> None:
        part.append_to(buffer)
        if packet.parts:
            packet.parts = (*packet.parts, part)
        else:
            packet.parts = (part,)
        packet.is_ack_eliciting, packet.is_unhurried = True, False

    def _append_control(self, buffer: bytearray, packet: SentPacket, frame: ControlFrame) -> None:
        match frame:
            case MaxDataFrame():
                append_max_data(buffer, frame)
            case WithdrawFrame():
                append_withdraw(buffer, frame)
            case ConfirmedFrame():
                append_confirmed(buffer)
        packet.control = (*packet.control, frame)
        packet.is_ack_eliciting = True
