"""The calls of the integration guide, with its names, strengthened so that they assert what arrived."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from node import ConnectionState, NetworkConfig, Node, TCPTransport, UDPTransport
from tests.node.network import Inbox, until
from tests.ports import two_in_a_row

pytestmark = pytest.mark.loopback


@pytest.fixture(autouse=True)
def _state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def ports() -> tuple[int, int]:
    """The guide's own 9000 and 9001, or two others in a row if those are in use."""
    return two_in_a_row([9000, *range(31_000, 32_700, 3)])


@pytest.mark.asyncio
async def test_node_broadcast(ports: tuple[int, int]) -> None:
    node = Node(NetworkConfig(host="0.0.0.0", port=ports[0]))
    other = Node(NetworkConfig(host="0.0.0.0", port=ports[1], bootstrap_nodes=[f"127.0.0.1:{ports[0]}"]))
    inbox = Inbox()
    other.register_data_handler(inbox)
    await node.start()
    await other.start()
    await until(lambda: len(node.peer_manager.active_peers) == 1)

    await node.broadcast({"test": "data"})

    assert await inbox.wait_for(1) == [({"test": "data"}, node.identity.node_id)]
    assert node.udp_transport is not None
    assert len(node.udp_transport.connections) > 0
    await node.stop()
    await other.stop()


@pytest.mark.asyncio
async def test_peer_communication(ports: tuple[int, int]) -> None:
    node1 = Node(NetworkConfig(host="0.0.0.0", port=ports[0]))
    node2 = Node(NetworkConfig(host="0.0.0.0", port=ports[1]))
    inbox = Inbox()
    node2.register_data_handler(inbox)
    await node1.start()
    await node2.start()

    await node1.peer_manager.connect_to_peer(("127.0.0.1", ports[1]))
    assert ("127.0.0.1", ports[1]) in node1.peer_manager.active_peers

    await node1.send_message(peer_addr=("127.0.0.1", ports[1]), message=b"Hello, peer!", reliable=True)

    assert await inbox.wait_for(1) == [(b"Hello, peer!", node1.identity.node_id)]
    await node1.stop()
    await node2.stop()


@pytest.mark.asyncio
async def test_statistics_have_the_keys_of_the_guide(ports: tuple[int, int]) -> None:
    node1 = Node(NetworkConfig(host="127.0.0.1", port=ports[0]))
    node2 = Node(NetworkConfig(host="127.0.0.1", port=ports[1]))
    await node1.start()
    await node2.start()
    await node1.peer_manager.connect_to_peer(("127.0.0.1", ports[1]))
    await node1.send_message(("127.0.0.1", ports[1]), {"n": 1})

    stats = node1.get_stats()
    connection = node1.peer_manager.get_connection_stats(("127.0.0.1", ports[1]))

    assert stats["node_id"] == node1.identity.node_id
    assert stats["active_peers"] == 1
    assert set(stats["transport"]) == {"udp", "tcp"}
    assert list(stats["connections"]) == [node2.identity.node_id]
    assert {"gossip_stats", "trust_stats"} <= set(stats)
    assert connection["state"] == "established"
    assert 0 < connection["rtt"] < 1
    assert connection["rto"] >= 1.0
    assert connection["packets_sent"] > 0
    assert connection["retransmissions"] >= 0
    json.dumps(stats, allow_nan=False)
    await node1.stop()
    await node2.stop()


@pytest.mark.asyncio
async def test_a_peer_that_does_not_answer_is_a_timeout_or_a_connection_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        async with Node(NetworkConfig(host="127.0.0.1", port=0)) as node:
            caught: list[str] = []
            try:
                await node.send_message(silent.getsockname(), b"anybody?", timeout=0.3)
            except TimeoutError:
                caught.append("timeout")
            except ConnectionError:
                caught.append("connection")

    assert len(caught) == 1


@pytest.mark.asyncio
async def test_transports_of_a_node_carry_raw_messages_beside_its_own() -> None:
    received: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    def keep(kind: str) -> Any:
        async def handler(packet: Any, peer_addr: Any) -> None:
            await received.put((kind, packet.payload))

        return handler

    async with (
        Node(NetworkConfig(host="127.0.0.1", port=0)) as node1,
        Node(NetworkConfig(host="127.0.0.1", port=0)) as node2,
    ):
        assert isinstance(node1.udp_transport, UDPTransport)
        assert isinstance(node1.tcp_transport, TCPTransport)
        assert isinstance(node2.udp_transport, UDPTransport)
        assert isinstance(node2.tcp_transport, TCPTransport)
        node2.udp_transport.register_handler(keep("udp"))
        node2.tcp_transport.register_handler(keep("tcp"))

        await node1.udp_transport.send_reliable(
            peer_addr=node2.udp_transport.local_address, data=b"reliable", timeout=5.0
        )
        await node1.udp_transport.send_unreliable(peer_addr=node2.udp_transport.local_address, data=b"unreliable")
        await node1.tcp_transport.send(peer_addr=node2.tcp_transport.local_address, data=b"stream")

        async with asyncio.timeout(15):
            messages = {await received.get() for _ in range(3)}
        assert messages == {("udp", b"reliable"), ("udp", b"unreliable"), ("tcp", b"stream")}
        connection = node1.udp_transport.connections[node2.udp_transport.local_address]
        assert connection.state is ConnectionState.ESTABLISHED
        assert connection.state.name == "ESTABLISHED"
        assert connection.srtt is not None
        assert connection.rto is not None
        assert connection.retransmissions >= 0
        assert len(connection.sent_packets) > 0
