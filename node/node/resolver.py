"""Host names to IP addresses, without ever holding up the node or its end.

Knows nothing of peers. A look-up runs in a daemon thread of its own: the event loop's thread pool would make the end
of the process wait for a name server that does not answer.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable

from node.types import Address

__all__ = ["Names", "ResolutionError", "family_of", "resolve"]

LOOKUP_TIMEOUT = 5.0
"""Seconds; resolvers try their servers for about that long each."""

ADDRESSES_PER_NAME_MAX = 8
"""Addresses of one name that are of use; a bootstrap name rarely has more than one."""


class ResolutionError(Exception):
    """The name has no address now; trying again later is right. The text is the resolver's reason."""


def family_of(host: str) -> socket.AddressFamily:
    """The family of addresses that a socket bound to that IP literal can reach; `::` reaches both."""
    if ":" not in host:
        return socket.AF_INET
    return socket.AF_UNSPEC if ipaddress.ip_address(host).is_unspecified else socket.AF_INET6


async def resolve(address: Address, family: socket.AddressFamily = socket.AF_UNSPEC) -> tuple[Address, ...]:
    """The IP addresses of a host, with its port, in the resolver's order; raises ResolutionError.

    An IP literal is its own answer. A look-up that takes longer than LOOKUP_TIMEOUT is given up.
    """
    host, port = address
    if _is_literal(host):
        return (address,)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[Address, ...]] = loop.create_future()
    threading.Thread(target=_look_up, args=(host, port, family, loop, answer), daemon=True).start()
    try:
        async with asyncio.timeout(LOOKUP_TIMEOUT):
            return await answer
    except TimeoutError as error:
        raise ResolutionError(f"no answer within {LOOKUP_TIMEOUT:g} seconds") from error


class Names:
    """Names for one node. is_cut: whether none can be looked up now, for testnets."""

    def __init__(self, is_cut: Callable[[], bool]) -> None:
        self._is_cut = is_cut

    async def resolve(self, address: Address, family: socket.AddressFamily) -> tuple[Address, ...]:
        """As the function."""
        if self._is_cut() and not _is_literal(address[0]):
            raise ResolutionError("names are switched off")
        return await resolve(address, family)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _look_up(
    host: str,
    port: int,
    family: socket.AddressFamily,
    loop: asyncio.AbstractEventLoop,
    answer: asyncio.Future[tuple[Address, ...]],
) -> None:
    outcome: tuple[Address, ...] | ResolutionError
    try:
        found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_DGRAM)
        hosts = dict.fromkeys(str(entry[4][0]) for entry in found)
        outcome = tuple((item, port) for item in hosts)[:ADDRESSES_PER_NAME_MAX]
    except OSError as error:
        outcome = ResolutionError(error.strerror or str(error))
    except UnicodeError:
        outcome = ResolutionError("not a host name")
    if not loop.is_closed():
        try:
            loop.call_soon_threadsafe(_settle, answer, outcome)
        except RuntimeError:
            return  # the loop was closed between the two lines; nobody waits for the answer any more


def _settle(answer: asyncio.Future[tuple[Address, ...]], outcome: tuple[Address, ...] | ResolutionError) -> None:
    if answer.done():
        return
    if isinstance(outcome, ResolutionError):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
