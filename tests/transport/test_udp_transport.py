"""UDPTransport over loopback."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import socket
from contextlib import AsyncExitStack

import pytest

from node.errors import Code, ConnectionFailed, MessageTooLarge, NotRunning, SendTimeout, StartError, UsageError
from node.identity.keys import Identity
from node.transport.driver import Driver
from node.transport.endpoint import Endpoint
from node.transport.events import Delivery, Event, MessageAcknowledged
from node.transport.packet import Datagram, Packet
from node.transport.settings import TransportSettings
from node.transport.udp_transport import UDPTransport
from node.types import Address
from node.wire.limits import HANDLERS_MAX
from tests.transport.watching import DEADLINE, SETTINGS, Inbox, LoopErrors, pair, transport, until

pytestmark = pytest.mark.loopback


@pytest.mark.asyncio
async def test_a_handler_that_is_a_plain_function_answers_with_a_reliable_message() -> None:
    async with pair() as (first, second, inbox, _):
        second.register_handler(lambda packet, address: second.post_reliable(address, packet.payload[::-1]))
        for number in range(3):
            await first.send_reliable(second.local_address, b"request %d" % number)
        assert await inbox.wait_for(3) == [b"0 tseuqer", b"1 tseuqer", b"2 tseuqer"]
        assert {packet.delivery for packet, _ in inbox.packets} == {Delivery.RELIABLE}


@pytest.mark.asyncio
async def test_a_message_is_posted_to_addresses_only_and_by_a_running_transport_only() -> None:
    async with transport() as (one, _):
        with pytest.raises(UsageError, match=r"localhost.*is a name"):
            one.post_reliable(("localhost", 9), b"x")
        with pytest.raises(MessageTooLarge):
            one.post_reliable(("127.0.0.1", 9), bytes((1 << 20) + 1))
    with pytest.raises(NotRunning):
        one.post_reliable(("127.0.0.1", 9), b"x")


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [0, 1, 255, 256, 1 << 20])
async def test_a_reliable_message_of_any_size_is_there_when_the_send_returns(size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    async with pair() as (first, second, _, inbox):
        await first.send_reliable(second.local_address, data)
        assert await inbox.wait_for(1) == [data]


@pytest.mark.asyncio
@pytest.mark.parametrize("target", ["127.0.0.1", "::1"])
async def test_a_transport_on_all_addresses_is_reached_over_ipv4_and_ipv6(target: str) -> None:
    both, inbox = UDPTransport("::", 0), Inbox()
    both.register_handler(inbox)
    near = UDPTransport(target, 0)
    await both.start()
    await near.start()
    try:
        await near.send_reliable((target, both.local_address[1]), b"over either")
        assert await inbox.wait_for(1) == [b"over either"]
        (connection,) = both.connections.values()
        assert connection.address[0] == target, "IPv4 is written as IPv4"
        answers = Inbox()
        near.register_handler(answers)
        await both.send_reliable(connection.address, b"and back")
        assert await answers.wait_for(1) == [b"and back"]
    finally:
        await near.stop()
        await both.stop()


@pytest.mark.asyncio
async def test_packets_grow_to_what_the_interface_carries_and_the_operator_allows() -> None:
    settings = TransportSettings(mtu=9_000, mss=9_000)
    async with (
        transport(seed=1, settings=settings) as (first, _),
        transport(seed=2, settings=settings) as (second, inbox),
    ):
        for _ in range(20):
            await first.send_reliable(second.local_address, bytes(100_000))
        assert len(await inbox.wait_for(20)) == 20
        (snapshot,) = first.endpoint.snapshots()
        assert snapshot.mtu == 9_000
        assert sum(snapshot.stats.packets_lost.values()) == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(("host", "odd"), [("127.0.0.1", "127.1"), ("::1", "0:0:0:0:0:0:0:1")])
async def test_an_address_written_in_another_way_leads_to_the_same_connection(host: str, odd: str) -> None:
    far, near, inbox = UDPTransport(host, 0), UDPTransport(host, 0), Inbox()
    far.register_handler(inbox)
    await far.start()
    await near.start()
    try:
        for target in (odd, host, odd):
            await near.send_reliable((target, far.local_address[1]), b"again")
        assert await inbox.wait_for(3) == [b"again"] * 3
        (snapshot,) = near.endpoint.snapshots()
        assert snapshot.stats.path_changes == 0
        assert far.endpoint.stats.handshakes_completed == 1
    finally:
        await near.stop()
        await far.stop()


@pytest.mark.asyncio
async def test_a_handler_learns_an_address_that_it_can_answer_to() -> None:
    async with pair() as (first, second, answers, _):

        async def echo(packet: Packet, peer_addr: Address) -> None:
            await second.send_reliable(peer_addr, packet.payload.upper())

        second.register_handler(echo)
        await first.send_reliable(second.local_address, b"question")
        assert await answers.wait_for(1) == [b"QUESTION"]
        assert len(first.connections) == len(second.connections) == 1


@pytest.mark.asyncio
async def test_an_unreliable_message_arrives_on_a_good_network() -> None:
    async with pair() as (first, second, _, inbox):
        await first.send_unreliable(second.local_address, b"heartbeat")
        assert await inbox.wait_for(1) == [b"heartbeat"]


@pytest.mark.asyncio
async def test_a_peer_may_be_named() -> None:
    async with pair() as (first, second, _, inbox):
        await first.send_reliable(("localhost", second.local_address[1]), b"by name")
        await inbox.wait_for(1)
        assert ("localhost", second.local_address[1]) in first.connections


@pytest.mark.asyncio
async def test_an_unknown_name_is_a_failed_connection() -> None:
    async with transport() as (alone, _):
        with pytest.raises(ConnectionFailed, match="cannot look up"):
            await alone.send_reliable(("no-such-host.invalid", 1), b"")


@pytest.mark.asyncio
async def test_more_messages_than_the_queue_holds_wait_for_room() -> None:
    async with pair() as (first, second, _, inbox):
        async with asyncio.TaskGroup() as group:
            for number in range(5000):
                group.create_task(first.send_reliable(second.local_address, number.to_bytes(4, "big"), timeout=30))
        payloads = await inbox.wait_for(5000)
        assert sorted(int.from_bytes(payload, "big") for payload in payloads) == list(range(5000))


@pytest.mark.asyncio
async def test_two_who_dial_each_other_at_once_end_with_one_connection_and_every_message() -> None:
    async with pair() as (first, second, first_inbox, second_inbox):
        await asyncio.gather(
            first.send_reliable(second.local_address, b"from the first"),
            second.send_reliable(first.local_address, b"from the second"),
        )
        assert await first_inbox.wait_for(1) == [b"from the second"]
        assert await second_inbox.wait_for(1) == [b"from the first"]
        states = [view.state.name for view in first.connections.values()]
        assert states.count("ESTABLISHED") == 1


@pytest.mark.asyncio
async def test_a_peer_that_was_started_again_on_its_port_is_reached_again() -> None:
    async with transport(seed=1) as (first, _):
        async with transport(seed=2) as (second, inbox):
            address = second.local_address
            await first.send_reliable(address, b"before")
            await inbox.wait_for(1)
        async with transport(seed=2, port=address[1]) as (_, inbox):
            await first.send_reliable(address, b"after")
            assert await inbox.wait_for(1) == [b"after"]


# --- failures


@pytest.mark.asyncio
async def test_nobody_at_an_address_is_a_failed_connection_in_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        async with transport() as (alone, _):
            with pytest.raises(ConnectionFailed) as caught:
                await alone.send_reliable(silent.getsockname(), b"anybody?", timeout=0.2)
            assert caught.value.code is Code.HANDSHAKE_TIMEOUT


@pytest.mark.asyncio
async def test_a_peer_that_falls_silent_is_a_timeout() -> None:
    async with pair() as (first, second, _, _inbox):
        await first.send_reliable(second.local_address, b"hello")
        assert second._socket is not None
        second._socket.pause()
        with pytest.raises(SendTimeout):
            await first.send_reliable(second.local_address, b"are you there?", timeout=0.2)


@pytest.mark.asyncio
async def test_a_peer_that_stops_fails_what_is_under_way() -> None:
    async with pair() as (first, second, _, _inbox):
        await first.send_reliable(second.local_address, b"hello")
        assert first._socket is not None
        first._socket.pause()
        pending = asyncio.create_task(first.send_reliable(second.local_address, b"lost?", timeout=5))
        await asyncio.sleep(0)
        await second.stop()
        first._socket.resume()
        # The message may have arrived before the end.
        (outcome,) = await asyncio.gather(pending, return_exceptions=True)
        assert outcome is None or (isinstance(outcome, ConnectionFailed) and outcome.code is Code.SHUTDOWN)


@pytest.mark.asyncio
@pytest.mark.must("M49")
async def test_what_can_never_be_sent_is_refused_at_once() -> None:
    async with pair() as (first, second, _, _inbox):
        with pytest.raises(MessageTooLarge):
            await first.send_reliable(second.local_address, bytes((1 << 20) + 1))
        with pytest.raises(MessageTooLarge):
            await first.send_unreliable(second.local_address, bytes(1400))
        with pytest.raises(UsageError):
            await first.send_reliable(second.local_address, b"", timeout=0)
        with pytest.raises(UsageError, match="'::1' is an IPv6 address: this transport listens on IPv4 alone"):
            await first.send_reliable(("::1", 9000), b"")
    only = UDPTransport("::1", 0)
    await only.start()
    try:
        for host in ("127.0.0.1", "::ffff:127.0.0.1"):
            with pytest.raises(UsageError, match=f"'{host}' is an IPv4 address: this transport listens on ::1 alone"):
                await only.send_reliable((host, 9000), b"")
    finally:
        await only.stop()


@pytest.mark.asyncio
async def test_nothing_is_sent_before_start_or_after_stop() -> None:
    created = UDPTransport("127.0.0.1", 0)
    with pytest.raises(NotRunning):
        await created.send_reliable(("127.0.0.1", 9), b"")
    await created.start()
    await created.stop()
    with pytest.raises(NotRunning):
        await created.send_unreliable(("127.0.0.1", 9), b"")
    with pytest.raises(NotRunning):
        created.rebind()
    with pytest.raises(UsageError):
        await created.start()


@pytest.mark.asyncio
async def test_a_taken_port_is_reported_and_can_be_tried_again() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        created = UDPTransport("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(StartError, match="Address already in use"):
            await created.start()
    await created.start()
    await created.stop()


@pytest.mark.asyncio
@pytest.mark.parametrize(("host", "port"), [("no-such-host.invalid", 0), ("127.0.0.1", 70_000), ("192.0.2.1", 0)])
async def test_an_address_that_cannot_be_listened_on_is_one_clear_line(host: str, port: int) -> None:
    with pytest.raises(StartError, match=f"cannot listen on UDP {host}"):
        await UDPTransport(host, port).start()


@pytest.mark.asyncio
async def test_two_thousand_junk_datagrams_leave_no_traceback() -> None:
    errors, junk = LoopErrors(), random.Random(7)
    async with pair() as (first, second, _, inbox):
        await first.send_reliable(second.local_address, b"before")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number in range(2000):
                head = b"\xbe\xef\x11\x00" if number % 2 else b""
                stranger.sendto(head + junk.randbytes(junk.randrange(1500)), second.local_address)
                if number % 50 == 0:
                    await first.send_reliable(second.local_address, b"between")
        await first.send_reliable(second.local_address, b"after")
        assert (await inbox.wait_for(42))[-1] == b"after"
        assert sum(second.endpoint.stats.packets_dropped.values()) >= 1900
    assert not errors.contexts


# --- handlers


@pytest.mark.asyncio
async def test_a_handler_that_raises_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    errors = LoopErrors()
    async with pair() as (first, second, _, _inbox):
        raised = asyncio.Event()

        async def broken(packet: Packet, peer_addr: Address) -> None:
            raised.set()
            raise LookupError(packet.payload.decode())

        second.register_handler(broken)
        with caplog.at_level(logging.ERROR, logger="node.transport"):
            for _ in range(3):
                raised.clear()
                await first.send_reliable(second.local_address, b"bad")
                await asyncio.wait_for(raised.wait(), DEADLINE)
            good = Inbox()
            second.register_handler(good)
            await first.send_reliable(second.local_address, b"good")
            await good.wait_for(1)
        assert second._handlers.stats.errors == {"LookupError": 3}
        assert (
            [record.message for record in caplog.records].count(caplog.records[0].message) == len(caplog.records) == 1
        )
        assert caplog.records[0].exc_info is not None
    assert not errors.contexts


@pytest.mark.asyncio
async def test_a_handler_that_hangs_keeps_nobody_else_waiting() -> None:
    async with pair() as (first, second, _, _inbox):
        forever, served = asyncio.Event(), Inbox()

        async def sometimes_hanging(packet: Packet, peer_addr: Address) -> None:
            if packet.payload == b"hang":
                await forever.wait()
            await served(packet, peer_addr)

        second.register_handler(sometimes_hanging)
        for payload in [b"hang"] * (HANDLERS_MAX - 1) + [b"serve"]:
            await first.send_reliable(second.local_address, payload)
        assert await served.wait_for(1) == [b"serve"]
        async with asyncio.timeout(0.9):
            await second.stop()


@pytest.mark.asyncio
async def test_a_plain_function_may_be_a_handler() -> None:
    async with pair() as (first, second, _, _inbox):
        seen, changed = list[bytes](), asyncio.Event()

        def handler(packet: Packet, peer_addr: Address) -> None:
            seen.append(packet.payload)
            changed.set()

        second.register_handler(handler)
        await first.send_reliable(second.local_address, b"plain")
        await until(lambda: seen == [b"plain"], changed)


# --- stopping, statistics


@pytest.mark.asyncio
async def test_stop_with_ten_peers_takes_under_a_second_and_tells_them() -> None:
    async with AsyncExitStack() as stack:
        hub, _ = await stack.enter_async_context(transport())
        others = [(await stack.enter_async_context(transport()))[0] for _ in range(10)]
        for other in others:
            await other.send_reliable(hub.local_address, b"hello")
        gone = asyncio.Event()
        for other in others:
            _tell_when_closed(other, gone)
        async with asyncio.timeout(0.9):
            await asyncio.gather(hub.stop(), hub.stop())
        await until(
            lambda: not any(view.state.name == "ESTABLISHED" for o in others for view in o.connections.values()), gone
        )


def _tell_when_closed(transport: UDPTransport, gone: asyncio.Event) -> None:
    original = transport.handle_event

    def handle(event: Event) -> None:
        original(event)
        gone.set()

    assert transport._own_driver is not None
    transport._own_driver._on_event = handle


@pytest.mark.asyncio
async def test_statistics_are_fit_for_json_in_every_state() -> None:
    created = UDPTransport("127.0.0.1", 0)
    before = created.get_stats()
    await created.start()
    async with transport() as (other, _):
        await created.send_reliable(other.local_address, b"counted")
        running = created.get_stats()
        await created.stop()
    after = created.get_stats()
    for stats in (before, running, after):
        json.dumps(stats, allow_nan=False)
        assert before.keys() == stats.keys()
    assert running["connections"] == 1
    assert isinstance(running["packets_sent"], int)
    assert running["packets_sent"] > 0


@pytest.mark.asyncio
async def test_a_connection_shows_its_state_and_times_in_seconds() -> None:
    async with pair() as (first, second, _, _inbox):
        assert first.connections.get(second.local_address) is None
        await first.send_reliable(second.local_address, b"measure")
        view = first.connections[second.local_address]
        assert view.state.name == "ESTABLISHED"
        assert view.srtt is not None
        assert 0 < view.srtt < 1
        assert view.rto is not None
        assert 0.05 <= view.rto < 1
        assert len(view.sent_packets) > 0
        assert view.retransmissions == 0
        assert list(first.connections) == [second.local_address]


@pytest.mark.asyncio
async def test_within_a_node_it_shares_driver_and_endpoint() -> None:
    async with transport(seed=2) as (other, inbox):
        endpoint = Endpoint(Identity(bytes(32)), SETTINGS, entropy=random.Random(1).randbytes)
        events: list[Event] = []

        def on_event(event: Event) -> None:
            events.append(event)
            shared.handle_event(event)

        driver: Driver[Datagram, Event] = Driver(endpoint, on_event=on_event)
        shared = UDPTransport("127.0.0.1", 0, driver=driver, endpoint=endpoint)
        await shared.start()
        await shared.send_reliable(other.local_address, b"through the node")
        assert await inbox.wait_for(1) == [b"through the node"]
        assert any(isinstance(event, MessageAcknowledged) for event in events)
        await shared.stop()
        driver.close()


@pytest.mark.asyncio
async def test_a_cancelled_send_leaves_nothing_behind() -> None:
    async with pair() as (first, second, _, _inbox):
        await first.send_reliable(second.local_address, b"hello")
        assert second._socket is not None
        second._socket.pause()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(first.send_reliable(second.local_address, b"x", timeout=5), 0.05)
        assert first._sends is not None
        assert not first._sends._messages
