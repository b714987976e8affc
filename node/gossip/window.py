"""Which sequence numbers of which author were seen: the memory that makes delivery exactly once.

Knows nothing of signatures: callers check first, mark after the author is proved, so that a forged number blocks
nobody. Bounded in authors and in numbers per author.
"""

from __future__ import annotations

from node.errors import DecodeError
from node.identity.keys import NODE_ID_BYTES
from node.messages.packing import Value
from node.types import NodeId
from node.wire.limits import EPOCHS_PER_ORIGIN, ORIGINS_MAX, SEQUENCE_WINDOW

__all__ = ["OriginTable", "SequenceWindow"]

_MASK = (1 << SEQUENCE_WINDOW) - 1
_BYTES_MAX = SEQUENCE_WINDOW // 8


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

    def fields(self) -> list[Value]:
        """The window as plain data, for `of_fields`."""
        return [self.epoch, self.highest, self._bits.to_bytes(self._bits.bit_length() + 7 >> 3, "little")]

    @classmethod
    def of_fields(cls, fields: Value) -> SequenceWindow:
        """The window that `fields` described; DecodeError for anything else."""
        match fields:
            case [int(epoch), int(highest), bytes(bits), *_] if epoch >= 0 and highest >= 0 and len(bits) <= _BYTES_MAX:
                window = cls(epoch)
                window.highest = highest
                window._bits = int.from_bytes(bits, "little") & _MASK
                return window
            case _:
                raise DecodeError("malformed", "a window is epoch, highest and bits")

    def missing(self) -> int:
        """A bit for each number that is not marked, counted down from the highest, as far as the window reaches."""
        reach = min(self.highest, SEQUENCE_WINDOW)
        return ~self._bits & ((1 << reach) - 1)


class OriginTable:
    """Windows per author, one for each of its latest epochs. The author heard longest ago is forgotten first.

    Earlier epochs count too: what an author said before it was restarted may arrive after what it said since.
    """

    def __init__(self) -> None:
        self._origins: dict[NodeId, list[SequenceWindow]] = {}
        self._sorted: list[NodeId] | None = None

    def __len__(self) -> int:
        return len(self._origins)

    def origins(self) -> list[NodeId]:
        """The remembered authors, in the order of their keys; not to be changed."""
        if self._sorted is None:
            self._sorted = sorted(self._origins)
        return self._sorted

    def windows(self, origin: NodeId) -> list[SequenceWindow]:
        """The windows of an author, one per epoch."""
        return self._origins.get(origin, [])

    def is_new(self, origin: NodeId, epoch: int, sequence: int) -> bool:
        """Whether that message of that author was not seen; an epoch before the remembered ones is over."""
        windows = self._origins.get(origin, [])
        for window in windows:
            if window.epoch == epoch:
                return window.is_new(sequence)
        return len(windows) < EPOCHS_PER_ORIGIN or epoch > windows[0].epoch

    def mark(self, origin: NodeId, epoch: int, sequence: int) -> None:
        """Remembers that message."""
        known_windows = self._origins.pop(origin, None)
        windows = self._origins[origin] = [] if known_windows is None else known_windows
        if known_windows is None:
            self._sorted = None
        window = next((known for known in windows if known.epoch == epoch), None)
        if window is None:
            window = SequenceWindow(epoch)
            windows.append(window)
            windows.sort(key=lambda known: known.epoch)
            del windows[:-EPOCHS_PER_ORIGIN]
        window.mark(sequence)
        if len(self._origins) > ORIGINS_MAX:
            del self._origins[next(iter(self._origins))]
            self._sorted = None

    def snapshot(self) -> list[Value]:
        """Everything that is remembered as plain data, the author heard longest ago first."""
        return [[origin, [window.fields() for window in windows]] for origin, windows in self._origins.items()]

    def restore(self, rows: Value) -> None:
        """Remembers what `snapshot` told of an earlier life; DecodeError, and no change, for anything else."""
        if not isinstance(rows, list):
            raise DecodeError("malformed", "watermarks are a list")
        origins: dict[NodeId, list[SequenceWindow]] = {}
        for row in rows[-ORIGINS_MAX:]:
            match row:
                case [bytes(origin), list(windows), *_] if len(origin) == NODE_ID_BYTES:
                    found = sorted(map(SequenceWindow.of_fields, windows), key=lambda window: window.epoch)
                    origins[NodeId(origin)] = found[-EPOCHS_PER_ORIGIN:]
                case _:
                    raise DecodeError("malformed", "a watermark is an author and its windows")
        self._origins, self._sorted = origins, None
