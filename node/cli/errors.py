"""How a command of the command line ends when it does not succeed."""

from __future__ import annotations

__all__ = ["CommandFailed", "CommandMisused"]


class CommandFailed(Exception):
    """The command could not do what was asked; one line for standard error, exit status 1."""


class CommandMisused(Exception):
    """The command line can never work; one or more lines for standard error, exit status 2."""
