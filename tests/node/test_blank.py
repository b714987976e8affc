from __future__ import annotations

from node.config import NetworkConfig
from node.identity.keys import Identity
from node.node.blank import blank_snapshot

IDENTITY = Identity(bytes(range(32)))


def test_a_node_that_has_not_started_is_new_and_not_ready() -> None:
    snapshot = blank_snapshot(IDENTITY, NetworkConfig(network_id="lab"), "node-1")

    assert (snapshot.node_id, snapshot.name, snapshot.network_id) == (IDENTITY.public_key, "node-1", "lab")
    assert (snapshot.state, snapshot.is_ready, snapshot.active_peers, snapshot.uptime) == ("new", False, 0, 0)


def test_a_transport_that_is_off_is_absent() -> None:
    assert blank_snapshot(IDENTITY, NetworkConfig(enable_udp=False), "n").udp is None
    assert blank_snapshot(IDENTITY, NetworkConfig(enable_tcp=False), "n").tcp is None
