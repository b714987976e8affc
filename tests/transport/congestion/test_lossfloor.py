"""The loss floor is measured where overflow is impossible, and nothing else lowers the rate but a queue."""

from __future__ import annotations

from itertools import count

import pytest

from node.transport.congestion.lossfloor import LossFloor
from node.transport.delivery_rate import RateSample
from node.transport.packet import SentPacket
from node.transport.rtt import RttEstimator
from node.types import MILLISECOND, SECOND, Duration

PACKET = 1_400
RTT = 40 * MILLISECOND
RATE = 2_500_000
_numbers = count()


def packet(*, is_below_rate: bool) -> SentPacket:
    return SentPacket(next(_numbers), 0, PACKET, is_ack_eliciting=True, is_below_rate=is_below_rate)


def feed(
    controller: LossFloor, rounds: int, *, rate: int = RATE, rtt: Duration = RTT, is_app_limited: bool = False
) -> None:
    """Rounds of one sample each, a round trip apart, with an empty pipe."""
    for _ in range(rounds):
        number = next(_numbers)
        controller.on_sample(
            RateSample(
                now=number * RTT,
                rate=rate,
                latest_rtt=rtt,
                is_app_limited=is_app_limited,
                prior_delivered=number * 100_000,
                delivered=(number + 1) * 100_000,
                bytes_in_flight=0,
            )
        )


def rounds(controller: LossFloor, *, rate: int, rtt: Duration, samples: int = 10) -> None:
    """One round of several samples, and the sample that ends it."""
    number = next(_numbers)
    for _ in range(samples):
        controller.on_sample(RateSample(number * RTT, rate, rtt, False, 0, number * 100_000, 10**6))
    controller.on_sample(RateSample(number * RTT, rate, rtt, False, number * 100_000, number * 100_000 + 1, 10**6))


def rate_over_a_cycle(controller: LossFloor, *, rtt: Duration = RTT, is_marked: bool = False) -> int:
    """The highest pacing rate among the gains of a whole cycle."""
    rates = []
    for _ in range(24):
        if is_marked:
            controller.on_congestion_experienced(0, 0)
        feed(controller, 1, rtt=rtt)
        rates.append(controller.pacing_rate(estimator()))
    return max(rates)


def cruising() -> LossFloor:
    controller = LossFloor(PACKET)
    feed(controller, 8)
    return controller


def estimator() -> RttEstimator:
    rtt = RttEstimator(0)
    rtt.update(RTT, 0)
    return rtt


def test_starts_with_ten_packets() -> None:
    assert LossFloor(PACKET).congestion_window == 10 * PACKET


def test_holds_twice_the_path_and_little_more_than_the_path_where_a_queue_stands() -> None:
    bdp = RATE * RTT // SECOND
    controller = cruising()
    assert 2 * bdp <= controller.congestion_window <= 2.5 * bdp
    feed(controller, 8, rtt=2 * RTT)
    assert 1.1 * bdp <= controller.congestion_window <= 1.6 * bdp


def test_the_spare_share_is_smaller_for_who_has_more() -> None:
    small, large = LossFloor(PACKET), LossFloor(PACKET)
    for one, rate in ((small, RATE), (large, 16 * RATE)):
        feed(one, 8, rate=rate)
        feed(one, 8, rate=rate, rtt=2 * RTT)
    shares = [one.congestion_window / (one.bandwidth * RTT / SECOND) for one in (small, large)]
    assert shares[1] < shares[0] - 0.1


def test_round_trips_that_vary_by_themselves_leave_room_in_the_window() -> None:
    steady, varying = cruising(), LossFloor(PACKET)
    for _ in range(100):
        feed(varying, 1, rtt=RTT)
        feed(varying, 1, rtt=2 * RTT)
    assert varying.congestion_window > 1.2 * steady.congestion_window


def test_startup_ends_when_even_the_fastest_packet_waits() -> None:
    controller = LossFloor(PACKET)
    for turn in range(1, 4):
        feed(controller, 1, rate=RATE << turn)
        rounds(controller, rate=RATE << turn, rtt=RTT)
    fast = controller.pacing_rate(estimator())
    rounds(controller, rate=RATE << 3, rtt=2 * RTT)
    assert controller.pacing_rate(estimator()) < fast


def test_packets_count_for_the_floor_while_the_queue_is_short() -> None:
    controller = cruising()
    marks: dict[Duration, list[bool]] = {}
    for rtt in (RTT, 2 * RTT):
        marks[rtt] = []
        for _ in range(24):
            feed(controller, 1, rtt=rtt)
            one = packet(is_below_rate=False)
            controller.on_packet_sent(one)
            marks[rtt].append(one.is_below_rate)
    # In one of eight rounds the gain is below 1.
    assert sum(marks[RTT]) == 3
    assert not any(marks[2 * RTT])


@pytest.mark.must("M59")
def test_losses_alone_change_neither_window_nor_rate() -> None:
    controller = cruising()
    window, rate = controller.congestion_window, controller.pacing_rate(estimator())
    controller.on_packets_lost([packet(is_below_rate=False) for _ in range(200)], 0)
    assert (controller.congestion_window, controller.pacing_rate(estimator())) == (window, rate)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.2])
def test_loss_below_the_rate_of_the_path_is_made_up_for(share: float) -> None:
    controller = cruising()
    before = controller.pacing_rate(estimator())
    lost = round(100 * share)
    for _ in range(20):
        controller.on_packets_acked([packet(is_below_rate=True) for _ in range(100 - lost)], is_window_limited=True)
        controller.on_packets_lost([packet(is_below_rate=True) for _ in range(lost)], 0)
    assert controller.loss_floor == pytest.approx(share, abs=0.02)
    assert controller.pacing_rate(estimator()) == pytest.approx(before / (1 - share), rel=0.03)


def test_a_few_losses_prove_nothing_yet() -> None:
    controller = cruising()
    controller.on_packets_lost([packet(is_below_rate=True) for _ in range(30)], 0)
    assert controller.loss_floor == 0.0


@pytest.mark.must("M59")
def test_where_a_queue_stands_no_loss_is_made_up_for() -> None:
    controller = cruising()
    controller.on_packets_acked([packet(is_below_rate=True) for _ in range(80)], is_window_limited=True)
    controller.on_packets_lost([packet(is_below_rate=True) for _ in range(20)], 0)
    rates = []
    for rtt in (RTT, 2 * RTT):
        feed(controller, 4, rtt=rtt)
        rates.append(controller.pacing_rate(estimator()))
    assert controller.loss_floor > 0.1
    assert rates[0] > RATE
    assert rates[1] <= 1.25 * RATE


def test_marks_lower_the_rate_round_by_round_and_their_end_restores_it() -> None:
    controller = cruising()
    before = rate_over_a_cycle(controller)
    for _ in range(8):
        controller.on_congestion_experienced(0, 0)
        feed(controller, 1)
    assert rate_over_a_cycle(controller, is_marked=True) == pytest.approx(0.7 * before, rel=0.01)
    feed(controller, 8)
    assert rate_over_a_cycle(controller) == before


def test_a_mark_ends_startup() -> None:
    controller = LossFloor(PACKET)
    feed(controller, 1)
    startup = controller.pacing_rate(estimator())
    controller.on_congestion_experienced(0, 0)
    feed(controller, 2)
    assert controller.pacing_rate(estimator()) < startup / 2


def test_a_sender_with_little_to_send_keeps_the_initial_rate() -> None:
    controller = LossFloor(PACKET)
    feed(controller, 100, rate=1_000, is_app_limited=True)
    assert controller.pacing_rate(estimator()) >= 10 * PACKET * SECOND // RTT
    assert controller.congestion_window >= 10 * PACKET


def test_lone_packets_tell_how_long_the_path_is_and_nothing_else() -> None:
    controller = cruising()
    before = controller.bandwidth, controller.congestion_window, controller.pacing_rate(estimator())
    feed(controller, 30, rate=RATE // 100, is_app_limited=True)
    assert (controller.bandwidth, controller.congestion_window) == before[:2]
    feed(controller, 1, rate=RATE // 100, rtt=RTT // 2, is_app_limited=True)
    rounds(controller, rate=RATE, rtt=RTT // 2)
    assert controller.congestion_window < before[1], "half the path holds half as much"


def test_a_lone_packet_that_comes_back_ends_a_standstill() -> None:
    controller = cruising()
    window = controller.congestion_window
    controller.on_timeout([], SECOND)
    assert controller.congestion_window < window
    controller.on_packets_acked([packet(is_below_rate=False)], is_window_limited=False)
    feed(controller, 1, rate=RATE // 100, is_app_limited=True)
    assert controller.congestion_window == window


def test_a_pause_in_sending_does_not_shrink_the_estimate() -> None:
    controller = cruising()
    feed(controller, 50, rate=1_000, is_app_limited=True)
    assert controller.bandwidth == RATE


def test_an_estimate_from_long_ago_gives_way_to_a_slower_path() -> None:
    controller = cruising()
    feed(controller, 20, rate=RATE // 2)
    assert controller.bandwidth == RATE // 2


def test_a_timeout_leaves_a_trickle_until_something_comes_back() -> None:
    controller = cruising()
    window = controller.congestion_window
    controller.on_timeout([], 0)
    assert controller.congestion_window == 4 * PACKET
    controller.on_packets_acked([packet(is_below_rate=False)], is_window_limited=True)
    feed(controller, 1)
    assert controller.congestion_window == pytest.approx(window, rel=0.1)


def test_losses_that_were_none_are_taken_out_of_the_floor() -> None:
    controller = cruising()
    late = [packet(is_below_rate=True) for _ in range(10)]
    controller.on_packets_acked([packet(is_below_rate=True) for _ in range(90)], is_window_limited=True)
    controller.on_packets_lost(late, 0)
    assert controller.loss_floor == pytest.approx(0.1)
    controller.on_packets_spurious(late)
    assert controller.loss_floor == 0.0


def test_persistent_congestion_leaves_a_trickle_until_something_comes_back() -> None:
    controller = cruising()
    controller.on_persistent_congestion(0)
    assert controller.congestion_window == 4 * PACKET
