"""The wish to end a program, as signals express it: heard before anything heavy is imported, until the process is gone.

Knows nothing of nodes and event loops. A signal never raises, because there is no good place for that: half an import
or half a key file would be left. It is noted, and whoever runs the program looks when it suits.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

__all__ = ["SIGNALS", "Ending"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""A person, a supervisor, and a terminal that was closed."""


class Ending:
    """Listens between `__enter__` and `__exit__`; for the main thread alone."""

    def __init__(self) -> None:
        self.is_wished = False
        self._handlers: dict[signal.Signals, Any] = {}
        self._reader, self._writer = -1, -1

    def __enter__(self) -> Ending:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        # An event loop that waits for its sockets is woken by this, whenever the signal comes.
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in SIGNALS:
            # nohup has a program ignore it, and means it.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for number, handler in self._handlers.items():
            # Once asked for, the end has begun: asking again, while the interpreter ends, must not spoil its status.
            signal.signal(number, signal.SIG_IGN if self.is_wished else handler)
        signal.set_wakeup_fd(-1)
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        """A descriptor that can be read from once there was a signal."""
        return self._reader

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.is_wished = True
        # uvloop puts a wake-up descriptor of its own in place of ours, and only then calls this.
        with suppress(BlockingIOError):
            os.write(self._writer, b"\0")
