"""When the messages of a queue expire: what both outboxes, of packets and of streams, keep beside their messages.

Entries of messages that are done stay until they are due, or until most are such: a message that is acknowledged is no
reason to search.
"""

from __future__ import annotations

from collections.abc import Container, Sized
from heapq import heapify, heappop, heappush
from typing import Protocol

from node.types import Instant
from node.wire.limits import DEADLINES_MIN

__all__ = ["Deadlines"]


class Messages(Container[int], Sized, Protocol):
    """The ids of messages whose fate is not known."""


class Deadlines:
    """The deadlines of those of `messages` that have one; an id that is not in there any more has none."""

    __slots__ = ("_heap", "_messages")

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._heap: list[tuple[Instant, int]] = []

    def __len__(self) -> int:
        """Entries, those of messages that are done included."""
        return len(self._heap)

    def add(self, deadline: Instant, message_id: int) -> None:
        """That message expires then; the earliest of several deadlines counts."""
        heappush(self._heap, (deadline, message_id))
        if len(self._heap) > DEADLINES_MIN + 2 * len(self._messages):
            # Most are of messages that are done, and far from being due.
            self._heap = [entry for entry in self._heap if entry[1] in self._messages]
            heapify(self._heap)

    def earliest(self) -> Instant | None:
        """When the next message expires; None where none does."""
        heap = self._heap
        while heap:
            deadline, message_id = heap[0]
            if message_id in self._messages:
                return deadline
            heappop(heap)
        return None

    def take_due(self, now: Instant) -> int | None:
        """A message whose deadline has passed, the earliest first; None when there are no more."""
        deadline = self.earliest()
        return heappop(self._heap)[1] if deadline is not None and deadline <= now else None
