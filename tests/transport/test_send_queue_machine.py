"""Whatever is sent, lost, acknowledged and withdrawn in whatever order, the send queue forgets and invents nothing."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.transport.events import Delivery
from node.transport.flow_control import ReceiveCredit
from node.transport.fragments import Part, SendQueue
from node.transport.packet import Message, Priority
from node.transport.pool import ReassemblyPool
from node.transport.reassembly import Reassembly
from node.types import Instant
from node.wire.frames import MessageFrame

# Cut off in the middle, a machine would look to Hypothesis like a strategy that cannot be relied on.
pytestmark = pytest.mark.timeout(300)

SPACE = 1_368


class SendAndReassemble(RuleBasedStateMachine):
    """A send queue, a network that loses and delays parts, and the reassembly at the other end."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = SendQueue()
        self.queue.open_credit(1 << 30)
        self.reassembly = Reassembly(ReceiveCredit(1 << 30), ReassemblyPool(1 << 40))
        self.now: Instant = 0
        self.next_id = 0
        self.sent: dict[int, bytes] = {}
        self.in_flight: list[Part] = []
        self.arrived: list[bytes] = []
        self.complete: set[int] = set()
        self.withdrawn: set[int] = set()

    @rule(size=st.integers(0, 5_000), priority=st.sampled_from(Priority), deadline=st.none() | st.integers(1, 50))
    def push(self, size: int, priority: Priority, deadline: int | None) -> None:
        data = self.next_id.to_bytes(4, "big") + bytes(size)
        due = None if deadline is None else self.now + deadline
        self.queue.push(self.next_id, Message(data, Delivery.RELIABLE, due, priority=priority))
        self.sent[self.next_id] = data
        self.next_id += 1

    @rule(space=st.integers(200, SPACE))
    def send(self, space: int) -> None:
        part = self.queue.next_part(space)
        assert (part is not None) or not self.queue.has_sendable() or space < SPACE
        if part is not None:
            self.in_flight.append(part)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        part = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
        if part.message.message_id not in self.withdrawn:
            content = part.message.data[part.offset : part.offset + part.size]
            frame = MessageFrame(part.message.wire_id, len(part.message.data), part.offset, content)
            self.arrived += self.reassembly.receive(frame)
        message = self.queue.on_acked(part)
        if message is not None:
            assert message.message_id not in self.complete | self.withdrawn
            self.complete.add(message.message_id)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.queue.on_lost(self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1))), "reordering")

    @rule(passed=st.integers(1, 20))
    def wait(self, passed: int) -> None:
        self.now += passed
        for message, frame in self.queue.expire(self.now):
            assert message.message_id not in self.complete
            self.withdrawn.add(message.message_id)
            if frame is not None:
                self.reassembly.withdraw(frame)

    @invariant()
    def nothing_is_forgotten(self) -> None:
        open_ids = self.sent.keys() - self.complete - self.withdrawn
        assert self.queue.messages.keys() == open_ids
        assert self.queue.bytes_queued == sum(len(self.sent[one]) for one in open_ids)

    @invariant()
    def nothing_is_invented(self) -> None:
        assert len(self.arrived) == len(set(self.arrived))
        assert set(self.arrived) <= set(self.sent.values())
        assert {self.sent[one] for one in self.complete} <= set(self.arrived)

    def teardown(self) -> None:
        for _ in range(10_000):
            part = self.queue.next_part(SPACE)
            if part is None:
                break
            self.in_flight.append(part)
        for part in self.in_flight:
            message = self.queue.on_acked(part)
            if message is not None:
                self.complete.add(message.message_id)
        assert self.complete | self.withdrawn == self.sent.keys(), "something was never sent to its end"


TestSendAndReassemble = SendAndReassemble.TestCase
TestSendAndReassemble.settings = settings(max_examples=60, stateful_step_count=60)
