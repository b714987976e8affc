"""Quantiles of what a histogram has counted, linear within a bucket as Prometheus' `histogram_quantile`.

Knows nothing of what was counted. A bucket is (above, up to, number), with None for a bucket without an upper limit;
empty ones may be left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from node.transport.stats import Histogram
from node.types import to_seconds

__all__ = ["Bucket", "between", "buckets_of", "quantile"]

Bucket: TypeAlias = tuple[float, float | None, float]


def buckets_of(histogram: Histogram) -> list[Bucket]:
    """The buckets that hold anything, in seconds."""
    bounds = [to_seconds(bound) for bound in histogram.bounds]
    edges = zip((0.0, *bounds), (*bounds, None), histogram.counts, strict=True)
    return [(above, up_to, number) for above, up_to, number in edges if number]


def between(earlier: Iterable[Bucket], later: Iterable[Bucket]) -> list[Bucket]:
    """What was counted between two readings of one histogram."""
    before = {above: number for above, _, number in earlier}
    counted = ((above, up_to, number - before.get(above, 0)) for above, up_to, number in later)
    return [bucket for bucket in counted if bucket[2] > 0]


def quantile(share: float, buckets: Iterable[Bucket]) -> float | None:
    """The value that so large a share does not exceed; None of nothing. Of an endless bucket, its lower limit.

    Buckets of several histograms of the same bounds may be given at once.
    """
    sums: dict[float, Bucket] = {}
    for above, up_to, number in buckets:
        if number > 0:
            sums[above] = above, up_to, number + sums.get(above, (above, up_to, 0))[2]
    filled = [sums[above] for above in sorted(sums)]
    wanted = share * sum(number for _, _, number in filled)
    for above, up_to, number in filled:
        if number >= wanted:
            return above if up_to is None else above + (up_to - above) * wanted / number
        wanted -= number
    # Sums of floats may fall short of the share by a hair.
    return None if not filled else filled[-1][1] if filled[-1][1] is not None else filled[-1][0]
