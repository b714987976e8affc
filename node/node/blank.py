"""The snapshot of a node that has not started: who it is, and zeros."""

from __future__ import annotations

from node.config import NetworkConfig
from node.core.snapshot import NodeSnapshot
from node.core.stats import CoreStats
from node.gossip.stats import GossipStats
from node.identity.keys import Identity
from node.peers.stats import PeerStats
from node.transport.stats import EndpointStats
from node.trust.trust import TrustOverview

__all__ = ["blank_snapshot"]


def blank_snapshot(identity: Identity, config: NetworkConfig, name: str) -> NodeSnapshot:
    """What there is to say before `start`, in the same form as later."""
    return NodeSnapshot(
        node_id=identity.public_key,
        name=name,
        network_id=config.network_id,
        state="new",
        taken_at=0,
        uptime=0,
        is_ready=False,
        active_peers=0,
        udp=EndpointStats() if config.enable_udp else None,
        tcp=EndpointStats() if config.enable_tcp else None,
        links=(),
        peers=(),
        gossip=GossipStats(),
        peering=PeerStats(),
        messages=CoreStats(),
        trust=TrustOverview.blank(),
    )
