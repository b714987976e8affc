"""State machines: the replay window, the reassembly and the send queue do what plain models of them do."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.transport.ack import AckTracker
from node.transport.events import Delivery
from node.transport.flow_control import ReceiveCredit
from node.transport.fragments import OutgoingMessage, Part, SendQueue
from node.transport.packet import Message
from node.transport.pool import ReassemblyPool
from node.transport.reassembly import Reassembly
from node.types import MILLISECOND
from node.wire.frames import MessageFrame, WithdrawFrame
from node.wire.limits import REPLAY_WINDOW

# Cut off in the middle, a machine would look to Hypothesis like a strategy that cannot be relied on.
pytestmark = pytest.mark.timeout(300)

CHANNELS = 2


class ReplayWindowMachine(RuleBasedStateMachine):
    """Packet numbers in any order; the model is the set of those that were taken."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = AckTracker(10 * MILLISECOND)
        self.taken: set[int] = set()
        self.now = 0

    def offer(self, number: int) -> None:
        largest = max(self.taken, default=-1)
        is_duplicate = self.tracker.is_duplicate(number)
        if number in self.taken:
            assert is_duplicate
        elif number > largest - REPLAY_WINDOW:
            assert not is_duplicate, f"{number} is within the window below {largest}"
        if not is_duplicate:
            self.tracker.on_received(number, True, self.now)
            self.taken.add(number)

    @rule(step=st.integers(1, 3 * REPLAY_WINDOW))
    def ahead(self, step: int) -> None:
        self.offer(max(self.taken, default=-1) + step)

    @rule(back=st.integers(0, 2 * REPLAY_WINDOW))
    def behind(self, back: int) -> None:
        self.offer(max(0, max(self.taken, default=0) - back))

    @rule(count=st.integers(2, 1_500))
    def every_second(self, count: int) -> None:
        start = max(self.taken, default=-1) + 2
        for number in range(start, start + 2 * count, 2):
            self.offer(number)

    @precondition(lambda self: self.taken)
    @rule(space=st.integers(20, 1_300))
    def acknowledge(self, space: int) -> None:
        self.now += 10 * MILLISECOND
        frame = self.tracker.take_frame(self.now, space)
        if frame is not None:
            assert all(number in self.taken for span in frame.ranges for number in span)
            self.tracker.on_ack_acknowledged(frame.ranges[0][1])


class ReassemblyMachine(RuleBasedStateMachine):
    """Parts of honest messages in any order; the model holds which bytes of which message were seen."""

    def __init__(self) -> None:
        super().__init__()
        self.reassembly = Reassembly(ReceiveCredit(1 << 40), ReassemblyPool(1 << 40))
        self.messages: list[tuple[bytes, int | None, int]] = []
        self.seen: list[set[int]] = []
        self.ended: set[int] = set()
        self.delivered: list[list[bytes]] = [[] for _ in range(CHANNELS)]

    @rule(size=st.integers(1, 40), channel=st.none() | st.integers(0, CHANNELS - 1))
    def begin(self, size: int, channel: int | None) -> None:
        number = len(self.messages)
        sequence = sum(one[1] == channel for one in self.messages) if channel is not None else 0
        data = (number.to_bytes(2) * size)[:size]
        self.messages.append((data, channel, sequence))
        self.seen.append(set())

    @precondition(lambda self: self.messages)
    @rule(chosen=st.integers(0, 1 << 16), start=st.integers(0, 39), size=st.integers(1, 40))
    def receive(self, chosen: int, start: int, size: int) -> None:
        number = chosen % len(self.messages)
        data, channel, sequence = self.messages[number]
        start %= len(data)
        part = data[start : start + size]
        found = self.reassembly.receive(MessageFrame(number, len(data), start, part, channel, sequence))
        was_ended = number in self.ended
        self.seen[number].update(range(start, start + len(part)))
        if not was_ended and len(self.seen[number]) == len(data):
            self.ended.add(number)
        if channel is not None:
            self.delivered[channel] += found
        else:
            assert found == ([data] if not was_ended and number in self.ended else [])

    @precondition(lambda self: any(one[1] is None for one in self.messages))
    @rule(chosen=st.integers(0, 1 << 16))
    def withdraw(self, chosen: int) -> None:
        unordered = [number for number, one in enumerate(self.messages) if one[1] is None]
        number = unordered[chosen % len(unordered)]
        if number not in self.ended:
            self.reassembly.withdraw(WithdrawFrame(number, len(self.messages[number][0])))
            self.ended.add(number)

    @invariant()
    def channels_deliver_what_has_no_gap_before_it(self) -> None:
        for channel in range(CHANNELS):
            expected = []
            for number, (data, found, _) in enumerate(self.messages):
                if found == channel:
                    if number not in self.ended:
                        break
                    expected.append(data)
            assert self.delivered[channel] == expected

    @invariant()
    def memory_is_that_of_what_has_begun(self) -> None:
        begun = [
            len(data)
            for number, (data, _, _) in enumerate(self.messages)
            if self.seen[number] and number not in self.ended
        ]
        assert self.reassembly.bytes_announced == sum(begun)


class SendQueueMachine(RuleBasedStateMachine):
    """Messages cut into parts that are acknowledged or lost; the model holds which bytes were acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = SendQueue()
        self.queue.open_credit(1 << 40)
        self.sent: dict[int, bytes] = {}
        self.acked: dict[int, set[int]] = {}
        self.flight: list[Part] = []
        self.finished: set[int] = set()

    @rule(size=st.integers(0, 3_000), is_ordered=st.booleans())
    def push(self, size: int, is_ordered: bool) -> None:
        number = len(self.sent)
        data = (number.to_bytes(2) * size)[:size]
        self.queue.push(number, Message(data, Delivery.ORDERED if is_ordered else Delivery.RELIABLE, None, 0))
        self.sent[number], self.acked[number] = data, set()

    @rule(space=st.integers(60, 1_400))
    def fill_a_packet(self, space: int) -> None:
        part = self.queue.next_part(space)
        if part is None:
            return
        buffer = bytearray()
        part.append_to(buffer)
        assert len(buffer) <= space
        assert bytes(buffer).endswith(self.bytes_of(part))
        assert not self.offsets_of(part) or not self.offsets_of(part) <= self.acked[part.message.message_id]
        self.flight.append(part)

    @precondition(lambda self: self.flight)
    @rule(chosen=st.integers(0, 1 << 16), is_late=st.booleans())
    def acknowledge(self, chosen: int, is_late: bool) -> None:
        part = self.flight.pop(chosen % len(self.flight))
        if is_late:
            self.queue.on_lost(part, "reordering")
        number = part.message.message_id
        self.acked[number] |= self.offsets_of(part)
        completed: OutgoingMessage | None = self.queue.on_acked(part)
        is_complete = len(self.acked[number]) == len(self.sent[number]) and number not in self.finished
        assert (completed is not None) == is_complete
        if is_complete:
            self.finished.add(number)

    @precondition(lambda self: self.flight)
    @rule(chosen=st.integers(0, 1 << 16))
    def lose(self, chosen: int) -> None:
        self.queue.on_lost(self.flight.pop(chosen % len(self.flight)), "reordering")

    @invariant()
    def what_is_not_finished_is_held_and_can_still_be_sent(self) -> None:
        waiting = {number for number in self.sent if number not in self.finished}
        assert set(self.queue.messages) == waiting
        assert self.queue.bytes_queued == sum(len(self.sent[number]) for number in waiting)
        flying = {part.message.message_id for part in self.flight}
        assert self.queue.has_sendable() or waiting <= flying

    def offsets_of(self, part: Part) -> set[int]:
        return set(range(part.offset, part.offset + part.size))

    def bytes_of(self, part: Part) -> bytes:
        return self.sent[part.message.message_id][part.offset : part.offset + part.size]


TestReplayWindow = ReplayWindowMachine.TestCase
TestReassembly = ReassemblyMachine.TestCase
TestSendQueue = SendQueueMachine.TestCase
TestReplayWindow.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestReassembly.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestSendQueue.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
