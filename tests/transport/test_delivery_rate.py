"""Delivery rate samples never exceed what the path delivers."""

from __future__ import annotations

from node.transport.delivery_rate import DeliveryRate, RateSample
from node.transport.packet import SentPacket
from node.types import MILLISECOND, SECOND, Duration, Instant

SIZE = 1_000
RTT = 40 * MILLISECOND


class Path:
    """Sends packets and acknowledges them a round trip later, not faster than the gap between them."""

    def __init__(self) -> None:
        self.estimator = DeliveryRate()
        self.number = 0
        self.in_flight = 0

    def send(self, now: Instant) -> SentPacket:
        packet = SentPacket(self.number, now, SIZE, is_ack_eliciting=True)
        self.number += 1
        self.estimator.on_sent(packet, self.in_flight)
        self.in_flight += SIZE
        return packet

    def acknowledge(self, packets: list[SentPacket], now: Instant) -> RateSample:
        self.in_flight -= SIZE * len(packets)
        return self.estimator.on_acked(packets, now, RTT, self.in_flight)

    def stream(self, count: int, gap: Duration) -> list[RateSample]:
        """A paced stream through a path without a queue."""
        arrivals = [(SECOND + index * gap, True) for index in range(count)]
        arrivals += [(SECOND + index * gap + RTT, False) for index in range(count)]
        packets: list[SentPacket] = []
        samples = []
        for at, is_sending in sorted(arrivals):
            if is_sending:
                packets.append(self.send(at))
            else:
                samples.append(self.acknowledge([packets.pop(0)], at))
        return samples


def test_a_paced_stream_measures_its_own_rate() -> None:
    samples = Path().stream(200, gap=1 * MILLISECOND)
    assert samples[-1].rate == SIZE * 1_000
    assert max(sample.rate for sample in samples) <= SIZE * 1_000 * 41 // 40


def test_a_burst_that_arrives_at_once_does_not_look_like_bandwidth() -> None:
    path = Path()
    packets = [path.send(SECOND) for _ in range(10)]
    assert path.acknowledge(packets, SECOND + RTT).rate == 10 * SIZE * SECOND // RTT


def test_acknowledgements_that_come_together_do_not_look_like_bandwidth() -> None:
    path = Path()
    packets = [path.send(SECOND + index * MILLISECOND) for index in range(20)]
    path.acknowledge(packets[:1], SECOND + RTT)
    sample = path.acknowledge(packets[1:], SECOND + RTT + 1)
    assert sample.rate <= 20 * SIZE * SECOND // (19 * MILLISECOND)


def test_an_interval_of_nothing_gives_no_rate() -> None:
    path = Path()
    assert path.acknowledge([path.send(SECOND)], SECOND).rate == 0


def test_bytes_delivered_are_counted_once_and_in_full() -> None:
    path = Path()
    path.stream(50, gap=MILLISECOND)
    assert path.estimator.delivered == 50 * SIZE


def test_a_sender_with_too_little_to_send_is_told_apart_until_that_has_passed() -> None:
    path = Path()
    first = path.send(SECOND)
    path.estimator.on_app_limited(path.in_flight)
    second = path.send(SECOND + MILLISECOND)
    assert not path.acknowledge([first], SECOND + RTT).is_app_limited
    assert path.acknowledge([second], SECOND + RTT + MILLISECOND).is_app_limited
    third = path.send(SECOND + 2 * RTT)
    assert not path.acknowledge([third], SECOND + 3 * RTT).is_app_limited


def test_after_a_pause_the_pause_does_not_count() -> None:
    path = Path()
    path.stream(10, gap=MILLISECOND)
    later = 100 * SECOND
    packets = [path.send(later + index * MILLISECOND) for index in range(10)]
    sample = path.acknowledge(packets, later + RTT + 9 * MILLISECOND)
    assert sample.rate >= 10 * SIZE * SECOND // (RTT + 10 * MILLISECOND)
