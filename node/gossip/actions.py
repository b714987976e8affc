"""What gossip wants done: one frozen class per wish, carried out by the node machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from node.messages.equivocation import Equivocation
from node.messages.packing import Value
from node.types import Duration, NodeId

__all__ = ["Accuse", "Action", "Blame", "Deliver", "Send"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send the same frame to each of these peers.

    message_ids: what the frame carries or announces; `Gossip.send_failed` wants them back for each peer that did not
    acknowledge the frame. Empty when a loss does not matter.
    """

    peers: tuple[NodeId, ...]
    data: bytes
    message_ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Hand a message to the application. hops: links travelled; age: in nanoseconds, never negative.

    via: the peer that brought it.
    """

    message_id: bytes
    origin: NodeId
    payload: dict[str, Value]
    hops: int
    age: Duration
    via: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """A connected peer passed on what no honest node passes on. The author that it named is not concerned."""

    peer: NodeId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuse:
    """An author signed two messages with the same number; whoever passed them on is not concerned."""

    evidence: Equivocation


Action: TypeAlias = Send | Deliver | Blame | Accuse
