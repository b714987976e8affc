"""What trust wants done: one frozen class per wish, carried out by the node machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from node.messages.packing import Value
from node.messages.types import MessageType
from node.types import NodeId

__all__ = ["Action", "Ban", "Say"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Send a frame of that kind to each of these peers, in order."""

    peers: tuple[NodeId, ...]
    kind: MessageType
    fields: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """A node to have no connection with for BAN_TIME. reason: the kind of the last evidence."""

    peer: NodeId
    reason: str


Action: TypeAlias = Say | Ban
