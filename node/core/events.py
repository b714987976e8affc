"""What a node tells its shell: one frozen class per happening."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from node.errors import Code, PositronError
from node.messages.packing import Value
from node.messages.types import Carrier
from node.transport.events import Event
from node.types import Address, Duration, NodeId

__all__ = [
    "BroadcastProgress",
    "DataReceived",
    "DialFailed",
    "DialSucceeded",
    "MemberChanged",
    "NodeEvent",
    "PeerDown",
    "PeerUp",
    "Problem",
    "SendFinished",
    "TransportEvent",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerUp:
    """A peer has introduced itself over an authenticated connection and is now active.

    address: where it can be dialled. aliases: other addresses that lead to it, the one that was dialled included.
    """

    node_id: NodeId
    name: str
    address: Address
    aliases: tuple[Address, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerDown:
    """An active peer is gone: its last connection ended. reason: the code of that end in lower case, or `left`."""

    node_id: NodeId
    name: str
    address: Address
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberChanged:
    """A node of the network is in another state: `alive`, `suspect`, `dead` or `left`, whether or not it is a peer.

    incarnation: the highest that the node itself told.
    """

    node_id: NodeId
    state: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReceived:
    """A message for the application; the same message_id is never reported twice.

    message_id: 32 hexadecimal digits. origin: its author, proved by a signature. hops: links travelled; 1 is direct.
    age: time since it was made, as the two clocks see it. is_broadcast: gossip, else sent to this node alone.
    payload: what the author passed to `broadcast` (always a dict) or `send`; packed: the same as it came.
    """

    message_id: str
    origin: NodeId
    payload: Value
    packed: bytes
    hops: int
    age: Duration
    is_broadcast: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastProgress:
    """How far a broadcast has come that is followed; reported with every change and a few times per second.

    acked: peers that acknowledged a copy of this node, or have it from others. covered: of `members`, the other members
    that lived when it was sent and still do, those that are known to have it.
    """

    message_id: str
    acked: int
    covered: int
    members: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendFinished:
    """A message given to `send` was acknowledged (error is None) or given up; exactly one per token."""

    token: int
    error: PositronError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DialSucceeded:
    """The node that was dialled at that address is an active peer."""

    address: Address
    node_id: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class DialFailed:
    """A dial ended without a peer. hint: `network_mismatch`, `version_mismatch` or "".

    is_final: the address will not be tried again by itself (it came from `connect`, or it leads to this node).
    """

    address: Address
    code: Code
    reason: str
    hint: str
    is_final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that a person should look at; the same one is reported at most once per minute.

    kind: `network_mismatch`, `version_mismatch`, `identity_conflict`, `misbehaving_peer`, `banned_peer`, `clock_skew`
    (this node's clock) or `peer_clock_skew`. text: one line.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportEvent:
    """A transport event as it was.

    Passed on are Connected and Closed, acknowledgements and failures of messages that somebody else sent through the
    endpoint, and received messages that are no frames of this protocol.
    """

    carrier: Carrier
    event: Event


NodeEvent: TypeAlias = (
    PeerUp
    | PeerDown
    | MemberChanged
    | DataReceived
    | BroadcastProgress
    | SendFinished
    | DialSucceeded
    | DialFailed
    | Problem
    | TransportEvent
)
