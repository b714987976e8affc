"""Breaks in the virtual network: who cannot reach whom for now.

Knows hosts by their address and nothing of what they send. A cut is silent, as a pulled cable is, or refuses TCP
connections, as a firewall that answers does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from node.errors import UsageError
from node.types import Address

__all__ = ["GroupCut", "OneWayCut", "halves", "ring"]


class GroupCut:
    """Groups that cannot reach each other. Who is in no group reaches everybody. refuses: see the module."""

    def __init__(self, groups: Iterable[Iterable[Address]], *, refuses: bool = False) -> None:
        self.refuses = refuses
        # By host: a cut outlives a change of port.
        self._group_of: Mapping[str, int] = {host: number for number, group in enumerate(groups) for host, _ in group}

    def stops(self, source: Address, target: Address) -> bool:
        first, second = self._group_of.get(source[0]), self._group_of.get(target[0])
        return first is not None and second is not None and first != second


class OneWayCut:
    """What the sources send to the targets goes nowhere; the other direction works."""

    def __init__(self, sources: Iterable[Address], targets: Iterable[Address]) -> None:
        self.refuses = False
        self._sources = frozenset(host for host, _ in sources)
        self._targets = frozenset(host for host, _ in targets)

    def stops(self, source: Address, target: Address) -> bool:
        return source[0] in self._sources and target[0] in self._targets


def halves(numbers: Sequence[int]) -> list[list[int]]:
    """The nodes in two groups, the first of which is not the smaller one."""
    middle = (len(numbers) + 1) // 2
    return [list(numbers[:middle]), list(numbers[middle:])]


def ring(numbers: Sequence[int]) -> list[list[list[int]]]:
    """Pairs of groups to be cut so that each node reaches its two neighbours only; three nodes and more."""
    if len(numbers) < 3:
        raise UsageError(f"a ring of {len(numbers)} nodes: at least 3 are needed")
    size = len(numbers)
    return [
        [[numbers[first]], [numbers[second]]]
        for first in range(size)
        for second in range(first + 2, size)
        if (first, second) != (0, size - 1)
    ]
