"""What is said again, how often and when."""

from __future__ import annotations

from node.transport.events import Delivery
from node.transport.fragments import Part, SendQueue
from node.transport.packet import Message
from node.transport.repeats import COPIES_MAX, REPEATED_BYTES_MAX, Repeats

PATIENCE = 10


class Sender:
    """A queue, and the repeats of what left it. now: one more with each packet."""

    def __init__(self) -> None:
        self.queue = SendQueue()
        self.queue.open_credit(1 << 30)
        self.repeats = Repeats()
        self.now = -1

    def send(self, size: int = 100) -> Part:
        """A message in a packet of its own."""
        self.now += 1
        self.queue.push(self.now, Message(bytes(size), Delivery.RELIABLE))
        part = self.queue.next_part(2_000)
        assert part is not None
        self.repeats.on_sent((part,), self.now)
        return part


def test_a_part_is_offered_to_the_next_three_packets_the_newest_first() -> None:
    sender = Sender()
    parts = [sender.send() for _ in range(COPIES_MAX + 2)]
    assert list(sender.repeats.take()) == parts[:1:-1]


def test_a_packet_that_only_repeats_takes_no_turn() -> None:
    sender = Sender()
    part = sender.send()
    for _ in range(COPIES_MAX + 1):
        sender.repeats.on_sent((Part(part.message, part.offset, part.size, "reordering"),), sender.now)
    assert list(sender.repeats.take()) == [part]


def test_large_parts_and_those_that_arrived_are_left_out() -> None:
    sender = Sender()
    sender.send(REPEATED_BYTES_MAX + 1)
    sender.queue.on_acked(sender.send())
    assert list(sender.repeats.take()) == []
    assert sender.repeats.next_timeout(PATIENCE) is None


def test_what_is_not_answered_in_time_is_overdue_once() -> None:
    sender = Sender()
    first, second = sender.send(), sender.send()
    assert sender.repeats.next_timeout(PATIENCE) == PATIENCE
    sender.repeats.handle_timeout(PATIENCE, PATIENCE)
    assert sender.repeats.overdue == [first]
    assert sender.repeats.next_timeout(PATIENCE) == PATIENCE + 1
    again = next(sender.repeats.take())
    assert (again.message, again.cause) == (first.message, "probe")
    assert not sender.repeats.overdue
    sender.queue.on_acked(second)
    assert sender.repeats.next_timeout(PATIENCE) is None


def test_what_is_overdue_and_arrives_meanwhile_is_not_sent() -> None:
    sender = Sender()
    part = sender.send()
    sender.repeats.handle_timeout(PATIENCE, PATIENCE)
    sender.queue.on_acked(part)
    assert list(sender.repeats.take()) == []


def test_only_the_newest_sixteen_are_watched() -> None:
    sender = Sender()
    for _ in range(100):
        sender.send()
    sender.repeats.handle_timeout(PATIENCE, 1_000)
    assert len(sender.repeats.overdue) == 16
