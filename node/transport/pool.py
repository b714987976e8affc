"""Memory that the connections of an endpoint share, for messages that have arrived in part or out of their order.

Each connection has limits of its own; a thousand of them together need one as well.
"""

from __future__ import annotations

__all__ = ["NoRoom", "ReassemblyPool"]


class NoRoom(Exception):
    """The pool is used up: the packet is dropped as if the network had lost it, and comes again when there is room."""


class ReassemblyPool:
    """size: bytes in all. used: bytes that are taken."""

    __slots__ = ("size", "used")

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0

    def take(self, size: int) -> None:
        """Takes so many bytes; NoRoom if there are not as many."""
        if self.used + size > self.size:
            raise NoRoom
        self.used += size

    def give(self, size: int) -> None:
        """Gives them back."""
        self.used -= size
