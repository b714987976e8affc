"""Callers who wait for room in the queue of one connection, and whose turn it is once there may be some.

Control messages have a line of their own and go first, since a queue that is full for all others has room for them;
each channel of ordered messages has one, since a channel that is full by itself must hold up nobody else. Apart from
that whoever came first goes first, so that no message is overtaken by smaller ones for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Generic, TypeVar

from node.transport.events import Delivery
from node.transport.packet import Message, Priority

__all__ = ["Refused", "Waiter", "WaitingCallers"]

CallerT = TypeVar("CallerT")

_CONTROL = -1
_OTHERS = -2


class Refused(Enum):
    """There was no room: for any message like that, or in its channel alone."""

    QUEUE = auto()
    CHANNEL = auto()


class Waiter(Generic[CallerT]):
    """number: of its arrival."""

    __slots__ = ("caller", "message", "number")

    def __init__(self, message: Message, number: int, caller: CallerT) -> None:
        self.message = message
        self.number = number
        self.caller = caller


class WaitingCallers(Generic[CallerT]):
    """Lines of waiters; `len` counts them all."""

    __slots__ = ("_aside", "_following", "_lines")

    def __init__(self) -> None:
        self._lines: dict[int, deque[Waiter[CallerT]]] = {}
        # Channels that had no room of their own when they were tried last.
        self._aside: dict[int, None] = {}
        self._following = 0

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def are_before(self, message: Message) -> bool:
        """Whether a new message has to wait because somebody else does."""
        if _line_of(message) in self._lines:
            return True
        return message.priority is not Priority.CONTROL and len(self._aside) < len(self._lines)

    def join(self, message: Message, caller: CallerT, refused: Refused) -> Waiter[CallerT]:
        """The last of its line. refused: why it has to wait."""
        line = _line_of(message)
        if refused is Refused.CHANNEL:
            self._aside[line] = None
        waiter = Waiter(message, self._following, caller)
        self._following += 1
        self._lines.setdefault(line, deque()).append(waiter)
        return waiter

    def leave(self, waiter: Waiter[CallerT]) -> None:
        """It does not wait any more."""
        line = _line_of(waiter.message)
        self._lines[line].remove(waiter)
        self._drop_empty(line)

    def admit(self, attempt: Callable[[CallerT], Refused | None]) -> None:
        """Tries again whose turn it is, until one is refused."""
        self._aside.clear()
        while len(self._aside) < len(self._lines):
            line = min((one for one in self._lines if one not in self._aside), key=self._turn_of)
            first = self._lines[line][0]
            refused = attempt(first.caller)
            if refused is Refused.QUEUE:
                return
            if refused is Refused.CHANNEL:
                self._aside[line] = None
            else:
                self._lines[line].popleft()
                self._drop_empty(line)

    def take_all(self) -> list[Waiter[CallerT]]:
        """Everybody, in the order of arrival; nobody waits any more."""
        waiters = sorted((one for line in self._lines.values() for one in line), key=lambda one: one.number)
        self._lines.clear()
        self._aside.clear()
        return waiters

    def _turn_of(self, line: int) -> tuple[bool, int]:
        first = self._lines[line][0]
        return first.message.priority is not Priority.CONTROL, first.number

    def _drop_empty(self, line: int) -> None:
        if not self._lines[line]:
            del self._lines[line]
            self._aside.pop(line, None)


def _line_of(message: Message) -> int:
    """A channel has one line whatever the priorities, or its messages would not keep their order."""
    if message.delivery is Delivery.ORDERED:
        return message.channel
    return _CONTROL if message.priority is Priority.CONTROL else _OTHERS
