"""A link in one direction: what netem does to a network interface, by a seed and without a clock of its own.

Knows nothing of hosts, machines and protocols. Takes datagrams with the instant they are sent at and answers with the
instants at which their copies arrive; the world above keeps them until then. The fields carry netem's names and
meaning, so that one link model serves the simulator and tc alike. Every datagram is accounted for:
`offered + duplicated = delivered + lost + overflowed + too_large`.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from node.errors import UsageError
from node.types import SECOND, Duration, Instant
from node.wire.limits import MTU_MAX

__all__ = [
    "Arrival",
    "Draws",
    "GilbertElliott",
    "Link",
    "LinkSettings",
    "LinkStats",
    "LossAt",
    "Order",
    "expected_loss",
]

_ECT = (1, 2)
_CE = 3
"""Codepoints of RFC 3168: capable of ECN (two of them), and congestion experienced."""


class Order(StrEnum):
    """What jitter may do to the order of datagrams.

    KEEP: a datagram never overtakes one that was sent before it, as on a queue.
    NATURAL: every datagram has its own delay, so jitter reorders, as plain netem does.
    """

    KEEP = "keep"
    NATURAL = "natural"


class LossAt(StrEnum):
    """Where random loss strikes.

    ENTRY: before the line, as netem does; a sender may fill the rate with what survives.
    EXIT: behind it, as on a radio link; what is lost has cost its time.
    """

    ENTRY = "entry"
    EXIT = "exit"


@dataclass(frozen=True, slots=True, kw_only=True)
class GilbertElliott:
    """Bursts of loss: a chain of two states, stepped once per datagram (netem `loss gemodel p r 1-h 1-k`).

    p: probability of going from good to bad. r: from bad to good; the mean burst is 1/r datagrams.
    loss_bad, loss_good: probability of a loss in each state (netem's 1-h and 1-k).
    """

    p: float
    r: float
    loss_bad: float = 1.0
    loss_good: float = 0.0

    def __post_init__(self) -> None:
        for name in ("p", "r", "loss_bad", "loss_good"):
            _check_probability(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """What a link does to what is sent over it.

    delay: time from the end of sending to arrival. jitter: each delay is uniform in delay ± jitter, never below 0.
    order: whether jitter may reorder.
    loss: probability of losing a datagram, independent of all others. bursts: Gilbert-Elliott loss beside it.
    loss_at: whether what is lost has used up the rate before.
    reorder: probability that a datagram skips delay and queue, as netem's `reorder`.
    duplicate: probability of a second copy, with its own fate. corrupt: probability of one flipped bit.
    ce_threshold: wait for the line from which a datagram that is capable of ECN is marked (fq_codel's `ce_threshold`),
        0 for never.
    rate: bytes per second, 0 for no limit. overhead: bytes added to each datagram when the rate is applied.
    limit: datagrams that the link holds at once, delayed ones included; more are dropped (netem `limit`).
    mtu: largest datagram carried, in bytes; larger ones are dropped.
    """

    delay: Duration = 0
    jitter: Duration = 0
    order: Order = Order.KEEP
    loss: float = 0.0
    bursts: GilbertElliott | None = None
    loss_at: LossAt = LossAt.ENTRY
    reorder: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    ce_threshold: Duration = 0
    rate: int = 0
    overhead: int = 0
    limit: int = 1000
    mtu: int = MTU_MAX

    def __post_init__(self) -> None:
        for name in ("loss", "reorder", "duplicate", "corrupt"):
            _check_probability(name, getattr(self, name))
        for name in ("delay", "jitter", "ce_threshold", "rate", "overhead", "mtu"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} {getattr(self, name)}: allowed is 0 and more")
        if self.limit < 1:
            raise UsageError(f"limit {self.limit}: allowed is 1 and more")


@dataclass(slots=True)
class LinkStats:
    """What one link has counted since it began; `delivered` counts copies whose arrival is certain."""

    offered: int = 0
    offered_bytes: int = 0
    delivered: int = 0
    delivered_bytes: int = 0
    lost: int = 0
    duplicated: int = 0
    corrupted: int = 0
    reordered: int = 0
    marked: int = 0
    overflowed: int = 0
    too_large: int = 0


@dataclass(slots=True)
class Arrival:
    """One copy of a datagram and when it reaches the far end. ecn: the two ECN bits of its IP header."""

    at: Instant
    data: bytes
    ecn: int = 0


class Draws(Protocol):
    """The part of `random.Random` that a link uses; `Fates` has it too."""

    def random(self) -> float: ...
    def randrange(self, start: int, stop: int) -> int: ...


@dataclass(slots=True)
class Link:
    """One direction between two hosts.

    settings may be exchanged at any time; what is already under way is not touched by it.
    """

    settings: LinkSettings
    random: Draws
    stats: LinkStats = field(default_factory=LinkStats)
    _held: list[Instant] = field(default_factory=list)
    _busy_until: Instant = 0
    _last_arrival: Instant = 0
    _is_bad: bool = False

    def send(self, data: bytes, now: Instant, ecn: int = 0) -> list[Arrival]:
        """Arrivals of that datagram: none if it is lost, two if it is duplicated. ecn: its two ECN bits."""
        stats = self.stats
        stats.offered += 1
        stats.offered_bytes += len(data)
        copies = 1
        if self._happens(self.settings.duplicate):
            stats.duplicated += 1
            copies = 2
        arrivals = []
        for _ in range(copies):
            arrival = self._carry(data, now, ecn)
            if arrival is not None:
                stats.delivered += 1
                stats.delivered_bytes += len(data)
                arrivals.append(arrival)
        return arrivals

    def held(self, now: Instant) -> int:
        """Datagrams under way at that instant."""
        held = self._held
        while held and held[0] <= now:
            heapq.heappop(held)
        return len(held)

    def queue_delay(self, now: Instant) -> Duration:
        """How long a datagram sent at that instant would wait for the line."""
        return max(0, self._busy_until - now)

    def _carry(self, data: bytes, now: Instant, ecn: int) -> Arrival | None:
        settings = self.settings
        if len(data) > settings.mtu:
            self.stats.too_large += 1
            return None
        is_lost = self._is_lost()
        if is_lost and settings.loss_at is LossAt.ENTRY:
            self.stats.lost += 1
            return None
        if self.held(now) >= settings.limit:
            self.stats.overflowed += 1
            return None
        if settings.ce_threshold and ecn in _ECT and self.queue_delay(now) >= settings.ce_threshold:
            ecn = _CE
            self.stats.marked += 1
        if self._happens(settings.corrupt):
            data = self._corrupted(data)
            self.stats.corrupted += 1
        arrive_at = self._arrival_of(len(data), now)
        heapq.heappush(self._held, arrive_at)
        if is_lost:
            self.stats.lost += 1
            return None
        return Arrival(arrive_at, data, ecn)

    def _arrival_of(self, size: int, now: Instant) -> Instant:
        settings = self.settings
        if self._happens(settings.reorder):
            # Like netem: the chosen one goes ahead of everything that waits, and does not occupy the line.
            self.stats.reordered += 1
            return now
        sent_at = now
        if settings.rate:
            sent_at = max(now, self._busy_until) + (size + settings.overhead) * SECOND // settings.rate
            self._busy_until = sent_at
        arrive_at = sent_at + self._delay()
        if arrive_at >= self._last_arrival:
            self._last_arrival = arrive_at
        elif settings.order is Order.KEEP:
            arrive_at = self._last_arrival
        else:
            self.stats.reordered += 1
        return arrive_at

    def _delay(self) -> Duration:
        settings = self.settings
        if not settings.jitter:
            return settings.delay
        return max(0, settings.delay + self.random.randrange(-settings.jitter, settings.jitter + 1))

    def _is_lost(self) -> bool:
        lost = self._happens(self.settings.loss)
        bursts = self.settings.bursts
        if bursts is None:
            return lost
        if self._happens(bursts.r if self._is_bad else bursts.p):
            self._is_bad = not self._is_bad
        return self._happens(bursts.loss_bad if self._is_bad else bursts.loss_good) or lost

    def _corrupted(self, data: bytes) -> bytes:
        if not data:
            return data
        bit = self.random.randrange(0, len(data) * 8)
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    def _happens(self, probability: float) -> bool:
        # Certain and impossible outcomes draw nothing, so that a clean link costs no randomness.
        if probability <= 0.0:
            return False
        return probability >= 1.0 or self.random.random() < probability


def expected_loss(settings: LinkSettings) -> float:
    """Share of packets that a link with these settings loses in the long run."""
    bursts = settings.bursts
    if bursts is None:
        return settings.loss
    bad = bursts.p / (bursts.p + bursts.r) if bursts.p + bursts.r else 0.0
    within = bad * bursts.loss_bad + (1 - bad) * bursts.loss_good
    return 1 - (1 - settings.loss) * (1 - within)


def _check_probability(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise UsageError(f"{name} {value}: allowed is 0 to 1")
