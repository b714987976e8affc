"""What the answers of a node look like as tables: statistics with every link, and peers.

Knows the fields of the API's answers; a field that is missing shows as `-`, so that a newer command still reads an
older node. Input is parsed JSON, output is lines.
"""

from __future__ import annotations

import json
import time
from typing import Any

from node.cli.tables import clean, count, duration, ratio, table

__all__ = ["message_line", "peer_lines", "records", "stats_lines", "trust_lines"]

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
_TRUST_HEADER = (
    "PEER", "KEY", "BAND", "SCORE", "OWN", "PRAISE", "DOUBT", "FIRST DELIVERIES", "EVIDENCE AGAINST"
)  # fmt: skip
_PEER_HEADER = ("PEER", "KEY", "STATE", "ADDRESS", "ACTIVE FOR", "LAST HEARD", "RTT", "HEARTBEATS")


def stats_lines(stats: dict[str, Any]) -> list[str]:
    """The node, its links and its gossip."""
    return [
        *_node_lines(stats),
        "",
        *_link_lines(records(stats.get("links"))),
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
        for peer in records(answer.get("peers"))
    ]
    return table(_PEER_HEADER, rows, numbers=range(4, 8)) if rows else ["no peers"]


def trust_lines(answer: dict[str, Any]) -> list[str]:
    """One line per peer that the node has an opinion of, best first: its score, what that is made of, and why."""
    rows = [
        (
            str(peer.get("name") or "-"),
            str(peer.get("node_id") or "-")[:8],
            str(peer.get("band", "-")) + _ban(peer.get("banned_for")),
            *(_score(peer.get(name)) for name in ("score", "own", "praise", "doubt")),
            count(peer.get("first_deliveries")),
            _evidence(peer.get("penalties")),
        )
        for peer in records(answer.get("peers"))
    ]
    return table(_TRUST_HEADER, rows, numbers=range(3, 8)) if rows else ["no opinion of anybody"]


def message_line(message: dict[str, Any]) -> str:
    """One received message: when, from whom, how, and what."""
    hops = message.get("hops")
    how = f"{count(hops)} hop{'' if hops == 1 else 's'}" if message.get("is_broadcast") else "direct"
    data = json.dumps(message.get("data"), ensure_ascii=False, separators=(", ", ": "))
    return f"{_clock(message.get('at'))}  {clean(str(message.get('origin', '-'))[:8])}  {how:<7}  {_printable(data)}"


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


def records(value: object) -> list[dict[str, Any]]:
    """The objects of a list; none of what is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _ago(seconds: object) -> str:
    text = duration(seconds)
    return text if text == "-" else f"{text} ago"


def _ban(seconds: object) -> str:
    return f", banned for {duration(seconds)}" if isinstance(seconds, int | float) else ""


def _score(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else "-"


def _evidence(penalties: object) -> str:
    if not isinstance(penalties, dict):
        return "-"
    return ", ".join(f"{kind} {number}" for kind, number in penalties.items() if number) or "-"


def _clock(seconds: object) -> str:
    """The time of day here."""
    if not isinstance(seconds, int | float) or not 0 <= seconds < 1 << 40:
        return "-"
    moment = time.localtime(seconds)
    return f"{moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02}.{int(seconds % 1 * 1000):03}"


def _printable(text: str) -> str:
    """All of it, without what would control a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
