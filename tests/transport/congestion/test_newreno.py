"""NewReno as RFC 9002 §7 has it, apart from the departures that its module names."""

from __future__ import annotations

from itertools import count

from node.transport.congestion.newreno import NewReno
from node.transport.packet import SentPacket
from node.transport.rtt import RttEstimator
from node.types import MILLISECOND, SECOND
from tests.reference.rfc9002 import NewReno as Reference
from tests.reference.rfc9002 import SentPacket as ReferencePacket

PACKET = 1_400
MINIMUM = 4 * PACKET
_numbers = count()


def sent(at: int, size: int = PACKET) -> SentPacket:
    return SentPacket(next(_numbers), at, size, is_ack_eliciting=True)


def in_avoidance() -> NewReno:
    """A controller whose window was halved once, at instant 100."""
    controller = NewReno(PACKET)
    controller.on_packets_lost([sent(50)], 100)
    return controller


def test_starts_with_ten_packets_in_slow_start() -> None:
    controller = NewReno(PACKET)
    assert controller.congestion_window == 10 * PACKET
    assert controller.slow_start_threshold is None


def test_slow_start_grows_by_what_was_acknowledged() -> None:
    controller = NewReno(PACKET)
    controller.on_packets_acked([sent(1), sent(2)], is_window_limited=True)
    assert controller.congestion_window == 12 * PACKET


def test_a_window_that_is_not_used_does_not_grow() -> None:
    controller = NewReno(PACKET)
    controller.on_packets_acked([sent(1), sent(2)], is_window_limited=False)
    assert controller.congestion_window == 10 * PACKET


def test_loss_halves_the_window_and_ends_slow_start() -> None:
    controller = in_avoidance()
    assert controller.congestion_window == controller.slow_start_threshold == 5 * PACKET


def test_losses_of_one_round_halve_the_window_once() -> None:
    controller = in_avoidance()
    controller.on_packets_lost([sent(60), sent(100)], 150)
    assert controller.congestion_window == 5 * PACKET
    controller.on_packets_lost([sent(101)], 200)
    assert controller.congestion_window == MINIMUM


def test_window_never_falls_below_its_minimum() -> None:
    controller = NewReno(PACKET)
    for index in range(20):
        controller.on_packets_lost([sent(1_000 * index)], 1_000 * index + 1)
    assert controller.congestion_window == MINIMUM


def test_acknowledgements_from_before_the_loss_do_not_grow_the_window() -> None:
    controller = in_avoidance()
    controller.on_packets_acked([sent(100) for _ in range(50)], is_window_limited=True)
    assert controller.congestion_window == 5 * PACKET


def test_avoidance_grows_by_one_packet_per_window() -> None:
    controller = in_avoidance()
    for _ in range(5):
        assert controller.congestion_window == 5 * PACKET
        controller.on_packets_acked([sent(200)], is_window_limited=True)
    assert controller.congestion_window == 6 * PACKET


def test_timeout_starts_again_from_the_minimum_towards_half() -> None:
    controller = NewReno(PACKET)
    controller.on_packets_acked([sent(1) for _ in range(30)], is_window_limited=True)
    controller.on_timeout([], 500)
    assert controller.congestion_window == MINIMUM
    assert controller.slow_start_threshold == 20 * PACKET
    controller.on_packets_acked([sent(600)], is_window_limited=True)
    assert controller.congestion_window == MINIMUM + PACKET


def test_growth_follows_the_rfc_within_a_packet() -> None:
    controller, reference = NewReno(PACKET), Reference(PACKET)
    for at in range(1, 2_000):
        packet = sent(at)
        plain = ReferencePacket(packet.number, ack_eliciting=True, in_flight=True, sent_bytes=PACKET, time_sent=at)
        if at % 700 == 0:
            controller.on_packets_lost([packet], at)
            reference.on_packets_lost([plain], at)
        else:
            controller.on_packets_acked([packet], is_window_limited=True)
            reference.on_packet_acked(plain)
        # The RFC grows by fractions of a packet; whole packets per window lag by up to one, per loss.
        assert abs(controller.congestion_window - reference.congestion_window) <= 3 * PACKET


def test_no_pacing_before_the_first_rtt() -> None:
    assert NewReno(PACKET).pacing_rate(RttEstimator(0)) == 0


def test_pacing_leads_the_window_by_its_factor() -> None:
    rtt = RttEstimator(0)
    rtt.update(100 * MILLISECOND, 0)
    controller = NewReno(PACKET)
    per_second = SECOND // (100 * MILLISECOND)
    assert controller.pacing_rate(rtt) == 10 * PACKET * per_second * 2
    controller.on_packets_lost([sent(1)], 2)
    assert controller.pacing_rate(rtt) == 5 * PACKET * per_second * 5 // 4


def test_a_round_of_losses_that_were_none_is_taken_back() -> None:
    controller = NewReno(PACKET)
    controller.on_packets_acked([sent(1) for _ in range(10)], is_window_limited=True)
    late = [sent(50), sent(51)]
    controller.on_packets_lost(late, 100)
    controller.on_packets_spurious(late[:1])
    assert controller.congestion_window == 10 * PACKET
    controller.on_packets_spurious(late[1:])
    assert controller.congestion_window == 20 * PACKET
    assert controller.slow_start_threshold is None


def test_a_timeout_that_was_none_is_taken_back() -> None:
    controller = NewReno(PACKET)
    late = [sent(50), sent(51)]
    controller.on_timeout(late, 500)
    controller.on_packets_spurious(late)
    assert controller.congestion_window == 10 * PACKET


def test_a_mark_halves_the_window_once_per_round_and_for_good() -> None:
    controller = NewReno(PACKET)
    controller.on_congestion_experienced(50, 100)
    controller.on_congestion_experienced(99, 110)
    assert controller.congestion_window == 5 * PACKET
    controller.on_packets_spurious([sent(50)])
    assert controller.congestion_window == 5 * PACKET


def test_persistent_congestion_leaves_the_minimum_and_the_next_loss_counts() -> None:
    controller, reference = NewReno(PACKET), Reference(PACKET)
    packet = sent(50)
    plain = ReferencePacket(packet.number, ack_eliciting=True, in_flight=True, sent_bytes=PACKET, time_sent=50)
    controller.on_packets_lost([packet], 100)
    controller.on_persistent_congestion(100)
    reference.on_packets_lost([plain], 100, is_persistent=True)
    # The RFC's minimum is 2 packets, ours 4; both keep the halved threshold.
    assert (controller.congestion_window, reference.congestion_window) == (MINIMUM, 2 * PACKET)
    assert controller.slow_start_threshold == reference.ssthresh
    controller.on_packets_acked([sent(60)], is_window_limited=True)
    assert controller.congestion_window == MINIMUM + PACKET
