"""Small parts that are said more than once, on a path that loses and before anything shows that they were lost.

A small message that is lost is missed late: its loss shows when something behind it is acknowledged. So small parts
ride along in the next few packets that have room, and what the peer should have acknowledged by now is said again in
a packet of its own. Whether the path loses is for `sending` to know, and what goes into a packet for the outbox.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from node.transport.fragments import Part, is_known
from node.types import Duration, Instant

__all__ = ["COPIES_MAX", "REPEATED_BYTES_MAX", "Repeats"]

REPEATED_BYTES_MAX = 512
"""Parts up to this size are worth a copy."""

COPIES_MAX = 3
"""Later packets that carry a part again: four of 256 bytes fill a packet."""

_COPIED_MAX = 4
"""Parts of one packet that are copied."""

_UNANSWERED_MAX = 16
"""Parts that are watched for an answer: a flow with more of them under way hears of its losses soon enough."""


class Repeats:
    """The small parts that left a short time ago, over a path that loses.

    overdue: those that should have been acknowledged by now, for the next packet.
    """

    __slots__ = ("_fresh", "_unanswered", "overdue")

    def __init__(self) -> None:
        self.overdue: list[Part] = []
        # The first are those of the newest packet.
        self._fresh: list[list[Part]] = []
        self._unanswered: list[tuple[Part, Instant]] = []

    def on_sent(self, parts: Sequence[Part], now: Instant) -> None:
        """Takes note of what a packet carries, without what is in it again."""
        new = [part for part in parts if not part.cause]
        if not new:
            return
        small = [part for part in new if part.size <= REPEATED_BYTES_MAX]
        if small or self._fresh:
            self._fresh = [small[-_COPIED_MAX:], *self._fresh[: COPIES_MAX - 1]]
            if not any(self._fresh):
                self._fresh = []
        if small:
            self._unanswered += [(part, now) for part in small]
            del self._unanswered[:-_UNANSWERED_MAX]

    def take(self) -> Iterator[Part]:
        """What the next packet should carry again, the most urgent first."""
        overdue, self.overdue = self.overdue, []
        for part in overdue:
            if not is_known(part):
                yield Part(part.message, part.offset, part.size, "probe")
        for parts in self._fresh:
            for part in parts:
                if not is_known(part):
                    yield part

    def next_timeout(self, patience: Duration) -> Instant | None:
        """When a part will be overdue that nobody has acknowledged `patience` after it was sent."""
        unanswered = self._unanswered
        while unanswered and is_known(unanswered[0][0]):
            del unanswered[0]
        return unanswered[0][1] + patience if unanswered else None

    def handle_timeout(self, patience: Duration, now: Instant) -> None:
        """Notes what is overdue, each part once."""
        while (due := self.next_timeout(patience)) is not None and due <= now:
            self.overdue.append(self._unanswered.pop(0)[0])
