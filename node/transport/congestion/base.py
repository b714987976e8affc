"""The interface of a congestion controller: told what happened to packets, asked for a window and a pacing rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from node.transport.delivery_rate import RateSample
from node.transport.packet import SentPacket
from node.transport.rtt import RttEstimator
from node.types import SECOND, Instant

__all__ = [
    "INITIAL_WINDOW_BYTES",
    "INITIAL_WINDOW_PACKETS",
    "MINIMUM_WINDOW_PACKETS",
    "Controller",
    "initial_window",
    "window_pacing_rate",
]

INITIAL_WINDOW_PACKETS = 10
"""Initial congestion window in packets of the largest size (RFC 9002 §7.2)."""

INITIAL_WINDOW_BYTES = 14_720
"""What it may be at most, except that two packets are always allowed (RFC 9002 §7.2)."""

MINIMUM_WINDOW_PACKETS = 4
"""RFC 9002 says 2; with 4, two packets that get through still bring the acknowledgements that find a loss."""


class Controller(Protocol):
    """Windows are bytes of UDP payload. `congestion_window` bounds the bytes in flight; probes may exceed it."""

    name: str
    congestion_window: int
    slow_start_threshold: int | None

    def on_packet_size(self, packet_bytes: int) -> None:
        """The handshake told how large packets may be on this connection; nothing was sent yet."""
        ...

    def on_mtu_change(self, packet_bytes: int) -> None:
        """Packets have another size from now on; window and rate in bytes stay as they are."""
        ...

    def on_packet_sent(self, packet: SentPacket) -> None:
        """A packet is about to leave; the controller may mark it."""
        ...

    def on_packets_acked(self, packets: Sequence[SentPacket], is_window_limited: bool) -> None:
        """Packets were acknowledged for the first time; is_window_limited: the window was in use before that."""
        ...

    def on_packets_lost(self, packets: Sequence[SentPacket], now: Instant) -> None:
        """Packets were declared lost by an acknowledgement or the time threshold."""
        ...

    def on_packets_spurious(self, packets: Sequence[SentPacket]) -> None:
        """Packets that had been declared lost have arrived after all."""
        ...

    def on_congestion_experienced(self, sent_at: Instant, now: Instant) -> None:
        """The path marked packets instead of dropping them (ECN); sent_at: of the newest one acknowledged."""
        ...

    def on_persistent_congestion(self, now: Instant) -> None:
        """Everything sent over more than three probe timeouts was lost (RFC 9002 §7.6); follows `on_packets_lost`."""
        ...

    def on_timeout(self, packets: Sequence[SentPacket], now: Instant) -> None:
        """The retransmission timer expired: nothing came back for a whole effective RTO; packets: all declared lost."""
        ...

    def on_sample(self, sample: RateSample) -> None:
        """An acknowledgement was taken in, losses included: what it says of the path."""
        ...

    def pacing_rate(self, rtt: RttEstimator) -> int:
        """Bytes per second at which to send; 0 while no RTT is known."""
        ...


def initial_window(packet_bytes: int) -> int:
    """min(10 packets, max(14720, 2 packets)) in bytes (RFC 9002 §7.2)."""
    return min(INITIAL_WINDOW_PACKETS * packet_bytes, max(INITIAL_WINDOW_BYTES, 2 * packet_bytes))


def window_pacing_rate(controller: Controller, rtt: RttEstimator) -> int:
    """5/4 of a window per RTT, twice a window in slow start (RFC 9002 §7.7): the rate of controllers of windows."""
    if not rtt.smoothed_rtt:
        return 0
    window, threshold = controller.congestion_window, controller.slow_start_threshold
    numerator, denominator = (2, 1) if threshold is None or window < threshold else (5, 4)
    return window * SECOND * numerator // (denominator * rtt.smoothed_rtt)
