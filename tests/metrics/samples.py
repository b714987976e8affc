"""Observations with known values, for the tests of metrics, API and command line."""

from __future__ import annotations

from dataclasses import replace

from node.core.snapshot import LinkSnapshot, NodeSnapshot, PeerSnapshot
from node.core.stats import CoreStats
from node.gossip.stats import GossipStats
from node.metrics.impairment import ChaosReading, Impairment
from node.metrics.process import ProcessReading
from node.metrics.readings import Observation, RuntimeStats, SocketReading
from node.peers.stats import PeerStats
from node.transport.stats import ConnectionSnapshot, ConnectionStats, EndpointStats, KernelInfo
from node.trust.trust import TrustOverview
from node.types import MILLISECOND, SECOND, NodeId

WALL_OFFSET = 1_700_000_000 * SECOND


def node_id(number: int) -> NodeId:
    return NodeId(number.to_bytes(4, "big") + bytes(28))


def connection(number: int, **changes: object) -> ConnectionSnapshot:
    """A UDP connection to node `number`: 20 ms round trip, 62 ms computed and 1 s effective timeout."""
    stats = ConnectionStats(packets_sent=100, packets_received=90, bytes_sent=10_000, bytes_received=9_000)
    stats.packets_retransmitted["reordering"] = 4
    stats.packets_retransmitted["timeout"] = 1
    stats.packets_lost["time_threshold"] = 5
    snapshot = ConnectionSnapshot(
        connection=number,
        transport="udp",
        peer_id=node_id(number),
        address=("127.0.0.1", 9000 + number),
        state="established",
        is_initiator=True,
        established_at=number * SECOND,
        latest_rtt=21 * MILLISECOND,
        smoothed_rtt=20 * MILLISECOND,
        rttvar=8 * MILLISECOND,
        min_rtt=19 * MILLISECOND,
        computed_rto=62 * MILLISECOND,
        effective_rto=1 * SECOND,
        rto_backoff=0,
        congestion_window=14_000,
        slow_start_threshold=None,
        bytes_in_flight=1_400,
        mtu=1_400,
        send_queue_messages=2,
        stats=stats,
    )
    return replace(snapshot, **changes)  # type: ignore[arg-type]  # any field by name


def link(number: int, **changes: object) -> LinkSnapshot:
    return LinkSnapshot(connection=connection(number, **changes), peer_name=f"node-{number}", peer_state="up")


def tcp_link(number: int, **changes: object) -> LinkSnapshot:
    """A TCP connection to node `number`: 12 ms round trip, 212 ms timeout, 2 segments sent again."""
    kernel = KernelInfo(
        smoothed_rtt=12 * MILLISECOND,
        rttvar=3 * MILLISECOND,
        rto=212 * MILLISECOND,
        retransmissions=2,
        congestion_window=14_480,
    )
    return link(number, **{"transport": "tcp", "kernel": kernel} | changes)


def peer(number: int, state: str = "up") -> PeerSnapshot:
    return PeerSnapshot(
        node_id=node_id(number),
        name=f"node-{number}",
        address=("127.0.0.1", 9000 + number),
        aliases=(),
        udp_port=9000 + number,
        tcp_port=9001 + number,
        state=state,
        connected_at=number * SECOND if state in ("up", "slow") else None,
        last_seen_at=100 * SECOND,
        heartbeats_sent=10,
        heartbeats_received=9,
    )


def node_snapshot(*links: LinkSnapshot, peers: tuple[PeerSnapshot, ...] = (), **changes: object) -> NodeSnapshot:
    snapshot = NodeSnapshot(
        node_id=node_id(0xABCD1234),
        name="node-1",
        network_id="positron",
        state="running",
        taken_at=100 * SECOND,
        uptime=90 * SECOND,
        is_ready=True,
        active_peers=sum(peer.state in ("up", "slow") for peer in peers),
        udp=EndpointStats(),
        tcp=EndpointStats(),
        links=links,
        peers=peers,
        gossip=GossipStats(),
        peering=PeerStats(),
        messages=CoreStats(),
        trust=TrustOverview.blank(),
    )
    return replace(snapshot, **changes)  # type: ignore[arg-type]  # any field by name


def observation(snapshot: NodeSnapshot | None = None, **changes: object) -> Observation:
    seen = Observation(
        snapshot=snapshot
        if snapshot is not None
        else node_snapshot(link(2), link(3), tcp_link(2), peers=(peer(2), peer(3, "down"))),
        wall_offset=WALL_OFFSET,
        socket=SocketReading(
            sent_datagrams=7,
            send_errors={"EPERM": 3, "EWHATEVER": 2},
            receive_buffer=4 << 20,
            send_buffer=4 << 20,
            asked_buffer=8 << 20,
        ),
        runtime=RuntimeStats(),
        tasks=3,
        process=ProcessReading(cpu=1.5, resident=40 << 20, open_files=12, started=1_700_000_000.0),
        impairments=(Impairment(),),
        is_seed=False,
        profile="default",
        chaos=ChaosReading(
            active=(("split", "partition"),),
            links=(Impairment(backend="wire", target="node-2", loss_ratio=0.1, delay_seconds=0.02),),
            offered=10,
            dropped=1,
        ),
    )
    return replace(seen, **changes)  # type: ignore[arg-type]  # any field by name
