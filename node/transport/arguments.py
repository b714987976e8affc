"""What callers of a transport hand in, checked before anything is done with it: messages, addresses, seconds.

A mistake of the caller is a UsageError that names the value and what is allowed, at once and without a trace in the
transport; found later it would be an exception in the loop that everybody shares.
"""

from __future__ import annotations

from node.errors import UsageError
from node.transport.packet import Priority
from node.types import Address, Duration, from_seconds
from node.wire.varint import VARINT_MAX

__all__ = [
    "TIMEOUT_MAX",
    "checked_address",
    "checked_channel",
    "checked_data",
    "checked_listening",
    "checked_priority",
    "checked_timeout",
]

TIMEOUT_MAX = 31_536_000.0
"""Seconds, which are a year."""

_CHARACTERS_MAX = 100


def checked_data(data: object) -> bytes:
    """The bytes of a message. A buffer that its owner may change is copied."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise UsageError(f"data of type {type(data).__name__}: allowed are bytes")


def checked_address(address: object) -> Address:
    """Host and port."""
    match address:
        case (_, bool()):
            pass
        case (str(host), int(port)) if host and "\0" not in host and 0 < port < 1 << 16:
            return host, port
    text = repr(address)[:_CHARACTERS_MAX]
    raise UsageError(f"address {text}: allowed is (host, port) with a port from 1 to 65535")


def checked_listening(host: object, port: object) -> Address:
    """Where to listen, as far as that can be told without a look at this machine."""
    if not isinstance(host, str):
        raise UsageError(f"host {repr(host)[:_CHARACTERS_MAX]}: allowed is a text")
    if isinstance(port, bool) or not isinstance(port, int):
        raise UsageError(f"port {repr(port)[:_CHARACTERS_MAX]}: allowed is a whole number from 0 to 65535")
    return host, port


def checked_channel(channel: object) -> int:
    """The number of a channel of ordered messages."""
    if isinstance(channel, bool) or not isinstance(channel, int) or not 0 <= channel <= VARINT_MAX:
        text = repr(channel)[:_CHARACTERS_MAX]
        raise UsageError(f"channel {text}: allowed is a whole number from 0 to {VARINT_MAX}")
    return channel


def checked_priority(priority: object) -> Priority:
    """Which message goes first."""
    if not isinstance(priority, Priority):
        text = repr(priority)[:_CHARACTERS_MAX]
        raise UsageError(f"priority {text}: allowed is one of {', '.join(f'Priority.{one.name}' for one in Priority)}")
    return priority


def checked_timeout(seconds: object) -> Duration:
    """A time to wait, in nanoseconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= TIMEOUT_MAX:
        text = repr(seconds)[:_CHARACTERS_MAX]
        raise UsageError(f"timeout {text}: allowed is more than 0 and at most {TIMEOUT_MAX:.0f} seconds")
    return from_seconds(seconds)
