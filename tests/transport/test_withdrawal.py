"""Messages that nobody wants any more: at their deadline, or because their sender gave up, over UDP and over TCP."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from node.errors import QueueFull, SendTimeout
from node.impairment.link import LinkSettings
from node.transport.events import Delivery, MessageAcknowledged, MessageFailed
from node.transport.fragments import SendQueue
from node.transport.packet import Message
from node.transport.settings import TransportSettings
from node.transport.stream import StreamRoom
from node.transport.stream_outbox import StreamOutbox
from node.transport.tcp_transport import TCPTransport
from node.transport.udp_transport import UDPTransport
from node.types import MILLISECOND, SECOND
from node.wire.limits import DEADLINES_MIN
from tests.pair import Pair
from tests.transport.queues import frame_of, make_queue, make_reassembly, push, take_all
from tests.transport.streams import StreamNetwork, connected, reliable
from tests.transport.watching import two, until

DAY = 86_400 * SECOND


@pytest.fixture
def pair() -> Pair:
    made = Pair()
    made.connect()
    made.run(1)
    return made


# --- over UDP


@pytest.mark.must("M41")
def test_a_message_that_is_given_up_half_sent_leaves_nothing_behind(pair: Pair) -> None:
    client = pair.client
    given_up = client.send(bytes(500_000), timeout=3_600)
    pair.run(0.03)
    assert client.handle is not None
    assert pair.server.connection.pool.used == 500_000
    client.endpoint.withdraw(client.handle, given_up, client.now)
    client.drain()
    kept = client.send(b"kept")
    pair.run(1)
    assert client.failed() == [given_up]
    assert client.acknowledged() == [kept]
    assert pair.server.received() == [b"kept"]
    assert pair.server.connection.pool.used == 0
    # The credit that it took is back.
    queue = client.connection.sending.outbox.queue
    assert queue.credit.available >= pair.server_settings.initial_window // 2


@pytest.mark.must("M87")
@pytest.mark.parametrize("size", [2_000, 65_536, 1 << 20])
def test_a_sender_whose_withdrawals_do_not_arrive_begins_no_more_than_its_peer_can_hold(size: int) -> None:
    queue, reassembly = make_queue(), make_reassembly()
    withdrawals, count = [], min(4 * (1 << 20) // size, 1_500)
    for now in range(6):
        for number in range(count):
            push(queue, now * count + number, bytes(size), deadline=now)
        for part in take_all(queue):
            if not part.offset:
                reassembly.receive(frame_of(part))
        withdrawals += [frame for _, frame in queue.expire(now) if frame is not None]
    assert 0 < len(withdrawals) < 6 * count
    assert not queue.messages
    # It goes on where the peer has told that it knows.
    for number in range(count):
        push(queue, number, bytes(size))
    assert not queue.has_sendable()
    for frame in withdrawals[: len(withdrawals) // 2]:
        queue.on_withdrawal_acked(frame.message_id)
        queue.on_withdrawal_acked(frame.message_id)
    assert queue.has_sendable()
    for frame in withdrawals:
        reassembly.withdraw(frame)
    assert sum(len(reassembly.receive(frame_of(part))) for part in take_all(queue)) == count


@pytest.mark.must("M87")
def test_short_deadlines_on_a_long_path_do_not_end_the_connection() -> None:
    """100 Mbit/s and 600 ms: what is given up after 300 ms is still under way, three times what the queue holds."""
    link = LinkSettings(delay=300 * MILLISECOND, loss=0.05, rate=12_500_000)
    pair = Pair(link=link, client_settings=TransportSettings(initial_window=16 << 20))
    pair.connect()
    for _ in range(75):
        with suppress(QueueFull):
            while True:
                pair.client.send(bytes(65_536), timeout=0.3)
        pair.run(0.1)
    assert pair.client.closed() is None
    last = pair.client.send(b"still there")
    assert pair.run_until(lambda: last in pair.client.acknowledged(), 10)


@pytest.mark.parametrize("delivery", [Delivery.RELIABLE, Delivery.ORDERED])
def test_what_has_arrived_or_is_ordered_is_not_given_up(pair: Pair, delivery: Delivery) -> None:
    client = pair.client
    number = client.send(b"m", delivery)
    if delivery is Delivery.RELIABLE:
        pair.run(1)
    assert client.handle is not None
    client.endpoint.withdraw(client.handle, number, client.now)
    client.endpoint.withdraw(client.handle + 1, number, client.now)
    client.drain()
    pair.run(1)
    assert client.acknowledged() == [number]
    assert client.failed() == []


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_deadlines_of_messages_that_are_done_are_forgotten(kind: str) -> None:
    udp, tcp = SendQueue(), StreamOutbox()
    udp.open_credit(1 << 40)
    deadlines: list[int] = []
    for number in range(10_000):
        # The first is due soonest and stays; the others are done at once, long before their deadlines.
        message = reliable(b"m", DAY + number)
        if kind == "udp":
            udp.push(number, message)
            part = udp.next_part(1_000)
            assert part is not None
            if number:
                udp.on_acked(part)
            deadlines.append(len(udp._deadlines))
        else:
            tcp.push(number, message)
            tcp.next_part()
            tcp.on_ack(number + 1)
            deadlines.append(len(tcp._deadlines))
    assert max(deadlines) <= DEADLINES_MIN + 4


# --- over TCP


@pytest.mark.must("M41")
def test_what_the_kernel_has_no_room_for_can_still_be_withdrawn() -> None:
    network = StreamNetwork()
    alice, bob, handle = connected(network)
    stream = alice.endpoint.stream_of(handle)
    assert stream is not None
    alice.endpoint.receive(StreamRoom(stream, has_room=False), network.now)
    late = alice.endpoint.send(handle, reliable(b"late", network.now + SECOND), network.now)
    given_up = alice.endpoint.send(handle, reliable(b"given up", network.now + DAY), network.now)
    kept = alice.endpoint.send(handle, reliable(b"kept", network.now + DAY), network.now)
    alice.endpoint.withdraw(handle, given_up, network.now)
    alice.endpoint.withdraw(handle + 1, given_up, network.now)
    network.advance(2)
    assert [event.message_id for event in alice.of(MessageFailed)] == [given_up, late]
    assert bob.received() == []
    alice.endpoint.receive(StreamRoom(stream, has_room=True), network.now)
    alice.endpoint.receive(StreamRoom(stream + 1, has_room=True), network.now)
    network.run()
    assert bob.received() == [b"kept"]
    assert [event.message_id for event in alice.of(MessageAcknowledged)] == [kept]


@pytest.mark.must("M41")
def test_without_room_nothing_is_acknowledged_and_the_end_is_still_told() -> None:
    network = StreamNetwork()
    alice, bob, handle = connected(network)
    stream = alice.endpoint.stream_of(handle)
    assert stream is not None
    alice.endpoint.receive(StreamRoom(stream, has_room=False), network.now)
    (other,) = [snapshot.connection for snapshot in bob.endpoint.snapshots()]
    bob.endpoint.send(other, Message(b"m", Delivery.RELIABLE), network.now)
    network.run()
    assert alice.received() == [b"m"]
    assert not bob.of(MessageAcknowledged)
    alice.endpoint.disconnect(handle, network.now)
    network.run()
    assert bob.of(MessageAcknowledged)
    assert bob.codes()


# --- over sockets


@pytest.mark.loopback
@pytest.mark.asyncio
@pytest.mark.must("M41")
async def test_messages_that_timed_out_do_not_come_when_a_peer_reads_again() -> None:
    async with two(TCPTransport) as (first, second, _, inbox):
        await first.send(second.local_address, b"before")
        second._pause()
        sends = (first.send(second.local_address, bytes(400_000), timeout=0.5) for _ in range(10))
        outcomes = await asyncio.gather(*sends, return_exceptions=True)
        assert all(isinstance(outcome, SendTimeout) for outcome in outcomes)
        second._resume()
        await first.send(second.local_address, b"after")
        await until(lambda: b"after" in inbox.payloads, inbox.changed)
        # One had begun and had to be finished, and the kernel may have held another: the rest was never sent.
        assert inbox.payloads[-1] == b"after"
        assert len(inbox.payloads) <= 5


@pytest.mark.loopback
@pytest.mark.asyncio
@pytest.mark.must("M41")
@pytest.mark.parametrize("kind", [UDPTransport, TCPTransport])
async def test_a_sender_that_is_cancelled_withdraws_its_message(kind: type[UDPTransport] | type[TCPTransport]) -> None:
    async with two(kind) as (first, second, _, inbox):  # type: ignore[type-var]  # either of the two
        send = first.send_reliable if isinstance(first, UDPTransport) else first.send
        await send(second.local_address, b"before")
        second._pause()
        tasks = [asyncio.create_task(send(second.local_address, bytes(900_000), timeout=600)) for _ in range(3)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        (snapshot,) = first.endpoint.snapshots()
        assert snapshot.send_queue_messages <= 1
        second._resume()
        await send(second.local_address, b"after")
        await until(lambda: b"after" in inbox.payloads, inbox.changed)
        assert len(inbox.payloads) <= 3
