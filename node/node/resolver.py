"""Host names to IP addresses, without ever holding up the node or its end. Knows nothing of peers."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable

from node.transport.addresses import look_up
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
    try:
        async with asyncio.timeout(LOOKUP_TIMEOUT):
            hosts = await look_up(host, family)
    except TimeoutError as error:
        raise ResolutionError(f"no answer within {LOOKUP_TIMEOUT:g} seconds") from error
    except OSError as error:
        raise ResolutionError(error.strerror or str(error)) from error
    except UnicodeError as error:
        raise ResolutionError("not a host name") from error
    return tuple((item, port) for item in hosts)[:ADDRESSES_PER_NAME_MAX]


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
