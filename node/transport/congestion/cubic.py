"""CUBIC after RFC 9438: the window grows along a cubic curve through the size at which it last met loss.

The curve is flat around that size and steep away from it, so that a long path is filled again soon and then probed
with care. As every loss-based controller it takes each loss for congestion; see `lossfloor` for paths that lose by
themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from node.transport.congestion.base import MINIMUM_WINDOW_PACKETS, initial_window, window_pacing_rate
from node.transport.congestion.episode import RecoveryEpisode
from node.transport.delivery_rate import RateSample
from node.transport.packet import SentPacket
from node.transport.rtt import RttEstimator
from node.types import Instant, to_seconds

__all__ = ["Cubic"]

_C = 0.4
"""Packets per second cubed: how aggressive the curve is (RFC 9438 §5.1)."""

_BETA = 0.7
"""What a loss leaves of the window (§4.6)."""

_ALPHA = 3 * (1 - _BETA) / (1 + _BETA)
"""Growth per round trip at which a Reno-like window with this beta gets Reno's share (§4.3)."""

_TARGET_MAX = 1.5
"""The window never grows by more than half in one round trip (§4.2)."""


_State: TypeAlias = tuple[float, float, float, Instant | None, float, float, int | None]
"""Window, largest window, window before the last reduction, epoch with its first window and Reno's, threshold."""


class Cubic:
    """Windows are bytes outside and packets inside, as the RFC writes them."""

    __slots__ = (
        "_acked",
        "_curve_window",
        "_episode",
        "_epoch_at",
        "_estimate",
        "_packet_bytes",
        "_prior",
        "_rtt",
        "_sampled_at",
        "_window",
        "_window_max",
        "congestion_window",
        "slow_start_threshold",
    )

    name = "cubic"

    def __init__(self, packet_bytes: int) -> None:
        """packet_bytes: the largest packet that the path takes."""
        self._window_max = 0.0
        self._prior = 0.0
        self._estimate = 0.0
        self._curve_window = 0.0
        self._epoch_at: Instant | None = None
        self._episode: RecoveryEpisode[_State] = RecoveryEpisode()
        self._acked = 0.0
        self._rtt = 0.0
        self._sampled_at: Instant = 0
        self.slow_start_threshold: int | None = None
        self.on_packet_size(packet_bytes)

    def on_packet_size(self, packet_bytes: int) -> None:
        """Begins with the initial window for packets of that many bytes."""
        self._packet_bytes = packet_bytes
        self._window = initial_window(packet_bytes) / packet_bytes
        self._publish()

    def on_mtu_change(self, packet_bytes: int) -> None:
        """Counts in packets of that many bytes from now on; the window keeps its bytes."""
        self._window = self._window * self._packet_bytes / packet_bytes
        self._packet_bytes = packet_bytes

    def on_packet_sent(self, packet: SentPacket) -> None:
        """CUBIC treats all packets alike."""

    def on_packets_acked(self, packets: Sequence[SentPacket], is_window_limited: bool) -> None:
        """Grows in slow start; counts what the curve grows by, unless the window was not used or is recovering."""
        for packet in packets:
            if self._episode.covers(packet.sent_at) or not is_window_limited:
                continue
            if self._in_slow_start():
                self._window += packet.size / self._packet_bytes
            else:
                self._acked += packet.size / self._packet_bytes
        self._publish()

    def on_sample(self, sample: RateSample) -> None:
        """Follows the curve (RFC 9438 §4.2 to §4.5)."""
        if sample.latest_rtt is not None:
            self._rtt = to_seconds(sample.latest_rtt)
        acked, self._acked = self._acked, 0.0
        idle, self._sampled_at = sample.now - self._sampled_at, sample.now
        if not acked:
            # The curve stands still while the window is not used; it would rise steeply after a pause otherwise (§5.8).
            if self._epoch_at is not None:
                self._epoch_at += idle
            return
        if self._epoch_at is None:
            self._epoch_at = sample.now
            self._curve_window = self._estimate = self._window
        elapsed = to_seconds(sample.now - self._epoch_at)
        self._estimate += (_ALPHA if self._estimate < self._prior else 1.0) * acked / self._window
        if self._curve(elapsed) < self._estimate:
            # Where the curve is slower than Reno would be, be as fast as Reno.
            self._window = max(self._window, self._estimate)
        else:
            target = min(max(self._curve(elapsed + self._rtt), self._window), _TARGET_MAX * self._window)
            self._window += (target - self._window) * acked / self._window
        self._publish()

    def on_packets_lost(self, packets: Sequence[SentPacket], now: Instant) -> None:
        """Shrinks the window once for all losses among packets sent before it last did (§4.6, §4.7)."""
        if self._episode.on_lost(packets, now, self._state()):
            self._shrink()

    def on_packets_spurious(self, packets: Sequence[SentPacket]) -> None:
        """Takes back a reduction for which there was no reason (§4.9); what the window has grown to meanwhile stays."""
        restored = self._episode.on_spurious(packets)
        if restored is None:
            return
        window, self._window_max, self._prior, self._epoch_at, self._curve_window, self._estimate, threshold = restored
        self._window = max(window, self._window)
        self.slow_start_threshold = threshold
        self._publish()

    def on_congestion_experienced(self, sent_at: Instant, now: Instant) -> None:
        """A mark is worth a loss (§4.6)."""
        if self._episode.on_marked(sent_at, now):
            self._shrink()

    def on_persistent_congestion(self, now: Instant) -> None:
        """Starts again from the minimum window; the next loss begins another period (RFC 9002 §7.6.2)."""
        self._start_over()
        self._episode.end()

    def on_timeout(self, packets: Sequence[SentPacket], now: Instant) -> None:
        """Starts again from the minimum window, towards what beta leaves of the present one (§4.8)."""
        self._episode.on_timeout(packets, now, self._state())
        self._shrink()
        self._start_over()

    def pacing_rate(self, rtt: RttEstimator) -> int:
        """As `window_pacing_rate`."""
        return window_pacing_rate(self, rtt)

    def _start_over(self) -> None:
        """What the path held before counts no more: the next curve begins at its plateau (§4.8: K is 0)."""
        self._window = float(MINIMUM_WINDOW_PACKETS)
        self._window_max = 0.0
        self._epoch_at = None
        self._publish()

    def _shrink(self) -> None:
        # Fast convergence: a window that did not reach its last maximum has a competitor, and makes room for it.
        is_falling = self._window < self._window_max
        self._window_max = self._window * (1 + _BETA) / 2 if is_falling else self._window
        self._prior = self._window
        self._epoch_at = None
        self._acked = 0.0
        self._window = max(self._window * _BETA, MINIMUM_WINDOW_PACKETS)
        self.slow_start_threshold = int(self._window * self._packet_bytes)
        self._publish()

    def _state(self) -> _State:
        return (
            self._window,
            self._window_max,
            self._prior,
            self._epoch_at,
            self._curve_window,
            self._estimate,
            self.slow_start_threshold,
        )

    def _curve(self, elapsed: float) -> float:
        """W_cubic after that many seconds of the present epoch, in packets."""
        # K: when the curve is at its plateau; without a loss yet, that is where it begins.
        top = max(self._window_max, self._curve_window)
        plateau_at = ((top - self._curve_window) / _C) ** (1 / 3)
        return float(_C * (elapsed - plateau_at) ** 3 + top)

    def _in_slow_start(self) -> bool:
        return self.slow_start_threshold is None or self.congestion_window < self.slow_start_threshold

    def _publish(self) -> None:
        self.congestion_window = int(self._window * self._packet_bytes)
