"""Calls the handlers that a transport's users registered: a bounded number at once, whatever they do.

Knows packets and addresses, nothing of connections. A handler that raises is counted and logged, and disturbs nobody
else; one that is slow fills the queue, at which the transport stops reading, so that the peers slow down instead of
losing messages that they were told had arrived.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from node.transport.events import Delivery
from node.transport.packet import Packet
from node.types import Address
from node.wire.limits import HANDLER_QUEUE_MAX, HANDLERS_MAX

__all__ = ["Contained", "Handler", "HandlerStats", "Handlers", "Lane", "finish"]

Handler = Callable[[Packet, Address], Awaitable[None] | None]
"""Called with each message and the address of the peer that sent it; may be a coroutine function."""

Lane: TypeAlias = tuple[int, int | None]
"""A connection, and the channel of it, or None for all that is not in one."""

ERROR_KINDS_MAX = 32
"""Classes of handler errors counted apart."""

CLOSE_TIMEOUT = 0.3
"""Seconds that cancelled handlers have to end."""

_logger = logging.getLogger("node.transport")


@dataclass(slots=True)
class HandlerStats:
    """unhandled: messages that came while no handler was registered. dropped: unreliable ones that met a full queue."""

    calls: int = 0
    unhandled: int = 0
    dropped: int = 0
    errors: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Call:
    packet: Packet
    address: Address
    lane: Lane | None


class Handlers:
    """Runs at most HANDLERS_MAX calls at once and at most one per lane, in order of arrival within a lane.

    on_full, on_room: called when HANDLER_QUEUE_MAX messages wait, and when half of them are gone again.
    """

    def __init__(self, *, on_full: Callable[[], None], on_room: Callable[[], None]) -> None:
        self.handler: Handler | None = None
        self.stats = HandlerStats()
        self._on_full = on_full
        self._on_room = on_room
        self._queue: deque[_Call] = deque()
        self._lanes: dict[Lane, deque[_Call]] = {}
        self._running: dict[asyncio.Task[None], Lane | None] = {}
        self._counted = Contained(self._count_error)
        self._waiting = 0
        self._is_full = False
        self._is_closed = False

    def dispatch(self, packet: Packet, address: Address, lane: Lane | None = None) -> None:
        """Calls the handler now or when its turn comes; messages of one lane keep their order."""
        if self.handler is None or self._is_closed:
            self.stats.unhandled += 1
            return
        if self._is_full and packet.delivery is Delivery.UNRELIABLE:
            self.stats.dropped += 1
            return
        if lane not in self._lanes and not self._queue and len(self._running) < HANDLERS_MAX:
            if self._call(packet, address, lane) and lane is not None:
                self._lanes[lane] = deque()
            return
        self._waiting += 1
        self._queue.append(_Call(packet, address, lane))
        self._start_waiting()
        if self._waiting >= HANDLER_QUEUE_MAX and not self._is_full:
            self._is_full = True
            self._on_full()

    async def close(self) -> None:
        """Forgets what waits, cancels what runs and gives it CLOSE_TIMEOUT to end."""
        self._is_closed = True
        self._queue.clear()
        self._lanes.clear()
        tasks = [task for task in self._running if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT)

    def _start_waiting(self) -> None:
        while self._queue and len(self._running) < HANDLERS_MAX:
            call = self._queue.popleft()
            if call.lane in self._lanes:
                assert call.lane is not None
                self._lanes[call.lane].append(call)
            else:
                if call.lane is not None:
                    self._lanes[call.lane] = deque()
                self._start(call)

    def _start(self, call: _Call) -> None:
        while True:
            self._waiting -= 1
            if self._call(call.packet, call.address, call.lane):
                return
            # A plain function is done already: the next one of its lane is not left to a recursion.
            if call.lane is None:
                return
            if not self._lanes[call.lane]:
                del self._lanes[call.lane]
                return
            call = self._lanes[call.lane].popleft()

    def _call(self, packet: Packet, address: Address, lane: Lane | None) -> bool:
        """Calls the handler; whether something remains to be awaited, which then runs."""
        assert self.handler is not None
        self.stats.calls += 1
        rest: Awaitable[None] | None = None
        with self._counted:
            rest = self.handler(packet, address)
        if rest is None or not inspect.isawaitable(rest):
            return False
        # A group would end all its tasks with the first that fails; `close` ends the tasks of this object.
        task = _new_task(rest)
        self._running[task] = lane
        task.add_done_callback(self._on_done)
        return True

    def _on_done(self, task: asyncio.Task[None]) -> None:
        lane = self._running.pop(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._count_error(error)
        if self._is_closed:
            return
        if lane is not None:
            if self._lanes[lane]:
                self._start(self._lanes[lane].popleft())
            else:
                del self._lanes[lane]
        self._start_waiting()
        if self._is_full and self._waiting <= HANDLER_QUEUE_MAX // 2:
            self._is_full = False
            self._on_room()

    def _count_error(self, error: BaseException) -> None:
        errors = self.stats.errors
        kind = type(error).__name__
        if kind not in errors and len(errors) >= ERROR_KINDS_MAX:
            kind = "other"
        if kind not in errors:
            _logger.error("handler_failed kind=%s, further errors of this kind are only counted", kind, exc_info=error)
        errors[kind] = errors.get(kind, 0) + 1


@dataclass(slots=True)
class Contained:
    """Hands what a handler raises to `count`, as a task would keep it: it is not ours, and ends nothing of ours."""

    count: Callable[[BaseException], None]

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        self.count(error)
        return True


def _new_task(rest: Awaitable[None]) -> asyncio.Task[None]:
    """A task that begins at once, where Python can do that: an answer should not wait for a turn of the loop."""
    loop = asyncio.get_running_loop()
    coroutine = rest if inspect.iscoroutine(rest) else finish(rest)
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, eager_start=True)
    return loop.create_task(coroutine)


async def finish(rest: Awaitable[None]) -> None:
    """What a task needs, which takes coroutines alone."""
    await rest
