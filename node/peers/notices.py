"""What nodes say of each other to the whole network, in signed gossip.

    MEMBER  = [incarnation, host, UDP port, TCP port, name]   signed by the node itself: I am here
    SUSPECT = [[key, incarnation]...]                         these do not answer me
    DEAD    = [[key, incarnation]...]                         these are gone, as far as I know
    LEAVE   = [incarnation]                                   signed by the node itself: I go

A node's incarnation begins as the wall milliseconds of its start and is raised by that node alone: an accusation counts
against the incarnation that it names, and a higher one refutes it. Payloads come from gossip with a proved author.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.errors import DecodeError
from node.identity.keys import NODE_ID_BYTES
from node.messages.packing import Value, pack, unpack, unpack_list
from node.peers.hello import is_reachable_host
from node.types import NodeId, is_name
from node.wire.limits import ACCUSED_PER_MESSAGE_MAX

__all__ = ["Accused", "Presence", "accusation", "parse_accusation", "parse_leave", "parse_presence"]

_PORT_MAX = 65535
INCARNATION_MAX = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """A node's word that it is there. host: where it thinks it can be dialled, "" if it does not know."""

    incarnation: int
    host: str
    udp_port: int
    tcp_port: int
    name: str

    def packed(self) -> bytes:
        """The payload of a MEMBER message."""
        return pack([self.incarnation, self.host, self.udp_port, self.tcp_port, self.name])


@dataclass(frozen=True, slots=True)
class Accused:
    """One node in an accusation."""

    node_id: NodeId
    incarnation: int


def accusation(accused: list[Accused]) -> bytes:
    """The payload of a SUSPECT or DEAD message."""
    return pack([[each.node_id, each.incarnation] for each in accused])


def parse_presence(payload: bytes) -> Presence:
    """The presence in this payload; DecodeError for anything else."""
    match unpack_list(payload, 5):
        case [int(incarnation), str(host), int(udp_port), int(tcp_port), str(name), *_]:
            if not 0 < incarnation <= INCARNATION_MAX or not is_name(name) or (host and not is_reachable_host(host)):
                raise DecodeError("malformed", "a presence with an impossible incarnation, name or host")
            if not (0 <= udp_port <= _PORT_MAX and 0 <= tcp_port <= _PORT_MAX and udp_port + tcp_port > 0):
                raise DecodeError("malformed", "a presence with impossible ports")
            return Presence(incarnation=incarnation, host=host, udp_port=udp_port, tcp_port=tcp_port, name=name)
        case _:
            raise DecodeError("malformed", "a presence of another shape")


def parse_accusation(payload: bytes) -> list[Accused]:
    """The accused in this payload; DecodeError for anything else."""
    listed = unpack(payload)
    if not isinstance(listed, list) or not 1 <= len(listed) <= ACCUSED_PER_MESSAGE_MAX:
        raise DecodeError("malformed", "an accusation is a list of some nodes")
    return [_parse_accused(value) for value in listed]


def parse_leave(payload: bytes) -> int:
    """The incarnation in this payload; DecodeError for anything else."""
    match unpack_list(payload, 1):
        case [int(incarnation), *_] if 0 < incarnation <= INCARNATION_MAX:
            return incarnation
        case _:
            raise DecodeError("malformed", "a leave of another shape")


def _parse_accused(value: Value) -> Accused:
    match value:
        case [bytes(node_id), int(incarnation), *_] if len(node_id) == NODE_ID_BYTES:
            return Accused(NodeId(node_id), min(max(incarnation, 0), INCARNATION_MAX))
        case _:
            raise DecodeError("malformed", "an accused of another shape")
