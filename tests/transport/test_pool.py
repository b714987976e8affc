"""All connections of an endpoint share one memory for messages in parts."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from node.core.machine import Machine
from node.core.settings import CoreSettings
from node.errors import Code, UsageError
from node.identity.keys import Identity
from node.impairment.link import LinkSettings
from node.sim.goodput import add_endpoint
from node.sim.world import Host, World
from node.transport.endpoint import Endpoint
from node.transport.events import Closed, Delivery, MessageReceived
from node.transport.flow_control import ReceiveCredit
from node.transport.packet import Message
from node.transport.pool import NoRoom, ReassemblyPool
from node.transport.reassembly import Reassembly
from node.transport.settings import TransportSettings
from node.transport.stream import StreamData
from node.transport.stream_records import PART_BYTES_MAX
from node.types import MILLISECOND, Address
from node.wire.frames import MessageFrame, WithdrawFrame
from node.wire.limits import MESSAGE_BYTES_MAX, REASSEMBLY_BYTES_MAX, ROOM_INTERVAL
from tests.transport.streams import StreamNetwork, reliable

SERVER: Address = ("10.9.9.9", 9000)
HOLDERS = REASSEMBLY_BYTES_MAX // MESSAGE_BYTES_MAX


def part(
    number: int, total: int, offset: int, size: int, channel: int | None = None, sequence: int = 0
) -> MessageFrame:
    return MessageFrame(number, total, offset, bytes(size), channel, sequence)


@pytest.fixture
def pool() -> ReassemblyPool:
    return ReassemblyPool(1000)


@pytest.fixture
def reassembly(pool: ReassemblyPool) -> Reassembly:
    return Reassembly(ReceiveCredit(1 << 20), pool)


def test_what_has_begun_takes_its_whole_size_until_it_is_complete(pool: ReassemblyPool, reassembly: Reassembly) -> None:
    assert reassembly.receive(part(1, 600, 0, 100)) == []
    assert pool.used == reassembly.bytes_taken == 600
    assert reassembly.receive(part(1, 600, 100, 500)) == [bytes(600)]
    assert pool.used == reassembly.bytes_taken == 0


def test_what_was_withdrawn_gives_its_memory_back(pool: ReassemblyPool, reassembly: Reassembly) -> None:
    reassembly.receive(part(1, 600, 0, 100))
    reassembly.withdraw(WithdrawFrame(1, 100))
    assert pool.used == 0


def test_an_ordered_message_takes_memory_for_as_long_as_it_waits(pool: ReassemblyPool, reassembly: Reassembly) -> None:
    assert reassembly.receive(part(2, 300, 0, 300, channel=0, sequence=1)) == []
    assert reassembly.receive(part(3, 400, 0, 100, channel=0, sequence=2)) == []
    assert reassembly.receive(part(3, 400, 100, 300, channel=0, sequence=2)) == []
    assert pool.used == 700
    assert len(reassembly.receive(part(1, 200, 0, 200, channel=0, sequence=0))) == 3
    assert pool.used == reassembly.bytes_taken == 0


@pytest.mark.parametrize("frame", [part(2, 600, 0, 100), part(2, 600, 0, 600, 0, 1)], ids=["part", "ordered"])
def test_what_has_no_room_changes_nothing_and_may_come_again(
    pool: ReassemblyPool, reassembly: Reassembly, frame: MessageFrame
) -> None:
    other = Reassembly(ReceiveCredit(1 << 20), pool)
    other.receive(part(1, 600, 0, 1))
    for _ in range(3):
        with pytest.raises(NoRoom):
            reassembly.receive(frame)
    assert reassembly.bytes_taken == 0
    other.release()
    assert pool.used == 0
    reassembly.receive(frame)
    if frame.channel is None:
        assert reassembly.receive(part(2, 600, 100, 500)) == [bytes(600)]
    else:
        assert len(reassembly.receive(part(1, 9, 0, 9, channel=0))) == 2
    assert pool.used == 0


def test_a_whole_message_needs_no_memory(pool: ReassemblyPool, reassembly: Reassembly) -> None:
    pool.take(1000)
    assert reassembly.receive(part(1, 900, 0, 900)) == [bytes(900)]


class Crowd:
    """A server, and clients that stop in the middle of a message when their line is cut."""

    def __init__(self) -> None:
        self.world = World(Random(1), default=LinkSettings(delay=5 * MILLISECOND, rate=500_000), has_trace=False)
        settings = TransportSettings(reassembly_bytes_max=REASSEMBLY_BYTES_MAX, min_rto=25 * MILLISECOND)
        self.server, self.host = add_endpoint(self.world, SERVER, settings, 0)
        self.clients = [
            add_endpoint(self.world, (f"10.0.0.{number}", 9000), TransportSettings(max_retries=100), number)
            for number in range(1, HOLDERS + 2)
        ]
        self.silent: set[Address] = set()
        self.world.cuts.append(self)

    def stops(self, source: Address, target: Address, /) -> bool:
        return source in self.silent

    def send(self, client: Endpoint, host: Host) -> None:
        handle = client.connect(SERVER, self.world.now)
        self.world.drain(host)
        assert self.world.run_until(
            lambda: client.connection_of(self.server.identity.public_key) is not None, 5, every=0.01
        )
        client.send(handle, Message(bytes(MESSAGE_BYTES_MAX), Delivery.RELIABLE), self.world.now)
        self.world.drain(host)

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        return self.world.run_until(condition, seconds, every=0.05)

    @property
    def received(self) -> int:
        return sum(isinstance(event, MessageReceived) for event in self.host.events)

    @property
    def ends(self) -> list[Code]:
        return [event.code for event in self.host.events if isinstance(event, Closed)]


def test_who_stands_still_makes_room_for_who_does_not() -> None:
    crowd = Crowd()
    *holders, (late, late_host) = crowd.clients
    for client, host in holders:
        crowd.send(client, host)
        crowd.world.run(0.3)
        crowd.silent.add(host.address)
    assert crowd.server._pool.used == REASSEMBLY_BYTES_MAX
    crowd.send(late, late_host)
    crowd.world.run(3)
    # Nobody is ended as long as a message may only be slow; what has no room counts as lost.
    assert crowd.received == 0
    assert crowd.ends == []
    assert crowd.server.stats.packets_dropped["no_room"] > 0
    assert crowd.until(lambda: crowd.received == 1, 60)
    assert crowd.ends
    assert set(crowd.ends) == {Code.REASSEMBLY_LIMIT}
    assert len(crowd.ends) < HOLDERS
    assert crowd.server._pool.used == (HOLDERS - len(crowd.ends)) * MESSAGE_BYTES_MAX


def test_who_leaves_gives_its_memory_back() -> None:
    crowd = Crowd()
    (client, host), *_ = crowd.clients
    crowd.send(client, host)
    crowd.world.run(0.3)
    assert crowd.server._pool.used == MESSAGE_BYTES_MAX
    handle = client.connection_of(crowd.server.identity.public_key)
    assert handle is not None
    client.disconnect(handle, crowd.world.now)
    crowd.world.drain(host)
    assert crowd.until(lambda: bool(crowd.ends), 5)
    assert crowd.server._pool.used == 0


def test_less_than_one_connection_may_take_is_refused() -> None:
    with pytest.raises(UsageError, match=f"reassembly_bytes_max 1000: allowed is {REASSEMBLY_BYTES_MAX} and more"):
        TransportSettings(reassembly_bytes_max=1000)


# --- messages over TCP


class Streams:
    """A server with a pool of its own size, and peers that send as many records of a message as a test wants."""

    def __init__(self, size: int, peers: int) -> None:
        self.network = StreamNetwork()
        self.pool = ReassemblyPool(size)
        self.server = self.network.add("server", pool=self.pool)
        self.peers = [self.network.add(f"peer-{number}") for number in range(peers)]
        for peer in self.peers:
            peer.endpoint.connect(self.server.address, self.network.now)
        self.network.run()

    def begin(self, number: int, records: int) -> None:
        """That peer sends so many records of a message that has one more."""
        peer = self.peers[number]
        (connection,) = peer.endpoint._connections.values()
        connection.outbox.push(0, reliable(bytes((records + 1) * PART_BYTES_MAX)))
        (stream,) = peer.ends
        other = peer.ends[stream][1]
        for _ in range(records):
            data = connection._seal(connection.outbox.next_part())
            self.server.endpoint.receive(StreamData(other, data), self.network.now)

    def finish(self, number: int) -> None:
        """It sends the rest."""
        self.peers[number].endpoint._mark_ready(next(iter(self.peers[number].endpoint._connections.values())))
        self.network.run()


@pytest.mark.must("M80")
def test_a_message_over_tcp_takes_memory_until_it_is_complete() -> None:
    streams = Streams(10 * PART_BYTES_MAX, peers=2)
    streams.begin(0, records=3)
    streams.begin(1, records=2)
    assert streams.pool.used == 5 * PART_BYTES_MAX
    streams.finish(0)
    assert [len(data) for data in streams.server.received()] == [4 * PART_BYTES_MAX]
    assert streams.pool.used == 2 * PART_BYTES_MAX
    (stream,) = streams.peers[1].ends
    streams.network.break_stream(streams.peers[1], stream, "cut")
    assert streams.pool.used == 0


@pytest.mark.must("M80")
def test_messages_over_tcp_take_no_more_than_all_of_the_pool() -> None:
    streams = Streams(10 * PART_BYTES_MAX, peers=5)
    for number in range(4):
        streams.begin(number, records=3)
        assert streams.pool.used <= streams.pool.size
    streams.network.run()
    assert [event.reason for event in streams.server.of(Closed)] == [
        f"messages in parts fill {10 * PART_BYTES_MAX} bytes, which all connections share"
    ]
    assert streams.peers[3].codes() == [Code.REASSEMBLY_LIMIT]
    streams.begin(4, records=0)
    streams.finish(4)
    assert len(streams.server.received()) == 1, "a message of one record needs no room"


@pytest.mark.must("M80")
def test_who_stands_still_over_tcp_makes_room() -> None:
    streams = Streams(6 * PART_BYTES_MAX, peers=4)
    streams.begin(0, records=2)
    streams.begin(1, records=4)
    streams.network.advance(11)
    streams.begin(2, records=3)
    streams.network.run()
    assert streams.peers[1].codes() == [Code.REASSEMBLY_LIMIT], "it held the most"
    assert streams.pool.used == 5 * PART_BYTES_MAX
    streams.finish(2)
    streams.finish(0)
    assert sorted(len(data) for data in streams.server.received()) == [3 * PART_BYTES_MAX, 4 * PART_BYTES_MAX]
    assert streams.pool.used == 0


def test_the_transports_of_a_node_share_one_pool() -> None:
    random = Random(1)
    machine = Machine(
        Identity(bytes(32)), CoreSettings(name="n", udp_port=1, tcp_port=2), entropy=random.randbytes, random=random,
        wall_offset=0, epoch=1,
    )  # fmt: skip
    assert machine.udp is not None
    assert machine.tcp is not None
    assert machine.udp._pool is machine.tcp._pool
    assert len(machine.udp._pool.holders) == 2


def test_after_a_vain_look_nobody_looks_for_a_while() -> None:
    pool = ReassemblyPool(10)
    looks: list[int] = []

    def stalled(since: int, now: int) -> tuple[int, Callable[[], None]]:
        looks.append(now)
        return (0 if len(looks) == 1 else 5), lambda: None

    pool.holders.append(stalled)
    assert not pool.make_room(0)
    assert not pool.make_room(ROOM_INTERVAL - 1)
    assert pool.make_room(ROOM_INTERVAL)
    assert pool.make_room(ROOM_INTERVAL), "where there was one there may be more"
    assert len(looks) == 3
