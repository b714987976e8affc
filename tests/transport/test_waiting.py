"""Lines of callers who wait for room, over a queue that says what it refuses."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from node.transport.events import Delivery
from node.transport.packet import Message, Priority
from node.transport.waiting import Refused, Waiter, WaitingCallers


@dataclass
class Queue:
    """room: messages that it takes, control messages aside, of which it takes `reserve`."""

    room: int = 0
    reserve: int = 0
    full_channels: set[int] = field(default_factory=set)
    taken: list[bytes] = field(default_factory=list)
    large: bytes = b""

    def attempt(self, message: Message) -> Refused | None:
        if message.delivery is Delivery.ORDERED and message.channel in self.full_channels:
            return Refused.CHANNEL
        if message.priority is Priority.CONTROL and self.reserve:
            self.reserve -= 1
        elif self.room and not (message.data == self.large and self.room < 5):
            self.room -= 1
        else:
            return Refused.QUEUE
        self.taken.append(message.data)
        return None


def plain(data: bytes, priority: Priority = Priority.OWN) -> Message:
    return Message(data, Delivery.RELIABLE, priority=priority)


def ordered(data: bytes, channel: int, priority: Priority = Priority.OWN) -> Message:
    return Message(data, Delivery.ORDERED, channel=channel, priority=priority)


def lines(
    *messages: Message, refused: Refused = Refused.QUEUE
) -> tuple[WaitingCallers[Message], list[Waiter[Message]]]:
    callers: WaitingCallers[Message] = WaitingCallers()
    return callers, [callers.join(message, message, refused) for message in messages]


def test_whoever_came_first_goes_first_until_one_is_refused() -> None:
    callers, _ = lines(plain(b"a"), ordered(b"b", 1), plain(b"c"), ordered(b"d", 1))
    queue = Queue(room=3)
    callers.admit(queue.attempt)
    assert queue.taken == [b"a", b"b", b"c"]
    assert len(callers) == 1


@pytest.mark.must("M86")
def test_control_messages_have_a_line_of_their_own() -> None:
    callers, _ = lines(plain(b"a"), plain(b"c1", Priority.CONTROL), plain(b"b"), plain(b"c2", Priority.CONTROL))
    queue = Queue(reserve=5)
    callers.admit(queue.attempt)
    assert queue.taken == [b"c1", b"c2"]
    assert not callers.are_before(plain(b"c3", Priority.CONTROL))
    assert callers.are_before(plain(b"d"))


def test_a_large_message_is_not_overtaken_by_smaller_ones() -> None:
    callers, _ = lines(plain(b"large"), ordered(b"small", 1))
    queue = Queue(room=4, large=b"large")
    callers.admit(queue.attempt)
    assert queue.taken == []
    assert callers.are_before(ordered(b"new", 2))
    queue.room = 6
    callers.admit(queue.attempt)
    assert queue.taken == [b"large", b"small"]


def test_a_channel_that_is_full_by_itself_holds_up_nobody() -> None:
    callers, _ = lines(ordered(b"1a", 1), ordered(b"1b", 1), refused=Refused.CHANNEL)
    assert callers.are_before(ordered(b"1c", 1, Priority.CONTROL))
    assert not callers.are_before(plain(b"x"))
    assert not callers.are_before(ordered(b"2", 2))
    callers.join(plain(b"y"), plain(b"y"), Refused.QUEUE)
    queue = Queue(room=9, full_channels={1})
    callers.admit(queue.attempt)
    assert queue.taken == [b"y"]
    queue.full_channels.clear()
    callers.admit(queue.attempt)
    assert queue.taken == [b"y", b"1a", b"1b"]
    assert not callers


def test_a_channel_keeps_its_order_whatever_the_priorities() -> None:
    callers, _ = lines(ordered(b"a", 1, Priority.BULK), ordered(b"b", 1, Priority.CONTROL))
    queue = Queue(room=1, reserve=1)
    callers.admit(queue.attempt)
    assert queue.taken == [b"a", b"b"]


def test_who_leaves_is_forgotten_and_the_others_can_be_taken_all_at_once() -> None:
    callers, (a, b, c) = lines(plain(b"a"), ordered(b"b", 1), plain(b"c"))
    callers.leave(b)
    assert callers.take_all() == [a, c]
    assert not callers
    assert not callers.are_before(plain(b"x"))
