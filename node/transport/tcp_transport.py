"""Sends and receives messages over TCP: the asyncio shell of the TCP endpoint.

    transport = TCPTransport("0.0.0.0", 9001)
    transport.register_handler(handler)  # called with (packet, peer_addr); packet.payload is the message
    await transport.start()
    await transport.send(("192.0.2.1", 9001), b"message")  # returns once the peer has it
    await transport.stop()

Every connection is encrypted; messages of one connection reach the handler in the order in which they were sent. Knows
no message formats and no gossip.
"""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import asdict, replace

from node.identity.keys import Identity
from node.transport.addresses import listening_address
from node.transport.driver import Runner
from node.transport.events import MessageReceived
from node.transport.handlers import Lane
from node.transport.settings import TransportSettings
from node.transport.shell import STOP_TIMEOUT, JSONObject, MessageTransport, random_identity
from node.transport.stats import ConnectionSnapshot
from node.transport.stream import StreamConnect, StreamEndpoint, StreamInput, StreamShutdown, StreamWrite
from node.transport.tcp_streams import StreamStats, TCPStreams, open_tcp_listener
from node.transport.views import ConnectionView, view_of
from node.types import Address, to_seconds

__all__ = ["TCPTransport"]


class TCPTransport(MessageTransport[StreamInput]):
    """Listens on `host` and `port` (0: any free port); "::" listens on IPv4 and IPv6.

    identity: who this transport is; settings: of a new endpoint. driver, endpoint: of the node that this belongs to.
    """

    endpoint: StreamEndpoint

    def __init__(
        self,
        host: str = "0.0.0.0",  # noqa: S104 - a node is there to be reached
        port: int = 8889,
        *,
        identity: Identity | None = None,
        settings: TransportSettings | None = None,
        driver: Runner[StreamInput] | None = None,
        endpoint: StreamEndpoint | None = None,
    ) -> None:
        settings = settings or TransportSettings()
        endpoint = endpoint or StreamEndpoint(identity or random_identity(), settings, entropy=os.urandom)
        super().__init__((host, port), endpoint, settings, driver=driver)
        self._streams: TCPStreams | None = None

    @property
    def local_address(self) -> Address:
        return (self.host, self.port) if self._streams is None else self._streams.address

    async def send(
        self,
        peer_addr: Address,
        data: bytes,
        timeout: float = 5.0,  # noqa: ASYNC109
        *,
        wait: bool = True,
    ) -> None:
        """Returns once the peer has the message; connects first if need be.

        peer_addr: where the peer listens. data: up to 1 MiB. timeout: seconds for everything together. wait: for room
        in a full queue; False to be refused at once (QueueFull).
        Raises SendTimeout, ConnectionFailed, MessageTooLarge, NotRunning, UsageError.
        """
        await self._deliver(peer_addr, data, timeout, wait=wait)

    def post(self, peer_addr: Address, data: bytes, timeout: float = 5.0) -> None:
        """As `send`, but returns at once: a handler that is a plain function answers with it.

        peer_addr: an IP address, as handlers are given it. Nobody is told what became of the message; the peer gets it
        once or, where it cannot be reached for `timeout` seconds, not at all.
        Raises QueueFull where `send` waits, MessageTooLarge, NotRunning, UsageError for a host name.
        """
        self._post(peer_addr, data, timeout)

    @property
    def stream_stats(self) -> StreamStats:
        """What the sockets counted; zeros before `start`."""
        return StreamStats() if self._streams is None else self._streams.stats

    def measured(self, snapshot: ConnectionSnapshot) -> ConnectionSnapshot:
        """The same, with what the kernel has measured on that connection (TCP_INFO)."""
        stream = self.endpoint.stream_of(snapshot.connection)
        info = None if self._streams is None or stream is None else self._streams.kernel_info(stream)
        return snapshot if info is None else replace(snapshot, kernel=info)

    async def _open(self, driver: Runner[StreamInput]) -> None:
        host, port = await listening_address("TCP", (self.host, self.port))
        # The endpoint refuses what it has no room for; a stream takes a moment more to be closed.
        streams_max = self.settings.max_connections + 2 * self.settings.half_open_max
        streams = TCPStreams(open_tcp_listener(host, port), on_inputs=driver.feed, streams_max=streams_max)
        driver.attach(StreamConnect, streams.connect)
        driver.attach(StreamWrite, streams.write)
        driver.attach(StreamShutdown, streams.shutdown)
        self._streams = streams

    async def _close(self) -> None:
        assert self._streams is not None
        self._streams.stop_accepting()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self._streams.drained()
        except TimeoutError:
            # These peers neither read nor close; they will find the connection reset.
            pass
        self._streams.close()

    def _pause(self) -> None:
        if self._streams is not None:
            self._streams.pause()

    def _resume(self) -> None:
        if self._streams is not None:
            self._streams.resume()

    def _socket_stats(self) -> tuple[int, JSONObject]:
        stats = self.stream_stats
        errors = sum(stats.accept_errors.values()) + stats.connect_failures + stats.slow_readers
        active = 0 if self._streams is None else len(self._streams)
        return errors, {"accepted": stats.accepted, "established": stats.connected, "active": active} | {
            "socket": asdict(stats)
        }

    def _lane(self, event: MessageReceived) -> Lane | None:
        return event.connection, None

    def _view(self, snapshot: ConnectionSnapshot) -> ConnectionView:
        view = replace(view_of(snapshot), rto=None, computed_rto=None)
        stream = self.endpoint.stream_of(snapshot.connection)
        info = None if self._streams is None or stream is None else self._streams.kernel_info(stream)
        if info is None:
            return view
        return replace(
            view,
            srtt=to_seconds(info.smoothed_rtt),
            rttvar=to_seconds(info.rttvar),
            rto=to_seconds(info.rto),
            retransmissions=info.retransmissions,
            congestion_window=info.congestion_window,
        )

    def _family(self) -> int:
        return socket.AF_UNSPEC if ":" in self.local_address[0] else socket.AF_INET
