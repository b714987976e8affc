"""Chance that depends on nothing but a key and a count: the k-th packet of a link always meets the same fate.

Stands in for `random.Random` where a link asks for it. How many draws an earlier packet took, and when it was sent, has
no influence, so that a run over real sockets repeats what happened to its packets although their times differ.
"""

from __future__ import annotations

import hashlib

__all__ = ["Fates"]

DRAWS_PER_DIGEST = 8
DIGEST_BYTES = 8 * DRAWS_PER_DIGEST


class Fates:
    """Draws for one packet after the other; call `begin` before each."""

    __slots__ = ("_count", "_draws", "_key", "_round")

    def __init__(self, key: str) -> None:
        self._key = hashlib.blake2b(key.encode(), digest_size=32).digest()
        self._count = 0
        self._round = 0
        self._draws: list[int] = []

    def begin(self, count: int) -> None:
        """The draws from now on are those of the packet with that number; 0 ≤ count < 2**64."""
        self._count = count
        self._round = 0
        self._draws = []

    def random(self) -> float:
        """A number from 0, included, to 1, excluded."""
        return (self._draw() >> 11) / (1 << 53)

    def randrange(self, start: int, stop: int) -> int:
        """A whole number from start, included, to stop, excluded."""
        return start + self._draw() * (stop - start) // (1 << 64)

    def _draw(self) -> int:
        if not self._draws:
            message = self._count.to_bytes(8, "big") + self._round.to_bytes(4, "big")
            digest = hashlib.blake2b(message, key=self._key, digest_size=DIGEST_BYTES).digest()
            self._round += 1
            self._draws = [int.from_bytes(digest[at : at + 8], "big") for at in range(0, DIGEST_BYTES, 8)]
        return self._draws.pop()
