"""The UDP transport between two hosts whose cable is cut, slow, narrow or lossy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from node.errors import ConnectionFailed, SendTimeout
from node.transport.tcp_transport import TCPTransport
from node.transport.udp_transport import UDPTransport
from node.types import Address
from tests.netns.hosts import INTERFACE, IPV4, IPV6, LEFT, RIGHT, Hosts

ELSEWHERE = "10.77.0.3"
PATIENCE = 30.0  # seconds; what a send may take on a busy machine before it counts as failed


class End:
    """One transport and what it received."""

    def __init__(self, transport: UDPTransport) -> None:
        self.transport = transport
        self.received: list[bytes] = []
        transport.register_handler(lambda packet, _address: self.received.append(packet.payload))


@asynccontextmanager
async def ends(
    hosts: Hosts, addresses: dict[str, str] = IPV4, *, left_host: str | None = None
) -> AsyncIterator[tuple[End, End, Address]]:
    """A running transport on each host, and the address of the right one. left_host: what the left one listens on."""
    listening = {**addresses, LEFT: left_host or addresses[LEFT]}
    left, right = (End(UDPTransport(listening[side], 9000)) for side in (LEFT, RIGHT))
    for side, end in ((LEFT, left), (RIGHT, right)):
        with hosts.on(side):
            await end.transport.start()
    try:
        yield left, right, (addresses[RIGHT], 9000)
    finally:
        await left.transport.stop()
        await right.transport.stop()


@pytest.mark.asyncio
async def test_messages_cross_an_ipv6_link(hosts: Hosts) -> None:
    async with ends(hosts, IPV6) as (left, right, address):
        await left.transport.send_reliable(address, b"over IPv6", PATIENCE)
        assert right.received == [b"over IPv6"]


@pytest.mark.asyncio
async def test_neighbours_reach_each_other_by_the_addresses_of_their_link(hosts: Hosts) -> None:
    # Nothing but the link itself tells where such an address is: without its number there is no way.
    udp, tcp = {}, {}
    for side in (LEFT, RIGHT):
        with hosts.on(side):
            udp[side], tcp[side] = UDPTransport("::", 9000), TCPTransport("::", 9001)
            await udp[side].start()
            await tcp[side].start()
    received: list[tuple[bytes, str]] = []
    transports: list[UDPTransport | TCPTransport] = [*udp.values(), *tcp.values()]
    for transport in transports:
        transport.register_handler(lambda packet, address: received.append((packet.payload, address[0])))
    try:
        # Both, since a host sends from another address until its own has been found to be unique.
        own, host = (f"{hosts.link_address(side)}%" for side in (LEFT, RIGHT))
        host += INTERFACE
        with hosts.on(LEFT):
            await udp[LEFT].send_reliable((host, 9000), b"over UDP", PATIENCE)
            await tcp[LEFT].send((host, 9001), b"over TCP", PATIENCE)
        assert [payload for payload, _ in received] == [b"over UDP", b"over TCP"]
        (back,) = udp[RIGHT].connections
        assert {address for _, address in received} == {back[0]}
        assert back[0].startswith(own)
        with hosts.on(RIGHT):
            await udp[RIGHT].send_reliable(back, b"and back", PATIENCE)
        assert received[-1][0] == b"and back"
        assert len(udp[LEFT].connections) == 1
    finally:
        for transport in transports:
            await transport.stop()


@pytest.mark.asyncio
async def test_a_mebibyte_crosses_a_link_with_small_packets(hosts: Hosts) -> None:
    hosts.limit_packets(1280)
    message = bytes(range(256)) * 4096
    async with ends(hosts) as (left, right, address):
        await left.transport.send_reliable(address, message, PATIENCE)
        assert right.received == [message]
        (snapshot,) = left.transport.endpoint.snapshots()
        assert 1_200 <= snapshot.mtu <= 1_280 - 28


@pytest.mark.asyncio
async def test_a_cable_that_becomes_narrower_is_noticed_and_nothing_is_lost(hosts: Hosts) -> None:
    message = bytes(range(256)) * 1024
    async with ends(hosts) as (left, right, address):
        await left.transport.send_reliable(address, message, PATIENCE)
        (before,) = left.transport.endpoint.snapshots()
        assert before.mtu == 1_400
        hosts.limit_packets(1280)
        await left.transport.send_reliable(address, message, PATIENCE)
        assert right.received == [message] * 2
        (after,) = left.transport.endpoint.snapshots()
        assert after.mtu == 1_200
        assert after.stats.mtu_black_holes == 1


@pytest.mark.asyncio
async def test_silent_loss_costs_retransmissions_and_no_message(hosts: Hosts) -> None:
    hosts.drop_incoming(RIGHT, every=5)
    messages = [number.to_bytes(2) * 500 for number in range(300)]
    async with ends(hosts) as (left, right, address):
        async with asyncio.TaskGroup() as group:
            for message in messages:
                group.create_task(left.transport.send_reliable(address, message, PATIENCE))
        assert sorted(right.received) == messages
        assert left.transport.connections[address].retransmissions >= len(messages) // 20


@pytest.mark.asyncio
async def test_a_cable_cut_for_two_seconds_is_survived(hosts: Hosts) -> None:
    async with ends(hosts) as (left, right, address):
        await left.transport.send_reliable(address, b"before", PATIENCE)
        hosts.unplug(RIGHT)
        asyncio.get_running_loop().call_later(2, hosts.plug, RIGHT)
        await left.transport.send_reliable(address, b"during", PATIENCE)
        await left.transport.send_reliable(address, b"after", PATIENCE)
        assert right.received == [b"before", b"during", b"after"]


@pytest.mark.asyncio
async def test_a_send_to_a_host_that_vanished_ends_at_its_deadline(hosts: Hosts) -> None:
    loop = asyncio.get_running_loop()
    async with ends(hosts) as (left, right, address):
        await left.transport.send_reliable(address, b"before", PATIENCE)
        hosts.unplug(RIGHT)
        began = loop.time()
        with pytest.raises((SendTimeout, ConnectionFailed)):
            await left.transport.send_reliable(address, b"never", 1.0)
        assert loop.time() - began < 2.0
        assert right.received == [b"before"]


@pytest.mark.asyncio
async def test_a_narrow_link_is_filled_and_not_flooded(hosts: Hosts) -> None:
    hosts.limit_rate(LEFT, rate="8mbit", queue="64kb")
    message = bytes(1 << 20)
    loop = asyncio.get_running_loop()
    async with ends(hosts) as (left, right, address):
        began = loop.time()
        await left.transport.send_reliable(address, message, PATIENCE)
        seconds = loop.time() - began
        assert right.received == [message]
        # A mebibyte takes 1.05 s at 8 Mbit/s; what was sent twice is what the queue had no room for.
        assert 1.0 < seconds < 4.0
        assert left.transport.connections[address].bytes_sent < 1.5 * len(message)


@pytest.mark.asyncio
async def test_random_silent_loss_both_ways_delays_messages_and_loses_none(hosts: Hosts) -> None:
    for side in (LEFT, RIGHT):
        hosts.lose_incoming(side, 0.1)
    large, small = bytes(range(256)) * 1024, [number.to_bytes(2) * 100 for number in range(200)]
    async with ends(hosts) as (left, right, address):
        async with asyncio.TaskGroup() as group:
            for message in (large, *small):
                group.create_task(left.transport.send_reliable(address, message, PATIENCE))
        assert sorted(right.received) == sorted([large, *small])
        assert left.transport.connections[address].retransmissions > 0
        assert left.transport.socket_stats.datagrams_dropped == 0


@pytest.mark.asyncio
async def test_a_host_that_gets_another_address_keeps_its_connection_through_loss(hosts: Hosts) -> None:
    hosts.lose_incoming(RIGHT, 0.1)
    async with ends(hosts, left_host="0.0.0.0") as (left, right, address):
        await left.transport.send_reliable(address, b"before", PATIENCE)
        hosts.move(LEFT, ELSEWHERE)
        await left.transport.send_reliable(address, b"after", PATIENCE)
        await right.transport.send_reliable((ELSEWHERE, 9000), b"back", PATIENCE)
        assert (left.received, right.received) == ([b"back"], [b"before", b"after"])
        # One handshake each: the connection moved along, nobody dialled again.
        assert [end.transport.get_stats()["handshakes_completed"] for end in (left, right)] == [1, 1]
