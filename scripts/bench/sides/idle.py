"""Accepting sides of many connections, without sockets: `accept` makes one more, `stall` sends on the last in vain."""

from __future__ import annotations

import random

from node.identity.keys import Identity
from node.transport.endpoint import Endpoint
from node.transport.events import Connected, Delivery
from node.transport.packet import Datagram, Message
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, Address, Instant

SERVER: Address = ("10.0.0.2", 9000)
QUIET_TURNS = 6
SENT_IN_VAIN = 3


class Ours:
    """One endpoint of this project; those that dial it are forgotten once they are connected."""

    def __init__(self) -> None:
        self.server = Endpoint(Identity(bytes(32)), TransportSettings(), entropy=random.Random(0).randbytes)
        self.now: Instant = 10**9
        self.handle = 0

    def accept(self, number: int) -> None:
        """Another peer connects, says one word and falls silent."""
        address = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 9000)
        dialler = Endpoint(
            Identity(number.to_bytes(4, "big") + bytes([1]) * 28),
            TransportSettings(),
            entropy=random.Random(number + 1).randbytes,
        )
        handle = dialler.connect(SERVER, self.now)
        dialler.send(handle, Message(b"hello", Delivery.RELIABLE), self.now)
        for _ in range(QUIET_TURNS):
            self._move(dialler, self.server, address)
            self._move(self.server, dialler, SERVER)

    def stall(self, data: bytes) -> None:
        """Sends to the peer that connected last, and loses whatever leaves."""
        self.server.send(self.handle, Message(data, Delivery.RELIABLE), self.now)
        for _ in range(SENT_IN_VAIN):
            while self.server.poll_transmit(self.now) is not None:
                pass
            self.now += 5 * MILLISECOND

    def _move(self, here: Endpoint, there: Endpoint, address: Address) -> None:
        while (transmit := here.poll_transmit(self.now)) is not None:
            for data in transmit.payloads():
                there.receive(Datagram(address, data), self.now + MILLISECOND)
        self.now += MILLISECOND
        for endpoint in (here, there):
            while (event := endpoint.poll_event()) is not None:
                if isinstance(event, Connected) and endpoint is self.server:
                    self.handle = event.connection


class Aioquic:
    """aioquic's connections, likewise."""

    def __init__(self) -> None:
        self.servers: list[object] = []

    def accept(self, _number: int) -> None:
        from sides import memory_pair

        pair = memory_pair.Aioquic(1200)
        pair.connect()
        self.servers.append(pair.server)

    def stall(self, data: bytes) -> None:
        from aioquic.quic.connection import QuicConnection

        server = self.servers[-1]
        assert isinstance(server, QuicConnection)
        server.send_stream_data(server.get_next_available_stream_id(), data, end_stream=True)
        server.datagrams_to_send(now=2.0)
