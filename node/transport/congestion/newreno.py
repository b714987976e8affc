"""NewReno after RFC 9002 §7: slow start, halving once per round of losses, one packet per window of growth.

A round of losses that were none, only late, is taken back (RFC 4015).
"""

from __future__ import annotations

from collections.abc import Sequence

from node.transport.congestion.base import MINIMUM_WINDOW_PACKETS, initial_window, window_pacing_rate
from node.transport.congestion.episode import RecoveryEpisode
from node.transport.delivery_rate import RateSample
from node.transport.packet import SentPacket
from node.transport.rtt import RttEstimator
from node.types import Instant

__all__ = ["NewReno"]


class NewReno:
    """The controller that every other one is measured against."""

    __slots__ = ("_acked_bytes", "_episode", "_packet_bytes", "congestion_window", "slow_start_threshold")

    name = "newreno"

    def __init__(self, packet_bytes: int) -> None:
        """packet_bytes: the largest packet that the path takes."""
        self._acked_bytes = 0
        self._episode: RecoveryEpisode[tuple[int, int | None]] = RecoveryEpisode()
        self.slow_start_threshold: int | None = None
        self.on_packet_size(packet_bytes)

    def on_packet_size(self, packet_bytes: int) -> None:
        """Begins with the initial window for packets of that many bytes."""
        self._packet_bytes = packet_bytes
        self.congestion_window = initial_window(packet_bytes)

    def on_mtu_change(self, packet_bytes: int) -> None:
        """Counts in packets of that many bytes from now on."""
        self._packet_bytes = packet_bytes

    def on_packet_sent(self, packet: SentPacket) -> None:
        """NewReno treats all packets alike."""

    def on_sample(self, sample: RateSample) -> None:
        """NewReno asks neither for rates nor for delays."""

    def on_packets_acked(self, packets: Sequence[SentPacket], is_window_limited: bool) -> None:
        """Grows the window, unless the caller did not use it or a recovery period is under way."""
        for packet in packets:
            if self._episode.covers(packet.sent_at) or not is_window_limited:
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
        if self._episode.on_lost(packets, now, self._state()):
            self._halve()

    def on_packets_spurious(self, packets: Sequence[SentPacket]) -> None:
        """Takes back a halving for which there was no reason; what the window has grown to meanwhile stays."""
        restored = self._episode.on_spurious(packets)
        if restored is not None:
            window, self.slow_start_threshold = restored
            self.congestion_window = max(window, self.congestion_window)

    def on_congestion_experienced(self, sent_at: Instant, now: Instant) -> None:
        """A mark is worth a loss (RFC 9002 §7.1)."""
        if self._episode.on_marked(sent_at, now):
            self._halve()

    def on_persistent_congestion(self, now: Instant) -> None:
        """Starts again from the minimum window; the next loss begins another period (RFC 9002 §7.6.2)."""
        self.congestion_window = self._minimum()
        self._episode.end()

    def on_timeout(self, packets: Sequence[SentPacket], now: Instant) -> None:
        """Starts again from the minimum window (RFC 5681 §3.1), towards half of what it was."""
        self._episode.on_timeout(packets, now, self._state())
        self.slow_start_threshold = max(self.congestion_window // 2, self._minimum())
        self.congestion_window = self._minimum()
        self._acked_bytes = 0

    def pacing_rate(self, rtt: RttEstimator) -> int:
        """As `window_pacing_rate`."""
        return window_pacing_rate(self, rtt)

    def _minimum(self) -> int:
        return MINIMUM_WINDOW_PACKETS * self._packet_bytes

    def _halve(self) -> None:
        self._acked_bytes = 0
        self.congestion_window = max(self.congestion_window // 2, self._minimum())
        self.slow_start_threshold = self.congestion_window

    def _state(self) -> tuple[int, int | None]:
        return self.congestion_window, self.slow_start_threshold
