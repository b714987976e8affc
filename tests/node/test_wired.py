"""Packets and streams between a machine and its sockets, over links that are bad for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from node.impairment.link import LinkSettings
from node.impairment.wire import Demand, Wire
from node.node.wired import Wired
from node.transport.packet import Transmit
from node.transport.stream import StreamConnect, StreamOpened, StreamRoom, StreamShutdown, StreamWrite
from node.types import MILLISECOND, SECOND
from node.wire.limits import STREAM_UNSENT_BYTES

TARGET = ("10.0.0.2", 9000)
CUT = LinkSettings(loss=1.0)


class Driver:
    """A driver whose clock a test moves, and whose machine sends what the test says."""

    def __init__(self) -> None:
        self.sinks: dict[type, Callable[[Any], None]] = {}
        self.fed: list[Any] = []
        self.time = 0

    def now(self) -> int:
        return self.time

    def attach(self, kind: type, sink: Callable[[Any], None]) -> None:
        self.sinks[kind] = sink

    def feed(self, inputs: Iterable[Any]) -> None:
        self.fed += inputs

    def pump(self) -> None:
        return

    def send(self, output: object) -> None:
        self.sinks[type(output)](output)


class Rig:
    def __init__(self, settings: LinkSettings | None = None) -> None:
        self.driver = Driver()
        self.wire = Wire(seed="1", name="a")
        self.wired = Wired(self.driver, self.wire)
        self.sent: list[Any] = []
        for kind in (Transmit, StreamConnect, StreamWrite, StreamShutdown):
            self.wired.attach(kind, self.sent.append)
        if settings is not None:
            self.wire.set_base({}, settings, {})

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.sent) < count:
                await asyncio.sleep(0)


def test_a_clean_wire_passes_batches_on_whole() -> None:
    async def scenario() -> None:
        rig = Rig()
        batch = Transmit(TARGET, bytes(3000), 1000)
        rig.driver.send(batch)
        assert rig.sent == [batch]

    asyncio.run(scenario())


def test_an_impaired_wire_decides_the_fate_of_each_packet_by_itself() -> None:
    async def scenario() -> None:
        rig = Rig(LinkSettings(loss=0.5))
        for _ in range(20):
            rig.driver.send(Transmit(TARGET, bytes(10_000), 1000, ecn=2))
        assert 60 < len(rig.sent) < 140
        assert {len(packet.data) for packet in rig.sent} == {1000}
        assert {packet.ecn for packet in rig.sent} == {2}

    asyncio.run(scenario())


def test_a_delayed_packet_leaves_when_it_is_due() -> None:
    async def scenario() -> None:
        rig = Rig(LinkSettings(delay=20 * MILLISECOND))
        began = asyncio.get_running_loop().time()
        rig.driver.send(Transmit(TARGET, b"x", 1))
        assert rig.sent == []
        await rig.until(1)
        assert asyncio.get_running_loop().time() - began >= 0.019

    asyncio.run(scenario())


def test_what_waits_is_forgotten_at_the_end() -> None:
    async def scenario() -> None:
        rig = Rig(LinkSettings(delay=10 * SECOND))
        rig.driver.send(Transmit(TARGET, b"x", 1))
        rig.wired.close()
        assert not rig.wired._delayed

    asyncio.run(scenario())


def test_a_stream_keeps_its_order_and_is_delayed() -> None:
    async def scenario() -> None:
        rig = Rig(LinkSettings(delay=5 * MILLISECOND))
        outputs = [StreamConnect(7, TARGET), StreamWrite(7, b"a"), StreamWrite(7, b"b"), StreamShutdown(7)]
        for output in outputs:
            rig.driver.send(output)
        assert rig.sent == []
        rig.driver.time = 5 * MILLISECOND
        await rig.until(4)
        assert rig.sent == outputs

    asyncio.run(scenario())


def test_a_stream_over_a_cut_link_stands_still_until_it_is_healed() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.wired.feed([StreamOpened(1, TARGET, is_initiator=False)])
        rig.wire.demand(Demand(step="cut", kind="partition", settings=CUT))
        rig.driver.send(StreamWrite(1, b"a"))
        await asyncio.sleep(0)
        assert rig.sent == []
        rig.wire.heal()
        await rig.until(1)

    asyncio.run(scenario())


def test_a_cut_stream_takes_no_more_than_a_kernel_would() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.wired.feed([StreamOpened(1, TARGET, is_initiator=False)])
        rig.wire.demand(Demand(step="cut", kind="partition", settings=CUT))
        rig.driver.fed.clear()
        rig.driver.send(StreamWrite(1, bytes(STREAM_UNSENT_BYTES)))
        assert rig.driver.fed == []
        rig.driver.send(StreamWrite(1, b"a"))
        assert rig.driver.fed == [StreamRoom(1, has_room=False)]
        rig.wired.feed([StreamRoom(1, has_room=False)])
        rig.wire.heal()
        await rig.until(2)
        assert len(rig.driver.fed) == 1, "the kernel is full, too"
        rig.wired.feed([StreamRoom(1, has_room=True)])
        assert rig.driver.fed[1:] == [StreamRoom(1, has_room=True)]

    asyncio.run(scenario())


def test_a_slow_stream_takes_more_as_it_gets_rid_of_what_it_has() -> None:
    async def scenario() -> None:
        rig = Rig(LinkSettings(rate=STREAM_UNSENT_BYTES, delay=10 * SECOND))
        rig.driver.send(StreamConnect(7, TARGET))
        rig.driver.send(StreamWrite(7, bytes(2 * STREAM_UNSENT_BYTES)))
        assert rig.driver.fed == [StreamRoom(7, has_room=False)]
        rig.driver.time = SECOND
        rig.wired._run(7, rig.wired._streams[7])
        assert rig.driver.fed[1:] == [StreamRoom(7, has_room=True)]
        assert rig.sent == [], "what is under way is no longer to be sent"
        rig.wired.close()

    asyncio.run(scenario())


def test_streams_to_others_are_left_alone() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.wired.feed([StreamOpened(1, ("10.0.0.3", 1), is_initiator=False)])
        rig.wire.demand(Demand(step="cut", kind="partition", settings=CUT, hosts=frozenset({TARGET[0]})))
        rig.driver.send(StreamWrite(1, b"a"))
        assert len(rig.sent) == 1

    asyncio.run(scenario())
