"""Spreads packets over the round trip instead of sending a window at once (RFC 9002 §7.7).

A bucket that fills at the controller's rate. Timers of an event loop are late by a millisecond or more, so the bucket
holds what falls due in that time, and what was missed is made up for: as much as is usual for this event loop.
"""

from __future__ import annotations

from node.types import MILLISECOND, SECOND, Duration, Instant

__all__ = ["Pacer"]

_BURST_TIME: Duration = 2 * MILLISECOND
"""Packets are released in bursts of this much time: finer timers than this cost more than they smooth."""

_LATENESS_CREDIT: Duration = 5 * MILLISECOND
"""How much time an event loop may come late without the rate suffering, unless it is known to come later."""

_LATENESS_CREDIT_MAX: Duration = 20 * MILLISECOND
"""The same of one that mostly comes late by more: a longer burst would overflow the queues that bursts meet."""

_BURST_PACKETS_MIN = 10
"""A burst of this many packets is always allowed (RFC 9002 §7.7)."""


class Pacer:
    """A token bucket in bytes.

    rate: bytes per second; 0 switches pacing off until an RTT is known.
    blocked_until: when the next burst may leave, if the last question was answered with "not now".
    """

    __slots__ = ("_capacity", "_filled_at", "_lateness", "_packet_bytes", "_tokens", "blocked_until", "rate")

    def __init__(self, packet_bytes: int) -> None:
        self.rate = 0
        self.blocked_until: Instant | None = None
        self._packet_bytes = packet_bytes
        # In bytes times nanoseconds: the pacer is asked far more often than a slow rate earns a byte, and what is
        # rounded away each time would add up to no rate at all.
        self._tokens = _BURST_PACKETS_MIN * packet_bytes * SECOND
        self._filled_at: Instant = 0
        self._lateness: Duration = 0
        # How much time the bucket holds.
        self._capacity: Duration = _BURST_TIME + _LATENESS_CREDIT

    def on_packet_size(self, packet_bytes: int) -> None:
        """Packets have another size from now on."""
        self._tokens += _BURST_PACKETS_MIN * (packet_bytes - self._packet_bytes) * SECOND
        self._packet_bytes = packet_bytes

    def on_sent(self, size: int) -> None:
        """Takes that many bytes out; a probe may leave the bucket in debt."""
        self._tokens -= size * SECOND

    def unblock(self, now: Instant) -> None:
        """Whoever was told to wait is back, in time or late: the smoothed lateness of those who are is made up for."""
        if self.blocked_until is not None and now >= self.blocked_until:
            self._lateness += (min(now - self.blocked_until, _LATENESS_CREDIT_MAX) - self._lateness) // 8
            self._capacity = _BURST_TIME + max(_LATENESS_CREDIT, min(2 * self._lateness, _LATENESS_CREDIT_MAX))
        self.blocked_until = None

    def may_send(self, now: Instant) -> bool:
        """Whether a packet may leave now; if not, `blocked_until` is set."""
        if self.blocked_until is not None:
            self.unblock(now)
        if not self.rate:
            return True
        if now != self._filled_at:
            tokens = self._tokens + (now - self._filled_at) * self.rate
            capacity = self.rate * self._capacity
            if tokens > capacity:
                tokens = min(tokens, max(_BURST_PACKETS_MIN * self._packet_bytes * SECOND, capacity))
            self._tokens = tokens
            self._filled_at = now
        # A packet of any size may overdraw the bucket: small ones must not wait until a large one could be paid for.
        if self._tokens > 0:
            return True
        wanted = max(self._packet_bytes * SECOND, self.rate * _BURST_TIME)
        self.blocked_until = now - (self._tokens - wanted) // self.rate
        return False
