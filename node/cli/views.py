"""What the answers of a node look like as tables: statistics with every link, and peers.

Knows the fields of the API's answers; a field that is missing shows as `-`, so that a newer command still reads an
older node. Input is parsed JSON, output is lines.
"""

from __future__ import annotations

from typing import Any

from node.cli.tables import clean, count, duration, ratio, table

__all__ = ["peer_lines", "stats_lines"]

_LINK_HEADER = (
    "PEER",
    "KEY",
    "VIA",
    "STATE",
    "RTT",
    "RTT MIN",
    "RTO COMPUTED",
    "RTO EFFECTIVE",
    "SENT",
    "RETRANSMITTED",
    "LOST",
    "RECEIVED",
)
_PEER_HEADER = ("PEER", "KEY", "STATE", "ADDRESS", "ACTIVE FOR", "LAST HEARD", "RTT", "HEARTBEATS")


def stats_lines(stats: dict[str, Any]) -> list[str]:
    """The node, its links and its gossip."""
    return [
        *_node_lines(stats),
        "",
        *_link_lines(_records(stats.get("links"))),
        "",
        *_counter_lines("gossip", stats.get("gossip_stats")),
    ]


def peer_lines(answer: dict[str, Any]) -> list[str]:
    """One line per known peer."""
    rows = [
        (
            str(peer.get("name") or "-"),
            str(peer.get("peer", "-")),
            str(peer.get("state", "-")),
            str(peer.get("address", "-")),
            duration(peer.get("active_for")),
            _ago(peer.get("last_seen_ago")),
            duration(peer.get("rtt")),
            count(peer.get("heartbeats_received")),
        )
        for peer in _records(answer.get("peers"))
    ]
    return table(_PEER_HEADER, rows, numbers=range(4, 8)) if rows else ["no peers"]


def _node_lines(stats: dict[str, Any]) -> list[str]:
    words = (
        clean(stats.get("name", "-")),
        clean(str(stats.get("node_id", ""))[:8]),
        f"{clean(stats.get('state', '-'))} for {duration(stats.get('uptime'))}",
        "ready" if stats.get("is_ready") else "not ready",
        f"network {clean(stats.get('network_id', '-'))}",
        f"peers {count(stats.get('active_peers'))} active of {count(stats.get('known_peers'))} known",
    )
    return ["  ".join(words)]


def _link_lines(links: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            str(link.get("name") or "-"),
            str(link.get("peer") or "-"),
            str(link.get("transport", "-")),
            str(link.get("state", "-")),
            duration(link.get("rtt")),
            duration(link.get("rtt_min")),
            duration(link.get("rto_computed")),
            duration(link.get("rto_effective")),
            count(link.get("packets_sent")),
            ratio(link.get("retransmissions"), link.get("packets_sent")),
            ratio(link.get("packets_lost"), link.get("packets_sent")),
            count(link.get("packets_received")),
        )
        for link in links
    ]
    return table(_LINK_HEADER, rows, numbers=range(4, 12)) if rows else ["no links"]


def _counter_lines(title: str, counters: object) -> list[str]:
    if not isinstance(counters, dict):
        return []
    words = [f"{clean(name)} {value}" for name, value in counters.items() if isinstance(value, int)]
    return [f"{title}  " + "  ".join(words)]


def _records(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _ago(seconds: object) -> str:
    text = duration(seconds)
    return text if text == "-" else f"{text} ago"
