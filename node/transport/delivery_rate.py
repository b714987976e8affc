"""How fast the path delivers, measured from acknowledgements (draft-cheng-iccrg-delivery-rate-estimation).

Each packet remembers how much had been delivered when it was sent; its acknowledgement tells how much was delivered
meanwhile. The longer of the two intervals, sending and acknowledging, bounds the rate from below, so that neither a
burst of packets nor a burst of acknowledgements looks like bandwidth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.transport.packet import SentPacket
from node.types import SECOND, Duration, Instant

__all__ = ["DeliveryRate", "RateSample"]


@dataclass(slots=True)
class RateSample:
    """What one acknowledgement tells a controller.

    rate: bytes per second, 0 where the interval is too short to tell. latest_rtt: None without a sample.
    is_app_limited: the sender had too little to send, so the path may be faster than this.
    prior_delivered: bytes delivered when the newest acknowledged packet was sent; delivered: bytes delivered by now.
    """

    now: Instant
    rate: int
    latest_rtt: Duration | None
    is_app_limited: bool
    prior_delivered: int
    delivered: int
    bytes_in_flight: int


class DeliveryRate:
    """Bytes delivered so far, and the marks that packets carry away with them."""

    __slots__ = ("_app_limited_until", "_delivered_at", "_first_sent_at", "delivered")

    def __init__(self) -> None:
        self.delivered = 0
        self._delivered_at: Instant = 0
        self._first_sent_at: Instant = 0
        self._app_limited_until = 0

    def on_sent(self, packet: SentPacket, bytes_in_flight: int) -> None:
        """Marks a packet; bytes_in_flight is without it."""
        if not bytes_in_flight:
            self._first_sent_at = self._delivered_at = packet.sent_at
        packet.delivered = self.delivered
        packet.delivered_at = self._delivered_at
        packet.first_sent_at = self._first_sent_at
        packet.is_app_limited = self._app_limited_until > 0

    def on_app_limited(self, bytes_in_flight: int) -> None:
        """The sender has nothing to send although it might: what is in flight now does not show what the path can."""
        self._app_limited_until = self.delivered + bytes_in_flight or 1

    def on_acked(
        self, packets: Sequence[SentPacket], now: Instant, latest_rtt: Duration | None, bytes_in_flight: int
    ) -> RateSample:
        """The sample that these packets give; at least one."""
        newest = packets[0]
        self.delivered += newest.size
        for packet in packets[1:] if len(packets) > 1 else ():
            self.delivered += packet.size
            if (packet.delivered, packet.number) > (newest.delivered, newest.number):
                newest = packet
        self._delivered_at = now
        self._first_sent_at = newest.sent_at
        if self._app_limited_until and self.delivered > self._app_limited_until:
            self._app_limited_until = 0
        interval, answered_in = newest.sent_at - newest.first_sent_at, now - newest.delivered_at
        if answered_in > interval:
            interval = answered_in
        rate = (self.delivered - newest.delivered) * SECOND // interval if interval > 0 else 0
        return RateSample(
            now, rate, latest_rtt, newest.is_app_limited, newest.delivered, self.delivered, bytes_in_flight
        )
