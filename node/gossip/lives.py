"""Which messages were made in this life of the node: an earlier one may have delivered those from before.

A message's number tells, where an earlier message of the same author was made in this life; else its time, by this
node's clock where the author's is known. What the mesh brings is new as a rule, and is not refused because its author's
clock may be slow; what a sync brings may be anything. A node that lived before is told of what it did last by peers
that were late: until its author's clock is known, such a message is held back for a moment.

Knows nothing of peers and frames. Bounded: the authors by ORIGINS_MAX, what is held by HELD_MESSAGES_MAX.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from node.messages.envelope import Envelope
from node.messages.skew import Clocks
from node.types import MILLISECOND, SECOND, Duration, Instant, NodeId
from node.wire.limits import HELD_MESSAGES_MAX, ORIGINS_MAX

__all__ = ["Held", "Lives"]

HELD_TIME: Duration = 3 * SECOND
"""A peer's clock is known after two heartbeats as a rule; whoever is no peer by then is believed."""


@dataclass(frozen=True, slots=True)
class Held:
    """A message of which is not known yet whether it is from this life. until: when it is believed to be."""

    envelope: Envelope
    via: NodeId
    hops: int
    until: Instant


class Lives:
    """What one node knows of its lives. wants: whether a message of that wall millisecond is from this one.

    jumped: how far this node's wall clock was set since it began. has_past: something is remembered of an earlier life.
    """

    def __init__(self, clocks: Clocks, wants: Callable[[int], bool]) -> None:
        self.jumped: Duration = 0
        self.has_past = False
        self._clocks = clocks
        self._wants = wants
        self._firsts: dict[NodeId, tuple[int, int]] = {}
        self._held: dict[bytes, Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def is_of_this(self, envelope: Envelope, *, was_missed: bool) -> bool | None:
        """Whether a message was made after this node began; None while that cannot be said, and it is to be held.

        was_missed: a sync told of it.
        """
        epoch, sequence = self._firsts.get(envelope.origin, (0, 0))
        if epoch == envelope.epoch and sequence < envelope.sequence:
            return True
        skew = self._clocks.of(envelope.origin)
        is_later = self._wants(envelope.timestamp - ((skew or 0) + self.jumped) // MILLISECOND)
        if not is_later and (skew is not None or was_missed):
            return False
        if not is_later and self.has_past:
            return None
        self._note(envelope)
        return True

    def hold(self, envelope: Envelope, via: NodeId, hops: int, now: Instant) -> list[Held]:
        """Keeps a message until more is known; those that there is no room for any more, and are believed."""
        self._held[envelope.message_id] = Held(envelope, via, hops, now + HELD_TIME)
        crowded_out = []
        while len(self._held) > HELD_MESSAGES_MAX:
            crowded_out.append(self._held.pop(next(iter(self._held))))
        return crowded_out

    def decided(self, now: Instant) -> list[tuple[Held, bool]]:
        """The held messages of which is known by now whether they are from this life, or whose time is up."""
        done = []
        for message_id, held in list(self._held.items()):
            verdict = self.is_of_this(held.envelope, was_missed=False)
            if verdict is None and held.until <= now:
                self._note(held.envelope)
                verdict = True
            if verdict is not None:
                del self._held[message_id]
                done.append((held, verdict))
        return done

    def _note(self, envelope: Envelope) -> None:
        self._firsts.pop(envelope.origin, None)
        self._firsts[envelope.origin] = envelope.epoch, envelope.sequence
        if len(self._firsts) > ORIGINS_MAX:
            del self._firsts[next(iter(self._firsts))]
