"""Addresses between callers, the core and the kernel: IP literals as the core knows them, and names looked up in time.

Knows the socket module's address families, no socket and no packet.
"""

from __future__ import annotations

import asyncio
import socket
import threading

from node.errors import Code, ConnectionFailed, StartError
from node.types import Address, format_address

__all__ = [
    "SocketAddress",
    "host_of",
    "is_literal",
    "listening",
    "listening_address",
    "literal_address",
    "look_up",
    "plain_host",
    "resolve",
    "socket_address",
]

LISTEN_LOOKUP_SECONDS = 5.0

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""As the kernel takes it: IPv4, or IPv6 with flow and scope."""


def plain_host(host: str) -> str:
    """An IPv4 address as IPv4 writes it, also where an IPv6 socket reports it."""
    return host[7:] if host.startswith("::ffff:") and "." in host else host


def host_of(name: SocketAddress) -> str:
    """The host in what a socket reports; one that is known on a link alone (RFC 4007) with the number of that link."""
    host = plain_host(name[0])
    return f"{host}%{name[3]}" if len(name) == 4 and name[3] else host


def is_literal(host: str) -> bool:
    """Whether that is an IP address and no name."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket_address(family, (host, 1)) is not None


def socket_address(family: int, address: Address) -> SocketAddress | None:
    """The address as sockets of that family take it; None if it is no IP literal or does not fit. Never looks up."""
    host, port = address
    if not host or not 0 < port < 1 << 16:
        return None
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV | (socket.AI_V4MAPPED if family == socket.AF_INET6 else 0)
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM, 0, flags)
    except (OSError, UnicodeError):
        return None
    name = found[0][4]
    if len(name) == 4:
        return str(name[0]), int(name[1]), int(name[2]), int(name[3])
    return str(name[0]), int(name[1])


def listening(family: int, host: str, port: int) -> SocketAddress:
    """What to bind to listen there, port 0 included; as it is where that is no IP address, for the kernel to refuse."""
    name = socket_address(family, (host, 1))
    return (host, port) if name is None else (name[0], port, *name[2:])


def literal_address(address: Address) -> Address | None:
    """The address as the peer's datagrams will name it, since "127.1" is one, too; None for a name."""
    host, port = address
    name = socket_address(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, 1))
    return None if name is None else (host_of(name), port)


async def resolve(address: Address, *, family: int = socket.AF_UNSPEC, seconds: float) -> Address:
    """The first address of a host name, or the address itself; ConnectionFailed if there is none within `seconds`."""
    literal = literal_address(address)
    if literal is not None:
        return literal
    host, port = address
    try:
        async with asyncio.timeout(seconds):
            hosts = await look_up(host, family)
    except TimeoutError as error:
        raise ConnectionFailed(Code.HANDSHAKE_FAILED, f"looking up {host!r} took longer than {seconds} s") from error
    except (OSError, UnicodeError) as error:
        raise ConnectionFailed(Code.HANDSHAKE_FAILED, f"cannot look up {host!r}: {_reason(error)}") from error
    return plain_host(hosts[0]), port


async def look_up(host: str, family: int) -> list[str]:
    """The addresses of a host name, in the resolver's order; OSError or UnicodeError if there are none.

    It runs in a daemon thread of its own: with the pool of the event loop the end of the process would wait for a name
    server that does not answer.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()
    threading.Thread(target=_look_up, args=(host, family, loop, answer), daemon=True).start()
    return await answer


def _look_up(host: str, family: int, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[list[str]]) -> None:
    found: list[str] | OSError | UnicodeError
    try:
        entries = socket.getaddrinfo(host, None, family=family, type=socket.SOCK_DGRAM)
        found = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    except (OSError, UnicodeError) as error:
        found = error
    if not loop.is_closed():
        try:
            loop.call_soon_threadsafe(_settle, answer, found)
        except RuntimeError:
            return  # the loop was closed between the two lines; nobody waits for the answer any more


def _settle(answer: asyncio.Future[list[str]], found: list[str] | OSError | UnicodeError) -> None:
    if answer.done():
        return
    if isinstance(found, list):
        answer.set_result(found)
    else:
        answer.set_exception(found)


async def listening_address(transport: str, address: Address) -> Address:
    """What to bind to listen there; StartError if the host has no address. transport: for the text of the error."""
    host, port = address
    if not 0 <= port < 1 << 16:
        raise StartError(f"cannot listen on {transport} {format_address(address)}: allowed ports are 0 to 65535")
    try:
        return (await resolve((host, port or 1), seconds=LISTEN_LOOKUP_SECONDS))[0], port
    except ConnectionFailed as error:
        raise StartError(f"cannot listen on {transport} {format_address(address)}: {error.reason}") from error


def _reason(error: OSError | UnicodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "not a host name"
