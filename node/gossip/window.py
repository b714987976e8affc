"""Which sequence numbers of which author were seen: the memory that makes delivery exactly once.

Knows nothing of signatures: callers check first, mark after the author is proved, so that a forged number blocks
nobody. Bounded in authors and in numbers per author.
"""

from __future__ import annotations

from node.types import NodeId
from node.wire.limits import EPOCHS_PER_ORIGIN, ORIGINS_MAX, SEQUENCE_WINDOW

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
    """Windows per author, one for each of its latest epochs. The author heard longest ago is forgotten first.

    Earlier epochs count too: what an author said before it was restarted may arrive after what it said since.
    """

    def __init__(self) -> None:
        self._origins: dict[NodeId, list[SequenceWindow]] = {}

    def __len__(self) -> int:
        return len(self._origins)

    def is_new(self, origin: NodeId, epoch: int, sequence: int) -> bool:
        """Whether that message of that author was not seen; an epoch before the remembered ones is over."""
        windows = self._origins.get(origin, [])
        for window in windows:
            if window.epoch == epoch:
                return window.is_new(sequence)
        return len(windows) < EPOCHS_PER_ORIGIN or epoch > windows[0].epoch

    def mark(self, origin: NodeId, epoch: int, sequence: int) -> None:
        """Remembers that message."""
        windows = self._origins.pop(origin, [])
        self._origins[origin] = windows
        window = next((known for known in windows if known.epoch == epoch), None)
        if window is None:
            window = SequenceWindow(epoch)
            windows.append(window)
            windows.sort(key=lambda known: known.epoch)
            del windows[:-EPOCHS_PER_ORIGIN]
        window.mark(sequence)
        if len(self._origins) > ORIGINS_MAX:
            del self._origins[next(iter(self._origins))]
