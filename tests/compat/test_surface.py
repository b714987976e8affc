"""Every public name of the integration guide is there, takes what the guide gives it, and does what its text says."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

import node as package
from node import (
    ConnectionState,
    MessageAdapter,
    MessageType,
    NetworkConfig,
    Node,
    PeerManager,
    TCPTransport,
    UDPTransport,
    transport,
)
from node.errors import DecodeError, UnknownPeer
from node.messages.envelope import Sealer
from node.messages.packing import pack
from node.transport.shell import random_identity
from node.trust.statements import statement_payload
from node.types import MILLISECOND, SECOND, NodeId
from tests.node.network import Inbox, network, udp_address

EXPORTS = (
    "ConnectionState", "MessageAdapter", "MessageType", "NetworkConfig", "Node", "PeerManager", "TCPTransport",
    "UDPTransport",
)  # fmt: skip

# Callable, the parameters that the guide gives by name, and whether the guide awaits it.
CALLS: tuple[tuple[Callable[..., Any], tuple[str, ...], bool], ...] = (
    (Node, ("config",), False),
    (Node.start, (), True),
    (Node.stop, (), True),
    (Node.broadcast, ("data",), True),
    (Node.send_message, ("peer_addr", "message", "reliable"), True),
    (Node.get_stats, (), False),
    (UDPTransport, ("host", "port"), False),
    (UDPTransport.register_handler, ("handler",), False),
    (UDPTransport.start, (), True),
    (UDPTransport.stop, (), True),
    (UDPTransport.send_reliable, ("peer_addr", "data", "timeout"), True),
    (UDPTransport.send_unreliable, ("peer_addr", "data"), True),
    (UDPTransport.get_stats, (), False),
    (TCPTransport, ("host", "port"), False),
    (TCPTransport.register_handler, ("handler",), False),
    (TCPTransport.start, (), True),
    (TCPTransport.stop, (), True),
    (TCPTransport.send, ("peer_addr", "data"), True),
    (TCPTransport.get_stats, (), False),
    (PeerManager.connect_to_peer, ("peer_addr",), True),
    (PeerManager.get_connection_stats, ("peer_addr",), False),
    (PeerManager.mark_peer_slow, ("peer_addr",), True),
    (PeerManager.mark_peer_down, ("peer_addr",), True),
    (MessageAdapter.serialize, ("msg_type", "payload", "sender_id", "signature"), False),
    (MessageAdapter.deserialize, ("data",), False),
)

# Step 6 of the guide.
DEFAULTS = {
    "host": "0.0.0.0",
    "port": 8888,
    "tcp_port": 8889,
    "mtu": 1400,
    "enable_udp": True,
    "enable_tcp": True,
    "initial_window": 65535,
    "max_connections": 1000,
    "mss": 1400,
    "min_rto": 1.0,
    "max_rto": 60.0,
    "max_retries": 5,
}

# What the guide names on a node, and how to find it there.
ON_A_NODE = (
    "udp_transport", "tcp_transport", "peer_manager", "gossip", "identity", "identity.node_id", "identity.sign",
    "peer_manager.active_peers", "gossip.propagate", "gossip.handle_message", "gossip.get_stats",
    "udp_transport.connections", "udp_transport.get_stats", "tcp_transport.get_stats", "trust_manager",
    "trust_manager.handle_update", "trust_manager.get_stats",
)  # fmt: skip

# Step 8 of the guide, and Step 3.
STATS_KEYS = ("node_id", "active_peers", "transport", "connections", "gossip_stats", "trust_stats")
CONNECTION_KEYS = ("state", "rtt", "rto", "packets_sent", "retransmissions")


@pytest.mark.parametrize("name", EXPORTS)
def test_the_package_exports(name: str) -> None:
    assert name in package.__all__
    assert getattr(package, name).__name__ == name


@pytest.mark.parametrize("name", ["ConnectionState", "TCPTransport", "UDPTransport"])
def test_the_transports_are_where_the_guide_imports_them_from(name: str) -> None:
    assert getattr(transport, name) is getattr(package, name)
    with pytest.raises(AttributeError, match="has no attribute 'Network'"):
        transport.Network  # type: ignore[attr-defined]  # noqa: B018 - the access is the test


@pytest.mark.parametrize(
    ("function", "names", "is_awaited"), CALLS, ids=lambda value: getattr(value, "__qualname__", "")
)
def test_it_is_called_as_the_guide_calls_it(
    function: Callable[..., Any], names: tuple[str, ...], is_awaited: bool
) -> None:
    parameters = inspect.signature(function).parameters
    assert [name for name in names if name not in parameters] == []
    required = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and parameter.kind in (0, 1, 3) and name != "self"
    ]
    assert [name for name in required if name not in names] == []
    assert inspect.iscoroutinefunction(function) is is_awaited


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_an_option_has_the_default_of_the_guide(name: str, value: object) -> None:
    assert getattr(NetworkConfig(), name) == value


def test_the_tcp_port_is_the_next_one_unless_it_is_chosen() -> None:
    assert NetworkConfig(port=9000).tcp_port == 9001
    assert NetworkConfig(port=9000, tcp_port=7000).tcp_port == 7000


def test_message_types_and_states_have_the_names_of_the_guide() -> None:
    assert {"CUSTOM_DATA", "GOSSIP_MESSAGE", "TRUST_UPDATE"} <= set(MessageType.__members__)
    assert "ESTABLISHED" in ConnectionState.__members__


def test_an_adapted_message_comes_back_as_it_was() -> None:
    data = MessageAdapter.serialize(
        msg_type=MessageType.CUSTOM_DATA, payload={"test": "data"}, sender_id="ab" * 32, signature=b"s" * 64
    )
    message = MessageAdapter.deserialize(data)
    assert message["msg_type"] == MessageType.CUSTOM_DATA
    assert message["payload"] == {"test": "data"}
    assert message["sender_id"] == "ab" * 32
    assert message["signature"] == b"s" * 64
    assert isinstance(message["timestamp"], float)


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[tuple[Node, Node]]:
    async with network(2) as (one, two):
        yield one, two


@pytest.mark.loopback
@pytest.mark.asyncio
async def test_everything_that_the_guide_names_is_on_a_node(pair: tuple[Node, Node]) -> None:
    for path in ON_A_NODE:
        found: object = pair[0]
        for name in path.split("."):
            found = getattr(found, name)
        assert found is not None, path


@pytest.mark.loopback
@pytest.mark.asyncio
async def test_statistics_have_every_key_and_say_the_same_by_id_and_by_address(pair: tuple[Node, Node]) -> None:
    one, two = pair
    inbox = Inbox()
    two.register_data_handler(inbox)
    await one.send_message(peer_addr=udp_address(two), message={"n": 1})
    await inbox.wait_for(1)

    stats = one.get_stats()
    assert set(STATS_KEYS) <= set(stats)
    assert stats["node_id"] == one.identity.node_id
    assert set(stats["transport"]) == {"udp", "tcp"}
    assert set(CONNECTION_KEYS) <= set(stats["connections"][two.identity.node_id])
    json.dumps(stats, allow_nan=False)
    manager = one.peer_manager
    by_address = manager.get_connection_stats(peer_addr=udp_address(two))
    assert set(CONNECTION_KEYS) <= set(by_address)
    assert by_address["node_id"] == two.identity.node_id
    assert manager.get_connection_stats(peer_addr=two.identity.node_id)["address"] == by_address["address"]
    assert manager.get_connection_stats(peer_addr=("192.0.2.1", 1)) == {}
    entry = manager.active_peers[udp_address(two)]
    assert entry["connected_at"] <= entry["last_seen"]


@pytest.mark.loopback
@pytest.mark.asyncio
async def test_a_peer_that_is_marked_slow_recovers_and_one_marked_down_is_dialled_anew(pair: tuple[Node, Node]) -> None:
    one, two = pair
    await one.peer_manager.mark_peer_slow(peer_addr=udp_address(two))
    assert one.peer_manager.active_peers[two.identity.node_id]["state"] == "slow"

    cursor = one.chronicle.history.tail(0)["cursor"]
    await one.peer_manager.mark_peer_down(peer_addr=udp_address(two))
    async with asyncio.timeout(30):
        kinds: list[str] = []
        while kinds != ["peer_down", "peer_up"]:
            await one.chronicle.history.changed(cursor, 30)
            page = one.chronicle.history.page(cursor, 10)
            kinds += [event["kind"] for event in page["events"]]
            cursor = page["cursor"]
    assert udp_address(two) in one.peer_manager.active_peers


@pytest.mark.loopback
@pytest.mark.asyncio
async def test_what_gossip_propagates_reaches_the_others(pair: tuple[Node, Node]) -> None:
    one, two = pair
    inbox = Inbox()
    two.register_data_handler(inbox)
    await one.gossip.propagate(message={"test": "data"})
    assert await inbox.wait_for(1) == [({"test": "data"}, one.identity.node_id)]
    assert two.gossip.get_stats()["delivered"] == 1


@pytest.mark.loopback
@pytest.mark.asyncio
async def test_a_message_that_gossip_handles_is_delivered_once_everywhere(pair: tuple[Node, Node]) -> None:
    one, two = pair
    inboxes = [Inbox(), Inbox()]
    for known, inbox in zip(pair, inboxes, strict=True):
        known.register_data_handler(inbox)
    stranger = random_identity()
    sealer = Sealer(stranger, network_id="positron", epoch=time.time_ns() // MILLISECOND)
    sent = sealer.seal(MessageType.GOSSIP_MESSAGE, pack({"test": "data"}), time.time_ns())

    for _ in range(3):
        await one.gossip.handle_message(message=(sent.body, sent.signature), peer_addr=udp_address(two))
    with pytest.raises(DecodeError, match="bad_signature"):
        await one.gossip.handle_message(message=(sent.body, b"x" * 64), peer_addr=udp_address(two))

    for inbox in inboxes:
        assert await inbox.wait_for(1) == [({"test": "data"}, stranger.node_id)]
    assert two.gossip.get_stats()["delivered"] == one.gossip.get_stats()["delivered"] == 1


@pytest.mark.loopback
@pytest.mark.asyncio
async def test_a_trust_update_is_handled_if_its_author_signed_it(pair: tuple[Node, Node]) -> None:
    one, two = pair
    sealer = Sealer(two.identity, network_id="positron", epoch=1)
    now = time.time_ns()
    update = sealer.seal(MessageType.TRUST_UPDATE, statement_payload(NodeId(bytes(32)), 0.5, now + 60 * SECOND), now)

    await one.trust_manager.handle_update(message=(update.body, update.signature), peer_addr=udp_address(two))
    accepted = one.trust_manager.get_stats()["statements_accepted"]
    other = statement_payload(NodeId(b"x" * 32), 0.5, now + 60 * SECOND)
    later = sealer.seal(MessageType.TRUST_UPDATE, other, now)
    with pytest.raises(DecodeError, match=r"bad_signature|wrong_key"):
        await one.trust_manager.handle_update(message=(later.body, b"x" * 64), peer_addr=udp_address(two))
    with pytest.raises(UnknownPeer):
        await one.trust_manager.handle_update(message=(b"", b""), peer_addr=("192.0.2.1", 1))

    assert accepted == 1
    assert one.trust_manager.get_trust(udp_address(two)) < 0.5


@pytest.mark.loopback
@pytest.mark.asyncio
async def test_statistics_are_fit_for_json_before_the_start_and_after_the_stop() -> None:
    async with network(1) as (node,):
        pass
    for known in (Node(NetworkConfig(port=0)), node):
        stats = known.get_stats()
        assert set(STATS_KEYS) <= set(stats)
        json.dumps(stats, allow_nan=False)
