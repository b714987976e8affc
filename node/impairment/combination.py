"""What several demands on one link come to, and how long a link's queue has to be.

Knows nothing of who demands what; input and output are settings of the one link model.
"""

from __future__ import annotations

from node.impairment.link import LinkSettings, Order
from node.types import SECOND, Duration

__all__ = ["combined", "queue_limit"]

PACKET_BYTES = 1400
"""A packet's size where a queue given in bytes or time has to become a number of packets."""

LIMIT_MIN = 1000
LIMIT_MAX = 1_000_000
RATE_UNLIMITED = 125_000_000
"""Bytes per second that a link without a rate is taken for where packets under way are counted: 1 Gbit/s."""


def combined(first: LinkSettings, second: LinkSettings) -> LinkSettings:
    """What two demands on one link come to: losses as of two links in a row, delays added, the smaller rate."""
    narrow, other = sorted((first, second), key=lambda settings: settings.rate or RATE_UNLIMITED)
    return LinkSettings(
        delay=first.delay + second.delay,
        jitter=first.jitter + second.jitter,
        order=Order.NATURAL if Order.NATURAL in (first.order, second.order) else Order.KEEP,
        loss=_either(first.loss, second.loss),
        bursts=second.bursts or first.bursts,
        reorder=_either(first.reorder, second.reorder),
        duplicate=_either(first.duplicate, second.duplicate),
        corrupt=_either(first.corrupt, second.corrupt),
        rate=narrow.rate,
        limit=min(narrow.limit + 2 * _under_way(narrow.rate, other.delay + 3 * other.jitter), LIMIT_MAX),
        mtu=min(first.mtu, second.mtu),
    )


def queue_limit(rate: int, queue: int | None, longest: Duration) -> int:
    """Packets that a link holds: what is under way for its delay, and the queue of so many bytes before its rate.

    A queue that is full of delayed packets drops without a word, as if it were the loss that was asked for.
    """
    waiting = LIMIT_MIN if queue is None else max(1, queue // PACKET_BYTES)
    return min(2 * _under_way(rate, longest) + waiting, LIMIT_MAX)


def _under_way(rate: int, longest: Duration) -> int:
    return (rate or RATE_UNLIMITED) * longest // SECOND // PACKET_BYTES


def _either(first: float, second: float) -> float:
    return 1 - (1 - first) * (1 - second) if first and second else first or second
