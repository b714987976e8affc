"""How a command of the command line ends when it does not succeed."""

from __future__ import annotations

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
    """For what goes on and on: an interrupt is how it is meant to end."""
    with suppress(KeyboardInterrupt):
        yield
