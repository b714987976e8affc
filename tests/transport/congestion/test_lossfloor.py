"""The loss floor is measured where overflow is impossible, and nothing else lowers the rate but a queue."""

from __future__ import annotations

from itertools import count

import pytest

from node.transport.congestion.lossfloor import FLOOR_MAX, LossFloor
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


def test_holds_twice_what_the_path_holds() -> None:
    bdp = RATE * RTT // SECOND
    assert 2 * bdp <= cruising().congestion_window <= 2 * bdp + 30 * PACKET


def test_losses_alone_change_neither_window_nor_rate() -> None:
    controller = cruising()
    window, rate = controller.congestion_window, controller.pacing_rate(estimator())
    controller.on_packets_lost([packet(is_below_rate=False) for _ in range(200)], 0)
    assert (controller.congestion_window, controller.pacing_rate(estimator())) == (window, rate)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.2])
def test_loss_below_the_rate_of_the_path_is_made_up_for(share: float) -> None:
    controller = cruising()
    before = controller.pacing_rate(estimator())
    lost = round(500 * share)
    controller.on_packets_acked([packet(is_below_rate=True) for _ in range(500 - lost)], is_window_limited=True)
    controller.on_packets_lost([packet(is_below_rate=True) for _ in range(lost)], 0)
    assert controller.loss_floor == pytest.approx(share)
    assert controller.pacing_rate(estimator()) == pytest.approx(before / (1 - share), rel=0.01)


def test_a_few_losses_prove_nothing_yet() -> None:
    controller = cruising()
    controller.on_packets_lost([packet(is_below_rate=True) for _ in range(30)], 0)
    assert controller.loss_floor == 0.0


def test_the_floor_is_capped() -> None:
    controller = cruising()
    controller.on_packets_lost([packet(is_below_rate=True) for _ in range(500)], 0)
    assert controller.loss_floor == FLOOR_MAX


def test_a_standing_queue_lowers_the_rate_and_its_end_restores_it() -> None:
    controller = cruising()
    controller.on_packets_acked([packet(is_below_rate=True) for _ in range(100)], is_window_limited=True)
    rates = []
    for rtt in (2 * RTT, 2 * RTT, RTT):
        feed(controller, 8, rtt=rtt)
        rates.append(controller.pacing_rate(estimator()))
    assert rates[0] < RATE
    assert rates[1] < RATE
    assert rates[2] > rates[1]


def test_a_sender_with_little_to_send_keeps_the_initial_rate() -> None:
    controller = LossFloor(PACKET)
    feed(controller, 100, rate=1_000, is_app_limited=True)
    assert controller.pacing_rate(estimator()) >= 10 * PACKET * SECOND // RTT
    assert controller.congestion_window >= 10 * PACKET


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
    late = [packet(is_below_rate=True) for _ in range(50)]
    controller.on_packets_acked([packet(is_below_rate=True) for _ in range(450)], is_window_limited=True)
    controller.on_packets_lost(late, 0)
    assert controller.loss_floor == pytest.approx(0.1)
    controller.on_packets_spurious(late)
    assert controller.loss_floor == 0.0


def test_persistent_congestion_leaves_a_trickle_until_something_comes_back() -> None:
    controller = cruising()
    controller.on_persistent_congestion(0)
    assert controller.congestion_window == 4 * PACKET
