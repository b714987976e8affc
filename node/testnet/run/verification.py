"""Whether links are as bad as was asked: counted probes against settings.

Knows no runner. Loss has to lie within the 99 % interval of a binomial distribution, the median delay within 2 ms or
5 % beside that of the clean link, whichever is more. Input are counts, output is one finding per link.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from node.impairment.link import GilbertElliott, LinkSettings, expected_loss
from node.testnet.runners.base import LinkCount, LinkName
from node.types import to_seconds

__all__ = ["PROBES", "LinkFinding", "verify"]

PROBES = 300
"""Probes per link: with them 20 % of loss is told from 12 %."""

CONFIDENCE = 2.576
"""Standard deviations on either side that hold 99 % of a normal distribution."""

DELAY_SLACK = 0.002
DELAY_SHARE = 0.05
RATE_SHARE = 0.15
"""How far a measured rate may be from the one that was asked for: queues and headers blur it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFinding:
    """What was asked of one link, and what was measured. loss: shares. delay: seconds, medians. text: what is wrong."""

    link: LinkName
    sent: int
    received: int
    loss_asked: float
    loss_measured: float
    delay_asked: float
    delay_measured: float | None
    text: str

    @property
    def is_applied(self) -> bool:
        """Whether the link does what was asked of it."""
        return not self.text


def verify(
    counts: Sequence[LinkCount], asked: Mapping[LinkName, LinkSettings], *, base_delay: float
) -> list[LinkFinding]:
    """One finding for each count. base_delay: seconds that the clean link needs, which no setting asks for."""
    return [_finding(count, asked[count.link], base_delay) for count in counts]


def _finding(count: LinkCount, settings: LinkSettings, base_delay: float) -> LinkFinding:
    loss_asked = expected_loss(settings)
    loss = 1 - count.received / count.sent if count.sent else 1.0
    delay_asked = to_seconds(settings.delay) * (1 - settings.reorder)
    delay = median(count.delays) if count.delays else None
    wrong = []
    if not count.sent:
        wrong.append("no probe was sent")
    elif not _is_likely(count.sent - count.received, count.sent, loss_asked, settings.bursts):
        wrong.append(f"loss {loss:.1%}, asked {loss_asked:.1%}")
    if delay is not None and not settings.rate:
        excess = abs(delay - base_delay - to_seconds(settings.delay))
        if excess > max(DELAY_SLACK, DELAY_SHARE * to_seconds(settings.delay)):
            wrong.append(f"delay {delay * 1000:.1f} ms, asked {to_seconds(settings.delay) * 1000:.1f} ms")
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
    )


def _is_likely(lost: int, sent: int, share: float, bursts: GilbertElliott | None) -> bool:
    """Whether that many losses are within the 99 % interval around the share that was asked for."""
    if share in (0.0, 1.0):
        return lost == round(share * sent)
    variance = sent * share * (1 - share)
    if bursts is not None:
        # Losses that come together vary more: by (2 - p - r) / (p + r) times, for a chain that is stationary.
        variance *= max(1.0, (2 - bursts.p - bursts.r) / (bursts.p + bursts.r))
    return abs(lost - sent * share) <= CONFIDENCE * math.sqrt(variance) + 1
