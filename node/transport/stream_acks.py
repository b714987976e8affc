"""When one end of a TCP link tells the other how many messages it has received.

Knows counts and times, no records. The stream loses nothing, so this is for whoever waits until the peer has a message:
it is told at once. Where both ends take turns, as with requests and responses, the next message is about to leave, and
carries it.
"""

from __future__ import annotations

from node.types import Instant
from node.wire.limits import STREAM_ACK_DELAY

__all__ = ["StreamAcks"]

_TURNS_MIN = 8
"""So many messages in a row, each followed by one of ours before the next came, make a conversation."""


class StreamAcks:
    """messages: received in full so far. is_due: whether that is to be said now, with or without anything else."""

    __slots__ = ("_at", "_has_answered", "_turns", "is_due", "messages")

    def __init__(self) -> None:
        self.messages = 0
        self.is_due = False
        self._at: Instant | None = None
        self._turns = 0
        self._has_answered = False

    def on_received(self, now: Instant) -> None:
        """One more message is here."""
        self.messages += 1
        self._turns = self._turns + 1 if self._has_answered else 0
        self._has_answered = False
        if self._turns < _TURNS_MIN:
            self.is_due = True
        else:
            self._at = now + STREAM_ACK_DELAY

    def on_sent(self) -> None:
        """A message of ours is about to leave."""
        self._has_answered = True

    def take(self) -> int | None:
        """The count to send along; None where the peer knows it already."""
        if not self.is_due and self._at is None:
            return None
        self.is_due, self._at = False, None
        return self.messages

    def next_timeout(self) -> Instant | None:
        """When the count has waited long enough for something to travel with."""
        return self._at

    def expire(self, now: Instant) -> bool:
        """Whether it has to be said by itself from now on: that was no conversation."""
        if self._at is None or now < self._at:
            return False
        self._at, self._turns, self.is_due = None, 0, True
        return True
