"""Two nodes written after the integration guide, step by step, talk to each other."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import msgpack
import pytest
import pytest_asyncio

from node import MessageType, NetworkConfig
from tests.compat.guide import GuideNode
from tests.ports import two_in_a_row

pytestmark = [pytest.mark.loopback, pytest.mark.asyncio]


@pytest_asyncio.fixture
async def nodes() -> AsyncIterator[tuple[GuideNode, GuideNode]]:
    """On the ports of the guide, of which UDP 9001 and TCP 9001 belong to two nodes, if they are free; else alike."""
    first, second = two_in_a_row([9000, *range(35_600, 36_800, 3)])
    one, two = (GuideNode(NetworkConfig(host="127.0.0.1", port=port)) for port in (first, second))
    await one.start()
    await two.start()
    try:
        yield one, two
    finally:
        await one.stop()
        await two.stop()


def udp(node: GuideNode) -> tuple[str, int]:
    return node.udp_transport.local_address


def tcp(node: GuideNode) -> tuple[str, int]:
    return node.tcp_transport.local_address


async def test_step_1_both_transports_listen_side_by_side(nodes: tuple[GuideNode, GuideNode]) -> None:
    one, two = nodes
    assert udp(two)[1] == tcp(one)[1] == udp(one)[1] + 1


async def test_step_3_a_peer_is_connected_and_its_connection_shown(nodes: tuple[GuideNode, GuideNode]) -> None:
    one, two = nodes
    await one.peer_manager.connect_to_peer(udp(two))

    assert udp(two) in one.peer_manager.active_peers
    assert await two.received.get() == ("udp", {"hello": "guide"})
    stats = one.peer_manager.get_connection_stats(udp(two))
    assert stats["state"] == "ESTABLISHED"
    assert 0 < stats["rtt"] < stats["rto"]
    assert stats["packets_sent"] > 0
    assert one.peer_manager.get_connection_stats(("127.0.0.1", 1)) == {}


async def test_step_4_each_use_has_its_transport(nodes: tuple[GuideNode, GuideNode]) -> None:
    one, two = nodes
    udp_transport, tcp_transport = one.udp_transport, one.tcp_transport
    gossip_message, heartbeat_message, trust_update, trusted_peers_list = (
        msgpack.packb({"n": number}) for number in range(4)
    )
    peer = udp(two)
    await udp_transport.send_reliable(peer_addr=peer, data=gossip_message, timeout=2.0)
    await udp_transport.send_unreliable(peer_addr=peer, data=heartbeat_message)
    peer = tcp(two)  # the guide's own `peer` is the UDP address
    await tcp_transport.send(peer_addr=peer, data=trust_update)
    await tcp_transport.send(peer_addr=peer, data=trusted_peers_list)

    async with asyncio.timeout(20):
        received = [await two.received.get() for _ in range(4)]
    assert sorted(received, key=str) == [("tcp", {"n": 2}), ("tcp", {"n": 3}), ("udp", {"n": 0}), ("udp", {"n": 1})]
    assert received.index(("tcp", {"n": 2})) < received.index(("tcp", {"n": 3}))


async def test_step_5_a_broadcast_is_signed_sent_and_verified(nodes: tuple[GuideNode, GuideNode]) -> None:
    one, two = nodes
    await one.peer_manager.connect_to_peer(udp(two))
    await two.received.get()

    await one.broadcast({"test": "data"})

    async with asyncio.timeout(20):
        carrier, message = await two.received.get()
    assert (carrier, message["msg_type"], message["payload"]) == ("udp", MessageType.CUSTOM_DATA, {"test": "data"})
    assert message["sender_id"] == one.identity.node_id
    assert one.gossip.timeouts == []


async def test_step_7_a_silent_peer_is_slow_or_down(nodes: tuple[GuideNode, GuideNode]) -> None:
    one, _ = nodes
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        await one.send_message(silent.getsockname(), b"anybody?")
        assert [*one.peer_manager.slow, *one.peer_manager.down] == [silent.getsockname()]


async def test_step_8_statistics_have_the_keys_and_are_fit_for_json(nodes: tuple[GuideNode, GuideNode]) -> None:
    one, two = nodes
    await one.peer_manager.connect_to_peer(udp(two))

    stats = one.get_stats()

    (connection,) = stats["connections"].values()
    assert connection["state"] == "ESTABLISHED"
    assert connection["retransmissions"] >= 0
    assert stats["transport"]["udp"]["packets_sent"] > 0
    json.dumps(stats, allow_nan=False)
