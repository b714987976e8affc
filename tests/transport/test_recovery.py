"""Loss recovery agrees with RFC 9002 and RFC 8985, its samples are never ambiguous, and its timer keeps to RFC 6298."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.errors import Code, ProtocolViolation
from node.transport.congestion.newreno import NewReno
from node.transport.packet import SentPacket
from node.transport.recovery import PROBES_BEFORE_RTO, STANDSTILL, AckOutcome, Expiry, Recovery
from node.transport.rtt import GRANULARITY, INITIAL_RTT, RttEstimator
from node.transport.settings import TransportSettings
from node.transport.stats import ConnectionStats
from node.types import MILLISECOND, SECOND, Duration, Instant
from node.wire.frames import AckFrame
from tests.reference.rfc8985 import RackDetection
from tests.reference.rfc9002 import SentPacket as ReferencePacket

MTU = 1_400
MAX_ACK_DELAY = 10 * MILLISECOND
ROUNDING = 64
"""Nanoseconds by which integer division may differ from the exact arithmetic of the reference."""


class WatchedRtt(RttEstimator):
    """Keeps every sample."""

    def __init__(self) -> None:
        super().__init__(MAX_ACK_DELAY)
        self.samples: list[Duration] = []

    def update(self, latest_rtt: Duration, ack_delay: Duration, since: Duration = 0) -> None:
        self.samples.append(latest_rtt)
        super().update(latest_rtt, ack_delay, since)


@dataclass
class Bench:
    """A Recovery on its own, with a clock."""

    settings: TransportSettings = field(default_factory=TransportSettings)
    now: Instant = 1 * SECOND
    next_number: int = 0

    def __post_init__(self) -> None:
        self.stats = ConnectionStats()
        self.rtt = WatchedRtt()
        self.controller = NewReno(MTU)
        self.recovery = Recovery(self.settings, self.controller, self.rtt, self.stats)

    def send(self, count: int = 1, *, is_ack_eliciting: bool = True, size: int = MTU) -> list[int]:
        numbers = []
        for _ in range(count):
            self.recovery.on_sent(SentPacket(self.next_number, self.now, size, is_ack_eliciting))
            numbers.append(self.next_number)
            self.next_number += 1
        return numbers

    def wait(self, duration: Duration) -> None:
        self.now += duration

    def ack(self, *numbers: int, delay: Duration = 0) -> AckOutcome:
        return self.recovery.on_ack(AckFrame(ranges_of(set(numbers)), delay), self.now)

    def expire(self) -> tuple[Expiry, list[int]]:
        """Lets time pass until the timer fires."""
        due = self.recovery.next_timeout()
        assert due is not None
        self.now = max(self.now, due)
        expiry, lost = self.recovery.on_timeout(self.now)
        return expiry, [packet.number for packet in lost]


def ranges_of(numbers: set[int]) -> tuple[tuple[int, int], ...]:
    ranges: list[tuple[int, int]] = []
    for number in sorted(numbers, reverse=True):
        if ranges and ranges[-1][0] == number + 1:
            ranges[-1] = (number, ranges[-1][1])
        else:
            ranges.append((number, number))
    return tuple(ranges)


def numbers_of(packets: list[SentPacket]) -> list[int]:
    return sorted(packet.number for packet in packets)


def steady(rtt: Duration = 40 * MILLISECOND, settings: TransportSettings | None = None) -> Bench:
    """A bench whose estimates have settled at that RTT."""
    bench = Bench(settings or TransportSettings())
    for _ in range(60):
        (number,) = bench.send()
        bench.wait(rtt)
        bench.ack(number)
    return bench


# --- acknowledgements


def test_acknowledged_packets_leave_the_flight() -> None:
    bench = Bench()
    numbers = bench.send(4)
    assert bench.recovery.bytes_in_flight == 4 * MTU
    outcome = bench.ack(*numbers[:3])
    assert numbers_of(outcome.acked) == numbers[:3]
    assert bench.recovery.bytes_in_flight == MTU


def test_packets_that_elicit_nothing_are_not_in_flight() -> None:
    bench = Bench()
    bench.send(5, is_ack_eliciting=False)
    assert bench.recovery.bytes_in_flight == 0
    assert bench.recovery.next_timeout() is None


def test_acknowledgement_of_a_packet_that_was_never_sent_breaks_the_protocol() -> None:
    bench = Bench()
    bench.send(3)
    with pytest.raises(ProtocolViolation) as caught:
        bench.ack(3)
    assert caught.value.code is Code.ACK_OF_UNSENT


def test_an_acknowledgement_that_comes_twice_changes_nothing() -> None:
    bench = Bench()
    numbers = bench.send(2)
    bench.wait(40 * MILLISECOND)
    bench.ack(*numbers)
    bench.wait(500 * MILLISECOND)
    outcome = bench.ack(*numbers)
    assert (outcome.acked, outcome.lost, outcome.spurious) == ([], [], [])
    assert bench.rtt.samples == [40 * MILLISECOND]


@pytest.mark.must("M51")
def test_no_sample_is_taken_unless_the_largest_is_newly_acknowledged() -> None:
    bench = Bench()
    first, second = bench.send(2)
    bench.wait(40 * MILLISECOND)
    bench.ack(second)
    bench.wait(3 * MILLISECOND)
    bench.ack(first, second)
    assert bench.rtt.samples == [40 * MILLISECOND]


# --- loss by acknowledgement


def test_three_later_acknowledgements_make_a_packet_lost() -> None:
    bench = Bench()
    numbers = bench.send(4)
    bench.wait(40 * MILLISECOND)
    assert bench.ack(numbers[1]).lost == []
    assert bench.ack(numbers[2]).lost == []
    assert numbers_of(bench.ack(numbers[3]).lost) == [numbers[0]]
    assert bench.stats.packets_lost["reordering_threshold"] == 1


def test_a_packet_overtaken_for_long_enough_is_lost_by_the_timer() -> None:
    bench = steady()
    first, second = bench.send(2)
    sent_at = bench.now
    bench.wait(40 * MILLISECOND)
    bench.ack(second)
    expiry, lost = bench.expire()
    assert (expiry, lost) == (Expiry.LOSS, [first])
    assert bench.now == pytest.approx(sent_at + 50 * MILLISECOND, abs=ROUNDING)
    assert bench.stats.packets_lost["time_threshold"] == 1


@pytest.mark.must("M52")
def test_packets_above_the_largest_acknowledged_are_never_lost_by_an_acknowledgement() -> None:
    bench = steady()
    numbers = bench.send(3)
    bench.wait(10 * SECOND)
    assert bench.ack(numbers[0]).lost == []


@pytest.mark.must("M53")
def test_a_late_acknowledgement_of_a_lost_packet_is_told_and_raises_the_thresholds() -> None:
    bench = Bench()
    numbers = bench.send(4)
    bench.wait(40 * MILLISECOND)
    bench.ack(*numbers[1:])
    assert numbers_of(bench.ack(*numbers).spurious) == [numbers[0]]
    assert bench.stats.spurious_losses == 1
    more = bench.send(5)
    bench.wait(40 * MILLISECOND)
    assert bench.ack(*more[1:4]).lost == []
    assert numbers_of(bench.ack(more[4]).lost) == [more[0]]


def test_one_packet_that_skipped_the_queue_makes_no_others_lost() -> None:
    bench = steady()
    numbers = bench.send(80)
    bench.wait(20 * MILLISECOND)
    assert bench.ack(numbers[-1]).lost == []
    bench.wait(20 * MILLISECOND)
    assert bench.ack(*numbers).lost == []
    assert bench.stats.spurious_losses == 0


def test_losses_that_were_none_give_the_window_back() -> None:
    bench = steady()
    numbers = bench.send(5)
    bench.wait(40 * MILLISECOND)
    window = bench.controller.congestion_window
    bench.ack(*numbers[2:])
    assert bench.controller.congestion_window < window
    bench.ack(*numbers)
    assert bench.controller.congestion_window >= window


# --- the retransmission timer


def test_timer_runs_from_the_last_packet_that_elicits() -> None:
    bench = steady()
    bench.send()
    bench.wait(20 * MILLISECOND)
    bench.send()
    assert bench.recovery.next_timeout() == bench.now + bench.rtt.computed_rto()


def test_nothing_in_flight_means_no_timer() -> None:
    bench = steady()
    assert bench.recovery.next_timeout() is None


@pytest.mark.must("M54")
def test_two_probes_go_out_at_the_computed_rto_without_a_floor() -> None:
    bench = steady()
    for _ in range(PROBES_BEFORE_RTO):
        bench.send()
        sent_at = bench.now
        assert bench.expire() == (Expiry.PROBE, [])
        assert bench.now - sent_at == bench.rtt.computed_rto() < 60 * MILLISECOND
    assert bench.stats.probes == PROBES_BEFORE_RTO
    assert bench.stats.rto_expirations == 0


def expirations(bench: Bench) -> list[Duration]:
    """How long each expiry of the effective timer took, sending again after each, until the connection fails."""
    bench.send()
    for _ in range(PROBES_BEFORE_RTO):
        assert bench.expire()[0] is Expiry.PROBE
        bench.send()
    waits = []
    while True:
        sent_at = bench.now
        expiry, _ = bench.expire()
        waits.append(bench.now - sent_at)
        if expiry is Expiry.FAILURE:
            return waits
        assert expiry is Expiry.TIMEOUT
        bench.send()


@pytest.mark.must("M55")
def test_effective_rto_starts_at_its_minimum_and_doubles_until_the_connection_fails() -> None:
    assert expirations(steady()) == [SECOND << index for index in range(6)]


def test_effective_rto_never_exceeds_its_maximum() -> None:
    settings = TransportSettings(min_rto=1 * SECOND, max_rto=3 * SECOND, max_retries=6)
    assert expirations(steady(settings=settings)) == [second * SECOND for second in (1, 2, 3, 3, 3, 3, 3)]


def test_max_retries_is_how_often_the_timer_may_expire() -> None:
    assert len(expirations(steady(settings=TransportSettings(max_retries=1)))) == 2


def test_effective_rto_is_the_computed_one_where_that_is_within_the_bounds() -> None:
    bench = steady(settings=TransportSettings(min_rto=25 * MILLISECOND))
    assert bench.recovery.effective_rto() == bench.rtt.computed_rto()


def test_timeout_declares_everything_in_flight_lost() -> None:
    bench = steady()
    numbers = bench.send(3)
    for _ in range(PROBES_BEFORE_RTO):
        bench.expire()
        numbers += bench.send()
    assert bench.expire() == (Expiry.TIMEOUT, numbers)
    assert bench.recovery.bytes_in_flight == 0
    assert bench.stats.packets_lost["pto_expired"] == len(numbers)


def test_an_answer_ends_the_backing_off() -> None:
    bench = steady()
    for _ in range(5):
        bench.send()
        bench.expire()
    (last,) = bench.send()
    assert bench.recovery.rto_backoff == 3
    bench.wait(40 * MILLISECOND)
    bench.ack(last)
    assert bench.recovery.rto_backoff == 0
    assert bench.recovery.effective_rto() == SECOND


def test_a_late_answer_to_what_was_given_up_ends_the_backing_off_too() -> None:
    # The round trip grew beyond the timer, so every answer comes for a packet that is declared lost by then.
    bench = steady(settings=TransportSettings(min_rto=25 * MILLISECOND))
    (number,) = bench.send()
    for _ in range(PROBES_BEFORE_RTO + 2):
        bench.expire()
        bench.send()
    assert bench.recovery.rto_backoff == 2
    assert numbers_of(bench.ack(number).spurious) == [number]
    assert bench.recovery.rto_backoff == 0


def test_a_late_answer_to_what_was_given_up_teaches_the_new_round_trip() -> None:
    bench = steady(settings=TransportSettings(min_rto=25 * MILLISECOND))
    (number,) = bench.send()
    sent_at = bench.now
    for _ in range(PROBES_BEFORE_RTO + 2):
        bench.expire()
        bench.send()
    bench.ack(number)
    assert bench.rtt.latest_rtt == bench.now - sent_at


def test_timer_called_early_does_nothing() -> None:
    bench = steady()
    bench.send()
    due = bench.recovery.next_timeout()
    assert due is not None
    assert bench.recovery.on_timeout(due - 1) == (Expiry.NOTHING, [])
    assert bench.stats.probes == 0


def test_before_any_sample_the_timer_uses_the_initial_rtt() -> None:
    bench = Bench()
    bench.send()
    assert bench.recovery.next_timeout() == bench.now + 3 * INITIAL_RTT + MAX_ACK_DELAY


def test_memory_of_lost_packets_is_bounded() -> None:
    bench = Bench()
    for _ in range(100):
        numbers = bench.send(100)
        bench.wait(MILLISECOND)
        bench.ack(numbers[-1])
    assert len(bench.recovery._lost) < 2_000


# --- against the references

STEP = 8_000
"""All times are multiples of this, so that 9/8 of a round trip is exact in integers too."""


class AgainstReference(RuleBasedStateMachine):
    """Sends and acknowledges at random, and compares with both RFCs as long as no loss proves to be spurious."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(TransportSettings(min_rto=MILLISECOND))
        self.reference = RackDetection(MAX_ACK_DELAY, initial_rtt=INITIAL_RTT)
        self.outstanding: list[int] = []
        self.sent_at: dict[int, Instant] = {}
        self.is_comparable = True
        self.lost: list[ReferencePacket] = []

    @rule(count=st.integers(1, 5), gap=st.integers(0, 1_000))
    def send(self, count: int, gap: int) -> None:
        for number in self.bench.send(count):
            self.outstanding.append(number)
            self.sent_at[number] = self.bench.now
            self.reference.on_packet_sent(
                ReferencePacket(number, ack_eliciting=True, in_flight=True, sent_bytes=MTU, time_sent=self.bench.now)
            )
        self.bench.wait(gap * STEP)

    @rule(gap=st.integers(1, 10_000))
    def wait(self, gap: int) -> None:
        self.bench.wait(gap * STEP)

    @precondition(lambda self: self.outstanding)
    @rule(data=st.data(), delay=st.integers(0, 2_000))
    def acknowledge(self, data: st.DataObject, delay: int) -> None:
        due = self.bench.recovery.next_timeout()
        if due is not None and self.bench.now - due > STANDSTILL:
            # The RFCs know no host that stands still.
            self.is_comparable = False
        persistent = self.bench.stats.persistent_congestions
        chosen = set(data.draw(st.lists(st.sampled_from(self.outstanding), min_size=1, max_size=6)))
        before = len(self.bench.rtt.samples)
        outcome = self.bench.ack(*chosen, delay=delay * STEP)
        acked, lost = self.reference.on_ack_received(chosen, delay * STEP, self.bench.now)
        if outcome.spurious:
            self.is_comparable = False
        if not self.is_comparable:
            return
        assert numbers_of(outcome.acked) == [packet.packet_number for packet in acked]
        assert numbers_of(outcome.lost) == [packet.packet_number for packet in lost]
        self.lost += lost
        if lost:
            # What is lost now may end a period whose beginning was lost before.
            period = [packet for packet in self.lost if packet.packet_number <= lost[-1].packet_number]
            expected = self.reference.in_persistent_congestion(period, self.reference.delivered)
            found = self.bench.stats.persistent_congestions > persistent
            assert expected or not found
            assert found or not self.reference.in_persistent_congestion(lost, self.reference.delivered)
            if found:
                self.reference.on_persistent_congestion()
        # Karn: a sample is the age of the packet that was acknowledged, and each packet is sent once under its number.
        for sample in self.bench.rtt.samples[before:]:
            assert sample == self.bench.now - self.sent_at[max(chosen)]
        self.outstanding = [number for number in self.outstanding if number not in chosen]

    @precondition(lambda self: self.is_comparable and self.reference.loss_time is not None)
    @rule()
    def reach_the_loss_time(self) -> None:
        assert self.reference.loss_time is not None
        self.is_comparable = self.bench.now - self.reference.loss_time <= STANDSTILL
        self.bench.now = max(self.bench.now, -(-int(self.reference.loss_time + ROUNDING) // STEP) * STEP)
        persistent = self.bench.stats.persistent_congestions
        expiry, lost = self.bench.recovery.on_timeout(self.bench.now)
        assert expiry is Expiry.LOSS
        expected = self.reference.detect_and_remove_lost_packets(self.bench.now)
        if self.bench.stats.persistent_congestions > persistent:
            self.reference.on_persistent_congestion()
        assert numbers_of(lost) == [packet.packet_number for packet in expected]

    @invariant()
    def agrees(self) -> None:
        if not self.is_comparable:
            return
        expected = self.reference.loss_detection_timer()
        found = self.bench.recovery.next_timeout()
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            assert abs(found - expected) < ROUNDING
        in_flight = sum(packet.sent_bytes for packet in self.reference.sent_packets.values())
        assert self.bench.recovery.bytes_in_flight == in_flight
        if self.reference.first_rtt_sample is not None:
            assert abs(self.bench.rtt.computed_rto() - self.reference.probe_timeout()) < ROUNDING
            assert self.bench.rtt.computed_rto() >= GRANULARITY


# Cut off in the middle, it would look to Hypothesis like a strategy that cannot be relied on.
TestAgainstReference = pytest.mark.timeout(300)(AgainstReference.TestCase)


@given(
    st.integers(1, 3_000).map(lambda value: value * MILLISECOND),
    st.integers(1, 60_000).map(lambda value: value * MILLISECOND),
    st.lists(st.integers(0, 10 * SECOND), max_size=20),
    st.integers(0, 70),
)
@pytest.mark.must("M55")
def test_effective_rto_is_always_within_its_bounds(
    min_rto: Duration, more: Duration, samples: list[Duration], expiries: int
) -> None:
    settings = TransportSettings(min_rto=min_rto, max_rto=min_rto + more)
    bench = Bench(settings)
    for sample in samples:
        bench.rtt.update(sample, 0)
    bench.recovery.expiries = expiries
    effective = bench.recovery.effective_rto()
    assert settings.min_rto <= effective <= settings.max_rto
    doubled = max(settings.min_rto, bench.rtt.computed_rto()) * 2**bench.recovery.rto_backoff
    assert effective == min(settings.max_rto, doubled)
