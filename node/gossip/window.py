"""Which sequence numbers of which author were seen: the memory that makes delivery exactly once.

Knows nothing of signatures: callers check first, mark after the author is proved, so that a forged number blocks
nobody. Bounded in authors and in numbers per author.
"""

from __future__ import annotations

from node.types import NodeId
from node.wire.limits import ORIGINS_MAX, SEQUENCE_WINDOW

__all__ = ["OriginTable", "SequenceWindow"]

_MASK = (1 << SEQUENCE_WINDOW) - 1


class SequenceWindow:
    """The numbers seen in one epoch: the highest, and a bit for each of the SEQUENCE_WINDOW numbers up to it."""

    __slots__ = ("_bits", "epoch", "highest")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.highest = 0
        self._bits = 0

    def is_new(self, sequence: int) -> bool:
        """Whether that number was not marked and is not too far below the highest to tell."""
        if sequence > self.highest:
            return True
        distance = self.highest - sequence
        return distance < SEQUENCE_WINDOW and not self._bits >> distance & 1

    def mark(self, sequence: int) -> None:
        """Remembers that number."""
        if sequence > self.highest:
            advance = sequence - self.highest
            self._bits = (self._bits << advance & _MASK) | 1 if advance < SEQUENCE_WINDOW else 1
            self.highest = sequence
        elif self.highest - sequence < SEQUENCE_WINDOW:
            self._bits |= 1 << self.highest - sequence


class OriginTable:
    """A window per author. The author heard longest ago is forgotten when the table is full."""

    def __init__(self) -> None:
        self._windows: dict[NodeId, SequenceWindow] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def is_new(self, origin: NodeId, epoch: int, sequence: int) -> bool:
        """Whether that message of that author was not seen; an epoch below the author's latest is over."""
        window = self._windows.get(origin)
        if window is None or epoch > window.epoch:
            return True
        return epoch == window.epoch and window.is_new(sequence)

    def mark(self, origin: NodeId, epoch: int, sequence: int) -> None:
        """Remembers that message; a higher epoch ends the author's earlier ones."""
        window = self._windows.pop(origin, None)
        if window is None or epoch > window.epoch:
            window = SequenceWindow(epoch)
        self._windows[origin] = window
        window.mark(sequence)
        if len(self._windows) > ORIGINS_MAX:
            del self._windows[next(iter(self._windows))]
