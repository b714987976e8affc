"""Token buckets: what one peer may send per second, and how long it must wait when it has spent that.

Knows nothing of what is counted. Both ends of a link keep the same budgets, the sender to stay below them and the
receiver to enforce them with some slack, so that an honest peer is never cut short by a jittering network.
"""

from __future__ import annotations

from node.types import SECOND, Duration, Instant

__all__ = ["Budget"]


class Budget:
    """Refills at `rate` units per second up to `burst`; may be overdrawn by one take, which the next ones pay for."""

    __slots__ = ("_burst", "_level", "_rate", "_updated_at")

    def __init__(self, rate: float, burst: float, now: Instant) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._updated_at = now

    def set_rate(self, rate: float, burst: float, now: Instant) -> None:
        """Changes the allowance from now on; what was saved up stays."""
        self._refill(now)
        self._rate, self._burst = rate, burst

    def take(self, amount: float, now: Instant) -> bool:
        """Takes that much if anything is left; whether it did."""
        self._refill(now)
        if self._level <= 0:
            return False
        self._level -= amount
        return True

    def wait(self, now: Instant) -> Duration:
        """Time until `take` succeeds again; 0 if it would now."""
        self._refill(now)
        if self._level > 0:
            return 0
        return round((1 - self._level) / self._rate * SECOND)

    def _refill(self, now: Instant) -> None:
        if now > self._updated_at:
            self._level = min(self._burst, self._level + (now - self._updated_at) * self._rate / SECOND)
            self._updated_at = now
