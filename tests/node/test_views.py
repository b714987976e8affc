from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from node.core.snapshot import NodeSnapshot
from node.errors import UsageError
from node.messages.packing import Value
from node.messages.types import MessageType
from node.node.views import GossipView, PeerManager, PeerName, TrustView, named
from tests.metrics.samples import WALL_OFFSET, link, node_id, node_snapshot, peer


class FakeNode:
    """A node with two active peers and one that is down."""

    wall_offset = WALL_OFFSET

    def __init__(self) -> None:
        self.marked: list[tuple[str, PeerName]] = []
        self.taken: list[tuple[PeerName, MessageType, bytes, bytes]] = []

    def snapshot(self) -> NodeSnapshot:
        links = (link(2, transport="tcp", connection=1), link(2, connection=2), link(4))
        return node_snapshot(*links, peers=(peer(2), peer(3, "slow"), peer(4, "down")))

    async def connect(self, peer: PeerName, seconds: float) -> str:
        return node_id(2).hex()

    async def broadcast(self, data: dict[str, Value], *, exclude: Iterable[PeerName] | None = None) -> str:
        return "ab" * 16

    def mark_slow(self, peer: PeerName) -> None:
        self.marked.append(("slow", peer))

    def mark_down(self, peer: PeerName) -> None:
        self.marked.append(("down", peer))

    def take(self, peer: PeerName, kind: MessageType, body: bytes, signature: bytes) -> None:
        self.taken.append((peer, kind, body, signature))


def test_active_peers_are_up_or_slow_and_answer_to_key_and_address() -> None:
    active = PeerManager(FakeNode()).active_peers

    assert list(active) == [node_id(2).hex(), node_id(3).hex()]
    assert len(active) == 2
    for name in (node_id(2), node_id(2).hex(), node_id(2).hex().upper(), ("127.0.0.1", 9002)):
        assert active[name]["name"] == "node-2"
    assert ("127.0.0.1", 9004) not in active
    assert "nonsense" not in active


def test_connection_stats_are_those_of_the_best_link_or_empty() -> None:
    manager = PeerManager(FakeNode())

    assert manager.get_connection_stats(node_id(2).hex())["transport"] == "udp"
    assert manager.get_connection_stats(("127.0.0.1", 9009)) == {}
    assert manager.get_connection_stats(node_id(3)) == {}


def test_a_peer_is_looked_up_by_every_name_that_a_message_may_go_to() -> None:
    manager, trust = PeerManager(FakeNode()), TrustView(FakeNode())
    for name in ("127.0.0.1:9002", ["127.0.0.1", 9002], node_id(2).hex().upper()):
        assert manager.get_connection_stats(name)["transport"] == "udp"  # type: ignore[arg-type]  # JSON has lists
        assert manager.active_peers[name]["name"] == "node-2"  # type: ignore[index]  # as above
        assert trust.get_trust(name) == 0.5  # type: ignore[arg-type]  # as above
    nobody: tuple[Any, ...] = (None, 5, "nobody", ("127.0.0.1", "9002"), [], {})
    for other in nobody:
        assert other not in manager.active_peers
        assert manager.get_connection_stats(other) == {}


@pytest.mark.asyncio
async def test_commands_reach_the_node() -> None:
    node = FakeNode()
    manager = PeerManager(node)

    assert await manager.connect_to_peer(("127.0.0.1", 9002)) == node_id(2).hex()
    await manager.mark_peer_slow(("127.0.0.1", 9002))
    await manager.mark_peer_down(node_id(3).hex())

    assert node.marked == [("slow", ("127.0.0.1", 9002)), ("down", node_id(3).hex())]


@pytest.mark.asyncio
async def test_gossip_propagates_and_counts() -> None:
    gossip = GossipView(FakeNode())

    assert await gossip.propagate({"n": 1}) == await gossip.propagate({"n": 1}, exclude=None) == "ab" * 16
    assert gossip.get_stats()["published"] == 0


@pytest.mark.asyncio
async def test_what_is_taken_in_is_body_and_signature_and_nothing_else() -> None:
    node = FakeNode()
    for kind, handle in (
        (MessageType.TRUST_UPDATE, TrustView(node).handle_update),
        (MessageType.GOSSIP_MESSAGE, GossipView(node).handle_message),
    ):
        await handle([b"body", b"signature"], peer_addr=node_id(2))
        for other in ([b"body"], [b"body", "text"], b"ab", []):
            with pytest.raises(UsageError):
                await handle(other, peer_addr=node_id(2))  # type: ignore[arg-type]  # what a caller may do
        assert node.taken.pop() == (node_id(2), kind, b"body", b"signature")
    assert node.taken == []


def test_nobody_is_trusted_before_there_is_evidence() -> None:
    trust = TrustView(FakeNode())
    for name in (node_id(2), node_id(2).hex(), ("127.0.0.1", 9002), "nobody"):
        assert trust.get_trust(name) == 0.5
    assert trust.report()["peers"] == []
    assert trust.get_stats()["statements_accepted"] == 0


@pytest.mark.parametrize(
    "name",
    [
        None, 5, b"", b"k" * 31, "", "node-2", "127.0.0.1:0", ("h",), ("h", 1, 2, 3), ("127.0.0.1", "9"),
        ("127.0.0.1", 0), ("127.0.0.1", -1), ("127.0.0.1", 65536), ("127.0.0.1", True), ("", 9), (None, 9),
        ["h", 2.5], {}, ("127.0.0.1\0", 9), ("no host", 9), ("[::1]", 9),
    ],
)  # fmt: skip
def test_what_names_no_peer_is_the_callers_mistake(name: Any) -> None:
    with pytest.raises(UsageError):
        named(name)


def test_a_peer_has_its_key_or_an_address_for_a_name() -> None:
    assert named(node_id(2)) == named(node_id(2).hex()) == node_id(2)
    assert named("[::1]:9") == named(("::1", 9)) == ("::1", 9)
