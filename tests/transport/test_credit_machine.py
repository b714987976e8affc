"""Both ends agree on the credit of the connection and of each channel, whatever is lost, repeated and withdrawn."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.transport.events import Delivery
from node.transport.flow_control import ReceiveCredit
from node.transport.fragments import Part
from node.transport.packet import Message, Priority
from node.transport.pool import ReassemblyPool
from node.transport.reassembly import Reassembly
from node.types import MILLISECOND
from node.wire.frames import MaxDataFrame, MessageFrame, WithdrawFrame
from tests.transport.queues import SPACE, frame_of, make_queue

# Cut off in the middle, a machine would look to Hypothesis like a strategy that cannot be relied on.
pytestmark = pytest.mark.timeout(300)

WINDOW = 20_000
RTT = 40 * MILLISECOND
CHANNELS = 3


class BothEnds(RuleBasedStateMachine):
    """A send queue and a reassembly, and a network between them that loses, repeats and overtakes, both ways.

    Whatever happens, the receiver never sees more than it allowed, and in the end both count the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.queue = make_queue(WINDOW)
        self.reassembly = Reassembly(ReceiveCredit(WINDOW), ReassemblyPool(1 << 40))
        self.flying: list[tuple[Part, MessageFrame]] = []
        self.withdrawals: list[WithdrawFrame] = []
        self.limits: list[MaxDataFrame] = []
        self.ordered: list[list[bytes]] = [[] for _ in range(CHANNELS)]
        self.plain: set[bytes] = set()
        self.received: list[bytes] = []
        self.count = self.now = 0

    @rule(size=st.integers(0, 3 * WINDOW), channel=st.integers(0, CHANNELS - 1), priority=st.sampled_from(Priority))
    def push_ordered(self, size: int, channel: int, priority: Priority) -> None:
        data = self.count.to_bytes(4, "big") + bytes(size)
        self.queue.push(self.count, Message(data, Delivery.ORDERED, None, channel, priority))
        self.ordered[channel].append(data)
        self.count += 1

    @rule(size=st.integers(0, 3 * WINDOW), priority=st.sampled_from(Priority))
    def push_plain(self, size: int, priority: Priority) -> None:
        data = self.count.to_bytes(4, "big") + bytes(size)
        self.queue.push(self.count, Message(data, Delivery.RELIABLE, None, 0, priority))
        self.plain.add(data)
        self.count += 1

    @rule(count=st.integers(1, 60), space=st.integers(200, SPACE))
    def send(self, count: int, space: int) -> None:
        for _ in range(count):
            part = self.queue.next_part(space)
            if part is None:
                break
            self.flying.append((part, frame_of(part, space)))

    @precondition(lambda self: self.flying)
    @rule(seed=st.integers(0, 1 << 16), lost=st.floats(0, 1), repeated=st.floats(0, 1))
    def arrive(self, seed: int, lost: float, repeated: float) -> None:
        random = Random(seed)
        random.shuffle(self.flying)
        flying, self.flying = self.flying, []
        for part, frame in flying:
            if random.random() < lost:
                self.queue.on_lost(part, "reordering")
                continue
            if not part.message.is_finished or random.random() < 0.5:
                self.received += self.reassembly.receive(frame)
            if random.random() < repeated:
                # The acknowledgement was lost.
                self.queue.on_lost(part, "timeout")
            else:
                self.queue.on_acked(part)
        self.now += RTT // 2
        self.limits += self.reassembly.next_limits(self.now, RTT)

    @rule(chosen=st.integers(0, 1 << 16))
    def withdraw(self, chosen: int) -> None:
        messages = list(self.queue.messages)
        if messages:
            # Nothing happens to an ordered one.
            self.queue.withdraw(messages[chosen % len(messages)], self.now)
        for message, frame in self.queue.expire(self.now):
            assert message.channel is None
            self.plain.discard(message.data)
            if frame is not None:
                self.withdrawals.append(frame)

    @precondition(lambda self: self.withdrawals)
    @rule()
    def hear_of_a_withdrawal(self) -> None:
        self.reassembly.withdraw(self.withdrawals.pop())
        self.limits += self.reassembly.next_limits(self.now, RTT)

    @precondition(lambda self: self.limits)
    @rule(chosen=st.integers(0, 1 << 16))
    def hear_of_credit(self, chosen: int) -> None:
        self.queue.raise_limit(self.limits.pop(chosen % len(self.limits)))

    @invariant()
    def nobody_goes_beyond(self) -> None:
        assert self.queue.credit.used <= self.queue.credit.limit <= self.reassembly.credit.limit
        for number, sender in self.queue._channels.items():
            receiver = self.reassembly._channels.get(number)
            limit = WINDOW if receiver is None else receiver.credit.limit
            assert sender.credit.used <= sender.credit.limit <= limit

    def teardown(self) -> None:
        for turn in range(1_000):
            self.send(10_000, SPACE)
            if not self.flying and not self.limits and not self.withdrawals:
                break
            self.arrive(turn, 0.2, 0.2)
            while self.withdrawals:
                self.hear_of_a_withdrawal()
            while self.limits:
                self.hear_of_credit(0)
        assert self.queue.messages == {}, "it stands still"
        assert set(self.received) >= self.plain
        assert len(self.received) == len(set(self.received))
        for number, data in enumerate(self.ordered):
            mine = set(data)
            assert [one for one in self.received if one in mine] == data
            if data:
                sender, receiver = self.queue._channels[number], self.reassembly._channels[number]
                assert sender.credit.used == receiver.credit._received == sum(map(len, data))
                assert receiver.credit._released == receiver.credit._received
                assert sender.credit.available > receiver.credit.window // 2
        assert self.queue.credit.used == self.reassembly.credit._received == self.reassembly.credit._released


TestBothEnds = BothEnds.TestCase
TestBothEnds.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
