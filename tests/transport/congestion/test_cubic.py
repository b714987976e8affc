"""CUBIC as RFC 9438 has it: the curve, the Reno-friendly region, fast convergence."""

from __future__ import annotations

from itertools import count

import pytest

from node.transport.congestion.cubic import Cubic
from node.transport.delivery_rate import RateSample
from node.transport.packet import SentPacket
from node.types import MILLISECOND, SECOND, Instant

PACKET = 1_000
RTT = 100 * MILLISECOND
_numbers = count()


def sent(at: Instant) -> SentPacket:
    return SentPacket(next(_numbers), at, PACKET, is_ack_eliciting=True)


def window(controller: Cubic) -> float:
    """In packets."""
    return controller.congestion_window / PACKET


def round_trip(controller: Cubic, now: Instant, *, is_window_limited: bool = True) -> None:
    """A whole window is acknowledged at that instant."""
    packets = [sent(now - 1) for _ in range(int(window(controller)))]
    controller.on_packets_acked(packets, is_window_limited)
    sample = RateSample(now, 0, RTT, is_app_limited=False, prior_delivered=0, delivered=0, bytes_in_flight=0)
    controller.on_sample(sample)


def after_loss_at(packets: int) -> Cubic:
    """A controller that met its first loss with that window, at instant 0."""
    controller = Cubic(PACKET)
    controller.on_packets_acked([sent(1) for _ in range(packets - 10)], is_window_limited=True)
    assert window(controller) == packets
    controller.on_packets_lost([sent(0)], 0)
    return controller


def test_slow_start_doubles_per_round_trip() -> None:
    controller = Cubic(PACKET)
    round_trip(controller, RTT)
    assert window(controller) == 20


def test_a_loss_leaves_seven_tenths() -> None:
    controller = after_loss_at(100)
    assert window(controller) == 70
    assert controller.slow_start_threshold == 70 * PACKET


def test_losses_of_one_round_count_once() -> None:
    controller = after_loss_at(100)
    controller.on_packets_lost([sent(0), sent(0)], RTT)
    assert window(controller) == 70


def test_the_window_is_back_at_its_maximum_after_k_seconds_and_flat_around_it() -> None:
    controller = after_loss_at(1_000)
    plateau = (300 / 0.4) ** (1 / 3)
    windows = {}
    for step in range(1, int(2 * plateau * 10)):
        round_trip(controller, step * RTT)
        windows[step / 10] = window(controller)
    at_plateau = windows[round(plateau, 1)]
    assert at_plateau == pytest.approx(1_000, rel=0.01)
    growth = [windows[round(plateau + offset + 0.5, 1)] - windows[round(plateau + offset, 1)] for offset in (-6, 0, 6)]
    assert growth[1] < growth[0] / 10
    assert growth[1] < growth[2] / 10


def test_on_a_short_path_it_is_no_slower_than_reno() -> None:
    controller = after_loss_at(20)
    start = window(controller)
    for step in range(1, 41):
        round_trip(controller, step * 5 * MILLISECOND)
    # The curve alone would have gained next to nothing in a fifth of a second.
    assert window(controller) >= start + 40 * 0.5


def test_a_window_that_never_reached_its_last_maximum_makes_room() -> None:
    controller = after_loss_at(100)
    round_trip(controller, RTT)
    before = window(controller)
    assert before < 100
    controller.on_packets_lost([sent(2 * RTT)], 3 * RTT)
    for step in range(4, 60):
        round_trip(controller, step * RTT)
        if window(controller) >= 0.85 * before:
            break
    reached = window(controller)
    round_trip(controller, (step + 1) * RTT)
    # The plateau lies at 85 % of the window that met the second loss: growth has all but stopped there.
    assert window(controller) - reached < 1.5


def test_a_window_that_is_not_used_does_not_grow() -> None:
    controller = after_loss_at(100)
    round_trip(controller, 10 * SECOND, is_window_limited=False)
    assert window(controller) == 70


def test_a_timeout_starts_again_from_the_minimum() -> None:
    controller = after_loss_at(100)
    controller.on_timeout([], RTT)
    assert window(controller) == 4
    assert controller.slow_start_threshold == 49 * PACKET


@pytest.mark.parametrize(("end", "packets"), [("timeout", 1_000), ("persistent congestion", 1_400)])
def test_after_a_timeout_the_curve_begins_at_its_plateau(end: str, packets: int) -> None:
    """RFC 9438 §4.8: K is 0, and W_max the window with which congestion avoidance begins."""
    controller, now = after_loss_at(packets), RTT
    round_trip(controller, now)
    if end == "timeout":
        controller.on_timeout([], now)
    else:
        controller.on_persistent_congestion(now)
    while controller.congestion_window < (controller.slow_start_threshold or 0):
        now += RTT
        round_trip(controller, now)
    begun = window(controller)
    for step in range(1, 21):
        round_trip(controller, now + step * RTT)
        # Two seconds after the plateau the curve is 3.2 packets higher; Reno's growth is half a packet in a round.
        assert window(controller) <= begun + max(step, 0.4 * (step / 10) ** 3)


def test_never_falls_below_its_minimum() -> None:
    controller = Cubic(PACKET)
    for turn in range(1, 30):
        controller.on_packets_lost([sent(turn * SECOND)], turn * SECOND + 1)
    assert window(controller) == 4


def test_a_reduction_for_losses_that_were_none_is_taken_back_with_its_curve() -> None:
    controller, untouched = after_loss_at(100), after_loss_at(100)
    for step in range(1, 20):
        for one in (controller, untouched):
            round_trip(one, step * RTT)
    late = [sent(19 * RTT)]
    controller.on_packets_lost(late, 20 * RTT)
    assert window(controller) < window(untouched)
    controller.on_packets_spurious(late)
    for step in range(21, 60):
        for one in (controller, untouched):
            round_trip(one, step * RTT)
    assert window(controller) == pytest.approx(window(untouched), rel=0.01)
    assert controller.slow_start_threshold == untouched.slow_start_threshold


def test_a_mark_shrinks_the_window_once_per_round() -> None:
    controller = Cubic(PACKET)
    controller.on_congestion_experienced(50, 100)
    controller.on_congestion_experienced(100, 150)
    assert window(controller) == 7


def test_persistent_congestion_leaves_the_minimum() -> None:
    controller = after_loss_at(100)
    controller.on_persistent_congestion(RTT)
    assert window(controller) == 4


def test_a_pause_does_not_move_along_the_curve() -> None:
    paused, busy = after_loss_at(100), after_loss_at(100)
    for step in range(1, 6):
        round_trip(paused, step * RTT)
        round_trip(busy, step * RTT)
    for step in range(6, 106):
        round_trip(paused, step * RTT, is_window_limited=False)
    for step in range(6, 11):
        round_trip(paused, (step + 100) * RTT)
        round_trip(busy, step * RTT)
    assert window(paused) == pytest.approx(window(busy), rel=0.01)
