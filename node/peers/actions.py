"""What the peer service wants done: one class per wish, carried out by the node machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from node.errors import Code
from node.messages.packing import Value
from node.messages.types import Carrier, MessageType
from node.peers.beats import ClockSample
from node.peers.members import MemberState
from node.peers.targets import TargetKey
from node.types import Address, NodeId

__all__ = [
    "Action",
    "Blamed",
    "Changed",
    "Dial",
    "Dialled",
    "Down",
    "Drop",
    "Heard",
    "Link",
    "Publish",
    "Rarer",
    "Report",
    "Restarted",
    "Say",
    "Transition",
    "Undialled",
    "Up",
]


class Link(NamedTuple):
    """One connection: the carrier and the handle within it."""

    carrier: Carrier
    connection: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Begin a connection; `Peers.dialling` or `Peers.dial_refused` wants to know the outcome at once."""

    target: TargetKey


@dataclass(slots=True, kw_only=True)
class Say:
    """Send a frame of that kind to a peer, over that link or, when it is None, as the delivery map says."""

    peer: NodeId
    kind: MessageType
    fields: tuple[Value, ...]
    link: Link | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Close a connection."""

    link: Link
    code: Code
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """A peer became active. is_outbound: this node dialled it."""

    peer: NodeId
    is_outbound: bool
    name: str
    address: Address
    aliases: tuple[Address, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted:
    """The process of an active peer is another one, which knows nothing of what was agreed. is_outbound: as in `Up`."""

    peer: NodeId
    is_outbound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Down:
    """An active peer is gone."""

    peer: NodeId
    name: str
    address: Address
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialled:
    """The node at an address that the application asked for is an active peer."""

    address: Address
    peer: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Undialled:
    """A dial failed. is_final: it is not tried again by itself."""

    address: Address
    code: Code
    reason: str
    hint: str
    is_final: bool


@dataclass(slots=True, kw_only=True)
class Heard:
    """A heartbeat of a peer told what messages it has, in 8 bytes, and perhaps completed a comparison of clocks."""

    peer: NodeId
    digest: bytes
    clocks: ClockSample | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Tell the whole network, in signed gossip."""

    kind: MessageType
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A member of the network is in another state."""

    node_id: NodeId
    state: MemberState
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Tell a person. kind: of a closed vocabulary (`node.core.events.Problem`); text: one line."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Blamed:
    """A connected peer sent what no honest peer sends: evidence for whoever keeps it."""

    peer: NodeId
    reason: str


Transition: TypeAlias = Up | Restarted | Down

Rarer: TypeAlias = Blamed | Dial | Drop | Transition | Dialled | Undialled | Publish | Changed | Report

Action: TypeAlias = Say | Heard | Rarer
