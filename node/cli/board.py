"""The picture that `positron top` draws of one node: rates from two readings, and how a value went lately.

Knows the fields of the API's statistics and a clock only as the numbers it is given. Input is parsed JSON; output is
plain data (`record`) or lines of text that fit a width.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from node.cli.tables import clean, count, duration, table

__all__ = ["Board", "spark_line"]

HISTORY_MAX = 24
"""Readings that a spark line shows."""

_BARS = "▁▂▃▄▅▆▇█"
_HEADER = ("PEER", "KEY", "VIA", "STATE", "RTT", "RTO", "RETRANSMITTED/s", "SHARE", "MESSAGES/s", "RTT LATELY")


class Board:
    """One node. Feed it with `update`, then read `record` or `lines`."""

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}
        self._now: dict[str, Any] = {}
        self._seconds = 0.0
        self._at = 0.0
        self._rtts: dict[str, deque[float]] = {}
        self._lags: deque[float] = deque(maxlen=HISTORY_MAX)

    def update(self, stats: dict[str, Any], at: float) -> None:
        """Takes the next reading. at: seconds on any clock that does not jump."""
        # Counters of a node that began anew are no continuation.
        is_same_life = self._now and _number(stats, "uptime") >= _number(self._now, "uptime")
        self._before = self._now if is_same_life else {}
        self._now = stats
        self._seconds = at - self._at if self._before else 0.0
        self._at = at
        lag = self._lag()
        if lag is not None:
            self._lags.append(lag)
        rtts = {key: link["rtt"] for key, link in _links(stats).items() if isinstance(link.get("rtt"), int | float)}
        self._rtts = {
            key: deque([*self._rtts.get(key, ()), rtt], maxlen=HISTORY_MAX) for key, rtt in sorted(rtts.items())
        }

    def record(self) -> dict[str, Any]:
        """What the picture shows, as plain data. Rates are per second, and null until there are two readings."""
        stats = self._now
        return {
            "node_id": stats.get("node_id"),
            "name": stats.get("name"),
            "state": stats.get("state"),
            "uptime": stats.get("uptime"),
            "active_peers": stats.get("active_peers"),
            "loop_lag": self._lag(),
            "gossip_delivered_per_second": self._rate("gossip_stats", "delivered"),
            "gossip_published_per_second": self._rate("gossip_stats", "published"),
            "gossip_relayed_per_second": self._rate("gossip_stats", "relayed"),
            "gossip_duplicates_per_second": self._rate("gossip_stats", "duplicates"),
            "links": [self._link(key, link) for key, link in _links(stats).items()],
        }

    def lines(self, width: int = 0, height: int = 0) -> list[str]:
        """The picture. width, height: of the terminal, 0 for any."""
        record = self.record()
        lags = spark_line(self._lags)
        head = (
            f"{clean(record['name'])}  {clean(str(record['node_id'])[:8])}  {clean(record['state'])} for "
            f"{duration(record['uptime'])}  peers {count(record['active_peers'])}  "
            f"loop lag {duration(record['loop_lag'])} {lags}"
        )
        gossip = "gossip/s  " + "  ".join(
            f"{word} {_per_second(record[f'gossip_{word}_per_second'])}"
            for word in ("delivered", "published", "relayed", "duplicates")
        )
        rows = [self._row(link) for link in record["links"]]
        body = table(_HEADER, rows, numbers=range(4, 9)) if rows else ["no links"]
        lines = [head.rstrip(), gossip, "", *body]
        if height and len(lines) > height:
            hidden = len(lines) - height + 1
            lines = [*lines[: height - 1], f"... {hidden} more"]
        return [line[:width] if width else line for line in lines]

    def _link(self, key: str, link: dict[str, Any]) -> dict[str, Any]:
        before = _links(self._before).get(key, {})
        sent, again = (_delta(before, link, name) for name in ("packets_sent", "retransmissions"))
        messages = [_delta(before, link, name) for name in ("messages_sent", "messages_received")]
        share = None if sent is None or again is None else again / sent if sent else 0.0
        return {
            "node_id": link.get("node_id"),
            "name": link.get("name"),
            "transport": link.get("transport"),
            "state": link.get("state"),
            "peer_state": link.get("peer_state"),
            "rtt": link.get("rtt"),
            "rto": link.get("rto_effective"),
            "retransmissions_per_second": self._per_second(again),
            "retransmitted_share": share,
            "messages_per_second": self._per_second(None if None in messages else sum(filter(None, messages))),
            "rtt_lately": list(self._rtts.get(key, ())),
        }

    def _row(self, link: dict[str, Any]) -> tuple[str, ...]:
        share = link["retransmitted_share"]
        return (
            str(link["name"] or "-"),
            str(link["node_id"] or "-")[:8],
            str(link["transport"] or "-"),
            str((link["peer_state"] if link["state"] == "established" else link["state"]) or "-"),
            duration(link["rtt"]),
            duration(link["rto"]),
            _per_second(link["retransmissions_per_second"]),
            "-" if share is None else f"{100 * share:.1f} %",
            _per_second(link["messages_per_second"]),
            spark_line(link["rtt_lately"]),
        )

    def _lag(self) -> float | None:
        """Mean lateness of the event loop since the reading before, or since the node began."""
        now, before = (_table(stats, "runtime") for stats in (self._now, self._before))
        samples = _number(now, "loop_lag_samples") - _number(before, "loop_lag_samples")
        if samples <= 0:
            return self._lags[-1] if self._lags else None
        return (_number(now, "loop_lag_seconds") - _number(before, "loop_lag_seconds")) / samples

    def _rate(self, group: str, name: str) -> float | None:
        return self._per_second(_delta(_table(self._before, group), _table(self._now, group), name))

    def _per_second(self, number: float | None) -> float | None:
        return None if number is None or self._seconds <= 0 else number / self._seconds


def spark_line(values: Sequence[float] | deque[float]) -> str:
    """The values as bars between 0 and the largest of them."""
    most = max(values, default=0.0)
    if most <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[min(len(_BARS) - 1, max(0, int(value / most * len(_BARS))))] for value in values)


def _links(stats: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The links by who, where and over what: a connection has no name of its own."""
    links = stats.get("links")
    records = [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    return {f"{link.get('node_id')} {link.get('transport')} {link.get('address')}": link for link in records}


def _table(stats: dict[str, Any], name: str) -> dict[str, Any]:
    value = stats.get(name)
    return value if isinstance(value, dict) else {}


def _number(stats: dict[str, Any], name: str) -> float:
    value = stats.get(name)
    return value if isinstance(value, int | float) else 0.0


def _delta(before: dict[str, Any], now: dict[str, Any], name: str) -> float | None:
    old, new = before.get(name), now.get(name)
    if not isinstance(old, int | float) or not isinstance(new, int | float):
        return None
    return max(0.0, new - old)


def _per_second(rate: object) -> str:
    if not isinstance(rate, int | float):
        return "-"
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}"
