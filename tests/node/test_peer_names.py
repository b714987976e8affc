"""How callers name a peer to a running node, and what happens when they name nobody."""

from __future__ import annotations

import pytest

from node import Node
from node.errors import UnknownPeer, UsageError
from tests.node.network import configuration, udp_address

pytestmark = pytest.mark.loopback


@pytest.mark.asyncio
async def test_a_known_node_is_dialled_by_its_key_and_nobody_by_what_is_no_address() -> None:
    async with Node(configuration()) as first, Node(configuration()) as second:
        node_id = await first.peer_manager.connect_to_peer(udp_address(second))
        assert await first.peer_manager.connect_to_peer(node_id) == node_id
        with pytest.raises(UnknownPeer):
            await first.peer_manager.connect_to_peer("ab" * 32)
        for wrong in (("127.0.0.1", "9"), ("127.0.0.1", 0), ("127.0.0.1",), None):
            with pytest.raises(UsageError):
                await first.peer_manager.connect_to_peer(wrong)  # type: ignore[arg-type]  # what is tested
            with pytest.raises(UsageError):
                await first.send_message(wrong, {"n": 1})  # type: ignore[arg-type]  # what is tested
        with pytest.raises(UsageError):
            await first.peer_manager.connect_to_peer(udp_address(second), timeout=float("nan"))
        await first.send_message(node_id, {"still": "well"})
