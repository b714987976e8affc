"""What gossip wants done: one frozen class per wish, carried out by the node machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from node.messages.equivocation import Equivocation
from node.messages.packing import Value
from node.types import Duration, NodeId

__all__ = ["Accuse", "Action", "Blame", "Deliver", "Followed", "LetDown", "Notice", "Send", "Withdraw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send the same frame to each of these peers.

    message_ids: what the frame carries or announces; `Gossip.send_failed` wants them back for each peer that did not
    acknowledge the frame, `Gossip.send_acked` for each that did. Empty when a loss does not matter.
    is_reliable: repeat it until it is acknowledged; else one datagram that may be lost.
    is_copy: it carries the message itself. is_request: it asks for the one message that `message_ids` names, beside
    others; what becomes of it goes to `Gossip.request_sent` instead.
    """

    peers: tuple[NodeId, ...]
    data: bytes
    message_ids: tuple[bytes, ...]
    is_reliable: bool = True
    is_copy: bool = False
    is_request: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Repeat no more of the copy of that message that is under way to that peer: it has it from somebody else."""

    peer: NodeId
    message_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Hand a message to the application. hops: links travelled; age: in nanoseconds, never negative.

    packed: the payload as it came. via: the peer that brought it.
    """

    message_id: bytes
    origin: NodeId
    payload: dict[str, Value]
    packed: bytes
    hops: int
    age: Duration
    via: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message about members of the network, for the peer service. epoch: of the author's process."""

    kind: int
    origin: NodeId
    epoch: int
    payload: bytes
    via: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """How far a message has come that the application follows. acked: peers that have acknowledged a copy or have it.

    holders, others: of those to whom it was sent, who is known to have it and who is not. visits: those to link with
    for a moment, so that they can be asked.
    """

    message_id: bytes
    acked: int
    holders: tuple[NodeId, ...]
    others: tuple[NodeId, ...]
    visits: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """A connected peer passed on what no honest node passes on. The author that it named is not concerned."""

    peer: NodeId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LetDown:
    """A connected peer announces what it does not send. Losses cause that too, so it breaks no rule."""

    peer: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuse:
    """An author signed two messages with the same number; whoever passed them on is not concerned."""

    evidence: Equivocation


Action: TypeAlias = Send | Withdraw | Deliver | Notice | Followed | Blame | LetDown | Accuse
