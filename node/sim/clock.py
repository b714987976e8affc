"""A machine's own monotonic clock beside the world's time: it starts elsewhere and may run too fast or too slow.

Knows nothing of machines. Both directions are exact in integers: the instant that `world_at` names is the first at
which `local_at` has reached the asked one, so that a timer never fires a nanosecond early.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.types import Duration, Instant

__all__ = ["DRIFT_MAX", "Clock"]

_MILLION = 1_000_000

DRIFT_MAX = 100_000
"""Parts per million; a quartz is wrong by 100, a broken virtual machine by some thousands."""


@dataclass(slots=True)
class Clock:
    """offset: what it shows at the world's instant 0. drift: parts per million that it runs too fast, ± DRIFT_MAX."""

    offset: Duration = 0
    drift: int = 0
    _since: Instant = 0
    _base: Instant = 0

    def __post_init__(self) -> None:
        self._base = self.offset

    def local_at(self, now: Instant) -> Instant:
        """What it shows at that instant of the world."""
        if not self.drift:
            return now - self._since + self._base
        elapsed = now - self._since
        return self._base + elapsed + elapsed * self.drift // _MILLION

    def world_at(self, local: Instant) -> Instant:
        """The first instant of the world at which it shows that, or later."""
        if not self.drift:
            return local - self._base + self._since
        elapsed = -((self._base - local) * _MILLION // (_MILLION + self.drift))
        while self.local_at(self._since + elapsed) < local:
            elapsed += 1
        return self._since + elapsed

    def set_drift(self, drift: int, now: Instant) -> None:
        """From now on it runs that much too fast; what it shows does not jump."""
        self._base, self._since = self.local_at(now), now
        self.drift = max(-DRIFT_MAX, min(DRIFT_MAX, drift))
