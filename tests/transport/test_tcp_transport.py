"""TCPTransport over loopback."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from contextlib import AsyncExitStack
from functools import partial

import pytest

from node.errors import Code, ConnectionFailed, MessageTooLarge, NotRunning, SendTimeout, StartError, UsageError
from node.identity.keys import Identity
from node.transport.driver import Driver
from node.transport.events import Event, MessageAcknowledged
from node.transport.packet import Packet
from node.transport.settings import TransportSettings
from node.transport.stream import StreamEndpoint, StreamInput
from node.transport.tcp_transport import TCPTransport
from node.types import Address
from tests.transport.watching import Inbox, LoopErrors, started, two, until

pytestmark = pytest.mark.loopback


transport, pair = partial(started, TCPTransport), partial(two, TCPTransport)


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [0, 255, 256, 1 << 20])
async def test_a_message_of_any_size_is_there_when_the_send_returns(size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    async with pair() as (first, second, _, inbox):
        await first.send(second.local_address, data)
        assert await inbox.wait_for(1) == [data]


@pytest.mark.asyncio
async def test_a_handler_that_is_a_plain_function_answers_with_a_message() -> None:
    async with pair() as (first, second, inbox, _):
        second.register_handler(lambda packet, address: second.post(address, packet.payload[::-1]))
        for number in range(3):
            await first.send(second.local_address, b"request %d" % number)
        assert await inbox.wait_for(3) == [b"0 tseuqer", b"1 tseuqer", b"2 tseuqer"]


@pytest.mark.asyncio
async def test_a_message_is_posted_to_addresses_only_and_by_a_running_transport_only() -> None:
    async with transport() as (one, _):
        with pytest.raises(UsageError, match=r"localhost.*is a name"):
            one.post(("localhost", 9), b"x")
        with pytest.raises(MessageTooLarge):
            one.post(("127.0.0.1", 9), bytes((1 << 20) + 1))
    with pytest.raises(NotRunning):
        one.post(("127.0.0.1", 9), b"x")


@pytest.mark.asyncio
async def test_a_thousand_sends_use_one_connection_and_keep_their_order() -> None:
    async with pair() as (first, second, _, inbox):
        await asyncio.gather(*(first.send(second.local_address, number.to_bytes(2, "big")) for number in range(1000)))
        payloads = await inbox.wait_for(1000)
        assert payloads == [number.to_bytes(2, "big") for number in range(1000)]
        assert second.stream_stats.accepted == 1


@pytest.mark.asyncio
async def test_a_slow_handler_keeps_the_order_of_its_peer() -> None:
    async with pair() as (first, second, _, _inbox):
        seen, changed = list[bytes](), asyncio.Event()

        async def slow_at_first(packet: Packet, peer_addr: Address) -> None:
            for _ in range(20 if not seen else 1):
                await asyncio.sleep(0)
            seen.append(packet.payload)
            changed.set()

        second.register_handler(slow_at_first)
        await asyncio.gather(*(first.send(second.local_address, bytes([number])) for number in range(50)))
        await until(lambda: len(seen) == 50, changed)
        assert seen == [bytes([number]) for number in range(50)]


@pytest.mark.asyncio
async def test_more_bytes_than_the_queue_holds_wait_for_room() -> None:
    async with pair() as (first, second, _, inbox):
        sizes = [1 << 20] * 12 + [10] * 200
        async with asyncio.TaskGroup() as group:
            for size in sizes:
                group.create_task(first.send(second.local_address, bytes(size), timeout=30))
        payloads = await inbox.wait_for(len(sizes))
        assert [len(payload) for payload in payloads] == sizes


@pytest.mark.asyncio
@pytest.mark.parametrize("target", ["127.0.0.1", "::1"])
async def test_a_transport_on_all_addresses_is_reached_over_ipv4_and_ipv6(target: str) -> None:
    both, inbox = TCPTransport("::", 0), Inbox()
    both.register_handler(inbox)
    near = TCPTransport(target, 0)
    await both.start()
    await near.start()
    try:
        await near.send((target, both.local_address[1]), b"over either")
        assert await inbox.wait_for(1) == [b"over either"]
        (connection,) = both.connections.values()
        assert connection.address[0] == target, "IPv4 is written as IPv4"
        answers = Inbox()
        near.register_handler(answers)
        await both.send(connection.address, b"and back")
        assert await answers.wait_for(1) == [b"and back"]
    finally:
        await near.stop()
        await both.stop()


@pytest.mark.asyncio
async def test_a_handler_learns_an_address_that_it_can_answer_to() -> None:
    async with pair() as (first, second, answers, _):

        async def echo(packet: Packet, peer_addr: Address) -> None:
            await second.send(peer_addr, packet.payload.upper())

        second.register_handler(echo)
        await first.send(second.local_address, b"question")
        assert await answers.wait_for(1) == [b"QUESTION"]
        assert first.stream_stats.accepted == 0


@pytest.mark.asyncio
async def test_two_who_dial_each_other_at_once_end_with_one_connection_and_every_message() -> None:
    async with pair() as (first, second, first_inbox, second_inbox):
        for _ in range(3):
            await asyncio.gather(
                first.send(second.local_address, b"from the first"),
                second.send(first.local_address, b"from the second"),
            )
        assert (await first_inbox.wait_for(3))[-1] == b"from the second"
        assert (await second_inbox.wait_for(3))[-1] == b"from the first"
        assert len(first.connections) == len(second.connections) == 1
        assert first.stream_stats.accepted + second.stream_stats.accepted == 2


@pytest.mark.asyncio
async def test_a_peer_that_was_started_again_on_its_port_is_reached_again() -> None:
    async with transport(seed=1) as (first, _):
        async with transport(seed=2) as (second, inbox):
            address = second.local_address
            await first.send(address, b"before")
        async with transport(seed=2, port=address[1]) as (_, inbox):
            await first.send(address, b"after")
            assert await inbox.wait_for(1) == [b"after"]


@pytest.mark.asyncio
async def test_nobody_listening_is_a_failed_connection_at_once() -> None:
    async with transport() as (gone, _):
        address = gone.local_address
    async with transport() as (alone, _):
        with pytest.raises(ConnectionFailed, match="Connection refused"):
            await alone.send(address, b"anybody?")


@pytest.mark.asyncio
async def test_somebody_who_accepts_and_says_nothing_is_a_failed_connection_in_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(1)
        async with transport() as (alone, _):
            with pytest.raises(ConnectionFailed) as caught:
                await alone.send(mute.getsockname(), b"anybody?", timeout=0.1)
            assert caught.value.code is Code.HANDSHAKE_TIMEOUT


@pytest.mark.asyncio
async def test_a_peer_that_reads_nothing_is_a_timeout() -> None:
    async with pair() as (first, second, _, _inbox):
        await first.send(second.local_address, b"hello")
        second._pause()
        with pytest.raises(SendTimeout):
            await first.send(second.local_address, b"are you there?", timeout=0.1)
        second._resume()


@pytest.mark.asyncio
async def test_what_can_never_be_sent_is_refused_at_once() -> None:
    async with pair() as (first, second, _, _inbox):
        with pytest.raises(MessageTooLarge):
            await first.send(second.local_address, bytes((1 << 20) + 1))
    with pytest.raises(NotRunning):
        await first.send(second.local_address, b"")


@pytest.mark.asyncio
async def test_a_taken_port_is_reported() -> None:
    async with transport() as (other, _):
        with pytest.raises(StartError, match="Address already in use"):
            await TCPTransport("127.0.0.1", other.local_address[1]).start()


@pytest.mark.asyncio
async def test_junk_from_strangers_leaves_no_traceback() -> None:
    errors, junk = LoopErrors(), random.Random(7)
    async with pair() as (first, second, _, inbox):
        loop = asyncio.get_running_loop()
        for number in range(50):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stranger:
                stranger.setblocking(False)
                await loop.sock_connect(stranger, second.local_address)
                await loop.sock_sendall(stranger, junk.randbytes(junk.randrange(1, 3000)))
                if number % 10 == 0:
                    await first.send(second.local_address, b"between")
        await first.send(second.local_address, b"after")
        assert (await inbox.wait_for(6))[-1] == b"after"
        assert sum(second.endpoint.stats.packets_dropped.values()) > 0
    assert not errors.contexts


@pytest.mark.asyncio
async def test_stop_with_ten_peers_takes_under_a_second_and_tells_them() -> None:
    async with AsyncExitStack() as stack:
        hub, _ = await stack.enter_async_context(transport())
        others = [(await stack.enter_async_context(transport()))[0] for _ in range(10)]
        for other in others:
            await other.send(hub.local_address, b"hello")
        async with asyncio.timeout(0.9):
            await asyncio.gather(hub.stop(), hub.stop())
        # Each has closed its end, or the hub would still be waiting for it.
        assert not any(other.connections for other in others)


@pytest.mark.asyncio
async def test_stop_does_not_wait_for_a_peer_that_never_closes() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as mute:
        async with transport() as (hub, _):
            mute.connect(hub.local_address)
            async with asyncio.timeout(0.9):
                await hub.stop()


@pytest.mark.asyncio
async def test_statistics_are_fit_for_json_in_every_state() -> None:
    created = TCPTransport("127.0.0.1", 0)
    before = created.get_stats()
    await created.start()
    async with transport() as (other, _):
        await created.send(other.local_address, b"counted")
        running = created.get_stats()
        view = created.connections[other.local_address]
        await created.stop()
    after = created.get_stats()
    for stats in (before, running, after):
        json.dumps(stats, allow_nan=False)
        assert before.keys() == stats.keys()
    assert (running["connections"], running["active"]) == (1, 1)
    assert view.state.name == "ESTABLISHED"
    assert view.srtt is not None
    assert view.rto is not None


@pytest.mark.asyncio
async def test_within_a_node_it_shares_driver_and_endpoint() -> None:
    async with transport(seed=2) as (other, inbox):
        endpoint = StreamEndpoint(Identity(bytes(32)), TransportSettings(), entropy=random.Random(1).randbytes)
        events: list[Event] = []

        def on_event(event: Event) -> None:
            events.append(event)
            shared.handle_event(event)

        driver: Driver[StreamInput, Event] = Driver(endpoint, on_event=on_event)
        shared = TCPTransport("127.0.0.1", 0, driver=driver, endpoint=endpoint)
        await shared.start()
        await shared.send(other.local_address, b"through the node")
        assert await inbox.wait_for(1) == [b"through the node"]
        assert any(isinstance(event, MessageAcknowledged) for event in events)
        await shared.stop()
        driver.close()
