from __future__ import annotations

import pytest

from node.metrics.quantiles import between, buckets_of, quantile
from node.transport.stats import RTT_BOUNDS, Histogram
from node.types import MICROSECOND, MILLISECOND, SECOND


def test_buckets_are_in_seconds_and_leave_out_what_is_empty() -> None:
    counted = Histogram(RTT_BOUNDS)
    for value in (40 * MICROSECOND, 20 * MILLISECOND, 20 * MILLISECOND, 9 * SECOND):
        counted.observe(value)

    assert buckets_of(counted) == [(0.0, 0.0001, 1), (0.015, 0.02, 2), (3.0, None, 1)]
    assert buckets_of(Histogram(RTT_BOUNDS)) == []


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1.0), (0.25, 1.5), (0.5, 2.0), (0.75, 5.0), (0.99, 5.96), (1.0, 6.0)]
)
def test_a_quantile_lies_in_its_bucket_as_if_values_were_spread_evenly(share: float, value: float) -> None:
    assert quantile(share, [(4.0, 6.0, 2), (1.0, 2.0, 2), (2.0, 3.0, 0)]) == pytest.approx(value)


def test_an_endless_bucket_has_its_lower_limit_and_nothing_has_no_quantile() -> None:
    assert quantile(0.99, [(0.0, 1.0, 1), (3.0, None, 99)]) == 3.0
    assert quantile(0.5, []) is None
    assert quantile(0.5, [(0.0, 1.0, 0)]) is None


def test_what_lies_between_two_readings_is_their_difference() -> None:
    assert between([(1.0, 2.0, 5)], [(1.0, 2.0, 5), (2.0, 4.0, 3), (4.0, None, 1)]) == [(2.0, 4.0, 3), (4.0, None, 1)]
    assert between([], []) == []


def test_histograms_of_several_links_have_one_quantile() -> None:
    assert quantile(0.5, [(1.0, 2.0, 2), (1.0, 2.0, 2)]) == 1.5
