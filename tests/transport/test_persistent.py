"""Persistent congestion as RFC 9002 §7.6 has it, and packets that took another path as RFC 9000 §9.4 has it."""

from __future__ import annotations

import pytest

from node.transport.congestion.newreno import NewReno
from node.transport.recovery import Expiry
from node.types import MILLISECOND, Duration
from tests.transport.test_recovery import MTU, Bench, numbers_of, steady


def lose_over(bench: Bench, duration: Duration, *, arrives: int | None = None) -> None:
    """Sends eleven packets over that time; none arrives but that one and three more behind them."""
    numbers = []
    for _ in range(11):
        numbers += bench.send()
        bench.wait(duration // 10)
    if arrives is not None:
        bench.ack(numbers[arrives])
    last = bench.send(3)
    bench.wait(40 * MILLISECOND)
    bench.ack(*last)


def test_losing_everything_over_three_probe_timeouts_is_persistent_congestion() -> None:
    bench = steady()
    lose_over(bench, 3 * bench.rtt.computed_rto() + 10 * MILLISECOND)
    assert bench.stats.persistent_congestions == 1
    assert bench.controller.congestion_window <= 4 * MTU


def test_after_it_the_smallest_round_trip_is_measured_anew() -> None:
    """RFC 9002 §5.2: a path that has become longer for good would look congested for ever."""
    bench = steady(rtt=20 * MILLISECOND)
    lose_over(bench, 6 * bench.rtt.computed_rto())
    assert bench.stats.persistent_congestions == 1
    assert bench.rtt.min_rtt == bench.rtt.latest_rtt == 40 * MILLISECOND


def test_a_shorter_time_is_not() -> None:
    bench = steady()
    lose_over(bench, 3 * bench.rtt.computed_rto() - 10 * MILLISECOND)
    assert bench.stats.persistent_congestions == 0


def test_nor_is_one_in_which_something_arrived() -> None:
    bench = steady()
    lose_over(bench, 3 * bench.rtt.computed_rto() + 10 * MILLISECOND, arrives=5)
    assert bench.stats.persistent_congestions == 0


def test_persistent_congestion_shows_before_later_losses_of_the_same_acknowledgement_too() -> None:
    bench = steady()
    for _ in range(11):
        bench.send()
        bench.wait((3 * bench.rtt.computed_rto() + 10 * MILLISECOND) // 10)
    later = bench.send(20)
    bench.wait(40 * MILLISECOND)
    outcome = bench.ack(*later[:5], *later[6:])
    assert numbers_of(outcome.lost)[-1] == later[5]
    assert bench.stats.persistent_congestions == 1


@pytest.mark.must("M78")
@pytest.mark.parametrize("fate", ["acked", "lost", "timeout", "spurious"])
def test_packets_of_the_old_path_tell_the_new_controller_nothing(fate: str) -> None:
    """RFC 9000 §9.4."""
    bench = steady()
    numbers = bench.send(12)
    if fate == "spurious":
        bench.wait(40 * MILLISECOND)
        bench.ack(*numbers[6:])
    controller = NewReno(MTU)
    before = controller.congestion_window
    bench.rtt.reset()
    bench.recovery.on_path_change(controller)
    bench.wait(40 * MILLISECOND)
    if fate == "timeout":
        while bench.expire()[0] is not Expiry.TIMEOUT:
            pass
    elif fate == "spurious":
        assert bench.ack(*numbers).spurious
    else:
        bench.ack(*(numbers if fate == "acked" else numbers[6:]))
    assert (controller.congestion_window, controller.slow_start_threshold) == (before, None)


def test_losses_from_before_and_after_a_move_are_told_apart() -> None:
    bench = steady()
    bench.send(3)
    controller = NewReno(MTU)
    bench.rtt.reset()
    bench.recovery.on_path_change(controller)
    numbers = bench.send(6)
    bench.wait(40 * MILLISECOND)
    window = controller.congestion_window
    assert len(bench.ack(*numbers[1:]).lost) == 4
    assert controller.congestion_window == (window + 5 * MTU) // 2
