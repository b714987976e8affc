"""The introduction that both ends of a new connection exchange: who I am called, where I can be reached.

The connection has already proved the peer's key and network, so an introduction proves nothing itself: it carries
facts for people and for dialling. Decoding refuses everything that could confuse either. Bytes come from the link
frame, the result goes to the peer service.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from node.errors import DecodeError
from node.messages.packing import Value
from node.types import is_name
from node.wire.limits import VERSION

__all__ = ["Hello", "is_reachable_host", "parse_hello"]

_PORT_MAX = 65535
_INCARNATION_MAX = 1 << 62
_AGENT_BYTES_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """One node's introduction.

    name: matches [A-Za-z0-9._-]{1,64}; display only. udp_port, tcp_port: 0 where the carrier is disabled.
    host: IP literal to be dialled, or "" for the address that the peer sees. epoch: start of the process in wall
    milliseconds. agent: software and version, for people. incarnation: how often it had to show that it lives, from
    the epoch on. seen_host: where it sees the node that it speaks to, "" if it cannot tell.
    """

    name: str
    udp_port: int
    tcp_port: int
    host: str
    epoch: int
    agent: str
    version: int = VERSION
    incarnation: int = 0
    seen_host: str = ""

    def fields(self) -> list[Value]:
        """The introduction as fields of a link frame."""
        facts: list[Value] = [self.version, self.name, self.udp_port, self.tcp_port, self.host, self.epoch, self.agent]
        return [*facts, self.incarnation or self.epoch, self.seen_host]


def parse_hello(fields: list[Value]) -> Hello:
    """The introduction in these fields; DecodeError(`malformed`) where one is missing or out of range."""
    if len(fields) < 7:
        raise DecodeError("malformed", "a hello has 7 fields")
    version, name, udp_port, tcp_port, host, epoch, agent = fields[:7]
    if not isinstance(version, int) or not isinstance(epoch, int) or epoch < 0:
        raise DecodeError("malformed", "version and epoch are numbers")
    if not isinstance(name, str) or not is_name(name):
        raise DecodeError("malformed", "the name has other characters or another length")
    if not isinstance(host, str) or (host and not is_reachable_host(host)):
        raise DecodeError("malformed", "the host is no address that can be dialled")
    if not isinstance(agent, str) or len(agent) > _AGENT_BYTES_MAX or not agent.isprintable():
        raise DecodeError("malformed", "the agent is no short printable text")
    incarnation, seen_host = fields[7:9] if len(fields) >= 9 else [0, ""]
    if not isinstance(incarnation, int) or not 0 <= incarnation <= _INCARNATION_MAX:
        raise DecodeError("malformed", "an incarnation is a number")
    if not isinstance(seen_host, str) or (seen_host and not is_reachable_host(seen_host)):
        raise DecodeError("malformed", "where this node is seen is no address that can be dialled")
    return Hello(
        name=name,
        udp_port=_port(udp_port),
        tcp_port=_port(tcp_port),
        host=host,
        epoch=epoch,
        agent=agent,
        version=version,
        incarnation=incarnation or epoch,
        seen_host=seen_host,
    )


def is_reachable_host(host: str) -> bool:
    """Whether a host is an IP literal that one node may tell another to dial."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_multicast or host == "255.255.255.255")


def _port(value: Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _PORT_MAX:
        raise DecodeError("malformed", "a port is a number from 0 to 65535")
    return value
