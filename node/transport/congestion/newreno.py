"""NewReno after RFC 9002 §7: slow start, halving once per round of losses, one packet per window of growth."""

from __future__ import annotations

from collections.abc import Sequence

from node.transport.congestion.base import INITIAL_WINDOW_PACKETS, MINIMUM_WINDOW_PACKETS, window_pacing_rate
from node.transport.delivery_rate import RateSample
from node.transport.packet import SentPacket
from node.transport.rtt import RttEstimator
from node.types import Instant

__all__ = ["NewReno"]


class NewReno:
    """The controller that every other one is measured against."""

    __slots__ = ("_acked_bytes", "_packet_bytes", "_recovery_started_at", "congestion_window", "slow_start_threshold")

    name = "newreno"

    def __init__(self, packet_bytes: int) -> None:
        """packet_bytes: the largest packet that the path takes."""
        self._packet_bytes = packet_bytes
        self._acked_bytes = 0
        self._recovery_started_at: Instant = -1
        self.congestion_window = INITIAL_WINDOW_PACKETS * packet_bytes
        self.slow_start_threshold: int | None = None

    def on_packet_size(self, packet_bytes: int) -> None:
        """Begins with a window of that many bytes per packet."""
        self._packet_bytes = packet_bytes
        self.congestion_window = INITIAL_WINDOW_PACKETS * packet_bytes

    def on_packet_sent(self, packet: SentPacket) -> None:
        """NewReno treats all packets alike."""

    def on_sample(self, sample: RateSample) -> None:
        """NewReno asks neither for rates nor for delays."""

    def on_packets_acked(self, packets: Sequence[SentPacket], is_window_limited: bool) -> None:
        """Grows the window, unless the caller did not use it or a recovery period is under way."""
        for packet in packets:
            if packet.sent_at <= self._recovery_started_at or not is_window_limited:
                continue
            if self.slow_start_threshold is None or self.congestion_window < self.slow_start_threshold:
                self.congestion_window += packet.size
                continue
            self._acked_bytes += packet.size
            if self._acked_bytes >= self.congestion_window:
                self._acked_bytes -= self.congestion_window
                self.congestion_window += self._packet_bytes

    def on_packets_lost(self, packets: Sequence[SentPacket], now: Instant) -> None:
        """Halves the window once for all losses among packets sent before it was last halved."""
        if max(packet.sent_at for packet in packets) <= self._recovery_started_at:
            return
        self._recovery_started_at = now
        self._acked_bytes = 0
        self.congestion_window = max(self.congestion_window // 2, MINIMUM_WINDOW_PACKETS * self._packet_bytes)
        self.slow_start_threshold = self.congestion_window

    def on_timeout(self, now: Instant) -> None:
        """Starts again from the minimum window (RFC 5681 §3.1), towards half of what it was."""
        half = self.congestion_window // 2
        self.congestion_window = MINIMUM_WINDOW_PACKETS * self._packet_bytes
        self.slow_start_threshold = max(half, self.congestion_window)
        self._recovery_started_at = now
        self._acked_bytes = 0

    def pacing_rate(self, rtt: RttEstimator) -> int:
        """As `window_pacing_rate`."""
        return window_pacing_rate(self, rtt)
