"""How far a broadcast shall have come before its caller goes on, and the waiting for it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from node.api.limits import GOAL_PATTERN, GOAL_WORDS
from node.core.events import BroadcastProgress
from node.errors import NotRunning, ReceiptTimeout, UsageError

__all__ = ["Goal", "Pursuit", "checked_timeout", "parse_goal"]


TIMEOUT_MAX = 1e6
"""Seconds; whoever waits for longer than eleven days has mistaken the unit."""


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


def parse_goal(wait: object) -> Goal | None:
    """The goal in these words; None where nothing is to be waited for. UsageError."""
    if wait is None or wait == "queued":
        return None
    if not isinstance(wait, str) or not re.fullmatch(GOAL_PATTERN, wait):
        raise UsageError(f"wait = {str(wait)[:80]!r}: allowed are {GOAL_WORDS}")
    return Goal(0) if wait == "covered" else Goal(int(wait.removeprefix("acked:")))


def checked_timeout(seconds: object) -> float:
    """The seconds, where something can be waited for so long. UsageError."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= TIMEOUT_MAX:
        raise UsageError(f"timeout = {str(seconds)[:80]}: allowed is a number of seconds from 0 to {TIMEOUT_MAX:g}")
    return seconds


class Pursuit:
    """One broadcast on its way to a goal."""

    def __init__(self, goal: Goal) -> None:
        self._goal = goal
        self._last = BroadcastProgress(message_id="", acked=0, covered=0, members=0)
        self._is_abandoned = False
        self._ended = asyncio.Event()

    def follow(self, progress: BroadcastProgress) -> None:
        """Takes note of how far it has come."""
        self._last = progress
        if self._goal.is_reached(progress):
            self._ended.set()

    def abandon(self) -> None:
        """Ends the wait, since the node stops."""
        self._is_abandoned = True
        self._ended.set()

    async def wait(self, message_id: str, seconds: float) -> None:
        """Returns once the goal is reached. ReceiptTimeout; NotRunning if the node stops before."""
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError as error:
            last = self._last
            raise ReceiptTimeout(message_id, acked=last.acked, covered=last.covered, members=last.members) from error
        if self._is_abandoned and not self._goal.is_reached(self._last):
            raise NotRunning("the node is stopped")
