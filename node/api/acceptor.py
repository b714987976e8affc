"""Accepts connections for the HTTP server: a bounded number at once, however few descriptors the process has left.

Knows nothing of HTTP. asyncio's own server reports every accept that fails for want of descriptors, a hundred of them
a turn, and tries again after it was closed.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

__all__ = ["Acceptor"]

ACCEPT_PAUSE = 1.0
"""Seconds before the next try when the system has no descriptor or memory for a connection."""

ACCEPTS_PER_TURN_MAX = 16
"""Connections accepted before the rest of the node gets its turn."""


class Acceptor:
    """Hands each connection of `listener` to a new protocol, and closes it at once while there is no room.

    listener: a listening socket, owned from now on. Accepts from `start` until `stop`.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        *,
        has_room: Callable[[], bool],
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._has_room = has_room
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._joining: dict[asyncio.Task[None], None] = {}

    def start(self) -> None:
        """Begins to accept, or goes on."""
        self._pause = None
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._on_acceptable)

    async def stop(self) -> None:
        """Closes the listener; connections that were handed over stay."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        if self._joining:
            await asyncio.wait(list(self._joining))

    def _on_acceptable(self) -> None:
        for _ in range(ACCEPTS_PER_TURN_MAX):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:
                # Out of descriptors or memory: the client waits in the kernel's queue until there is room again.
                self._loop.remove_reader(self._listener)
                self._pause = self._loop.call_later(ACCEPT_PAUSE, self.start)
                return
            if not self._has_room():
                connection.close()
                continue
            task = self._loop.create_task(self._join(connection))
            self._joining[task] = None
            task.add_done_callback(self._joining.pop)

    async def _join(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:
            connection.close()  # the client is gone already
