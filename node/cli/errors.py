"""How a command of the command line ends when it does not succeed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["CommandFailed", "CommandMisused", "NodeRefused", "until_interrupted"]


class CommandFailed(Exception):
    """The command could not do what was asked; one line for standard error, exit status 1."""


class NodeRefused(CommandFailed):
    """A node is there, and does not tell whoever asks so: it wants its token, or has no room."""


class CommandMisused(Exception):
    """The command line can never work; one or more lines for standard error, exit status 2."""


@contextmanager
def until_interrupted() -> Iterator[None]:
    """For what goes on and on: SIGINT, SIGTERM and SIGHUP are how it is meant to end. For the main thread."""
    handlers = {number: signal.signal(number, signal.default_int_handler) for number in _ENDS if _is_heard(number)}
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


_ENDS = (signal.SIGTERM, signal.SIGHUP)


def _is_heard(number: signal.Signals) -> bool:
    """False if whoever started us has us ignore it, as nohup does."""
    return signal.getsignal(number) is not signal.SIG_IGN
