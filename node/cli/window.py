"""What happened at a node lately, from readings of its statistics: rates, shares and round trips of some seconds.

Knows the fields of the API's statistics, and a clock only as the numbers it is given. Input is parsed JSON of any
version of a node; what that does not tell is None.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from node.cli.views import records
from node.metrics.quantiles import Bucket, between, quantile

__all__ = ["WINDOW", "Record", "Window", "forget_old", "measured"]

WINDOW = 10.0
"""Seconds: a fault that is over is forgotten after them."""

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Reading:
    """The statistics at one instant. links: by who, where, over what and since when."""

    at: float
    stats: Record
    links: dict[str, Record]


_NOTHING = _Reading(0.0, {}, {})


class Window:
    """The last seconds of one node, as far as there are readings of it."""

    def __init__(self) -> None:
        self._readings: deque[_Reading] = deque()

    def update(self, stats: Record, at: float) -> None:
        """Takes the next reading. at: seconds on a clock that does not jump."""
        # Counters of a node that began anew are no continuation.
        if self._readings and (_number(stats, "uptime") < _number(self.stats, "uptime") or at <= self._now.at):
            self._readings.clear()
        self._readings.append(_Reading(at, stats, _links(stats)))
        forget_old(self._readings)

    @property
    def stats(self) -> Record:
        """The latest reading."""
        return self._now.stats

    @property
    def seconds(self) -> float:
        """How long it is; 0 of a single reading."""
        return self._now.at - self._readings[0].at if self._readings else 0.0

    def rate(self, group: str, name: str, *, is_latest: bool = False) -> float | None:
        """Of that counter per second; is_latest: since the reading before."""
        if len(self._readings) < 2:
            return None
        base = self._readings[-2 if is_latest else 0]
        delta = _delta(_table(base.stats, group), _table(self.stats, group), name)
        return None if delta is None else delta / (self._now.at - base.at)

    def lag(self) -> float | None:
        """Mean lateness of the event loop since the reading before, or since the node began; None without a sample."""
        now = _table(self.stats, "runtime")
        before = _table(self._readings[-2].stats, "runtime") if len(self._readings) > 1 else {}
        samples = _number(now, "loop_lag_samples") - _number(before, "loop_lag_samples")
        if samples <= 0:
            return None
        return (_number(now, "loop_lag_seconds") - _number(before, "loop_lag_seconds")) / samples

    def clock_shift(self) -> float | None:
        """Seconds by which the clock of the node's machine was set since it began."""
        return measured(_table(self.stats, "runtime"), "clock_shift")

    @property
    def latest(self) -> dict[str, Record]:
        """The links of the latest reading, by a key that each keeps for life."""
        return self._now.links

    def lately(self, key: str) -> Record:
        """What one of these links did lately.

        rtt_p50, rtt_p99: since the link began where it measured nothing lately. retransmitted, loss_seen: shares of
        the packets that were sent, None without any, and on TCP, which tells of no packets.
        """
        link = self._now.links[key]
        # A link that is younger than the window has a shorter one.
        base = next(reading for reading in self._readings if key in reading.links)
        before, seconds = base.links[key], self._now.at - base.at
        again, lost, sent = (_delta(before, link, name) for name in ("retransmissions", "packets_lost", "packets_sent"))
        if link.get("transport") != "udp":
            sent = None
        messages = [_delta(before, link, name) for name in ("messages_sent", "messages_received")]
        trips = between(_buckets(before), _buckets(link)) or _buckets(link)
        return {
            "rtt_p50": quantile(0.5, trips),
            "rtt_p99": quantile(0.99, trips),
            "retransmitted": _share(again, sent),
            "loss_seen": _share(lost, sent),
            "messages_per_second": None if None in messages or not seconds else sum(filter(None, messages)) / seconds,
        }

    @property
    def _now(self) -> _Reading:
        return self._readings[-1] if self._readings else _NOTHING


def forget_old(readings: deque[Any]) -> None:
    """Drops what is older than the window, but for the youngest of it, from which counters are told.

    readings: the oldest first; each has its instant as `at`, in seconds.
    """
    start = readings[-1].at - WINDOW
    while len(readings) > 2 and readings[1].at <= start:
        readings.popleft()


def measured(record: Record, name: str) -> float | None:
    """The number of that name, if there is one."""
    value = record.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _links(stats: Record) -> dict[str, Record]:
    # A connection has no name of its own; one that was made anew counts anew.
    names = ("node_id", "transport", "address", "established_at")
    return {" ".join(str(link.get(name)) for name in names): link for link in records(stats.get("links"))}


def _buckets(link: Record) -> list[Bucket]:
    match link.get("rtt_buckets"):
        case [*found]:
            return [bucket for one in found if (bucket := _bucket(one)) is not None]
        case _:
            return []


def _bucket(value: object) -> Bucket | None:
    match value:
        case [int() | float() as above, int() | float() | None as up_to, int() | float() as number]:
            return above, up_to, number
        case _:
            return None


def _table(stats: Record, name: str) -> Record:
    value = stats.get(name)
    return value if isinstance(value, dict) else {}


def _number(stats: Record, name: str) -> float:
    return measured(stats, name) or 0.0


def _delta(before: Record, now: Record, name: str) -> float | None:
    old, new = measured(before, name), measured(now, name)
    return None if old is None or new is None else max(0.0, new - old)


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else min(1.0, part / whole)
