"""Memory that all connections of a node share, UDP and TCP, for messages that have arrived in part or out of order.

Each connection has limits of its own; a thousand of them together need one as well. Where it is used up, whoever stands
still makes room: each endpoint says which of its connections that is, and how to end it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import itemgetter
from typing import Protocol, TypeAlias, TypeVar

from node.types import Instant
from node.wire.limits import ROOM_INTERVAL, STALLED_TIME

__all__ = ["NoRoom", "ReassemblyPool", "Stalled", "most_stalled"]

Stalled: TypeAlias = tuple[int, Callable[[], None]]
"""Bytes that a connection holds whose messages stand still, and what ends it."""


class _Connection(Protocol):
    def bytes_stalled(self, since: Instant, /) -> int: ...


_ConnectionT = TypeVar("_ConnectionT", bound=_Connection)


class NoRoom(Exception):
    """The pool is used up."""


class ReassemblyPool:
    """size: bytes in all. used: bytes that are taken.

    holders: each names the connection that holds most of those that have made no progress since an instant; 0 bytes
    for none.
    """

    __slots__ = ("_asked_at", "holders", "size", "used")

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0
        self.holders: list[Callable[[Instant, Instant], Stalled]] = []
        self._asked_at: Instant | None = None

    def take(self, size: int) -> None:
        """Takes so many bytes; NoRoom if there are not as many."""
        if self.used + size > self.size:
            raise NoRoom
        self.used += size

    def give(self, size: int) -> None:
        """Gives them back."""
        self.used -= size

    def make_room(self, now: Instant) -> bool:
        """Ends the connection whose messages stand still and take the most memory; whether there was one.

        To look costs a walk over all of them, so after a vain one nobody looks for ROOM_INTERVAL.
        """
        if self._asked_at is not None and now - self._asked_at < ROOM_INTERVAL:
            return False
        held, end = max((stalled(now - STALLED_TIME, now) for stalled in self.holders), key=lambda found: found[0])
        if held:
            end()
        else:
            self._asked_at = now
        return held > 0


def most_stalled(
    connections: Iterable[_ConnectionT], since: Instant, end: Callable[[_ConnectionT, int], None]
) -> Stalled:
    """For a holder of the pool: the connection that holds most of those without progress since then.

    end: ends a connection that holds so many bytes.
    """
    holders = ((connection.bytes_stalled(since), connection) for connection in connections)
    held, worst = max(holders, key=itemgetter(0), default=(0, None))
    return held, (lambda: None) if worst is None else partial(end, worst, held)
