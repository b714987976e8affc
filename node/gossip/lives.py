"""Which messages were made in this life of the node: an earlier one may have delivered those from before.

A message's epoch and number tell, where an earlier message of the same author was made in this life; else its time, by
this node's clock where the author's is known. What the mesh brings is new as a rule, and is not refused because its
author's clock may be slow; what a sync brings may be anything. A node that lived before is told of what it did last by
peers that were late, and its own clock may be another one than then: until the author's clock is known, such a message
is held back for a moment, and judged by the clocks of the peers after that.

Knows nothing of peers and frames. Bounded: the authors by ORIGINS_MAX, what is held by HELD_MESSAGES_MAX and
HELD_BYTES_MAX.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from node.messages.envelope import Envelope
from node.messages.skew import Clocks
from node.types import MILLISECOND, SECOND, Duration, Instant, NodeId
from node.wire.limits import HELD_BYTES_MAX, HELD_MESSAGES_MAX, ORIGINS_MAX

__all__ = ["Held", "Lives"]

HELD_TIME: Duration = 5 * SECOND
"""A peer's clock is known after two heartbeats as a rule; of whoever is no peer by then it will not be."""


@dataclass(frozen=True, slots=True)
class Held:
    """A message of which is not known yet whether it is from this life. until: when that is guessed.

    was_missed: a sync told of it.
    """

    envelope: Envelope
    via: NodeId
    hops: int
    until: Instant
    was_missed: bool


class Lives:
    """What one node knows of its lives. wants: whether a message of that wall millisecond is from this one.

    jumped: how far this node's wall clock was set since it began. has_past: something is remembered of an earlier life.
    may_repeat: that life may have delivered more than is remembered.
    """

    def __init__(self, clocks: Clocks, wants: Callable[[int], bool]) -> None:
        self.jumped: Duration = 0
        self.has_past = False
        self.may_repeat = False
        self._clocks = clocks
        self._wants = wants
        self._firsts: dict[NodeId, tuple[int, int]] = {}
        self._held: dict[bytes, Held] = {}
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def is_of_this(self, envelope: Envelope, *, was_missed: bool) -> bool:
        """Whether a message was made after this node began, as far as can be said now; else it is to be held.

        was_missed: a sync told of it.
        """
        first = self._firsts.get(envelope.origin)
        if first is not None and (envelope.epoch, envelope.sequence) > first:
            # Also in a later life of the author, whose clock may be another one by then than the one that is known.
            return True
        skew = self._clocks.of(envelope.origin)
        is_later = self._is_later(envelope, skew or 0)
        if skew is None and self._is_doubtful(is_later=is_later, was_missed=was_missed):
            return False
        if skew is not None and not is_later:
            # Its author's clock may have been set since it was compared with this one.
            return False
        self._note(envelope)
        return True

    def hold(self, held: Held) -> list[tuple[Held, bool]]:
        """Keeps a message until more is known; those that there is no room for any more, each judged."""
        self._held[held.envelope.message_id] = held
        self._held_bytes += len(held.envelope.body)
        crowded_out = []
        while len(self._held) > HELD_MESSAGES_MAX or self._held_bytes > HELD_BYTES_MAX:
            oldest = self._release(next(iter(self._held)))
            crowded_out.append((oldest, self._judge(oldest)))
        return crowded_out

    def decided(self, now: Instant) -> list[tuple[Held, bool]]:
        """The held messages that are known by now to be from this life; those whose time is up, judged."""
        done = []
        for message_id, held in list(self._held.items()):
            if self.is_of_this(held.envelope, was_missed=held.was_missed):
                done.append((self._release(message_id), True))
            elif held.until <= now:
                done.append((self._release(message_id), self._judge(held)))
        return done

    def _release(self, message_id: bytes) -> Held:
        held = self._held.pop(message_id)
        self._held_bytes -= len(held.envelope.body)
        return held

    def _judge(self, held: Held) -> bool:
        """By its author's clock, if that is known by now. Else what the mesh brought is believed, and what a sync did
        where there is no earlier life that it could repeat; for the rest that clock is taken for one like the peers'.
        """
        skew = self._clocks.of(held.envelope.origin)
        is_believed = skew is None and not (self.has_past and held.was_missed)
        if not is_believed and not self._is_later(held.envelope, self._clocks.skew() if skew is None else skew):
            return False
        self._note(held.envelope)
        return True

    def _is_doubtful(self, *, is_later: bool, was_missed: bool) -> bool:
        """Whether a message of an author whose clock is unknown is to be held back."""
        if is_later:
            # This node's own clock may have been set between its lives.
            return was_missed and self.may_repeat
        return was_missed or self.has_past

    def _is_later(self, envelope: Envelope, skew: Duration) -> bool:
        """Whether it was made since this node wants messages, by an author's clock that is so far ahead of its own."""
        return self._wants(envelope.timestamp - (skew + self.jumped) // MILLISECOND)

    def _note(self, envelope: Envelope) -> None:
        self._firsts.pop(envelope.origin, None)
        self._firsts[envelope.origin] = envelope.epoch, envelope.sequence
        if len(self._firsts) > ORIGINS_MAX:
            del self._firsts[next(iter(self._firsts))]
