"""Sends and receives messages over UDP: the asyncio shell of the UDP endpoint.

    transport = UDPTransport("0.0.0.0", 9000)
    transport.register_handler(handler)  # called with (packet, peer_addr); packet.payload is the message
    await transport.start()
    await transport.send_reliable(("192.0.2.1", 9000), b"message", timeout=2.0)  # returns once the peer has it
    await transport.stop()

Every connection is encrypted; a transport without an identity makes one up. Knows no message formats and no gossip.
"""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import asdict

from node.errors import UsageError
from node.identity.keys import Identity
from node.transport.addresses import listening_address
from node.transport.arguments import checked_address, checked_channel, checked_data, checked_priority
from node.transport.driver import Runner
from node.transport.endpoint import Endpoint
from node.transport.packet import Datagram, Priority, Transmit
from node.transport.settings import TransportSettings
from node.transport.shell import LOOKUP_TIMEOUT, STOP_TIMEOUT, JSONObject, MessageTransport, random_identity
from node.transport.udp_socket import SocketStats, UDPSocket, open_udp_socket
from node.types import Address

__all__ = ["UDPTransport"]


class UDPTransport(MessageTransport[Datagram]):
    """Listens on `host` and `port` (0: any free port); "::" listens on IPv4 and IPv6.

    identity: who this transport is; settings: of a new endpoint. driver, endpoint: of the node that this belongs to.
    """

    endpoint: Endpoint

    def __init__(
        self,
        host: str = "0.0.0.0",  # noqa: S104 - a node is there to be reached
        port: int = 8888,
        *,
        identity: Identity | None = None,
        settings: TransportSettings | None = None,
        driver: Runner[Datagram] | None = None,
        endpoint: Endpoint | None = None,
    ) -> None:
        settings = settings or TransportSettings()
        endpoint = endpoint or Endpoint(identity or random_identity(), settings, entropy=os.urandom)
        super().__init__((host, port), endpoint, settings, driver=driver)
        self._socket: UDPSocket | None = None

    @property
    def local_address(self) -> Address:
        return (self.host, self.port) if self._socket is None else self._socket.address

    async def send_reliable(
        self,
        peer_addr: Address,
        data: bytes,
        timeout: float = 5.0,  # noqa: ASYNC109
        *,
        wait: bool = True,
        priority: Priority = Priority.OWN,
    ) -> None:
        """Returns once the peer has the message; connects first if need be.

        data: up to 1 MiB. timeout: seconds for everything together. wait: for room in a full queue; False to be refused
        at once (QueueFull). priority: which of several messages for one peer goes first, also in the middle of a large
        one. Cancelled, it withdraws the message, as far as that has not arrived.
        Raises SendTimeout (the message was withdrawn), ConnectionFailed, MessageTooLarge, NotRunning, UsageError.
        """
        await self._deliver(peer_addr, data, timeout, wait=wait, priority=checked_priority(priority))

    async def send_ordered(
        self,
        peer_addr: Address,
        data: bytes,
        timeout: float = 5.0,  # noqa: ASYNC109
        *,
        channel: int = 0,
        wait: bool = True,
        priority: Priority = Priority.OWN,
    ) -> None:
        """As `send_reliable`, and the peer gets it after all that this transport has sent to it in that channel before.

        channel: any number; 64 different ones for one peer. Channels do not wait for each other. priority: what the
        message has to wait for, earlier ones of its channel, becomes as urgent.
        Returns once the peer has the message, where it may wait for earlier ones. Once queued it is not withdrawn, for
        the gap would stop its channel: after SendTimeout, or cancelled, it may arrive all the same, in its turn.
        """
        priority, channel = checked_priority(priority), checked_channel(channel)
        await self._deliver(peer_addr, data, timeout, wait=wait, priority=priority, channel=channel)

    def post_reliable(self, peer_addr: Address, data: bytes, timeout: float = 5.0) -> None:
        """As `send_reliable`, but returns at once: a handler that is a plain function answers with it.

        peer_addr: an IP address, as handlers are given it. Nobody is told what became of the message; the peer gets it
        once or, where it cannot be reached for `timeout` seconds, not at all.
        Raises QueueFull where `send_reliable` waits, MessageTooLarge, NotRunning, UsageError for a host name.
        """
        self._post(peer_addr, data, timeout)

    async def send_unreliable(self, peer_addr: Address, data: bytes) -> None:
        """Sends one datagram and forgets it; connects first if need be. MessageTooLarge: it is never cut in pieces."""
        sends, data = self._running_sends(), checked_data(data)
        sends.post(await self._resolve(checked_address(peer_addr), LOOKUP_TIMEOUT), data)

    def rebind(self) -> None:
        """Goes on from another port, as behind a router that forgot this one; peers have to follow.

        Raises StartError, NotRunning.
        """
        self._running_sends()
        old, driver = self._socket, self._own_driver or self._shared_driver
        assert old is not None
        assert driver is not None
        self._socket = UDPSocket(open_udp_socket(old.address[0], 0), on_datagrams=driver.feed, stats=old.stats)
        driver.attach(Transmit, self._socket.send)
        old.close()

    @property
    def socket_stats(self) -> SocketStats:
        """What the socket counted; zeros before `start`."""
        return SocketStats() if self._socket is None else self._socket.stats

    async def _open(self, driver: Runner[Datagram]) -> None:
        host, port = await listening_address("UDP", (self.host, self.port))
        self._socket = UDPSocket(open_udp_socket(host, port), on_datagrams=driver.feed)
        driver.attach(Transmit, self._socket.send)

    async def _close(self) -> None:
        assert self._socket is not None
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self._socket.drained()
        except TimeoutError:
            # The kernel takes nothing: what is left counts as lost, and the peers will time out.
            pass
        self._socket.close()

    def _pause(self) -> None:
        if self._socket is not None:
            self._socket.pause()

    def _resume(self) -> None:
        if self._socket is not None:
            self._socket.resume()

    def _socket_stats(self) -> tuple[int, JSONObject]:
        stats = self.socket_stats
        return stats.errors, {"socket": asdict(stats)}

    def _remember(self, address: Address, known: Address) -> Address:
        if ":" in known[0] and self._family() == socket.AF_INET:
            # The kernel would refuse every packet, and only the time-out would tell.
            raise UsageError(f"{address[0]!r} is an IPv6 address: this transport listens on IPv4 alone")
        own = self.local_address[0]
        if ":" not in known[0] and ":" in own and own != "::":
            raise UsageError(f"{address[0]!r} is an IPv4 address: this transport listens on {own} alone")
        return super()._remember(address, known)

    def _family(self) -> int:
        return socket.AF_UNSPEC if ":" in self.local_address[0] else socket.AF_INET
