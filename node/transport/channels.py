"""Channels of ordered messages: what each end of a connection knows of one, in one direction.

A channel has a credit of its own beside that of its connection, which counts the bytes of its messages. It bounds what
waits at the receiver for an earlier message of that channel, so that one that stands still leaves memory and credit to
all others. Messages that are not ordered need no second credit: each is delivered as soon as it is there. Nor does one
ever come back here but by delivery, since an ordered message is never withdrawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.errors import ChannelFull
from node.transport.flow_control import ReceiveCredit, SendCredit
from node.wire.limits import (
    CHANNEL_WINDOW_MAX,
    REASSEMBLY_MESSAGES_MAX,
    SEND_QUEUE_BYTES_MAX,
    SEND_QUEUE_MESSAGES_MAX,
)

if TYPE_CHECKING:
    from node.transport.fragments import OutgoingMessage
    from node.transport.packet import Priority

__all__ = ["IncomingChannel", "OutgoingChannel"]


class OutgoingChannel:
    """A channel at its sender. Bytes go for the first time in the order of the messages, whatever their priorities:
    else later ones could use up the credit that the peer gives for the one that it waits for.

    priority: of the last message. following: sequence of the next message. turn: of the one to go on with.
    held: messages that were first in line before it was their turn or there was credit, by sequence. bytes_unsent: of
    messages.
    """

    __slots__ = ("_early", "_oldest", "bytes_unsent", "credit", "following", "held", "number", "priority", "turn")

    def __init__(self, number: int, priority: Priority, limit: int) -> None:
        """limit: the first credit."""
        self.number = number
        self.priority = priority
        self.credit = SendCredit(limit)
        self.following = 0
        self.turn = 0
        self.held: dict[int, OutgoingMessage] = {}
        self.bytes_unsent = 0
        # The first message that the peer may not have, and those after it that the peer has.
        self._oldest = 0
        self._early: set[int] = set()

    def check_room(self, size: int) -> None:
        """ChannelFull where what waits for credit would take more than half of the queue: the rest is for others."""
        messages = self.following - self.turn
        if self.held and (
            self.bytes_unsent + size > SEND_QUEUE_BYTES_MAX // 2 or messages >= SEND_QUEUE_MESSAGES_MAX // 2
        ):
            raise ChannelFull(
                f"{messages} messages of {self.bytes_unsent} bytes wait for credit of channel {self.number}"
            )

    def must_wait(self, message: OutgoingMessage, ahead: int) -> bool:
        """Whether nothing more of it may go now. ahead: ordered messages of all channels that may wait at the peer."""
        if message.sequence != self.turn or (message.wire_id < 0 and ahead >= REASSEMBLY_MESSAGES_MAX):
            return True
        return self.credit.used >= self.credit.limit and bool(message.data)

    def finish(self, message: OutgoingMessage) -> int:
        """The peer has that one; how many more it has surely delivered."""
        before = self._oldest
        self._early.add(message.sequence)
        while self._oldest in self._early:
            self._early.remove(self._oldest)
            self._oldest += 1
        return self._oldest - before


class IncomingChannel:
    """A channel at its receiver.

    next_sequence: of the message that it waits for. early: complete messages behind that one, by sequence.
    announced: sizes of messages that have begun to arrive, by sequence.
    """

    __slots__ = ("announced", "credit", "early", "next_sequence", "number")

    def __init__(self, number: int, window: int) -> None:
        self.number = number
        self.credit = ReceiveCredit(window, CHANNEL_WINDOW_MAX, f"channel {number}")
        self.next_sequence = 0
        self.early: dict[int, bytes] = {}
        self.announced: dict[int, int] = {}

    @property
    def bytes_waited_for(self) -> int:
        """Size of the message that it waits for, once that has begun to arrive: its rest must not lack credit."""
        return self.announced.get(self.next_sequence, 0)
