"""A bounded record of what happened, read with a cursor: a reader that comes back gets what it has not seen yet.

Knows nothing of what the entries mean. The oldest entries go when there are too many or too large ones; a reader that
was too slow is told how many it missed. Reading never waits for anybody and nobody waits for a reader.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from node.errors import UsageError

__all__ = ["Journal", "Page"]

EntryT = TypeVar("EntryT")

_CURSOR = re.compile(r"([0-9a-f]{1,32})-([0-9]{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[EntryT]):
    """Entries, oldest first, each with its number: 1 for the first of all, then one more each.

    cursor: what to ask with next time. missed: entries between the reader's cursor and these that are gone.
    is_reset: the cursor was one of an earlier life of the node; these are the oldest entries of this life.
    """

    entries: list[tuple[int, EntryT]]
    cursor: str
    missed: int
    is_reset: bool


class Journal(Generic[EntryT]):
    """Keeps the newest `entries_max` entries of `bytes_max` together; life: hexadecimal, another for each process."""

    def __init__(self, life: str, *, entries_max: int, bytes_max: int | None = None) -> None:
        self._life = life
        self._entries: deque[tuple[EntryT, int]] = deque()
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._newest = 0
        self._waiting: list[asyncio.Future[None]] = []

    def append(self, entry: EntryT, size: int = 0) -> None:
        """Adds an entry of that many bytes, and forgets the oldest that no longer fit; wakes whoever waits."""
        entries = self._entries
        entries.append((entry, size))
        self._newest += 1
        self._bytes += size
        while len(entries) > self._entries_max or (self._bytes_max is not None and self._bytes > self._bytes_max):
            self._bytes -= entries.popleft()[1]
        if self._waiting:
            self.wake()

    def read(self, cursor: str | None, limit: int) -> Page[EntryT]:
        """At most `limit` entries after the cursor, from the oldest without one. UsageError for what is no cursor."""
        after, is_reset = self._position(cursor)
        oldest = self._newest - len(self._entries) + 1
        missed = max(0, oldest - 1 - after) if cursor is not None and not is_reset else 0
        first = max(after + 1, oldest)
        chosen = islice(self._entries, first - oldest, first - oldest + limit)
        entries = [(number, entry) for number, (entry, _) in enumerate(chosen, first)]
        last = entries[-1][0] if entries else max(after, oldest - 1)
        return Page(entries=entries, cursor=f"{self._life}-{last}", missed=missed, is_reset=is_reset)

    def tail(self, number: int) -> Page[EntryT]:
        """The newest entries, at most that many."""
        return self.read(f"{self._life}-{max(0, self._newest - min(number, len(self._entries)))}", number)

    async def changed(self, cursor: str, seconds: float) -> None:
        """Returns when there is an entry after the cursor, after `wake`, or after that many seconds."""
        after, is_reset = self._position(cursor)
        if is_reset or after < self._newest:
            return
        news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(news)
        try:
            await asyncio.wait([news], timeout=seconds)
        finally:
            if news in self._waiting:
                self._waiting.remove(news)

    def wake(self) -> None:
        """Lets everybody who waits look again."""
        waiting, self._waiting = self._waiting, []
        for news in waiting:
            if not news.done():
                news.set_result(None)

    def _position(self, cursor: str | None) -> tuple[int, bool]:
        """The number of the last entry that was seen, and whether the cursor is of another life."""
        if cursor is None:
            return 0, False
        found = _CURSOR.fullmatch(cursor)
        if found is None:
            raise UsageError(f"{cursor[:80]!r} is no cursor; allowed is one that an earlier answer gave")
        number = int(found[2])
        if found[1] != self._life or number > self._newest:
            return 0, True
        return number, False
