"""Awaitable sends under anything that may happen to them: each caller is told once, nothing is left, order is kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random

import pytest

from node.errors import ChannelFull, Code, PositronError, QueueFull
from node.transport.events import Closed, Delivery, MessageAcknowledged, MessageFailed
from node.transport.packet import Message, Priority
from node.transport.sends import Sends
from node.transport.stats import ConnectionSnapshot
from node.types import SECOND, Address, Instant, NodeId
from tests.transport.watching import LoopErrors

PEER = ("192.0.2.1", 9000)
CODES = (Code.REPLACED, Code.PEER_RESTARTED, Code.IDLE_TIMEOUT, Code.CONNECTION_LOST)


@dataclass
class Endpoint:
    """A queue of a few messages whose channels may be full by themselves; its clock is set by the test."""

    random: Random
    clock: Instant = 0
    connections: int = 1
    next_id: int = 0
    queue: dict[int, Message] = field(default_factory=dict)
    arrived: list[tuple[int, Message]] = field(default_factory=list)
    events: list[MessageFailed] = field(default_factory=list)

    def connect(self, address: Address, now: Instant, expected: NodeId | None = None) -> int:
        return self.connections

    connection_at = connection_of = lambda self, _: self.connections

    def send(self, connection: int, message: Message, now: Instant) -> int:
        if len(self.queue) >= (6 if message.priority is Priority.CONTROL else 4):
            raise QueueFull("full")
        ordered = sum(one.delivery is Delivery.ORDERED for one in self.queue.values())
        if message.delivery is Delivery.ORDERED and ordered > 1 and self.random.random() < 0.3:
            raise ChannelFull("full")
        self.next_id += 1
        self.queue[self.next_id] = message
        self.arrived.append((connection, message))
        return self.next_id

    def withdraw(self, connection: int, message_id: int, now: Instant) -> None:
        if message_id in self.queue and self.queue[message_id].delivery is not Delivery.ORDERED:
            del self.queue[message_id]
            self.events.append(MessageFailed(connection=connection, message_id=message_id, expired=True))

    def snapshot(self, connection: int) -> ConnectionSnapshot | None:
        return None

    def now(self) -> Instant:
        return self.clock

    def pump(self) -> None: ...


def happen(endpoint: Endpoint, sends: Sends, random: Random) -> None:
    """Something of the network."""
    while endpoint.events:
        sends.handle_event(endpoint.events.pop())
    what = random.random()
    if what < 0.6 and endpoint.queue:
        message_id = random.choice(list(endpoint.queue))
        del endpoint.queue[message_id]
        sends.handle_event(MessageAcknowledged(connection=endpoint.connections, message_id=message_id))
    elif what > 0.95:
        endpoint.connections += 1
        endpoint.queue.clear()
        code = random.choice(CODES)
        sends.handle_event(
            Closed(
                connection=endpoint.connections - 1, peer_id=NodeId(bytes(32)), address=PEER, code=code, reason="",
                by_peer=random.random() < 0.5, is_initiator=True,
            )
        )  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.must("M39")
@pytest.mark.must("M48")
@pytest.mark.parametrize("seed", range(40))
async def test_each_caller_is_told_and_nothing_is_left(seed: int) -> None:
    errors, random = LoopErrors(), Random(seed)
    endpoint = Endpoint(random)
    sends = Sends(endpoint, endpoint)
    tasks = []
    for number in range(200):
        data, seconds = number.to_bytes(2, "big"), random.choice((1e-6, 0.002, 60.0))
        wait, priority, channel = random.random() < 0.8, random.choice(list(Priority)), random.choice((None, 0, 1))
        send = sends.deliver(PEER, data, seconds, wait=wait, priority=priority, channel=channel)
        tasks.append(asyncio.create_task(send))
        for _ in range(random.randrange(3)):
            happen(endpoint, sends, random)
            await asyncio.sleep(0)
        if random.random() < 0.2:
            random.choice(tasks).cancel()
    while not all(task.done() for task in tasks):
        happen(endpoint, sends, random)
        endpoint.clock += SECOND // 100
        await asyncio.sleep(0)
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert outcome is None or isinstance(outcome, PositronError | asyncio.CancelledError)
    assert errors.contexts == []
    assert not sends._messages
    assert not sends._rooms
    assert sends._waiting == 0
    for connection in range(1, endpoint.connections + 1):
        for channel in (0, 1):
            ordered = [
                message.data
                for where, message in endpoint.arrived
                if where == connection and message.delivery is Delivery.ORDERED and message.channel == channel
            ]
            assert ordered == sorted(ordered)
    sends.close()
