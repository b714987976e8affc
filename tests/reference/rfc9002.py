"""RFC 9002, "QUIC Loss Detection and Congestion Control", appendices A and B, for one packet number space.

The pseudo-code as it stands there, with its names; sets are walked in full, times are exact rationals of nanoseconds,
windows are floats of bytes. It shares no code with the transport that is compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

__all__ = ["LossDetection", "NewReno", "SentPacket"]

K_PACKET_THRESHOLD = 3
K_TIME_THRESHOLD = Fraction(9, 8)
K_GRANULARITY = 1_000_000
K_PERSISTENT_CONGESTION_THRESHOLD = 3
K_LOSS_REDUCTION_FACTOR = 0.5


@dataclass(frozen=True)
class SentPacket:
    """A.1.1: what is kept of every packet that was sent."""

    packet_number: int
    ack_eliciting: bool
    in_flight: bool
    sent_bytes: int
    time_sent: int


@dataclass
class LossDetection:
    """A.3 to A.10: the variables and functions of loss detection."""

    max_ack_delay: int
    initial_rtt: int = 333_000_000
    granularity: int = K_GRANULARITY
    latest_rtt: Fraction = Fraction(0)
    smoothed_rtt: Fraction = Fraction(0)
    rttvar: Fraction = Fraction(0)
    min_rtt: Fraction = Fraction(0)
    first_rtt_sample: int | None = None
    pto_count: int = 0
    largest_acked_packet: int | None = None
    time_of_last_ack_eliciting_packet: int | None = None
    loss_time: Fraction | None = None
    sent_packets: dict[int, SentPacket] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.smoothed_rtt = Fraction(self.initial_rtt)
        self.rttvar = Fraction(self.initial_rtt, 2)

    def on_packet_sent(self, packet: SentPacket) -> None:
        """A.5."""
        self.sent_packets[packet.packet_number] = packet
        if packet.in_flight and packet.ack_eliciting:
            self.time_of_last_ack_eliciting_packet = packet.time_sent

    def on_ack_received(
        self, acknowledged: set[int], ack_delay: int, now: int
    ) -> tuple[list[SentPacket], list[SentPacket]]:
        """A.7: the newly acknowledged and the lost packets, both in order of their numbers."""
        largest = max(acknowledged)
        self.largest_acked_packet = (
            largest if self.largest_acked_packet is None else max(self.largest_acked_packet, largest)
        )
        newly_acked = [self.sent_packets.pop(number) for number in sorted(acknowledged) if number in self.sent_packets]
        if not newly_acked:
            return [], []
        if newly_acked[-1].packet_number == largest and any(packet.ack_eliciting for packet in newly_acked):
            self.latest_rtt = Fraction(now - newly_acked[-1].time_sent)
            self.update_rtt(ack_delay, now)
        lost = self.detect_and_remove_lost_packets(now)
        self.pto_count = 0
        return newly_acked, lost

    def update_rtt(self, ack_delay: int, now: int) -> None:
        """A.7 UpdateRtt, with the handshake confirmed."""
        if self.first_rtt_sample is None:
            self.min_rtt = self.latest_rtt
            self.smoothed_rtt = self.latest_rtt
            self.rttvar = self.latest_rtt / 2
            self.first_rtt_sample = now
            return
        self.min_rtt = min(self.min_rtt, self.latest_rtt)
        ack_delay = min(ack_delay, self.max_ack_delay)
        adjusted_rtt = self.latest_rtt
        if self.latest_rtt >= self.min_rtt + ack_delay:
            adjusted_rtt = self.latest_rtt - ack_delay
        self.rttvar = Fraction(3, 4) * self.rttvar + Fraction(1, 4) * abs(self.smoothed_rtt - adjusted_rtt)
        self.smoothed_rtt = Fraction(7, 8) * self.smoothed_rtt + Fraction(1, 8) * adjusted_rtt

    def on_persistent_congestion(self) -> None:
        """5.2: min_rtt is set to the newest sample."""
        self.min_rtt = self.latest_rtt

    def probe_timeout(self) -> Fraction:
        """A.8 GetPtoTimeAndSpace, the duration: PTO for application data, backed off."""
        duration = self.smoothed_rtt + max(4 * self.rttvar, Fraction(self.granularity)) + self.max_ack_delay
        return Fraction(duration * 2**self.pto_count)

    def loss_detection_timer(self) -> Fraction | None:
        """A.8 SetLossDetectionTimer: when it fires; None while it is not armed."""
        if self.loss_time is not None:
            return self.loss_time
        if not any(packet.ack_eliciting and packet.in_flight for packet in self.sent_packets.values()):
            return None
        assert self.time_of_last_ack_eliciting_packet is not None
        return self.time_of_last_ack_eliciting_packet + self.probe_timeout()

    def persistent_congestion_duration(self) -> Fraction:
        """7.6.1: (smoothed_rtt + max(4*rttvar, kGranularity) + max_ack_delay) * kPersistentCongestionThreshold."""
        duration = self.smoothed_rtt + max(4 * self.rttvar, Fraction(self.granularity)) + self.max_ack_delay
        return duration * K_PERSISTENT_CONGESTION_THRESHOLD

    def in_persistent_congestion(self, lost: list[SentPacket], acknowledged: set[int]) -> bool:
        """7.6.2 and B.8: two lost packets far apart, sent after the first sample, with none between acknowledged."""
        if self.first_rtt_sample is None:
            return False
        pc_lost = [packet for packet in lost if packet.ack_eliciting and packet.time_sent > self.first_rtt_sample]
        for first in pc_lost:
            for second in pc_lost:
                between = range(first.packet_number, second.packet_number)
                is_far = second.time_sent - first.time_sent > self.persistent_congestion_duration()
                if is_far and not acknowledged & set(between):
                    return True
        return False

    def loss_delay(self) -> Fraction:
        """A.10: kTimeThreshold * max(latest_rtt, smoothed_rtt), not below kGranularity."""
        return max(K_TIME_THRESHOLD * max(self.latest_rtt, self.smoothed_rtt), Fraction(self.granularity))

    def detect_and_remove_lost_packets(self, now: int) -> list[SentPacket]:
        """A.10 DetectAndRemoveLostPackets."""
        assert self.largest_acked_packet is not None
        self.loss_time = None
        lost_packets = []
        loss_delay = self.loss_delay()
        lost_send_time = now - loss_delay
        for number in sorted(self.sent_packets):
            unacked = self.sent_packets[number]
            if number > self.largest_acked_packet:
                continue
            if unacked.time_sent <= lost_send_time or self.largest_acked_packet >= number + K_PACKET_THRESHOLD:
                del self.sent_packets[number]
                if unacked.in_flight:
                    lost_packets.append(unacked)
            elif self.loss_time is None:
                self.loss_time = unacked.time_sent + loss_delay
            else:
                self.loss_time = min(self.loss_time, unacked.time_sent + loss_delay)
        return lost_packets


@dataclass
class NewReno:
    """B.2 to B.8: the congestion controller, without ECN."""

    max_datagram_size: int
    bytes_in_flight: int = 0
    congestion_recovery_start_time: int | None = None
    ssthresh: float | None = None
    congestion_window: float = 0.0

    def __post_init__(self) -> None:
        self.congestion_window = min(10 * self.max_datagram_size, max(14720, 2 * self.max_datagram_size))

    @property
    def minimum_window(self) -> int:
        """K_MINIMUM_WINDOW."""
        return 2 * self.max_datagram_size

    def on_packet_sent(self, packet: SentPacket) -> None:
        """B.4."""
        if packet.in_flight:
            self.bytes_in_flight += packet.sent_bytes

    def in_congestion_recovery(self, sent_time: int) -> bool:
        """B.5."""
        start = self.congestion_recovery_start_time
        return start is not None and sent_time <= start

    def on_packet_acked(self, packet: SentPacket, *, is_app_or_flow_control_limited: bool = False) -> None:
        """B.5."""
        if not packet.in_flight:
            return
        self.bytes_in_flight -= packet.sent_bytes
        if is_app_or_flow_control_limited or self.in_congestion_recovery(packet.time_sent):
            return
        if self.ssthresh is None or self.congestion_window < self.ssthresh:
            self.congestion_window += packet.sent_bytes
        else:
            self.congestion_window += self.max_datagram_size * packet.sent_bytes / self.congestion_window

    def on_congestion_event(self, sent_time: int, now: int) -> None:
        """B.6."""
        if self.in_congestion_recovery(sent_time):
            return
        self.congestion_recovery_start_time = now
        self.ssthresh = self.congestion_window * K_LOSS_REDUCTION_FACTOR
        self.congestion_window = max(self.ssthresh, self.minimum_window)

    def on_packets_lost(self, lost: list[SentPacket], now: int, *, is_persistent: bool = False) -> None:
        """B.8; whether the congestion is persistent (§7.6) is the caller's to say."""
        sent_times = [packet.time_sent for packet in lost if packet.in_flight]
        self.bytes_in_flight -= sum(packet.sent_bytes for packet in lost if packet.in_flight)
        if sent_times:
            self.on_congestion_event(max(sent_times), now)
        if is_persistent:
            self.congestion_window = self.minimum_window
            self.congestion_recovery_start_time = None
