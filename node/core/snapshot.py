"""The node at one instant, for metrics, API and logs: records around the live counters, never modified.

Durations and instants are nanoseconds of the node's monotonic clock. The `stats` objects inside are the live ones, so
whoever keeps a snapshot for later copies what it needs.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.core.stats import CoreStats
from node.gossip.stats import GossipStats
from node.peers.stats import PeerStats
from node.transport.stats import ConnectionSnapshot, EndpointStats
from node.trust.trust import TrustOverview
from node.types import Address, Duration, Instant, NodeId

__all__ = ["LinkSnapshot", "NodeSnapshot", "PeerSnapshot"]


@dataclass(slots=True, kw_only=True)
class LinkSnapshot:
    """One connection and whose it is. peer_name is "" and peer_state `connecting` until the peer introduced itself."""

    connection: ConnectionSnapshot
    peer_name: str
    peer_state: str


@dataclass(slots=True, kw_only=True)
class PeerSnapshot:
    """One node that this node has met or heard of.

    name: what the peer calls itself; for display only. address: where it is dialled. aliases: other addresses of it.
    state: `connecting`, `up`, `slow` or `down`; up and slow peers are active.
    member: `alive`, `suspect`, `dead` or `left`, linked or not; None for what was never a member.
    clock_skew: how far its wall clock is ahead of this node's, None before that was measured.
    connected_at: since when it is active, None when it is not. last_seen_at: when it was last heard, None if never.
    """

    node_id: NodeId
    name: str
    address: Address
    aliases: tuple[Address, ...]
    udp_port: int
    tcp_port: int
    state: str
    connected_at: Instant | None
    last_seen_at: Instant | None
    heartbeats_sent: int
    heartbeats_received: int
    clock_skew: Duration | None = None
    member: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSnapshot:
    """The whole node. state: `new`, `running` or `stopped`. uptime: since start, 0 before it.

    udp, tcp: None where the carrier is disabled. active_peers: peers in state up or slow.
    is_ready: an active peer is there, or the node is a seed.
    """

    node_id: NodeId
    name: str
    network_id: str
    state: str
    taken_at: Instant
    uptime: Duration
    is_ready: bool
    active_peers: int
    udp: EndpointStats | None
    tcp: EndpointStats | None
    links: tuple[LinkSnapshot, ...]
    peers: tuple[PeerSnapshot, ...]
    gossip: GossipStats
    peering: PeerStats
    messages: CoreStats
    trust: TrustOverview
