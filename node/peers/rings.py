"""Who watches whom: each node's neighbours on four rings, the same for everybody who knows the same members.

A key is 32 uniformly random bytes, so each of its four quarters orders all nodes in an unrelated way. Two neighbours on
each of four rings make a random graph of degree 8: whoever is watched is watched by nodes all over the network, links
to them connect it with few hops, and any two nodes agree on it without a word.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from node.types import NodeId

__all__ = ["RINGS", "Rings"]

RINGS = 4
EVERYBODY_MAX = 2 * RINGS + 1
"""Members up to which everybody is everybody's neighbour."""

_QUARTER = 8


class Rings:
    """The members on their rings, `own` always among them."""

    def __init__(self, own: NodeId) -> None:
        self._rings: list[list[tuple[bytes, NodeId]]] = [[] for _ in range(RINGS)]
        self.add(own)

    def __len__(self) -> int:
        return len(self._rings[0])

    def add(self, node_id: NodeId) -> None:
        """A member that is not there yet."""
        for number, ring in enumerate(self._rings):
            insort(ring, (_place(node_id, number), node_id))

    def remove(self, node_id: NodeId) -> None:
        """A member that is there."""
        for number, ring in enumerate(self._rings):
            entry = (_place(node_id, number), node_id)
            position = bisect_left(ring, entry)
            if position < len(ring) and ring[position] == entry:
                del ring[position]

    def neighbours(self, node_id: NodeId) -> list[NodeId]:
        """Up to eight nodes around a member, each once, without itself."""
        if len(self) <= EVERYBODY_MAX:
            return [other for _, other in self._rings[0] if other != node_id]
        return list(dict.fromkeys(other for near in self.around(node_id, 1) for other in near))

    def around(self, node_id: NodeId, reach: int) -> list[list[NodeId]]:
        """Up to `reach` others in each of eight directions, two on each ring, the nearest first."""
        found: list[list[NodeId]] = []
        for number, ring in enumerate(self._rings):
            position = bisect_left(ring, (_place(node_id, number), node_id))
            is_member = position < len(ring) and ring[position][1] == node_id
            for step in (-1, 1):
                first = position + (step if step < 0 or is_member else 0)
                near = (ring[(first + step * turn) % len(ring)][1] for turn in range(min(reach, len(ring))))
                found.append([other for other in near if other != node_id])
        return found


def _place(node_id: NodeId, ring: int) -> bytes:
    return node_id[_QUARTER * ring : _QUARTER * (ring + 1)]
