"""What each link that is listed says of itself: one row of values, in the order of its metrics.

Rows, not single readings, because a node with 50 links has 1200 of these values and every scrape holds the event loop.
Knows the catalogue's names and nothing of any format. Input are the links of a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from node.core.snapshot import LinkSnapshot
from node.metrics.names import LINK_STATES, LINKS_LISTED_MAX
from node.transport.stats import ConnectionSnapshot, KernelInfo
from node.types import SECOND, Duration, short_id

__all__ = ["LINK_METRICS", "LinkRows", "Row", "link_rows"]

Row: TypeAlias = tuple[float | None, ...]
"""One value for each metric of LINK_METRICS of the transport; None for what was not measured."""

LINK_METRICS: dict[str, tuple[str, ...]] = {
    "udp": (
        "positron_link_established_timestamp_seconds",
        "positron_link_rtt_smoothed_seconds",
        "positron_link_rtt_latest_seconds",
        "positron_link_rtt_min_seconds",
        "positron_link_rtt_variance_seconds",
        "positron_link_rto_computed_seconds",
        "positron_link_rto_effective_seconds",
        "positron_link_state",
        "positron_link_rto_backoff",
        "positron_link_cwnd_bytes",
        "positron_link_ssthresh_bytes",
        "positron_link_in_flight_bytes",
        "positron_link_mtu_bytes",
        "positron_link_send_queue_messages",
        "positron_link_sent_packets_total",
        "positron_link_received_packets_total",
        "positron_link_sent_bytes_total",
        "positron_link_received_bytes_total",
        "positron_link_retransmitted_packets_total",
        "positron_link_lost_packets_total",
        "positron_link_spurious_retransmissions_total",
        "positron_link_rto_expirations_total",
        "positron_link_sent_messages_total",
        "positron_link_received_messages_total",
    ),
    "tcp": (
        "positron_tcp_link_rtt_smoothed_seconds",
        "positron_tcp_link_rtt_variance_seconds",
        "positron_tcp_link_rto_seconds",
        "positron_tcp_link_cwnd_bytes",
        "positron_tcp_link_retransmitted_segments_total",
    ),
}

_STATE_CODES = {state: code for code, state in enumerate(LINK_STATES)}


class LinkRows(NamedTuple):
    """The links over one transport. rows: of those that are listed, by label `peer`. unlisted: how many are not."""

    transport: str
    rows: dict[str, Row]
    unlisted: int


def link_rows(links: Iterable[LinkSnapshot], transport: str, listed_max: int, wall_offset: Duration) -> LinkRows:
    """One row for each peer with a link over that transport, of its most senior link; listed_max of them at most.

    A stranger has proved no key that a label could name: it is neither listed nor counted.
    """
    mine = [one.connection for one in links if one.connection.transport == transport and one.connection.peer_id]
    mine.sort(key=_seniority)
    listed: dict[str, ConnectionSnapshot] = {}
    for connection in mine:
        if len(listed) == min(listed_max, LINKS_LISTED_MAX):
            break
        assert connection.peer_id is not None, "a stranger is not mine"
        listed.setdefault(short_id(connection.peer_id), connection)
    if transport == "udp":
        rows = {label: _udp(connection, wall_offset) for label, connection in listed.items()}
    else:
        rows = {label: _tcp(connection.kernel) for label, connection in listed.items() if connection.kernel is not None}
    return LinkRows(transport, rows, len(mine) - len(listed))


def _seniority(connection: ConnectionSnapshot) -> tuple[bool, int, int]:
    """Established links first, the oldest of them first: newcomers cannot push them out of the list."""
    return connection.state != "established", connection.established_at or 0, connection.connection


def _udp(link: ConnectionSnapshot, wall_offset: Duration) -> Row:
    stats = link.stats
    established_at, smoothed, latest = link.established_at, link.smoothed_rtt, link.latest_rtt
    least, variance = link.min_rtt, link.rttvar
    return (
        None if established_at is None else (established_at + wall_offset) / SECOND,
        None if smoothed is None else smoothed / SECOND,
        None if latest is None else latest / SECOND,
        None if least is None else least / SECOND,
        None if variance is None else variance / SECOND,
        link.computed_rto / SECOND,
        link.effective_rto / SECOND,
        _STATE_CODES[link.state],
        link.rto_backoff,
        link.congestion_window,
        link.slow_start_threshold,
        link.bytes_in_flight,
        link.mtu,
        link.send_queue_messages,
        stats.packets_sent,
        stats.packets_received,
        stats.bytes_sent,
        stats.bytes_received,
        sum(stats.packets_retransmitted.values()),
        sum(stats.packets_lost.values()),
        stats.spurious_losses,
        stats.rto_expirations,
        stats.messages_sent,
        stats.messages_received,
    )


def _tcp(info: KernelInfo) -> Row:
    return (
        info.smoothed_rtt / SECOND,
        info.rttvar / SECOND,
        info.rto / SECOND,
        info.congestion_window,
        info.retransmissions,
    )
