"""Thresholds follow the reordering that a path shows, and forget it when it is gone."""

from __future__ import annotations

import pytest

from node.transport.reordering import PACKET_THRESHOLD, PACKET_THRESHOLD_MAX, Reordering
from node.transport.rtt import GRANULARITY, RttEstimator
from node.types import MILLISECOND, Duration

RTT = 40 * MILLISECOND


def steady(rtt: Duration = RTT) -> RttEstimator:
    estimator = RttEstimator(0)
    for _ in range(100):
        estimator.update(rtt, 0)
    return estimator


def test_the_window_begins_with_a_quarter_of_the_smallest_round_trip() -> None:
    assert Reordering().window(steady()) == RTT // 4


def test_before_any_sample_and_on_the_shortest_path_it_is_the_granularity() -> None:
    assert Reordering().window(RttEstimator(0)) == Reordering().window(steady(MILLISECOND)) == GRANULARITY


def test_each_round_with_a_loss_that_was_none_widens_it_up_to_a_round_trip() -> None:
    reordering, rtt = Reordering(), steady()
    windows = []
    for _ in range(5):
        reordering.on_spurious()
        windows.append(reordering.window(rtt))
    assert windows == [RTT // 2, 3 * RTT // 4, RTT, RTT, RTT]


def test_round_trips_that_vary_widen_it_before_anything_was_reordered() -> None:
    rtt = steady()
    for _ in range(20):
        rtt.update(2 * RTT, 0)
        rtt.update(RTT, 0)
    assert rtt.rttvar is not None
    assert Reordering().window(rtt) == 2 * rtt.rttvar


def test_what_arrived_late_is_covered_with_half_as_much_again() -> None:
    reordering = Reordering()
    reordering.on_overtaken(1, 2 * RTT)
    assert reordering.window(steady()) == 3 * RTT


@pytest.mark.must("M81")
def test_what_was_seconds_late_is_covered_with_a_few_round_trips() -> None:
    reordering = Reordering()
    reordering.on_overtaken(1, 3_600_000 * MILLISECOND)
    assert reordering.window(steady()) == 4 * RTT
    promising = RttEstimator(1_000 * MILLISECOND)
    promising.update(RTT, 0)
    assert reordering.window(promising) == 4 * RTT + 1_000 * MILLISECOND
    outlier = steady()
    outlier.update(10_000 * MILLISECOND, 0)
    assert outlier.smoothed_rtt is not None
    assert Reordering().window(outlier) == 2 * outlier.smoothed_rtt


@pytest.mark.parametrize(("packets", "threshold"), [(2, 3), (3, 4), (12, 13), (19, 20), (20, 0), (50, 0)])
def test_the_packet_threshold_follows_until_numbers_say_nothing(packets: int, threshold: int) -> None:
    reordering = Reordering()
    reordering.on_overtaken(packets, MILLISECOND)
    assert reordering.packet_threshold == threshold
    assert threshold <= PACKET_THRESHOLD_MAX


def test_sixteen_recoveries_without_news_forget_it() -> None:
    reordering, rtt = Reordering(), steady()
    reordering.on_overtaken(7, 2 * RTT)
    reordering.on_spurious()
    for _ in range(16):
        reordering.on_recovery()
    assert reordering.window(rtt) == 3 * RTT
    reordering.on_recovery()
    assert (reordering.window(rtt), reordering.packet_threshold) == (RTT // 4, PACKET_THRESHOLD)


def test_news_make_it_last() -> None:
    reordering, rtt = Reordering(), steady()
    reordering.on_overtaken(7, 2 * RTT)
    for _ in range(5):
        for _ in range(16):
            reordering.on_recovery()
        reordering.on_overtaken(1, MILLISECOND)
    assert reordering.window(rtt) == 3 * RTT
