"""Names for the values that cross every layer: instants, identifiers, addresses, sources of entropy.

Knows nothing of the rest of the package. Inside the pure part every instant and duration is an integer of
nanoseconds on a monotonic clock that the caller owns; seconds as floats appear only at the public edge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableSequence, Sequence
from ipaddress import IPv6Address
from typing import NewType, Protocol, TypeAlias, TypeVar

__all__ = [
    "MICROSECOND",
    "MILLISECOND",
    "SECOND",
    "Address",
    "ConnectionId",
    "Duration",
    "Entropy",
    "Instant",
    "NodeId",
    "PacketNumber",
    "Random",
    "canonical_address",
    "earlier",
    "format_address",
    "from_seconds",
    "is_name",
    "median_of",
    "short_id",
    "to_seconds",
]

Instant: TypeAlias = int
"""A point on a monotonic clock, in nanoseconds."""

Duration: TypeAlias = int
"""A span of time, in nanoseconds."""

Address: TypeAlias = tuple[str, int]
"""Host (an IP literal once it came from a socket) and port."""

NodeId = NewType("NodeId", bytes)
"""The 32-byte Ed25519 public key of a node; hexadecimal wherever a person or a file sees it."""

ConnectionId = NewType("ConnectionId", int)
"""32 bits, chosen at random by the receiver of the packets that carry it; never 0."""

PacketNumber = NewType("PacketNumber", int)
"""64 bits, increasing by at least one with every packet of a connection and direction, never reused."""

MICROSECOND: Duration = 1_000
MILLISECOND: Duration = 1_000_000
SECOND: Duration = 1_000_000_000

_Element = TypeVar("_Element")
_Number = TypeVar("_Number", int, float)


class Entropy(Protocol):
    """Returns that many unpredictable bytes: `os.urandom` in a shell, a seeded stream in the simulator."""

    def __call__(self, size: int, /) -> bytes: ...


class Random(Protocol):
    """The part of `random.Random` that the pure part uses for jitter and for choices that need no secrecy."""

    def random(self) -> float: ...
    def uniform(self, a: float, b: float) -> float: ...
    def randrange(self, start: int, stop: int) -> int: ...
    def sample(self, population: Sequence[_Element], k: int) -> list[_Element]: ...
    def shuffle(self, x: MutableSequence[_Element]) -> None: ...


def earlier(one: Instant | None, other: Instant | None) -> Instant | None:
    """The earlier of two instants, where None is never."""
    if one is None or other is None:
        return other if one is None else one
    return one if one <= other else other


def median_of(values: Iterable[_Number]) -> _Number:
    """The middle one, of an even number the lower; there must be one.

    The module `statistics` takes half a MiB, and nothing else in a node needs it.
    """
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2]


def from_seconds(value: float) -> Duration:
    """Nanoseconds in that many seconds, rounded to the nearest."""
    return round(value * SECOND)


def to_seconds(duration: Duration) -> float:
    """Seconds in that many nanoseconds."""
    return duration / SECOND


_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def is_name(text: str) -> bool:
    """Whether a text may be the name of a node or of a network."""
    return _NAME.fullmatch(text) is not None


def short_id(node_id: NodeId) -> str:
    """The first 8 hexadecimal digits of a node's key: for people and for metric labels, never for decisions."""
    return node_id[:4].hex()


def format_address(address: Address) -> str:
    """An address as people write it: `host:port`, or `[ipv6]:port`."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def canonical_address(address: Address) -> Address:
    """The address as a socket reports it: IPv6 in its shortest form, IPv4 in IPv6 as IPv4; names stay as they are."""
    host, port = address
    if ":" not in host:
        return address
    text, separator, scope = host.partition("%")
    try:
        parsed = IPv6Address(text)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped), port
    return str(parsed) + separator + scope, port
