"""Calls the application's handlers for messages that arrived: plain functions on the spot, of others a bounded number
at once, whatever they do.

Knows payloads and authors, nothing of networks. A handler that raises is reported and disturbs nobody else; one that
is slow fills the queue, and what finds no room there is dropped and reported, because the network cannot take a
message back that it has delivered.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

from node.errors import UsageError
from node.transport.handlers import Contained, finish
from node.wire.limits import HANDLER_QUEUE_MAX, HANDLERS_MAX

__all__ = ["DataHandler", "DataHandlers"]

DataHandler: TypeAlias = Callable[[Any, str], Awaitable[None] | None]
"""Called with the payload and the author's node id (64 hexadecimal digits); may be a coroutine function."""

CLOSE_TIMEOUT = 0.1
"""Seconds that cancelled handlers have to end."""


class Witness(Protocol):
    """Whoever is told of what went wrong."""

    def handler_failed(self, error: BaseException) -> None: ...
    def handler_dropped(self) -> None: ...


class DataHandlers:
    """Begins calls in the order of arrival, at most HANDLERS_MAX under way at once."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._handlers: list[DataHandler] = []
        self._queue: deque[tuple[DataHandler, Any, str]] = deque()
        self._running: dict[asyncio.Task[None], None] = {}
        self._is_closed = False
        self._witnessed = Contained(witness.handler_failed)

    def register(self, handler: DataHandler) -> None:
        """Calls `handler` for every later message, beside those registered before."""
        if not callable(handler):
            raise UsageError(f"handler of type {type(handler).__name__}: allowed is a function")
        self._handlers.append(handler)

    def dispatch(self, payload: Any, author: str) -> None:
        """Calls every handler, now or when its turn comes."""
        for handler in self._handlers:
            if len(self._queue) >= HANDLER_QUEUE_MAX or self._is_closed:
                self._witness.handler_dropped()
            else:
                self._queue.append((handler, payload, author))
        self._start_waiting()

    def open(self) -> None:
        """Takes calls again after `close`."""
        self._is_closed = False

    async def close(self) -> None:
        """Forgets what waits, cancels what runs and gives it CLOSE_TIMEOUT to end."""
        self._is_closed = True
        self._queue.clear()
        tasks = [task for task in self._running if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT)

    def _start_waiting(self) -> None:
        while self._queue and len(self._running) < HANDLERS_MAX:
            handler, payload, author = self._queue.popleft()
            rest: Awaitable[None] | None = None
            with self._witnessed:
                rest = handler(payload, author)
            if rest is not None and inspect.isawaitable(rest):
                # A group would end all its tasks with the first that fails; `close` ends those of this object.
                task = asyncio.get_running_loop().create_task(finish(rest))
                self._running[task] = None
                task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._witness.handler_failed(error)
        if not self._is_closed:
            self._start_waiting()
