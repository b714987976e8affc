"""What one TCP link wants to send, and what of it the peer has not yet said it received.

Knows messages and their parts, nothing of keys, frames or sockets. The stream keeps order, so a count of messages
received in full is all the acknowledgement that is needed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from node.errors import Code, MessageTooLarge, ProtocolViolation, UsageError
from node.transport.deadlines import Deadlines
from node.transport.events import Delivery
from node.transport.packet import Message
from node.transport.room import check_room
from node.transport.stream_records import PART_BYTES_MAX, pack_message
from node.types import Instant
from node.wire.limits import MESSAGE_BYTES_MAX, STREAM_QUEUE_BYTES_MAX

__all__ = ["OutgoingMessage", "StreamOutbox"]


@dataclass(slots=True)
class OutgoingMessage:
    """A message until its fate is known. offset: bytes of it that are written; `data` is let go after the last."""

    message_id: int
    data: bytes
    size: int
    delivery: Delivery
    offset: int = 0
    is_expired: bool = False


class StreamOutbox:
    """bytes_queued counts every message that the peer has not acknowledged, written or not."""

    __slots__ = ("_deadlines", "_messages_acknowledged", "_queue", "_unacknowledged", "_waiting", "bytes_queued")

    def __init__(self) -> None:
        self.bytes_queued = 0
        self._queue: deque[OutgoingMessage] = deque()
        self._unacknowledged: deque[OutgoingMessage] = deque()
        self._waiting: dict[int, OutgoingMessage] = {}
        self._deadlines = Deadlines(self._waiting)
        self._messages_acknowledged = 0

    def __len__(self) -> int:
        """Messages queued or unacknowledged, those included whose deadline passed after they were written."""
        return len(self._queue) + len(self._unacknowledged)

    def push(self, message_id: int, message: Message) -> None:
        """Accepts a message; MessageTooLarge, UsageError for an ORDERED one with a deadline, or QueueFull."""
        size = len(message.data)
        allowed = PART_BYTES_MAX if message.delivery is Delivery.UNRELIABLE else MESSAGE_BYTES_MAX
        if size > allowed:
            raise MessageTooLarge(f"{message.delivery.name.lower()} message of {size} bytes: allowed are {allowed}")
        if message.delivery is Delivery.ORDERED and message.deadline is not None:
            raise UsageError("an ordered message has no deadline: a gap would stop its channel")
        check_room(message, len(self), self.bytes_queued, STREAM_QUEUE_BYTES_MAX)
        outgoing = OutgoingMessage(message_id, message.data, size, message.delivery)
        self.bytes_queued += size
        self._queue.append(outgoing)
        if message.delivery is not Delivery.UNRELIABLE:
            self._waiting[message_id] = outgoing
        if message.deadline is not None:
            self._deadlines.add(message.deadline, message_id)

    def withdraw(self, message_id: int, now: Instant) -> None:
        """Its deadline has come; nothing where its fate is known."""
        if message_id in self._waiting:
            self._deadlines.add(now, message_id)

    def has_parts(self) -> bool:
        """Whether anything is left to write."""
        return bool(self._queue)

    def next_part(self) -> bytes:
        """The plaintext of the next MESSAGE record; only while `has_parts`."""
        message = self._queue[0]
        part = message.data[message.offset : message.offset + PART_BYTES_MAX]
        message.offset += len(part)
        is_last = message.offset == message.size
        if is_last:
            message.data = b""
            self._unacknowledged.append(self._queue.popleft())
        return pack_message(message.delivery, is_last=is_last, data=part)

    def on_ack(self, messages: int) -> list[int]:
        """The ids that the peer's new count acknowledges; ProtocolViolation for a count that cannot be."""
        count = messages - self._messages_acknowledged
        if not 0 <= count <= len(self._unacknowledged):
            written = self._messages_acknowledged + len(self._unacknowledged)
            raise ProtocolViolation(Code.ACK_OF_UNSENT, f"acknowledged {messages} messages, sent {written}")
        self._messages_acknowledged = messages
        acknowledged: list[int] = []
        for _ in range(count):
            message = self._unacknowledged.popleft()
            self.bytes_queued -= message.size
            if self._waiting.pop(message.message_id, None) is not None:
                acknowledged.append(message.message_id)
        return acknowledged

    def next_deadline(self) -> Instant | None:
        """When the next message expires; None where none does."""
        return self._deadlines.earliest()

    def expire(self, now: Instant) -> list[int]:
        """The ids whose deadline has passed; what is not begun of them is withdrawn."""
        expired: list[int] = []
        must_withdraw = False
        while (message_id := self._deadlines.take_due(now)) is not None:
            message = self._waiting.pop(message_id)
            expired.append(message_id)
            message.is_expired = True
            # A message that is partly written has to be finished: the receiver could not find the next one.
            must_withdraw = must_withdraw or message.offset == 0
        if must_withdraw:
            kept = deque(message for message in self._queue if not message.is_expired or message.offset)
            self.bytes_queued -= sum(
                message.size for message in self._queue if message.is_expired and not message.offset
            )
            self._queue = kept
        return expired

    def unfinished(self) -> list[int]:
        """The ids that are neither acknowledged nor expired, oldest first."""
        return list(self._waiting)
