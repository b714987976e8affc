"""Loss recovery of one connection: what is in flight, what was lost, and when to probe (RFC 9002 §6, RFC 6298 §5).

Packet numbers are never reused, so that every acknowledgement says exactly what arrived. A packet is lost when three
later ones have arrived, or one that was sent longer than the reordering window after it; both give way to a path that
reorders (`reordering`), and the controller takes back what it did for losses that turn out to be none. The
retransmission timer runs at the computed RTO for two tail-loss probes, without any floor; then at the effective RTO,
clamped to [min_rto, max_rto] and doubled per expiry, each of which declares all in flight lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from node.errors import Code, ProtocolViolation
from node.transport.congestion.base import Controller
from node.transport.delivery_rate import DeliveryRate
from node.transport.packet import SentPacket
from node.transport.ranges import RangeSet
from node.transport.reordering import PACKET_THRESHOLD_MAX, Reordering
from node.transport.rtt import GRANULARITY, RttEstimator
from node.transport.settings import TransportSettings
from node.transport.stats import ConnectionStats
from node.types import SECOND, Duration, Instant
from node.wire.frames import AckFrame
from node.wire.limits import LOST_PACKETS_MAX, RECEIVED_RANGES_MAX, UNHURRIED_ACK_DELAY

__all__ = [
    "PERSISTENT_CONGESTION_THRESHOLD",
    "PROBES_BEFORE_RTO",
    "STANDSTILL",
    "AckOutcome",
    "Expiry",
    "Recovery",
]

PROBES_BEFORE_RTO = 2
"""Tail-loss probes at the computed RTO before the effective one applies."""

PERSISTENT_CONGESTION_THRESHOLD = 3
"""Probe timeouts over which everything must be lost for the congestion to count as persistent (RFC 9002 §7.6.1)."""

STANDSTILL: Duration = SECOND
"""So much later than asked for, no busy event loop calls: the process did not run, or the whole machine."""


class Expiry(Enum):
    """What an expired timer asks the connection to do."""

    NOTHING = auto()
    LOSS = auto()
    PROBE = auto()
    TIMEOUT = auto()
    FAILURE = auto()


@dataclass(slots=True)
class AckOutcome:
    """What an acknowledgement settled: packets that arrived, packets that are lost, late ones that had been.

    is_doubtful: it was held back for long, and without that time the path would be faster than was ever measured.
    """

    acked: list[SentPacket]
    lost: list[SentPacket]
    spurious: list[SentPacket]
    is_doubtful: bool = False

    @property
    def answered(self) -> list[SentPacket]:
        """Packets that arrived, in time or late."""
        return self.acked + self.spurious if self.spurious else self.acked


class Recovery:
    """Ledger of ack-eliciting packets; others are never answered on their own, so nothing is to be learnt of them."""

    __slots__ = (
        "_acked",
        "_awake_at",
        "_controller",
        "_first_on_path",
        "_first_sampled",
        "_hurried",
        "_largest_sent",
        "_last_eliciting_at",
        "_loss_at",
        "_lost",
        "_newest_rtt",
        "_newest_sample_at",
        "_recovery_until",
        "_reordering",
        "_sampled_at",
        "_sent",
        "_settings",
        "_spurious_until",
        "_stats",
        "asked_at",
        "bytes_in_flight",
        "expiries",
        "largest_acked",
        "left_out",
        "lost_at",
        "rate",
        "rtt",
    )

    def __init__(
        self,
        settings: TransportSettings,
        controller: Controller,
        rtt: RttEstimator,
        stats: ConnectionStats,
    ) -> None:
        self._settings = settings
        self._controller = controller
        self._stats = stats
        self.rate = DeliveryRate()
        self._acked = RangeSet()
        self._awake_at: Instant = 0
        self._sent: dict[int, SentPacket] = {}
        self._lost: dict[int, SentPacket] = {}
        self._hurried = 0
        self._largest_sent = -1
        self._first_on_path = 0
        self._first_sampled = 0
        self._last_eliciting_at: Instant = 0
        self._loss_at: Instant | None = None
        self._reordering = Reordering()
        self._recovery_until = -1
        self._spurious_until = -1
        self._newest_rtt: Duration = 0
        self._newest_sample_at: Instant = 0
        self._sampled_at: Instant | None = None
        self.rtt = rtt
        self.bytes_in_flight = 0
        self.largest_acked = -1
        # The packet number that was left out last, to see whether the peer acknowledges what it never received.
        self.left_out = -1
        self.lost_at: Instant | None = None
        # When the first packet left that asks for an answer, since an acknowledgement came last.
        self.asked_at: Instant | None = None
        self.expiries = 0

    @property
    def rto_backoff(self) -> int:
        """How often the effective RTO has expired in a row."""
        return max(0, self.expiries - PROBES_BEFORE_RTO)

    def effective_rto(self) -> Duration:
        """The computed RTO clamped to [min_rto, max_rto] and doubled per expiry (RFC 6298 §2.4, §2.5, §5.5)."""
        base = max(self._settings.min_rto, self.rtt.computed_rto())
        # A shift beyond this is at max_rto anyway, whatever the base.
        return min(self._settings.max_rto, base << min(self.rto_backoff, 40))

    def on_sent(self, packet: SentPacket) -> None:
        """Takes note of a packet; numbers increase."""
        self._largest_sent = packet.number
        if packet.is_ack_eliciting:
            self.rate.on_sent(packet, self.bytes_in_flight)
            self._controller.on_packet_sent(packet)
            self._sent[packet.number] = packet
            self._last_eliciting_at = packet.sent_at
            if self.asked_at is None:
                self.asked_at = packet.sent_at
            self.bytes_in_flight += packet.size
            self._hurried += not packet.is_unhurried

    @property
    def is_answer_near(self) -> bool:
        """Whether anything in flight will be acknowledged without waiting for something to ride on."""
        return self._hurried > 0

    def on_path_change(self, controller: Controller) -> None:
        """The path is another one: a new controller, which learns nothing of packets that took the old path."""
        self._controller = controller
        self._first_on_path = self._first_sampled = self._largest_sent + 1
        self._sampled_at = None

    def oldest_eliciting(self) -> SentPacket | None:
        """The oldest packet whose fate is unknown and that carried something, for a probe to repeat."""
        return next((packet for packet in self._sent.values() if packet.parts or packet.control), None)

    def in_flight(self) -> list[SentPacket]:
        """Every packet whose fate is unknown, oldest first."""
        return list(self._sent.values())

    def on_ack(self, frame: AckFrame, now: Instant) -> AckOutcome:
        """Settles what the frame acknowledges (RFC 9002 §A.7); ProtocolViolation for a packet never sent."""
        self._check_honesty(frame)
        largest = frame.ranges[0][1]
        if now - self._awake_at > STANDSTILL:
            self._look_for_standstill(self.next_timeout(), now)
        self._awake_at = now
        self.asked_at = None
        is_window_limited = 2 * self.bytes_in_flight >= self._controller.congestion_window
        outcome = AckOutcome([], [], [])
        if len(self._sent) == 1 and largest in self._sent and largest == self._acked.largest + 1 and not self._lost:
            # The answer to all that is in flight, which is a lone packet, and no news of any other.
            self._settle(largest, largest, outcome)
            self._acked.add(largest, largest)
        else:
            self._collect(frame, outcome, now)
        if largest > self.largest_acked:
            self.largest_acked = largest
        answered = outcome.answered
        if not answered:
            return outcome
        # An answer to a packet given up long ago still shows that the peer lives, and how long the path has become.
        self.expiries = 0
        latest_rtt = self._sample_rtt(frame, outcome, now)
        if outcome.spurious:
            self._on_spurious(outcome.spurious)
        if not outcome.acked:
            return outcome
        outcome.lost = self._detect_lost(now)
        # What took another path tells nothing of this one, and is answered without a sample (RFC 9000 §9.4).
        acked = self._on_path(outcome.acked)
        if acked:
            self._controller.on_packets_acked(acked, is_window_limited)
        if outcome.lost:
            self._report_lost(outcome.lost, now)
        if acked:
            self._controller.on_sample(self.rate.on_acked(acked, now, latest_rtt, self.bytes_in_flight))
        return outcome

    def _check_honesty(self, frame: AckFrame) -> None:
        largest, left_out = frame.ranges[0][1], self.left_out
        if largest > self._largest_sent:
            raise ProtocolViolation(Code.ACK_OF_UNSENT, f"acknowledged {largest}, largest sent {self._largest_sent}")
        if left_out >= frame.ranges[-1][0] and any(first <= left_out <= last for first, last in frame.ranges):
            raise ProtocolViolation(Code.ACK_OF_UNSENT, f"acknowledged {left_out}, which was left out")

    def next_timeout(self) -> Instant | None:
        """When `on_timeout` is due: the time threshold, else the retransmission timer; None with nothing in flight."""
        if self._loss_at is not None:
            return self._loss_at
        if not self._sent:
            return None
        delay = self.rtt.computed_rto() if self.expiries < PROBES_BEFORE_RTO else self.effective_rto()
        if not self._hurried:
            delay += UNHURRIED_ACK_DELAY
        return self._last_eliciting_at + delay

    def on_timeout(self, now: Instant) -> tuple[Expiry, list[SentPacket]]:
        """What an expired timer means, and the packets that it declares lost."""
        due = self.next_timeout()
        if due is None or due > now:
            return Expiry.NOTHING, []
        self._look_for_standstill(due, now)
        if self._loss_at is not None:
            lost = self._detect_lost(now)
            if lost:
                self._report_lost(lost, now)
            return Expiry.LOSS, lost
        self.expiries += 1
        if self.expiries <= PROBES_BEFORE_RTO:
            self._stats.probes += 1
            return Expiry.PROBE, []
        self._stats.rto_expirations += 1
        if self.rto_backoff > self._settings.max_retries:
            return Expiry.FAILURE, []
        lost = self.in_flight()
        for packet in lost:
            self._declare_lost(packet, "pto_expired")
        if not lost or lost[-1].number >= self._first_on_path:
            self._controller.on_timeout(self._on_path(lost), now)
        return Expiry.TIMEOUT, lost

    def _on_path(self, packets: list[SentPacket]) -> list[SentPacket]:
        """Those of the present path; the others tell its controller nothing (RFC 9000 §9.4). In order of sending."""
        first = self._first_on_path
        if not packets or packets[0].number >= first:
            return packets
        return [packet for packet in packets if packet.number >= first]

    def _look_for_standstill(self, due: Instant | None, now: Instant) -> None:
        """A timer that is overdue by so much shows that this host stood still, whatever the path did meanwhile."""
        if due is not None and now - due > STANDSTILL:
            self._first_sampled = self._largest_sent + 1

    def _collect(self, frame: AckFrame, outcome: AckOutcome, now: Instant) -> None:
        acked = self._acked
        new = self._missing(frame)
        is_next = len(new) == 1 and new[0][0] == acked.largest + 1
        if not is_next:
            # The order of sending: sets grow at their upper ends, which is cheap.
            new.sort()
        for low, high in new:
            self._settle(low, high, outcome)
            if low < self.largest_acked:
                self._note_overtaken(low, high, outcome, now)
        for low, high in new:
            acked.add(low, high)
        while not is_next and len(acked) > RECEIVED_RANGES_MAX:
            acked.drop_oldest()

    def _missing(self, frame: AckFrame) -> list[tuple[int, int]]:
        """What the frame acknowledges for the first time, as (first, last)."""
        # Frames repeat most of what earlier ones said: only what is new costs anything, each packet number once.
        acked = self._acked
        floor = next(iter(self._sent), self._largest_sent)
        if self._lost:
            floor = min(floor, next(iter(self._lost)))
        new: list[tuple[int, int]] = []
        for first, last in frame.ranges:
            if last < floor:
                break
            if first < floor:
                first = floor
            if first > acked.largest:
                new.append((first, last))
            else:
                new += acked.missing(first, last)
        return new

    def _settle(self, low: int, high: int, outcome: AckOutcome) -> None:
        for number in range(low, high + 1):
            packet = self._sent.pop(number, None)
            if packet is not None:
                self.bytes_in_flight -= packet.size
                self._hurried -= not packet.is_unhurried
                outcome.acked.append(packet)
            elif number in self._lost:
                outcome.spurious.append(self._lost.pop(number))

    def _note_overtaken(self, low: int, high: int, outcome: AckOutcome, now: Instant) -> None:
        """Packets low..high arrived although later ones had arrived before; the oldest was overtaken furthest."""
        late = next((packet for packet in outcome.acked + outcome.spurious if low <= packet.number <= high), None)
        if late is not None and late.number >= self._first_sampled:
            later = self._acked.count_above(late.number, PACKET_THRESHOLD_MAX)
            self._reordering.on_overtaken(later, now - late.sent_at - self._base_rtt())

    def _base_rtt(self) -> Duration:
        """The round trip of the newest packet that arrived, if it is not far below what is usual.

        RFC 8985 §6.2 takes the former alone; but a packet that skipped a queue says little of those that wait in it.
        """
        rtt = self.rtt
        usual = 0 if rtt.smoothed_rtt is None or rtt.rttvar is None else rtt.smoothed_rtt - rtt.rttvar
        return max(self._newest_rtt, usual)

    def _sample_rtt(self, frame: AckFrame, outcome: AckOutcome, now: Instant) -> Duration | None:
        acked = outcome.answered
        newest = acked[0] if len(acked) == 1 else max(acked, key=lambda packet: packet.number)
        # Only for the largest does the frame tell how long the peer held it back (RFC 9002 §5.1).
        if newest.number != frame.ranges[0][1] or newest.number < self._first_sampled:
            return None
        latest_rtt, delay = now - newest.sent_at, frame.delay
        if newest.is_unhurried and delay > self.rtt.max_ack_delay:
            # Its acknowledgement waited for a packet to ride on: what is left is the path, never faster than known.
            least = self.rtt.min_rtt or latest_rtt
            # By more than jitter, and than clocks drift in that time: it may well be true.
            outcome.is_doubtful = latest_rtt - delay < 3 * least // 4 - GRANULARITY
            latest_rtt, delay = max(latest_rtt - delay, least), 0
        self._newest_rtt = latest_rtt
        if self._sampled_at is None:
            self._sampled_at = now
        self.rtt.update(latest_rtt, delay, now - self._newest_sample_at)
        self._newest_sample_at = now
        self._stats.rtt.observe(self.rtt.adjusted_rtt)
        return latest_rtt

    def _detect_lost(self, now: Instant) -> list[SentPacket]:
        self._loss_at = None
        if self._lost:
            self._forget_lost(now)
        if next(iter(self._sent), self.largest_acked) >= self.largest_acked:
            # Nothing was overtaken.
            return []
        delay = self._base_rtt() + self._reordering.window(self.rtt)
        threshold = self._reordering.packet_threshold
        # So many later packets have arrived for those below it.
        lost_below = self._acked.nth_largest(threshold) if threshold else -1
        lost: list[tuple[SentPacket, str]] = []
        for packet in self._sent.values():
            if packet.number > self.largest_acked:
                break
            due = packet.sent_at + delay
            if packet.number < lost_below:
                lost.append((packet, "reordering_threshold"))
            elif due <= now:
                lost.append((packet, "time_threshold"))
            elif self._loss_at is None or due < self._loss_at:
                self._loss_at = due
        for packet, trigger in lost:
            self._declare_lost(packet, trigger)
        return [packet for packet, _ in lost]

    def _report_lost(self, lost: list[SentPacket], now: Instant) -> None:
        self.lost_at = now
        newest = lost[-1]
        if newest.number > self._recovery_until:
            self._recovery_until = self._largest_sent
            self._reordering.on_recovery()
        lost = self._on_path(lost)
        if not lost:
            return
        self._controller.on_packets_lost(lost, now)
        if self._is_persistent(lost):
            self._stats.persistent_congestions += 1
            self.rtt.renew_min()
            self._controller.on_persistent_congestion(now)

    def _is_persistent(self, lost: list[SentPacket]) -> bool:
        """Whether everything sent over more than three probe timeouts was lost, these packets at the end of that time.

        RFC 9002 §7.6.2: none in between was acknowledged, and a sample was there before the first of them was sent.
        """
        # Before the first sample the probe timeout is a guess.
        if self._sampled_at is None:
            return False
        duration = PERSISTENT_CONGESTION_THRESHOLD * self.rtt.computed_rto()
        reach = lost[-1].number
        for newest in reversed(lost):
            if newest.number > reach:
                # Nothing was acknowledged between it and one that was sent later.
                continue
            reach = self._acked.below(newest.number)
            run = (self._lost[number] for number in range(reach + 1, newest.number) if number in self._lost)
            oldest = next((packet for packet in run if packet.sent_at > self._sampled_at), newest)
            if newest.sent_at - oldest.sent_at > duration:
                return True
        return False

    def _declare_lost(self, packet: SentPacket, trigger: str) -> None:
        del self._sent[packet.number]
        self.bytes_in_flight -= packet.size
        self._hurried -= not packet.is_unhurried
        packet.lost_trigger = trigger
        self._stats.packets_lost[trigger] += 1
        self._lost[packet.number] = packet

    def _forget_lost(self, now: Instant) -> None:
        # An acknowledgement later than this is so late that it says nothing about thresholds.
        horizon = now - 4 * self.rtt.computed_rto()
        while self._lost:
            oldest = next(iter(self._lost))
            if len(self._lost) <= LOST_PACKETS_MAX and self._lost[oldest].sent_at >= horizon:
                break
            del self._lost[oldest]

    def _on_spurious(self, packets: list[SentPacket]) -> None:
        self._stats.spurious_losses += len(packets)
        self._controller.on_packets_spurious(self._on_path(packets))
        # Once per round trip, as RFC 8985 §6.2 has it.
        if max(packet.number for packet in packets) > self._spurious_until:
            self._spurious_until = self._largest_sent
            self._reordering.on_spurious()
