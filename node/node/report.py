"""A node's snapshot as plain dictionaries that JSON can hold: what `get_stats`, the API and the command line show.

Knows nothing of where the dictionaries go. Durations are seconds, points in time are Unix seconds, keys are text;
what was not measured is None, and no number is infinite or NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from node.config import format_address
from node.core.snapshot import LinkSnapshot, NodeSnapshot, PeerSnapshot
from node.gossip.stats import GossipStats
from node.metrics.quantiles import buckets_of, quantile
from node.metrics.readings import RuntimeStats
from node.peers.members import MemberState
from node.transport.stats import EndpointStats, KernelInfo
from node.trust.trust import TRUSTED, TrustOverview
from node.types import Duration, Instant, NodeId, short_id, to_seconds

__all__ = [
    "gossip_report",
    "link_report",
    "node_report",
    "peer_report",
    "peer_reports",
    "transport_report",
    "trust_report",
    "trust_stats",
]


def node_report(snapshot: NodeSnapshot, *, wall_offset: Duration, socket: Mapping[str, Any] | None) -> dict[str, Any]:
    """The whole node, with the keys that its documentation names. socket: counters of the UDP socket, if there is one.

    connections: the best link of each active peer, by node id; links: every connection, strangers included.
    """
    links = [link_report(link, wall_offset) for link in snapshot.links]
    return {
        "node_id": snapshot.node_id.hex(),
        "name": snapshot.name,
        "network_id": snapshot.network_id,
        "state": snapshot.state,
        "uptime": to_seconds(snapshot.uptime),
        "is_ready": snapshot.is_ready,
        "active_peers": snapshot.active_peers,
        "known_peers": len(snapshot.peers),
        "members": {state.value: 0 for state in MemberState} | snapshot.peering.members,
        "transport": {
            "udp": None if snapshot.udp is None else transport_report(snapshot.udp, socket or {}),
            "tcp": None if snapshot.tcp is None else transport_report(snapshot.tcp, None),
        },
        "connections": _connections(snapshot, links),
        "links": links,
        "gossip_stats": gossip_report(snapshot.gossip),
        "trust_stats": trust_stats(snapshot.trust),
        "peer_stats": _counters(snapshot.peering),
        "message_stats": _counters(snapshot.messages),
    }


def link_report(link: LinkSnapshot, wall_offset: Duration) -> dict[str, Any]:
    """One connection. `rto` is the timeout in force, the same as `rto_effective`.

    rtt_p50, rtt_p99: of all round trips since it began; rtt_buckets counts them, as [above, up to, number], so that
    whoever reads twice knows those in between.

    What a TCP link shows of them is what the kernel has measured (TCP_INFO), and null where that is not known.
    """
    connection = link.connection
    stats = connection.stats
    buckets = buckets_of(stats.rtt)
    report: dict[str, Any] = {
        "node_id": None if connection.peer_id is None else connection.peer_id.hex(),
        "peer": None if connection.peer_id is None else short_id(connection.peer_id),
        "name": link.peer_name or None,
        "peer_state": link.peer_state,
        "transport": connection.transport,
        "address": format_address(connection.address),
        "state": connection.state,
        "is_initiator": connection.is_initiator,
        "established_at": _unix(connection.established_at, wall_offset),
        "send_queue_messages": connection.send_queue_messages,
        "packets_sent": stats.packets_sent,
        "packets_received": stats.packets_received,
        "bytes_sent": stats.bytes_sent,
        "bytes_received": stats.bytes_received,
        "messages_sent": stats.messages_sent,
        "messages_received": stats.messages_received,
    }
    if connection.transport != "udp":
        return report | _kernel_report(connection.kernel)
    return report | {
        "rtt": _seconds(connection.smoothed_rtt),
        "rtt_latest": _seconds(connection.latest_rtt),
        "rtt_min": _seconds(connection.min_rtt),
        "rttvar": _seconds(connection.rttvar),
        "rtt_p50": quantile(0.5, buckets),
        "rtt_p99": quantile(0.99, buckets),
        "rtt_buckets": [list(bucket) for bucket in buckets],
        "rto": to_seconds(connection.effective_rto),
        "rto_computed": to_seconds(connection.computed_rto),
        "rto_effective": to_seconds(connection.effective_rto),
        "rto_backoff": connection.rto_backoff,
        "rto_expirations": stats.rto_expirations,
        "congestion_window": connection.congestion_window,
        "bytes_in_flight": connection.bytes_in_flight,
        "mtu": connection.mtu,
        "retransmissions": sum(stats.packets_retransmitted.values()),
        "packets_lost": sum(stats.packets_lost.values()),
        "loss": sum(stats.packets_lost.values()) / stats.packets_sent if stats.packets_sent else 0.0,
        "spurious_losses": stats.spurious_losses,
    }


def _kernel_report(info: KernelInfo | None) -> dict[str, Any]:
    return {
        "rtt": None if info is None else to_seconds(info.smoothed_rtt),
        "rttvar": None if info is None else to_seconds(info.rttvar),
        "rto": None if info is None else to_seconds(info.rto),
        "retransmissions": None if info is None else info.retransmissions,
        "congestion_window": None if info is None else info.congestion_window,
    }


def peer_report(peer: PeerSnapshot, snapshot: NodeSnapshot, wall_offset: Duration) -> dict[str, Any]:
    """One known peer of the node that `snapshot` shows."""
    return _peer(peer, _rtts(snapshot), snapshot.taken_at, wall_offset)


def peer_reports(snapshot: NodeSnapshot, wall_offset: Duration) -> list[dict[str, Any]]:
    """Every known peer; in time that grows with peers and links, not with their product."""
    rtts = _rtts(snapshot)
    return [_peer(peer, rtts, snapshot.taken_at, wall_offset) for peer in snapshot.peers]


def _rtts(snapshot: NodeSnapshot) -> dict[NodeId, Duration]:
    """The round trip time of each peer's first link that has measured one."""
    found: dict[NodeId, Duration] = {}
    for link in snapshot.links:
        peer_id, rtt = link.connection.peer_id, link.connection.smoothed_rtt
        if peer_id is not None and rtt is not None:
            found.setdefault(peer_id, rtt)
    return found


def _peer(
    peer: PeerSnapshot, rtts: Mapping[NodeId, Duration], now: Instant, wall_offset: Duration
) -> dict[str, Any]:  # fmt: skip
    return {
        "node_id": peer.node_id.hex(),
        "peer": short_id(peer.node_id),
        "name": peer.name or None,
        "state": peer.state,
        "member": peer.member,
        "address": format_address(peer.address),
        "tcp_port": peer.tcp_port,
        "connected_at": _unix(peer.connected_at, wall_offset),
        "last_seen": _unix(peer.last_seen_at, wall_offset),
        "active_for": None if peer.connected_at is None else to_seconds(now - peer.connected_at),
        "last_seen_ago": None if peer.last_seen_at is None else to_seconds(now - peer.last_seen_at),
        "rtt": _seconds(rtts.get(peer.node_id)),
        "heartbeats_sent": peer.heartbeats_sent,
        "heartbeats_received": peer.heartbeats_received,
        "clock_skew": _seconds(peer.clock_skew),
    }


def transport_report(stats: EndpointStats, socket: Mapping[str, Any] | None) -> dict[str, Any]:
    """One transport since the node began. `errors`: dropped packets by reason.

    socket: counters of the UDP socket. Without one it is TCP, whose retransmissions the kernel keeps to itself.
    """
    report: dict[str, Any] = {
        "packets_sent": stats.packets_sent,
        "packets_received": stats.packets_received,
        "bytes_sent": stats.bytes_sent,
        "bytes_received": stats.bytes_received,
        "errors": dict(stats.packets_dropped),
        "handshakes_completed": stats.handshakes_completed,
        "handshakes_failed": stats.handshakes_failed,
    }
    if socket is None:
        return report
    return report | {
        "retransmissions": sum(stats.packets_retransmitted.values()),
        "packets_retransmitted": dict(stats.packets_retransmitted),
        "packets_lost": dict(stats.packets_lost),
        "spurious_losses": stats.spurious_losses,
        "probes": stats.probes,
        "rto_expirations": stats.rto_expirations,
        "socket": dict(socket),
    }


def runtime_report(stats: RuntimeStats) -> dict[str, Any]:
    """What the shell has counted. loop_lag_seconds: sum over `loop_lag_samples` timers of how late each fired.

    clock_shift: how far the system's clock was set since the node began.
    """
    return {
        "loop_lag_seconds": to_seconds(stats.loop_lag.total),
        "loop_lag_samples": sum(stats.loop_lag.counts),
        "clock_shift": to_seconds(stats.clock_shift),
        "handler_errors": stats.handler_errors,
        "handler_drops": stats.handler_drops,
        "log_messages": dict(stats.log_messages),
    }


def gossip_report(stats: GossipStats) -> dict[str, Any]:
    """What gossip has counted; `rejected` is the sum over `rejected_by_reason`."""
    report = _counters(stats)
    report["rejected_by_reason"] = report.pop("rejected")
    report["rejected"] = sum(stats.rejected.values())
    return report


def trust_stats(overview: TrustOverview) -> dict[str, Any]:
    """What trust has counted; `rejected` is the sum over `rejected_by_reason`, `peers` counts nodes by band."""
    report = _counters(overview.stats)
    report["rejected_by_reason"] = report.pop("rejected")
    report["rejected"] = sum(overview.stats.rejected.values())
    report["peers"] = dict(overview.bands)
    return report


def trust_report(snapshot: NodeSnapshot) -> dict[str, Any]:
    """Whom this node trusts, best first, and why. `score`, `own`: -1 to 1; `trust`: the same as 0 to 1.

    praise, doubt: what the word of others weighs. banned_for: seconds that are left of a ban, None without one.
    """
    names = {peer.node_id: peer.name for peer in snapshot.peers}
    entries = sorted(snapshot.trust.entries, key=lambda entry: (-entry.score, entry.node_id))
    return {
        "trusted_from": TRUSTED,
        "stats": trust_stats(snapshot.trust),
        "peers": [
            {
                "node_id": entry.node_id.hex(),
                "name": names.get(entry.node_id) or None,
                "score": round(entry.score, 4),
                "trust": round((entry.score + 1) / 2, 4),
                "band": entry.band,
                "own": round(entry.own, 4),
                "praise": round(entry.praise, 4),
                "doubt": round(entry.doubt, 4),
                "first_deliveries": entry.first_deliveries,
                "penalties": dict(entry.penalties),
                "banned_for": None
                if entry.banned_until is None
                else to_seconds(entry.banned_until - snapshot.taken_at),
            }
            for entry in entries
        ],
    }


def _connections(snapshot: NodeSnapshot, links: list[dict[str, Any]]) -> dict[str, Any]:
    active = {peer.node_id.hex() for peer in snapshot.peers if peer.state in ("up", "slow")}
    best: dict[str, Any] = {}
    for link in links:
        if link["node_id"] in active and _rank(link) > _rank(best.get(link["node_id"])):
            best[link["node_id"]] = link
    return best


def _rank(link: dict[str, Any] | None) -> tuple[bool, bool, bool]:
    """Any link is better than none, an established one better than another, UDP better than TCP."""
    if link is None:
        return False, False, False
    return True, link["state"] == "established", link["transport"] == "udp"


def _counters(stats: object) -> dict[str, Any]:
    """The integers of a stats object and its integers by name; histograms are left to the metrics."""
    report: dict[str, Any] = {}
    for name in type(stats).__dataclass_fields__:  # type: ignore[attr-defined]  # every stats class is a dataclass
        value = getattr(stats, name)
        if isinstance(value, int):
            report[name] = value
        elif isinstance(value, dict):
            report[name] = {str(key): count for key, count in value.items()}
    return report


def _seconds(duration: Duration | None) -> float | None:
    return None if duration is None else to_seconds(duration)


def _unix(instant: int | None, wall_offset: Duration) -> float | None:
    return None if instant is None else to_seconds(instant + wall_offset)
