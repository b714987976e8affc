"""Nodes in numbered buckets, each with something to remember it by: what both tables of an address book are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from node.types import NodeId

__all__ = ["Buckets"]

T = TypeVar("T")


class Buckets(Generic[T]):
    """Each node is in one bucket at most; those of a bucket, and all of them, keep the order in which they came."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[NodeId, T]] = {}
        self._bucket_of: dict[NodeId, int] = {}

    def __len__(self) -> int:
        return len(self._bucket_of)

    def __contains__(self, node_id: NodeId) -> bool:
        return node_id in self._bucket_of

    def all(self) -> list[NodeId]:
        """Everybody, the first to come first."""
        return list(self._bucket_of)

    def bucket(self, number: int) -> Mapping[NodeId, T]:
        """The nodes in that bucket."""
        return self._buckets.get(number, {})

    def put(self, node_id: NodeId, number: int, value: T) -> None:
        """Adds a node that is in no bucket."""
        self._buckets.setdefault(number, {})[node_id] = value
        self._bucket_of[node_id] = number

    def remove(self, node_id: NodeId) -> None:
        """Forgets a node, wherever it is."""
        number = self._bucket_of.pop(node_id, None)
        if number is not None:
            del self._buckets[number][node_id]
