"""Whether links are as bad as was asked: counted probes against settings.

Knows no runner. Loss has to lie within the 99 % interval of a binomial distribution, the median delay within 2 ms or
5 % of the one asked for, whichever is more, with the little that a clean link needs; where jitter makes the median of
so few probes vary more than that, within its own 99 % interval. Input are counts, output is one finding per link.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from node.impairment.link import GilbertElliott, LinkSettings, Order, expected_loss
from node.testnet.runners.base import LinkCount, LinkName
from node.types import to_seconds

__all__ = ["PROBES", "ROUNDS", "LinkFinding", "measured", "verify"]

PROBES = 300
"""Probes per link: with them 20 % of loss is told from 12 %."""

ROUNDS = 3
"""How often a link is measured that misses: one interval in a hundred does by chance, all three in a million."""

CONFIDENCE = 2.576
"""Standard deviations on either side that hold 99 % of a normal distribution."""

DELAY_SLACK = 0.002
DELAY_SHARE = 0.05
RATE_SHARE = 0.15
"""How far a measured rate may be from the one that was asked for: queues and headers blur it."""


QUARTILES_MIN = 20
"""Probes from which the spread of delays is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFinding:
    """What was asked of one link, and what was measured. loss: shares. delay: seconds, medians. text: what is wrong.

    machine: seconds that the measuring machine needed for a probe; the measured delay is without them.
    """

    link: LinkName
    sent: int
    received: int
    loss_asked: float
    loss_measured: float
    delay_asked: float
    delay_measured: float | None
    text: str
    machine: float = 0.0

    @property
    def is_applied(self) -> bool:
        """Whether the link does what was asked of it."""
        return not self.text


def measured(
    probe: Callable[[Sequence[LinkName]], Sequence[LinkCount]], asked: Mapping[LinkName, LinkSettings]
) -> list[LinkFinding]:
    """What the links do, of which those that miss are measured again. probe: sends probes over these links."""
    findings = verify(probe(list(asked)), asked)
    for _ in range(ROUNDS - 1):
        again = [one.link for one in findings if not one.is_applied]
        if again:
            later = {one.link: one for one in verify(probe(again), asked)}
            findings = [later.get(one.link, one) for one in findings]
    return findings


def verify(counts: Sequence[LinkCount], asked: Mapping[LinkName, LinkSettings]) -> list[LinkFinding]:
    """One finding for each count."""
    return [_finding(count, asked[count.link]) for count in counts]


def _finding(count: LinkCount, settings: LinkSettings) -> LinkFinding:
    loss_asked = expected_loss(settings)
    loss = 1 - count.received / count.sent if count.sent else 1.0
    delay_asked = to_seconds(settings.delay) * (1 - settings.reorder)
    delay = median(count.delays) if count.delays else None
    wrong = []
    if not count.sent:
        wrong.append("no probe was sent")
    elif not _is_likely_loss(count, settings):
        wrong.append(f"loss {loss:.1%}, asked {loss_asked:.1%}")
    if delay is not None and not settings.rate:
        if not _is_likely_delay(delay, len(count.delays), settings):
            wrong.append(f"delay {delay * 1000:.1f} ms, asked {to_seconds(settings.delay) * 1000:.1f} ms")
        if (spread := _missing_jitter(count.delays, settings)) is not None:
            wrong.append(f"jitter {spread * 1000:.1f} ms, asked {to_seconds(settings.jitter) * 1000:.1f} ms")
    if settings.rate and count.rate is not None and abs(count.rate / (settings.rate * 8) - 1) > RATE_SHARE:
        wrong.append(f"rate {count.rate / 1e6:.2f} Mbit/s, asked {settings.rate * 8 / 1e6:.2f} Mbit/s")
    return LinkFinding(
        link=count.link,
        sent=count.sent,
        received=count.received,
        loss_asked=loss_asked,
        loss_measured=loss,
        delay_asked=delay_asked,
        delay_measured=delay,
        text=", ".join(wrong),
        machine=count.machine,
    )


def _is_likely_loss(count: LinkCount, settings: LinkSettings) -> bool:
    """Whether so many probes may be missing. A flipped bit may cost a probe, or only spoil its padding."""
    lost, least = count.sent - count.received, expected_loss(settings)
    most = 1 - (1 - least) * (1 - settings.corrupt)
    if lost < least * count.sent:
        return _is_likely(lost, count.sent, least, settings.bursts)
    return lost <= most * count.sent or _is_likely(lost, count.sent, most, settings.bursts)


def _is_likely(lost: int, sent: int, share: float, bursts: GilbertElliott | None) -> bool:
    """Whether that many losses are within the 99 % interval around the share that was asked for."""
    if share in (0.0, 1.0):
        return lost == round(share * sent)
    variance = sent * share * (1 - share)
    if bursts is not None:
        # Losses that come together vary more: by (2 - p - r) / (p + r) times, for a chain that is stationary.
        variance *= max(1.0, (2 - bursts.p - bursts.r) / (bursts.p + bursts.r))
    return abs(lost - sent * share) <= CONFIDENCE * math.sqrt(variance) + 1


def _is_likely_delay(found: float, probes: int, settings: LinkSettings) -> bool:
    """Whether the median may be that, in seconds."""
    delay, jitter = to_seconds(settings.delay), to_seconds(settings.jitter)
    # The median of a uniform distribution over ± jitter has the standard deviation jitter / sqrt(n).
    slack = max(DELAY_SLACK, DELAY_SHARE * delay, CONFIDENCE * jitter / math.sqrt(probes))
    # Whatever keeps the order waits for all before it, so jitter only ever adds, up to the longest delay there is.
    waits = jitter if settings.order is Order.KEEP else 0.0
    return delay - slack <= found <= delay + waits + slack


def _missing_jitter(delays: Sequence[float], settings: LinkSettings) -> float | None:
    """The jitter found, in seconds, if it is far less than was asked; None if it is there, or cannot be told.

    Half of what is uniform over ± jitter lies within a stretch as long as the jitter. Packets that wait for each other
    lie closer together, the more of them there are, so nothing is known of those.
    """
    jitter = to_seconds(settings.jitter)
    if settings.order is Order.KEEP or len(delays) < QUARTILES_MIN:
        return None
    first, _, third = quantiles(delays, n=4)
    return third - first if third - first < jitter / 2 - DELAY_SLACK else None
