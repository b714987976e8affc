"""The members that nodes tell each other of: [node id, host, UDP port, TCP port, incarnation, state] per node.

A record is hearsay: it is dialled, and counts for nothing until the node there proves that it has that key. Bytes come
from link frames, records go to the peer service and back.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.errors import DecodeError
from node.identity.keys import NODE_ID_BYTES
from node.messages.packing import Value
from node.messages.types import Carrier
from node.peers.hello import is_reachable_host
from node.types import Address, NodeId
from node.wire.limits import ROWS_PER_MESSAGE_MAX

__all__ = ["Record", "Row", "parse_record", "parse_rows"]

_PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class Record:
    """Where a node is said to be. host: IP literal; a port is 0 where the node lacks that carrier, never both."""

    node_id: NodeId
    host: str
    udp_port: int
    tcp_port: int

    def fields(self) -> list[Value]:
        """The record as it travels."""
        return [self.node_id, self.host, self.udp_port, self.tcp_port]

    def address_for(self, *, enable_udp: bool, enable_tcp: bool) -> tuple[Carrier, Address] | None:
        """How a node with these carriers dials it; UDP where both have it."""
        if enable_udp and self.udp_port:
            return Carrier.UDP, (self.host, self.udp_port)
        if enable_tcp and self.tcp_port:
            return Carrier.TCP, (self.host, self.tcp_port)
        return None


@dataclass(frozen=True, slots=True)
class Row:
    """What a peer tells of a member. state: by its number on the wire; both numbers are hearsay."""

    record: Record
    incarnation: int
    state: int


def parse_rows(fields: list[Value]) -> list[Row]:
    """The rows of an announcement; DecodeError if one is wrong or there are too many."""
    if not fields or not isinstance(fields[0], list):
        raise DecodeError("malformed", "an announcement is a list of rows")
    if len(fields[0]) > ROWS_PER_MESSAGE_MAX:
        raise DecodeError("too_large", f"{len(fields[0])} rows")
    return [_parse_row(row) for row in fields[0]]


def parse_record(value: Value) -> Record:
    """The record in these fields; DecodeError for anything else."""
    match value:
        case [bytes(node_id), str(host), int(udp_port), int(tcp_port), *_]:
            if len(node_id) != NODE_ID_BYTES or not is_reachable_host(host):
                raise DecodeError("malformed", "no key or no address that can be dialled")
            if not (0 <= udp_port <= _PORT_MAX and 0 <= tcp_port <= _PORT_MAX and udp_port + tcp_port > 0):
                raise DecodeError("malformed", "a port is a number from 0 to 65535, and one of two is not 0")
            return Record(NodeId(node_id), host, udp_port, tcp_port)
        case _:
            raise DecodeError("malformed", "a record of another shape")


def _parse_row(value: Value) -> Row:
    record = parse_record(value)
    rest = value[4:] if isinstance(value, list) else []
    incarnation, state = rest[:2] if len(rest) >= 2 else (0, 0)
    if not isinstance(incarnation, int) or not isinstance(state, int) or incarnation < 0 or state < 0:
        raise DecodeError("malformed", "incarnation and state are numbers")
    return Row(record, incarnation, state)
