"""Deadlines come in order, those of messages that are done never, and few of those are kept."""

from __future__ import annotations

from node.transport.deadlines import Deadlines
from node.wire.limits import DEADLINES_MIN

FAR = 1_000


def test_they_come_due_in_order_and_without_those_that_are_done() -> None:
    messages = {1, 2, 3}
    deadlines = Deadlines(messages)
    for message_id in (3, 2, 1):
        deadlines.add(10 * message_id, message_id)
    messages.discard(1)
    assert deadlines.earliest() == 20
    assert deadlines.take_due(19) is None
    assert [deadlines.take_due(30), deadlines.take_due(30), deadlines.take_due(30)] == [2, 3, None]


def test_what_is_done_is_let_go_and_what_is_not_is_kept_the_newest_and_an_earlier_deadline_too() -> None:
    messages: set[int] = set()
    deadlines = Deadlines(messages)
    messages.add(0)
    deadlines.add(FAR, 0)
    deadlines.add(5, 0)
    for message_id in range(1, 10 * DEADLINES_MIN):
        messages.add(message_id)
        deadlines.add(FAR + message_id, message_id)
        assert len(deadlines) <= DEADLINES_MIN + 2 * len(messages)
        assert (FAR + message_id, message_id) in deadlines._heap
        messages.discard(message_id)
    assert deadlines.take_due(5) == 0
