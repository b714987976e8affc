"""The share of packets that a path loses by itself, told from what overflows its queue.

Packets that count here were sent below the estimated bandwidth while the queue was short. Other flows may overflow the
queue even then; but that passes, and random loss does not. So of the last few samples only the lower half counts, with
the error added that choosing the lower ones makes.
"""

from __future__ import annotations

from collections import deque

__all__ = ["FLOOR_MAX", "Floor"]

FLOOR_MAX = 0.3
"""Beyond this share of loss a path is broken rather than lossy; sending more would not help it."""

_FIRST_PACKETS = 60
"""Packets after which the first sample is taken for what it is."""

_SAMPLE_PACKETS = 200
_SAMPLES = 4
_CHOSEN = 2
_ROUNDS_REMEMBERED = 8
_FADING = 0.9
_CHOICE_ERROR = 0.66
"""How far the mean of the 2 lowest of 4 normal values lies below their mean, in standard deviations."""


class Floor:
    """value: estimated share, 0 to FLOOR_MAX."""

    __slots__ = ("_lost", "_rounds", "_samples", "_sent", "value")

    def __init__(self) -> None:
        self.value = 0.0
        self._sent = 0
        self._lost = 0
        self._rounds = 0
        self._samples: deque[float] = deque(maxlen=_SAMPLES)

    def on_round(self) -> None:
        """A round trip has passed; an estimate that nothing confirms fades."""
        self._rounds += 1
        if self._rounds > _ROUNDS_REMEMBERED:
            self._samples.clear()
            self._sent = self._lost = 0
            self.value *= _FADING

    def count(self, sent: int, lost: int) -> None:
        """That many packets have met their fate, of which so many were lost; a negative number takes losses back."""
        self._sent += sent
        self._lost += lost
        if sent:
            self._rounds = 0
        if self._sent >= _SAMPLE_PACKETS:
            self._samples.append(max(0, self._lost) / self._sent)
            self._sent = self._lost = 0
        if self._samples:
            self.value = min(self._estimate(), FLOOR_MAX)
        elif self._sent >= _FIRST_PACKETS:
            self.value = min(max(0, self._lost) / self._sent, FLOOR_MAX)

    def _estimate(self) -> float:
        if len(self._samples) < _SAMPLES:
            return sum(self._samples) / len(self._samples)
        chosen = sum(sorted(self._samples)[:_CHOSEN]) / _CHOSEN
        return chosen + _CHOICE_ERROR * float((chosen * (1 - chosen) / _SAMPLE_PACKETS) ** 0.5)
