"""How far a broadcast shall have come before its caller goes on, and the waiting for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from node.core.events import BroadcastProgress
from node.errors import ReceiptTimeout, UsageError

__all__ = ["Goal", "Pursuit", "parse_goal"]

_ALLOWED = 'allowed are "queued", "acked:k" with k from 1 on, and "covered"'


@dataclass(frozen=True, slots=True)
class Goal:
    """acked: peers that shall have acknowledged a copy; 0 for every living member that shall have the message."""

    acked: int

    @property
    def is_coverage(self) -> bool:
        """Whether every member is meant."""
        return not self.acked

    def is_reached(self, progress: BroadcastProgress) -> bool:
        """Whether a broadcast has come so far."""
        if self.is_coverage:
            return progress.covered >= progress.members
        return progress.acked >= self.acked


def parse_goal(wait: str | None) -> Goal | None:
    """The goal in these words; None where nothing is to be waited for. UsageError."""
    if wait is None or wait == "queued":
        return None
    if wait == "covered":
        return Goal(0)
    word, _, count = wait.partition(":")
    if word == "acked" and count.isascii() and count.isdigit() and int(count[:6]) > 0 and len(count) <= 6:
        return Goal(int(count))
    raise UsageError(f"wait = {wait!r}: {_ALLOWED}")


class Pursuit:
    """One broadcast on its way to a goal."""

    def __init__(self, goal: Goal) -> None:
        self._goal = goal
        self._last = BroadcastProgress(message_id="", acked=0, covered=0, members=0)
        self._reached = asyncio.Event()

    def follow(self, progress: BroadcastProgress) -> None:
        """Takes note of how far it has come."""
        self._last = progress
        if self._goal.is_reached(progress):
            self._reached.set()

    async def wait(self, message_id: str, seconds: float) -> str:
        """The id, once the goal is reached. ReceiptTimeout."""
        try:
            async with asyncio.timeout(seconds):
                await self._reached.wait()
        except TimeoutError as error:
            last = self._last
            raise ReceiptTimeout(message_id, acked=last.acked, covered=last.covered, members=last.members) from error
        return message_id
